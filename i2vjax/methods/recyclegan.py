"""Recycle-GAN (ECCV 2018): what is translated, predicted a frame ahead and led back must be true.

Domain x is translated to y (x, y = a, b and b, a); x0 x1 x2 are three frames in a row.

  y'0, y'1 = G_xy(x0), G_xy(x1)      y'2 = P_y(y'0, y'1)      x2p = P_x(x0, x1)

  L = sum over both directions of
        sum_i gan(D_y(y'i), real)                                  adversarial
    + 10 |x2p - x2|                                                recurrent
    + 10 |G_yx(y'2) - x2|                                          recycle
    + 10 [|G_yx(y'0) - x0| + |G_yx(y'1) - x1|]                     cycle     (variant 2 only)
    + 5  [|G_xy(y0) - y0| + |G_xy(y1) - y1|]                       identity  (variant 2 only)

Public code: aayushbansal/Recycle-GAN, whose G_A is our `gen_ab` and whose D_A, the judge of domain
b, is our `disc_b`; variant 1 is its 'recycle_gan', variant 2 its 'recycle_gan_cycle', on which
I2V-GAN is built. I2V-GAN's ablation adds each of its terms to this method: `perceptual`,
`weights.exs`, `weights.ins`; images and terms are therefore those of i2vgan.py.
"""

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import update, weighted
from i2vjax.losses import pixel, synthetic_motion
from i2vjax.methods import i2vgan

PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'pred_a', 'pred_b'), 'disc_a': ('disc_a',),
           'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
frozen_networks = (
  i2vgan.frozen_networks
)  # VGG-19 with `perceptual`, which makes every distance I2V-GAN's VL
device_state = i2vgan.device_state
sample_rows = i2vgan.sample_rows


def networks(config):
  """Two generators, predictors and critics."""
  nets = i2vgan.networks(config)
  return {name: nets[name] for names in PLAYERS.values() for name in names}


def example_inputs(config):
  """A frame, or two frames side by side, as each network reads."""
  examples = i2vgan.example_inputs(config)
  return {name: examples[name] for names in PLAYERS.values() for name in names}


def step(model, state, batch, key):
  """Generators and predictors move together; then both critics, with the fakes made before that."""
  config = model.config
  real = {x: i2vgan.three_frames(batch[x]) for x in 'ab'}
  nets, heads = i2vgan.with_projections(model, state.key)

  def gen_loss(params):
    params = {**params, **heads}
    made = i2vgan.translations(model, params, real, key)
    total, terms = weighted({
        **i2vgan.adversarial_terms(model, params, made),
        **i2vgan.cyclic_terms(model, made, real, pixel_distance(config)),
        **i2vgan.similarity_terms(model, params, made, key),
        **i2vgan.identity_term(made, real),
    }, config.weights)
    return total, (terms, i2vgan.for_critics(made))

  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, critic_terms = i2vgan.critics(model, state, real, fakes, key)
  return state, {**terms, **critic_terms}


def pixel_distance(config):
  """`rec.norm`: 'l1' as in the public code, or 'l2', the mean square, for the paper's norm."""
  norms = {'l1': pixel.l1, 'l2': lambda x, y: synthetic_motion.distance(x, y, 'mse')}
  if config.rec.norm not in norms:
    raise UserError(f"rec.norm={config.rec.norm!r}: choose 'l1' or 'l2'")
  return norms[config.rec.norm]


def translate(model, params, model_state, carry, frames):
  """Frame by frame with gen_ab; nothing looks back in time. [B, T, H, W, C] -> the same."""
  del model_state
  fake = model.apply(params, 'gen_ab', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])
