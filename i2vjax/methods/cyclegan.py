"""CycleGAN (Zhu et al., ICCV 2017): two translators that undo each other.

Nobody has the same scene in both domains at once, so a translation has no truth to be compared
with. But it can be led back, and then must be the frame that went in.

  L_G = gan(D_b(b'), real) + gan(D_a(a'), real)         adversarial     b' = G_ab(a), a' = G_ba(b)
      + 10 [|G_ba(b') - a| + |G_ab(a') - b|]            cycle
      + 5  [|G_ab(b) - b| + |G_ba(a) - a|]              identity
  L_D = [gan(D(x), real) + gan(D(pool of x'), fake)] / 2, for each domain

Frames are treated as independent images. Public code: junyanz/pytorch-CycleGAN-and-pix2pix, whose
G_A is our `gen_ab` and whose D_A, the critic of domain b, is our `disc_b`.

Left open by the paper:
  - The identity term: in the paper for paintings alone, in its public code for everything. On
    here; `weights.identity=0` leaves it and its forward passes out.
  - Video: frames are images of their own, and every frame of every clip is one (`data.frames=1`).
  - Frames that are not square: trained on square crops, translated at the size they have.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.model import Model
from i2vjax.core.state import State, update, update_in_parts, weighted
from i2vjax.losses import adversarial, pixel
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan

YEAR = 2017
PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc_a': ('disc_a',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
device_state = image_pool.of_both_domains
translate = shared.framewise('gen_ab')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two ResNet generators, two PatchGAN critics.

  Raises:
    UserError: identity images of frames that a generator cannot read.
  """
  shared.check_identity(config)
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen_ab': generators.generator(config, a, b),
          'gen_ba': generators.generator(config, b, a),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """One frame of the domain each network reads."""
  a, b = shared.example_frames(config)
  return {'gen_ab': (a,), 'gen_ba': (b,), 'disc_a': (a,), 'disc_b': (b,)}


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """One update of both generators, then of both critics with the fakes made before it."""
  mode, weights = model.config.gan.mode, model.config.weights
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])
  count = len(a)

  def there_and_back(forward, back, critic, x, y):
    """Loss of the way of x: (params, wait) -> (weighted sum, (terms, fake))."""
    def loss(params, wait):
      # The identity image y rides along in the same call.
      out = model.apply(params, forward, wait(jnp.concatenate([x, y]) if weights.identity else x))
      fake = out[:count]
      total, terms = weighted({
          'adversarial': lambda: adversarial.generator_loss(model.apply(params, critic, fake),
                                                            mode),
          'cycle': lambda: pixel.l1(model.apply(params, back, fake), x),
          'identity': lambda: pixel.l1(out[count:], y)}, weights)
      return total, (terms, fake)
    return loss

  state, parts = update_in_parts(model, state, 'gen', PLAYERS['gen'], [
      there_and_back('gen_ab', 'gen_ba', 'disc_b', a, b),
      there_and_back('gen_ba', 'gen_ab', 'disc_a', b, a)])
  (terms, fake_b), (terms_of_b, fake_a) = parts
  terms = jax.tree.map(jnp.add, terms, terms_of_b)
  fakes = {'a': fake_a, 'b': fake_b}
  state, fakes = shared.through_pools(state, key, fakes)
  for player, x, real in (('disc_a', 'a', a), ('disc_b', 'b', b)):
    state, terms[player] = update(model, state, player, PLAYERS[player], functools.partial(
        shared.critic_loss, model, name=player, real=real, fake=fakes[x]))
  return state, terms


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: both directions and both reconstructions."""
  del model_state, key
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  fake_b, fake_a = model.apply(params, 'gen_ab', a), model.apply(params, 'gen_ba', b)
  return shared.in_color({
      'a': a, 'a to b': fake_b, 'back to a': model.apply(params, 'gen_ba', fake_b),
      'b': b, 'b to a': fake_a, 'back to b': model.apply(params, 'gen_ab', fake_a)})
