"""I2V-GAN (ACM MM 2021): cycles over time and patch similarity.

Recycle-GAN's cycles, compared by a perceptual distance beside that of pixels; and what a patch is
like, in the source frame and from one frame to the next, has to survive translation.

Domain x is translated to y (x, y = a, b and b, a, learned together); x0 x1 x2 are three frames in
a row, x' is a translation into x, x~ an image led back to x.

  y'0, y'1 = G_xy(x0), G_xy(x1)        y'2 = P_y(y'0, y'1)       predicted from generated frames
  x~i = G_yx(y'i)                      x2p = P_x(x0, x1)         predicted from real frames

  L = sum over both directions of
        sum_i gan(D_y(y'i), real)                                adversarial
    + 10  [VL(x~0, x0) + VL(x~1, x1)]                            cycle
    + 10   VL(x~2, x2)                                           recycle
    + 10   VL(x2p, x2)                                           recurrent
    + 0.1  sum_i EXS(xi, y'i)                                    exs: a patch recognizes its source
    + 40   INS(x0..2, y'0..2)                                    ins: change over time is kept
    + 5    [|G_xy(y0) - y0| + |G_xy(y1) - y1|]                   identity (public code only)

VL(x, y) = |x - y| + content and style distance of VGG-19 features. No gradient is stopped at a
translated frame: it passes through P_y into G_xy and through G_yx, P_y, G_xy in a row. Features for
EXS and INS are those of G_xy's encoder for the source and, again, for its own output. Without VGG,
EXS and INS this is variant 2 of recyclegan.py, whose images, cyclic terms and critics are taken;
what is new is in feature_terms.py.

Public code: BIT-DA/I2V-GAN, whose netG_B is our `gen_ab`, netP_B `pred_b`, netF_A `proj_ab`.

Left open by the paper:
  - Temperature, number of patches and layers of EXS and INS: the public code's.
  - Blocks of the generator, kind of predictor and critic: those of the command in its README.
  - The number of epochs: 35 and 35 of decay, as in that command.
  - The scale of its FID: about a hundredth of what FID is elsewhere (`eval.paper_scale`).
  - Whether "monitoring, all" is one model of five scenes: taken so.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, weighted
from i2vjax.methods import feature_terms, recyclegan, shared, triplets
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import unet

YEAR = 2021
PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'pred_a', 'pred_b'), 'proj': ('proj_ab', 'proj_ba'),
           'disc_a': ('disc_a',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba', 'pred_a', 'pred_b')
EVAL_MODES = ('generator', 'predictor', 'average')
frozen_networks = feature_terms.frozen_networks   # VGG-19, unless VL is the pixel distance alone
device_state = image_pool.of_both_domains
sample_rows = recyclegan.sample_rows


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two generators, predictors, critics and projections."""
  return {**recyclegan.networks(config), **feature_terms.projections(config)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A frame, two frames side by side, or patches of features."""
  return {**recyclegan.example_inputs(config), **feature_terms.projection_inputs(config)}


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Generators and predictors move together; then both critics, with the fakes made before that.

  The projections stay as they were drawn, as in the public code, which clears their gradients
  before their optimizer moves; `nce.train_projection` trains them in the same backward pass.
  """
  config = model.config
  real = {x: triplets.three_frames(batch[x]) for x in 'ab'}
  players = ('gen', 'proj') if config.nce.train_projection else ('gen',)

  def gen_loss(trained):
    params = {**state.params, **trained}
    outputs = recyclegan.translations(model, params, real, key)   # every image and feature, once
    total, terms = weighted({
        **recyclegan.adversarial_terms(model, params, outputs),
        **recyclegan.cyclic_terms(model, outputs, real),
        **feature_terms.similarity_terms(model, params, outputs, key),
        **recyclegan.identity_term(outputs, real),
    }, config.weights)
    return total, (terms, recyclegan.fakes_for_critics(outputs))

  trained = {name: state.params[name] for player in players for name in PLAYERS[player]}
  grads, (terms, fakes) = jax.grad(gen_loss, has_aux=True)(trained)
  for player in players:   # one gradient, an optimizer for each
    state = apply_gradients(model, state, player, {name: grads[name] for name in PLAYERS[player]})
  state, critic_terms = recyclegan.update_critics(model, state, real, fakes, key)
  return state, {**terms, **critic_terms}


def translate(model: Model, params: Params, model_state: Any, carry: Any,
              frames: jax.Array) -> tuple[Any, jax.Array]:
  """[B, T, H, W, C] -> the same. Frame by frame with gen_ab, as published.

  `eval.mode='predictor'` shows P_b of the generator's two frames before, 'average' the mean of that
  and the generator's frame (both computed by the public code, used by none of its scripts). The
  first two frames of a clip are the generator's. Carry: those two frames and how many there are.
  """
  del model_state
  mode = model.config.eval.mode
  if mode not in EVAL_MODES:
    raise UserError(f'eval.mode={mode!r}: choose one of {", ".join(EVAL_MODES)}')
  fake = shared.per_frame(model, params, 'gen_ab', frames)
  if mode == 'generator':
    return carry, fake
  B, T = frames.shape[:2]
  before, count = carry or (jnp.zeros_like(fake, shape=(B, 2, *fake.shape[2:])), 0)
  line = jnp.concatenate([before, fake], 1)
  pairs = ops.fold(jnp.concatenate([line[:, :-2], line[:, 1:-1]], -1))
  predict = functools.partial(model.apply, params, 'pred_b')
  predicted = ops.unfold(unet.any_size(predict, pairs, unet.multiple(model.config)), T)
  has_two_before = (count + jnp.arange(T) >= 2)[None, :, None, None, None]
  shown = predicted if mode == 'predictor' else (fake + predicted) / 2
  return (line[:, -2:], count + T), jnp.where(has_two_before, shown, fake)
