"""CUT and FastCUT (ECCV 2020): one-sided translation by contrast of patches.

A patch of the translation must be more like the patch of the input at its own place than like those
at other places; so one generator is enough, and nothing is led back.

  b^ = G(a), b_idt = G(b); E = encoder half of G with its taps, F = projection

  NCE(x, y) = mean over taps and places of the cross-entropy with which F(E(y)) at a place picks
              F(E(x)) of the same place among those of other places of x
  L_G = gan(D(b^), real) + w NCE(a, b^) + w_idt NCE(b, b_idt)
  L_D = [gan(D(b), real) + gan(D(b^), fake)] / 2

CUT: w = w_idt = 1/2. FastCUT: w = 10, no b_idt, and half of the steps translate a mirrored `a`
whose features are compared mirrored back. The keys F(E(x)) are constants, so encoder and projection
learn from the queries alone; b_idt learns from its NCE alone.

Public code: taesungp/contrastive-unpaired-translation.

Left open by the paper:
  - The paper's own text was not at hand: all numbers are those of the public code.
  - Domains with different numbers of channels: the encoder reads both, so they are refused.
  - The projection, which the code makes from the features of a first pass: made with the other
    networks here, from the shapes of the taps.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, name_key, update, weighted
from i2vjax.losses import adversarial, contrastive
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan, projector

YEAR = 2020
PLAYERS = {'disc_b': ('disc_b',), 'gen': ('gen',), 'proj': ('proj_ab',)}
INFERENCE_NETWORKS = ('gen',)
translate = shared.framewise('gen')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Generator, critic of domain b, projection."""
  a, b = config.data.channels_a, config.data.channels_b
  if a != b:
    raise UserError(f'the encoder of gen reads frames of both domains, so data.channels_a={a} '
                    f'must equal data.channels_b={b}')
  return {'gen': generators.generator(config, a, b), 'disc_b': patchgan.discriminator(config, b),
          'proj_ab': projector.projector(config)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A frame, or patches of its features for the projection."""
  a, b = shared.example_frames(config)
  patches = projector.example(config, config.data.channels_a)
  return {'gen': (a,), 'disc_b': (b,), 'proj_ab': (patches,)}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The critic moves on b^; then generator and projection, against the critic just moved.

  b^ is made once although the critic comes first: what G's gradient owes to b^ is pulled back
  through that one forward pass. Parameters of G do not change in between, so its features of the
  inputs serve as keys.
  """
  config = model.config
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])
  source = jnp.concatenate([a, b]) if config.weights.nce_identity else a
  mirrored, coin = mirror_at_random(config, source, name_key(key, 'mirror'))
  images, pull_back, keys = jax.vjp(
      lambda gen: translated(model, gen, mirrored), state.params['gen'], has_aux=True)
  if config.nce.flip:   # keys come from the source before mirroring whichever way the coin fell
    keys = features(model, state.params['gen'], source)
  fake = images[:len(a)]

  state, disc_term = update(
      model, state, 'disc_b', PLAYERS['disc_b'],
      lambda params: shared.critic_loss(model, params, 'disc_b', b, fake))

  def loss(gen, proj, images):
    queries = mirror(coin, features(model, gen, images))
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            model.apply(state.params, 'disc_b', images[:len(a)]), config.gan.mode),
        **nce_terms(model, proj, keys, queries, len(a), key),
    }, config.weights)

  (direct, proj, of_images), terms = jax.grad(loss, (0, 1, 2), has_aux=True)(
      state.params['gen'], state.params['proj_ab'], images)
  gen = jax.tree.map(jnp.add, direct, *pull_back(of_images))
  state = apply_gradients(model, state, 'gen', {'gen': gen})
  state = apply_gradients(model, state, 'proj', {'proj_ab': proj})
  return state, {**terms, 'disc_b': disc_term}


def translated(model, gen, frames):
  """G(frames), and E's features of them on the way."""
  params, taps = {'gen': gen}, projector.taps(model.config)
  h, maps = model.apply(params, 'gen', frames, taps, method='encode')
  return model.apply(params, 'gen', h, method='decode'), in_order(maps, taps)


def features(model, gen, frames):
  """E(frames): [[B, h, w, C] for each tap]."""
  taps = projector.taps(model.config)
  _, maps = model.apply({'gen': gen}, 'gen', frames, taps, method='encode')
  return in_order(maps, taps)


def in_order(maps, taps):
  """Features in the order of `nce.taps`, where a name may occur twice."""
  return [maps[tap] for tap in taps]


def mirror_at_random(config, frames, key):
  """(frames mirrored left to right or not, the coin): one coin for the step, None in plain CUT."""
  if not config.nce.flip:
    return frames, None
  coin = jax.random.bernoulli(key)
  return mirror(coin, [frames])[0], coin


def mirror(coin, maps):
  """Mirror maps [..., H, W, C] left to right where the coin says so; None: never."""
  return maps if coin is None else [jnp.where(coin, x[..., ::-1, :], x) for x in maps]


def nce_terms(model, proj, keys, queries, count, key):
  """NCE(a, b^) of the first `count` images and NCE(b, b_idt) of the others, own places for each."""
  settings = model.config.nce

  def project(maps, ids):
    return model.apply({'proj_ab': proj}, 'proj_ab', projector.patches(maps, ids))

  def nce(part, purpose):
    x, y = [maps[part] for maps in keys], [maps[part] for maps in queries]
    ids = projector.places(name_key(key, purpose), y, settings.patches)
    z, z_fake = project(x, ids), project(y, ids)
    return contrastive.external_similarity(z_fake, z, settings.tau)
  return {'nce': lambda: nce(slice(0, count), 'nce'),
          'nce_identity': lambda: nce(slice(count, None), 'nce_identity')}


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: source, translation, a target frame and what becomes of it."""
  del model_state, key
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  return shared.in_color({'a': a, 'a to b': model.apply(params, 'gen', a), 'b': b,
                          'b translated': model.apply(params, 'gen', b)})
