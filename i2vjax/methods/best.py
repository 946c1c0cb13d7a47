"""best (ours): of thirteen methods the parts that pay, in one.

One generator, one critic, no cycle, no flow. Two neighboring frames x0 x1 are translated one by
one, y'_t = G(x_t); y0 y1 are real ones, of other places. Footage without neighbors (stills) does
with `data.frames=1`: the critic then sees frames alone.

  pair      the critic C sees two frames and their difference, [y0, y1, y1 - y0]: translations must
            look like daylight, and so must what changes from one to the next (GTC's residual,
            without its flow; C is three PatchGANs, on the frames, their half and their quarter)
  ctn       translation commutes with a made-up smooth motion F, the same strength everywhere, and
            does not see the noise n of the sensor, of pixels and of columns (CPTrans, Unsupervised
            Recycle-GAN; columns are ours):
            || W(G(x0), F) - G(W(x0, F) + n) ||
  cs        cross-similarity of training-free descriptors keeps the structure (CPTrans, ROMA)
  identity  | G(y0) - y0 |: daylight stays what it is (CycleGAN)

  L_G = L_adv + cs_global L_cs(whole frames) + cs_local L_cs(small windows) + ctn L_ctn
      + identity L_idt
  L_C = 1/2 [gan(C(y0, y1), real) + gan(C(y'0, y'1), made)]

C is updated first, at half of G's rate; G is the U-Net of the demos. What each part buys, and what
of the other methods did not: docs/best.md.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import diff_augment, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, name_key, update, weighted
from i2vjax.losses import adversarial, pixel, synthetic_motion
from i2vjax.methods import cptrans, shared, shared_roma
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan

YEAR = 2026
PLAYERS = {'gen': ('gen',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen',)
translate = shared.framewise('gen')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """The generator, and the critic of pairs of visible frames."""
  check(config)
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen': generators.generator(config, a, b),
          'disc_b': patchgan.discriminator(config, (2 * config.data.frames - 1) * b)}


def check(config):
  """Refuse longer windows, and of pairs remedies that are made for critics of single frames."""
  if config.data.frames not in (1, 2):
    raise UserError(f'data.frames={config.data.frames}: the critic sees pairs, set '
                    '--config.data.frames=2, or 1 for stills')
  critic = config.critic
  if config.data.frames == 2 and critic.r1:
    raise UserError(f'critic.r1={critic.r1} is for critics of single frames, here they see pairs: '
                    'set --config.critic.r1=0')
  if config.data.frames == 2 and 'color' in diff_augment.kinds(critic.augment):
    raise UserError(f'critic.augment={critic.augment!r}: color is for critics of single frames, '
                    'here they see pairs: set --config.critic.augment=shift,cutout')
  shared.check_identity(config)


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A frame for the generator, a pair for the critic."""
  a, b = shared.example_frames(config)
  return {'gen': (a,), 'disc_b': (pair(jnp.stack([b] * config.data.frames, axis=1)),)}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The critic moves, then the generator against the critic just moved.

  G(x0), G(x1) and G(y0) are one pass, whose gradient is pulled back through it; G(W(x0, F) + n) is
  another.
  """
  config = model.config
  x, y = batch['a'], batch['b']
  translations, pull_back = jax.vjp(lambda gen: translated(model, gen, x, y), state.params['gen'])

  state, disc_term = update(
      model, state, 'disc_b', PLAYERS['disc_b'],
      lambda params: shared.critic_loss(model, params, 'disc_b', pair(y), pair(translations[0])))

  def generator_loss(gen, fake, same):
    generate = functools.partial(model.apply, {'gen': gen}, 'gen')
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            model.apply(state.params, 'disc_b', pair(fake)), config.gan.mode),
        **structure(model, x, fake, key),
        'ctn': lambda: cptrans.commutation(config, generate, x[:, 0], fake[:, 0],
                                           motion(config, x[:, 0], key), key),
        'identity': lambda: pixel.l1(same, y[:, 0]),
    }, config.weights)

  (direct, *of_images), terms = jax.grad(generator_loss, (0, 1, 2), has_aux=True)(
      state.params['gen'], *translations)
  gen = jax.tree.map(jnp.add, direct, *pull_back(tuple(of_images)))
  state = apply_gradients(model, state, 'gen', {'gen': gen})
  return state, {**terms, 'disc_b': disc_term}


def translated(model, gen, x, y):
  """(y' [B, T, H, W, C], G(y0) [B, H, W, C], empty without the identity term), in one pass."""
  frames = ops.fold(x)
  both = jnp.concatenate([frames, y[:, 0]]) if model.config.weights.identity else frames
  images = model.apply({'gen': gen}, 'gen', both)
  return ops.unfold(images[:len(frames)], x.shape[1]), images[len(frames):]


def pair(clip):
  """What the critic sees: [y0, y1, y1 - y0]. [B, 2, H, W, C] -> [B, H, W, 3 C]; a lone y0 as it is.
  """
  if clip.shape[1] == 1:
    return clip[:, 0]
  before, after = clip[:, 0], clip[:, 1]
  return jnp.concatenate([before, after, after - before], axis=-1)


# ---- Terms


def structure(model, x, fake, key):
  """{'cs_global', 'cs_local'} of both frames (shared_roma.py)."""
  source, translated = (shared_roma.features(model, ops.fold(clip)) for clip in (x, fake))
  return shared_roma.structure(model, source, translated, key)


def motion(config, frames, key):
  """F: smooth noise of rms `ctn.gamma` everywhere. [B, H, W, C] -> [B, H, W, 2] pixels, constant.

  CPTrans moves what is rich in content; here everything is, as with a camera on a car.
  """
  everywhere = jnp.ones((len(frames), 1, 1))
  return synthetic_motion.content_flow(
      name_key(key, 'motion'), everywhere, frames.shape[1:3], gamma=config.ctn.gamma,
      sigma=config.ctn.sigma, normalize='max')


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: the frames of a window, each above its translation; y; F."""
  del model_state
  fake = shared.per_frame(model, params, 'gen', batch['a'])
  rows = {}
  for t in range(fake.shape[1]):
    rows |= {f'infrared, frame {t}': batch['a'][:, t], f'translated, frame {t}': fake[:, t]}
  rows['visible, not of this scene'] = batch['b'][:, 0]
  rows['motion'] = ops.flow_colors(motion(model.config, batch['a'][:, 0], key))
  return shared.in_color(rows)
