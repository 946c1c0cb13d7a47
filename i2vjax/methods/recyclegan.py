"""Recycle-GAN (ECCV 2018): translators and next-frame predictors in cycles.

Time is taken into the cycle: translate two frames, predict the third in the other domain, lead it
back, and it must be the third frame that was filmed.

Domain x is translated to y (x, y = a, b and b, a); x0 x1 x2 are three frames in a row.

  y'0, y'1 = G_xy(x0), G_xy(x1)      y'2 = P_y(y'0, y'1)      x2p = P_x(x0, x1)

  L = sum over both directions of
        sum_i gan(D_y(y'i), real)                                  adversarial
    + 10 |x2p - x2|                                                recurrent
    + 10 |G_yx(y'2) - x2|                                          recycle
    + 10 [|G_yx(y'0) - x0| + |G_yx(y'1) - x1|]                     cycle     (variant 2 only)
    + 5  [|G_xy(y0) - y0| + |G_xy(y1) - y1|]                       identity  (variant 2 only)

Public code: aayushbansal/Recycle-GAN, whose G_A is our `gen_ab` and whose D_A, the critic of domain
b, is our `disc_b`; variant 1 is its 'recycle_gan', variant 2 its 'recycle_gan_cycle', on which
I2V-GAN is built. I2V-GAN's ablation adds each of its terms to this method (feature_terms.py):

  `perceptual`    VL: |.| gets a distance of VGG features beside that of pixels
  `weights.exs`   EXS, external similarity: of patches of a translation to their sources
  `weights.ins`   INS, internal similarity: how patches change over the three frames

Left open by the paper:
  - The paper's own text was not at hand: public code, and how the I2V-GAN paper restates it.
  - How many frames are looked back on: any number in the formulas, two in both public codes.
  - Initial biases: 0 here; the code leaves PyTorch's default.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, name_key, update, weighted
from i2vjax.losses import adversarial, pixel
from i2vjax.methods import feature_terms, shared, triplets
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import generators, patchgan, unet

YEAR = 2018
# One optimizer moves generators and predictors, as in the public code.
PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'pred_a', 'pred_b'), 'disc_a': ('disc_a',),
           'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
frozen_networks = feature_terms.frozen_networks   # VGG-19 with `perceptual`: VL in place of |.|
device_state = image_pool.of_both_domains
translate = shared.framewise('gen_ab')            # nothing looks back in time


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two generators, predictors and critics."""
  a, b = config.data.channels_a, config.data.channels_b
  if a != b and (config.weights.identity or feature_terms.uses_nce(config)):
    raise UserError(f'gen_ab reads frames of both domains, so data.channels_a={a} must equal '
                    f'data.channels_b={b}, unless weights.identity, exs and ins are 0')
  return {'gen_ab': generators.generator(config, a, b),
          'gen_ba': generators.generator(config, b, a),
          'pred_a': unet.predictor(config, a), 'pred_b': unet.predictor(config, b),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A frame, or two frames side by side. UserError: a feature of `nce.taps` that is not there."""
  feature_terms.taps(config)
  a, b = shared.example_frames(config)
  return {'gen_ab': (a,), 'gen_ba': (b,), 'disc_a': (a,), 'disc_b': (b,),
          'pred_a': (jnp.concatenate([a, a], -1),), 'pred_b': (jnp.concatenate([b, b], -1),)}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Generators and predictors move together; then both critics, with the fakes made before that."""
  config = model.config
  real = {x: triplets.three_frames(batch[x]) for x in 'ab'}
  # For EXS and INS, never trained: of the run's key, not the step's, so the same in every step.
  model, projections = feature_terms.with_projections(model, state.key)

  def gen_loss(params):
    params = {**params, **projections}
    outputs = translations(model, params, real, key)   # every image and feature, once
    total, terms = weighted({
        **adversarial_terms(model, params, outputs),
        **cyclic_terms(model, outputs, real, pixel_distance(config)),
        **feature_terms.similarity_terms(model, params, outputs, key),
        **identity_term(outputs, real),
    }, config.weights)
    return total, (terms, fakes_for_critics(outputs))

  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, critic_terms = update_critics(model, state, real, fakes, key)
  return state, {**terms, **critic_terms}


def translations(model, params, real, key):
  """The images and features of a step that the terms in use ask for (triplets.py)."""
  config, weights = model.config, model.config.weights
  weight_of_frame = (weights.cycle, weights.cycle, weights.recycle)
  back = [i for i, weight in enumerate(weight_of_frame) if weight]

  def call(purpose, name, *inputs, **options):
    block = config.pred if name.startswith('pred') else config.gen
    if block.get('dropout', False):
      options['rngs'] = {'dropout': name_key(key, purpose)}
    return model.apply(params, name, *inputs, **options)
  return triplets.translations(call, real, back, bool(weights.identity), feature_terms.taps(config))


# ---- Terms, each the sum of both directions; `outputs` as triplets.translations returns them


def adversarial_terms(model, params, outputs):
  """gan(D_x(x'i), real) summed over three frames; that of predicted real frames is optional.

  `gan.g_form`, of I2V-GAN alone: 'minimax' is its Eq. 1 as printed.
  """
  gan = model.config.gan

  def term(x, images):
    scores = model.apply(params, f'disc_{x}', jnp.concatenate(images))
    return len(images) * adversarial.generator_loss(
        scores, gan.mode, gan.get('g_form', 'nonsaturating'))
  # The second is off as published, although the critics are trained on these images as fakes.
  return {
      'adversarial': lambda: sum(term(x, outputs[x]['fake']) for x in 'ab'),
      'predictor_adversarial': lambda: sum(term(x, [outputs[x]['predicted']]) for x in 'ab')}


def cyclic_terms(model, outputs, real, distance=pixel.l1):
  """{'cycle', 'recycle', 'recurrent'} of what came back and of what was predicted from real frames.

  With `perceptual` distances are VL (feature_terms.py); VGG in two calls for all.

  Args:
    distance: of two images [B, H, W, C].
  """
  terms = [term for term in feature_terms.VL_TERMS if model.config.weights[term]]
  pairs = [(term, *pair) for term in terms for pair in cyclic_pairs(outputs, term)]
  added = feature_terms.perceptual_distances(model, real, [pair for _, *pair in pairs])
  values = dict.fromkeys(terms, 0.0)
  for (term, x, i, image), more in zip(pairs, added, strict=True):
    values[term] += distance(image, real[x][i]) + more
  # Computed already, since all share VGG's two calls; `weighted` takes functions of nothing.
  return {term: functools.partial(values.get, term) for term in terms}


def cyclic_pairs(outputs, term):
  """[(domain, frame, image that should equal it)] of one of the cyclic terms."""
  if term == 'recurrent':
    return [(x, 2, outputs[x]['predicted']) for x in 'ab']
  frames = (0, 1) if term == 'cycle' else (2,)
  return [(x, i, outputs[x]['back'][i]) for x in 'ab' for i in frames]


def pixel_distance(config):
  """`rec.norm`: 'l1' as in the public code, or 'l2', the mean square, for the paper's norm."""
  norms = {'l1': pixel.l1, 'l2': pixel.mse}
  if config.rec.norm not in norms:
    raise UserError(f"rec.norm={config.rec.norm!r}: choose 'l1' or 'l2'")
  return norms[config.rec.norm]


def identity_term(outputs, real):
  """A frame of the target domain passes unchanged; L1 alone, frames 0 and 1."""
  def of_domain(x):
    pairs = zip(outputs[x]['identity'], real[x][:2], strict=True)
    return [pixel.l1(image, frame) for image, frame in pairs]
  return {'identity': lambda: sum([*of_domain('a'), *of_domain('b')])}


# ---- Critics


def fakes_for_critics(outputs):
  """{x: [4 B, H, W, C]}: x'0, x'1, x'2 and the prediction of real frames, in this order."""
  return {x: jnp.concatenate([*outputs[x]['fake'], outputs[x]['predicted']]) for x in 'ab'}


def update_critics(model, state, real, fakes, key):
  """Both critics move, on fakes that went through the pools. Returns (state, {critic: loss})."""
  state, shown = shared.through_pools(state, key, fakes)
  terms = {}
  for x in 'ab':
    name = f'disc_{x}'
    state, terms[name] = update(model, state, name, PLAYERS[name], functools.partial(
        critic_loss, model, name=name, real=real[x], fakes=shown[x]))
  return state, terms


def critic_loss(model, params, name, real, fakes):
  """Sum over the pairs (x0, x'0), (x1, x'1), (x2, x'2), (x2, x2p) of half real + half fake.

  One call for seven images: the real frame 2 counts twice.
  """
  gan = model.config.gan
  scores = model.apply(params, name, jnp.concatenate([*real, fakes]))
  num_real = sum(map(len, real))   # 3 B; 4 B fakes behind them
  on_real = adversarial.patch_losses(scores[:num_real], True, gan.mode).reshape(3, -1).mean(1)
  on_fake = adversarial.patch_losses(scores[num_real:], False, gan.mode)
  of_real = jnp.dot(on_real, jnp.array([1.0, 1.0, 2.0]), precision=jax.lax.Precision.HIGHEST)
  return gan.d_scale * (of_real + 4 * jnp.mean(on_fake))


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: both directions, the way back, and the predicted frame 2."""
  del model_state, key
  rows = {}
  for x, y in DIRECTIONS:
    first, second, third = (batch[x][:, i] for i in range(3))
    fake = [model.apply(params, f'gen_{x}{y}', frame) for frame in (first, second, third)]
    rows |= {
        x: third,
        f'{x} to {y}': fake[2],
        f'{x} to {y}, predicted': model.apply(params, f'pred_{y}',
                                              jnp.concatenate(fake[:2], -1)),
        f'back to {x}': model.apply(params, f'gen_{y}{x}', fake[2]),
        f'{x}, predicted': model.apply(params, f'pred_{x}', jnp.concatenate([first, second], -1))}
  return shared.in_color(rows)
