"""CycleGAN (Zhu et al., ICCV 2017): two translators that must undo each other.

Frames are treated as independent images. Public code: junyanz/pytorch-CycleGAN-and-pix2pix, whose
G_A is our `gen_ab` and whose D_A, the judge of domain b, is our `disc_b`.
"""

import functools

import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import name_key, update, weighted
from i2vjax.losses import adversarial, pixel
from i2vjax.networks import patchgan, resnet

PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc_a': ('disc_a',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
device_state = image_pool.of_both_domains


def networks(config):
  """Two ResNet generators, two PatchGAN critics.

  ValueError: identity images of frames that a generator cannot read.
  """
  a, b = config.data.channels_a, config.data.channels_b
  readable(config)
  return {'gen_ab': resnet.generator(config, a, b), 'gen_ba': resnet.generator(config, b, a),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b)}


def readable(config):
  """Refuse an identity term, G(b) towards b, if the generator cannot read b."""
  a, b = config.data.channels_a, config.data.channels_b
  if config.weights.identity and a != b:
    raise UserError(f'data.channels_a={a} and data.channels_b={b}: for weights.identity='
                     f'{config.weights.identity} a generator reads frames of both domains; set '
                     '--config.weights.identity=0, or both to 3')


def example_inputs(config):
  """One frame of the domain each network reads."""
  a, b = (jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
          for channels in (config.data.channels_a, config.data.channels_b))
  return {'gen_ab': (a,), 'gen_ba': (b,), 'disc_a': (a,), 'disc_b': (b,)}


def step(model, state, batch, key):
  """One update of both generators, then of both critics with the fakes made before it."""
  config = model.config
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])
  count, mode, weights = len(a), config.gan.mode, config.weights

  def gen_loss(params):
    # Identity images ride along in the same calls: gen_ab sees [a, b], gen_ba sees [b, a].
    idt = bool(weights.identity)
    ab = model.apply(params, 'gen_ab', jnp.concatenate([a, b]) if idt else a)
    ba = model.apply(params, 'gen_ba', jnp.concatenate([b, a]) if idt else b)
    fake_b, fake_a = ab[:count], ba[:count]

    def adversarial_term():
      return (adversarial.generator_loss(model.apply(params, 'disc_b', fake_b), mode)
              + adversarial.generator_loss(model.apply(params, 'disc_a', fake_a), mode))

    def cycle():
      return (pixel.l1(model.apply(params, 'gen_ba', fake_b), a)
              + pixel.l1(model.apply(params, 'gen_ab', fake_a), b))

    def identity():
      return pixel.l1(ab[count:], b) + pixel.l1(ba[count:], a)

    total, terms = weighted({'adversarial': adversarial_term, 'cycle': cycle,
                             'identity': identity}, weights)
    return total, (terms, fake_a, fake_b)

  state, (terms, fake_a, fake_b) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)

  pools = dict(state.device_state)
  pools['pool_a'], fake_a = image_pool.query(pools['pool_a'], name_key(key, 'pool_a'), fake_a)
  pools['pool_b'], fake_b = image_pool.query(pools['pool_b'], name_key(key, 'pool_b'), fake_b)
  state = state.replace(device_state=pools)

  for player, real, fake in (('disc_a', a, fake_a), ('disc_b', b, fake_b)):
    state, terms[player] = update(model, state, player, PLAYERS[player], functools.partial(
        critic_loss, model, name=player, real=real, fake=fake))
  return state, terms


def critic_loss(model, params, name, real, fake):
  """Half of (real towards 1 + fake towards 0), both judged in one call.

  The half is the public codes'; under Adam it changes nothing.
  """
  config = model.config
  scores = model.apply(params, name, jnp.concatenate([real, fake]))
  return config.gan.d_scale * adversarial.discriminator_loss(
      scores[:len(real)], scores[len(real):], config.gan.mode)


def translate(model, params, model_state, carry, frames):
  """Frame by frame with gen_ab. [B, T, H, W, C] -> the same."""
  del model_state
  fake = model.apply(params, 'gen_ab', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: both directions and both reconstructions."""
  del model_state, key
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  fake_b, fake_a = model.apply(params, 'gen_ab', a), model.apply(params, 'gen_ba', b)
  rows = {'a': a, 'a to b': fake_b, 'back to a': model.apply(params, 'gen_ba', fake_b),
          'b': b, 'b to a': fake_a, 'back to b': model.apply(params, 'gen_ab', fake_a)}
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}
