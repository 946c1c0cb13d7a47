"""F-LSeSim (CVPR 2021): spatially-correlative loss, for unpaired translation in one direction.

Whatever happens to an image's features, their pattern of likeness must stay: where a place finds
its like. f are features of a frozen VGG-16 at layers l, q some places of the image, k those around:

  s(q, k) = tanh(<f_q, f_k> / (10 C))            self-similarity maps of a, t of b' = G(a)
  L_G = gan(D(b'), real) + 10 mean_l mean_q h(1 - cos(s_q, t_q))
  L_D = [gan(D(b), real) + gan(D(pool of b'), fake)] / 2

where the cosine sees only the quarter of k most like q in b', and h is the smooth |.|. With
`lsesim.use_norm` features are unit vectors, s is their product and h is |.|.

FSeSim compares the features as they are. LSeSim (`lsesim.learned`) puts a small head on each layer,
which learns beforehand to tell places apart, whatever the light and the domain: the row of a at q
must recognize that of b' at q among those of other places and of an unrelated image, b turned by
half a circle; with `lsesim.augment` also that of a under other colors.

Public code: lyndonzheng/F-LSeSim.

Left open by the paper:
  - The paper's own text was not at hand: all numbers are those of the public code.
  - Which of both the reported results are of: by its authors' answer to users the fixed one, with
    windows of 64, which cover whole maps at 256 pixels. LSeSim needs windows of 32.
  - Life without a VGG (`perceptual='none'`): training-free descriptors take its place, ours.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import diff_augment, image_pool, ops
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, name_key, update, weighted
from i2vjax.losses import adversarial, descriptor, pixel, selfsim
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan, selfsim_heads, vgg

YEAR = 2021
PLAYERS = {'heads': ('heads',), 'disc_b': ('disc_b',), 'gen': ('gen',)}
INFERENCE_NETWORKS = ('gen',)
translate = shared.framewise('gen')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Generator, critic of domain b, heads (without parameters unless they are learned)."""
  shared.check_identity(config)
  a, b = config.data.channels_a, config.data.channels_b
  return {'heads': selfsim_heads.SelfSimilarityHeads(config.lsesim.learned),
          'disc_b': patchgan.discriminator(config, b), 'gen': generators.generator(config, a, b)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A frame, or the features of one pixel for the heads."""
  a, b = shared.example_frames(config)
  if shared.uses_vgg(config):
    channels = vgg.tap_channels(config.lsesim.taps, config.vgg.width)
  else:
    channels = [config.lss.angles * config.lss.sub**2] * len(config.lss.radii)
  return {'gen': (a,), 'disc_b': (b,), 'heads': ([jnp.zeros((1, 1, 1, c)) for c in channels],)}


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """The frozen VGG-16, unless training-free descriptors take its place (`perceptual='none'`)."""
  if not shared.uses_vgg(config):
    return {}
  return {'vgg16': (vgg.perceptual(config, config.lsesim.taps, depth=16), 'vgg16')}


def device_state(config: ConfigDict) -> Any:
  """The pool of earlier fakes, one per device."""
  size = ops.hw(config.data.crop_size)
  return {'pool_b': image_pool.create(config.gan.pool, (*size, config.data.channels_b))}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The heads move if they are learned, then the critic, then the generator against both.

  b' and its features are made once: these serve the heads as constants, and what G's gradient owes
  to them is pulled back through that one pass.
  """
  config = model.config
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])
  (fake, same), pull_back = jax.vjp(lambda gen: translated(model, gen, a, b),
                                    state.params['gen'])
  heads_learn = config.lsesim.learned and config.weights.heads
  constant = features(model, head_batch(config, a, b, key) if heads_learn else a)
  terms = {}
  if heads_learn:
    state, terms = update(model, state, 'heads', PLAYERS['heads'], lambda params: heads_loss(
        model, params, constant, fake['features'], name_key(key, 'heads')))

  state, shown = shared.through_pools(state, key, {'b': fake['frames']})
  state, terms['disc_b'] = update(
      model, state, 'disc_b', PLAYERS['disc_b'],
      lambda params: shared.critic_loss(model, params, 'disc_b', b, shown['b']))

  def generator_loss(fake, same):
    source = [f[:len(a)] for f in constant]
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            model.apply(state.params, 'disc_b', fake['frames']), config.gan.mode),
        'spatial': lambda: spatial(model, state.params, source, fake['features'],
                                   name_key(key, 'spatial')),
        'identity': lambda: pixel.l1(same, b),
    }, config.weights)

  of_images, gen_terms = jax.grad(generator_loss, (0, 1), has_aux=True)(fake, same)
  state = apply_gradients(model, state, 'gen', {'gen': pull_back(of_images)[0]})
  return state, {**gen_terms, **terms}


def translated(model, gen, a, b):
  """(b' = G(a) with its features, G(b)); no G(b) without the identity term."""
  frames = jnp.concatenate([a, b]) if model.config.weights.identity else a
  images = model.apply({'gen': gen}, 'gen', frames)
  fake = images[:len(a)]
  return {'frames': fake, 'features': features(model, fake)}, images[len(a):]


def features(model, frames):
  """What is compared: [[B, h_l, w_l, C_l] for each layer], of a VGG or of the descriptors."""
  config = model.config
  if not shared.uses_vgg(config):
    return descriptor.maps(frames, **config.lss)
  maps = model.apply(model.frozen, 'vgg16', ops.match_channels(frames, 3))
  return [maps[tap] for tap in config.lsesim.taps]


# ---- Self-similarity


def similarity_maps(model, params, features, ids):
  """Self-similarity maps [[B, n, K] for each layer] of features through the heads, at `ids`."""
  size, unit = model.config.lsesim.patch_size, normalizes(model.config)
  layers = zip(model.apply(params, 'heads', features), ids, strict=True)
  return [selfsim.similarity_map(layer, places, size, unit) for layer, places in layers]


def normalizes(config):
  """Whether features become unit vectors: if asked (`use_norm`), and always for descriptors."""
  return bool(config.lsesim.use_norm or not shared.uses_vgg(config))


def spatial(model, params, source, fake, key):
  """L_spatial, mean over the layers; neither heads nor the features of a learn from it."""
  settings, unit = model.config.lsesim, normalizes(model.config)
  ids = selfsim.places(key, fake, settings.patch_nums)
  params = jax.lax.stop_gradient(params)
  S = similarity_maps(model, params, source, ids)
  T = similarity_maps(model, params, fake, ids)
  layers = [selfsim.difference(s, t, settings.loss_mode, unit)
            for s, t in zip(S, T, strict=True)]
  return sum(layers) / len(layers)


def head_batch(config, a, b, key):
  """What heads learn from besides b': a, b turned, and with `augment` both under other colors."""
  frames = [ops.match_channels(x, 3) for x in (a, b)]
  if config.lsesim.augment:
    frames += [diff_augment.color_jitter(name_key(key, f'jitter_{i}'), x)
               for i, x in enumerate(frames)]
  frames[1::2] = [x[:, ::-1, ::-1] for x in frames[1::2]]   # all of b
  return jnp.concatenate(frames)


def heads_loss(model, params, constant, fake, key):
  """Contrast of (a, b', b) and, with `augment`, of (a, a under other colors, b likewise).

  Args:
    constant: features of `head_batch`.
    fake: features of b', constants here.
  """
  settings = model.config.lsesim
  images = len(constant[0]) // len(fake[0]) + 1
  together = [jnp.concatenate([layer, jax.lax.stop_gradient(of_fake)])
              for layer, of_fake in zip(constant, fake, strict=True)]
  ids = selfsim.places(key, together, settings.patch_nums)

  def contrast(rows):
    a, b, *recolored, fake = jnp.split(rows, images)
    groups = [(a, fake, b), (a, *recolored)] if recolored else [(a, fake, b)]
    values = [selfsim.contrast(*group, settings.temperature) for group in groups]
    return sum(values) / len(values)
  layers = [contrast(rows) for rows in similarity_maps(model, params, together, ids)]
  return weighted({'heads': lambda: sum(layers) / len(layers)}, model.config.weights)


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: a, b', some b, and where the middle of a and of b' finds its like."""
  del model_state, key
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  fake = model.apply(params, 'gen', a)
  rows = {'a': a, 'a to b': fake, 'b': b}
  for name, images in (('like the middle, a', a), ('like the middle, a to b', fake)):
    first_layer = model.apply(params, 'heads', features(model, images))[0]
    rows[name] = likeness_to_middle(first_layer, images.shape[1:3])
  return shared.in_color(rows)


def likeness_to_middle(f, size):
  """Picture [B, H, W, 1] of how much all places resemble the middle one, white where most."""
  h, w = f.shape[1:3]
  row = selfsim.similarity_map(f, jnp.array([h // 2 * w + w // 2]), max(h, w), unit=True)
  return ops.resize(jnp.clip(row.reshape(-1, h, w, 1), -1, 1), size, 'nearest')
