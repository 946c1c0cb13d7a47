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
"""

import jax
import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import apply_gradients, name_key, update, weighted
from i2vjax.losses import adversarial, descriptor, pixel, selfsim
from i2vjax.methods import cyclegan
from i2vjax.networks import patchgan, resnet, selfsim_heads, vgg

PLAYERS = {'heads': ('heads',), 'disc_b': ('disc_b',), 'gen': ('gen',)}
INFERENCE_NETWORKS = ('gen',)


def networks(config):
  """Generator, critic of domain b, heads (without parameters unless they are learned)."""
  a, b = config.data.channels_a, config.data.channels_b
  cyclegan.readable(config)
  return {'heads': selfsim_heads.SelfSimilarityHeads(config.lsesim.learned),
          'disc_b': patchgan.discriminator(config, b), 'gen': resnet.generator(config, a, b)}


def example_inputs(config):
  """A frame, or the features of one pixel for the heads."""
  a, b = (jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
          for channels in (config.data.channels_a, config.data.channels_b))
  if uses_vgg(config):
    channels = vgg.tap_channels(config.lsesim.taps, config.vgg.width)
  else:
    channels = [config.lss.angles * config.lss.sub**2] * len(config.lss.radii)
  return {'gen': (a,), 'disc_b': (b,), 'heads': ([jnp.zeros((1, 1, 1, c)) for c in channels],)}


def uses_vgg(config):
  """True with features of a VGG; False with the training-free descriptors that stand in for it."""
  if config.perceptual not in ('vgg', 'none', 'random'):
    raise UserError(f"perceptual={config.perceptual!r}: choose 'vgg', 'none' or 'random'")
  return config.perceptual != 'none'


def frozen_networks(config):
  """The frozen VGG-16, unless descriptors do."""
  if not uses_vgg(config):
    return {}
  return {'vgg16': (vgg.perceptual(config, config.lsesim.taps, depth=16), 'vgg16')}


def device_state(config):
  """The pool of earlier fakes, one per device."""
  size = ops.hw(config.data.crop_size)
  return {'pool_b': image_pool.create(config.gan.pool, (*size, config.data.channels_b))}


# ---- The step


def step(model, state, batch, key):
  """The heads move if they are learned, then the critic, then the generator against both.

  b' is made and seen once: its features serve the heads as constants, and what G's gradient owes
  to them is pulled back through that one pass.
  """
  config = model.config
  a, b = ops.fold(batch['a']), ops.fold(batch['b'])
  (fake, same), pull = jax.vjp(lambda gen: translated(model, gen, a, b),
                               state.params['gen'])
  teaches = config.lsesim.learned and config.weights.heads
  constant = features(model, head_batch(config, a, b, key) if teaches else a)
  terms = {}
  if teaches:
    state, terms = update(model, state, 'heads', PLAYERS['heads'], lambda params: heads_loss(
        model, params, constant, fake['features'], name_key(key, 'heads')))

  pools = dict(state.device_state)
  pools['pool_b'], shown = image_pool.query(
    pools['pool_b'], name_key(key, 'pool_b'), fake['frames']
  )
  state, terms['disc_b'] = update(
      model, state.replace(device_state=pools), 'disc_b', PLAYERS['disc_b'],
      lambda params: cyclegan.critic_loss(model, params, 'disc_b', b, shown))

  def generator_loss(fake, same):
    source = [f[:len(a)] for f in constant]
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            model.apply(state.params, 'disc_b', fake['frames']), config.gan.mode),
        'spatial': lambda: spatial(model, state.params, source, fake['features'],
                                   name_key(key, 'spatial')),
        'identity': lambda: pixel.l1(same, b),
    }, config.weights)

  back, gen_terms = jax.grad(generator_loss, (0, 1), has_aux=True)(fake, same)
  state = apply_gradients(model, state, 'gen', {'gen': pull(back)[0]})
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
  if not uses_vgg(config):
    return descriptor.maps(frames, **config.lss)
  taps = model.apply(model.frozen, 'vgg16', ops.match_channels(frames, 3))
  return [taps[tap] for tap in config.lsesim.taps]


# ---- Self-similarity


def maps(model, params, seen, ids):
  """Self-similarity maps [[B, n, K] for each layer] of features through the heads, at `ids`."""
  config = model.config
  return [selfsim.similarity_map(f, i, config.lsesim.patch_size, normalizes(config))
          for f, i in zip(model.apply(params, 'heads', seen), ids, strict=True)]


def normalizes(config):
  """Directions alone are compared: by wish, and always with descriptors, whose values are small."""
  return bool(config.lsesim.use_norm or not uses_vgg(config))


def spatial(model, params, source, fake, key):
  """L_spatial, mean over the layers; neither heads nor the features of a learn from it."""
  config = model.config
  ids = selfsim.places(key, fake, config.lsesim.patch_nums)
  params = jax.lax.stop_gradient(params)
  S, T = (maps(model, params, seen, ids) for seen in (source, fake))
  return sum(selfsim.difference(s, t, config.lsesim.loss_mode, normalizes(config))
             for s, t in zip(S, T, strict=True)) / len(S)


def head_batch(config, a, b, key):
  """What heads learn from besides b': a, b turned, and with `augment` both under other colors."""
  frames = [ops.match_channels(x, 3) for x in (a, b)]
  if config.lsesim.augment:
    frames += [ops.color_jitter(name_key(key, f'jitter_{i}'), x) for i, x in enumerate(frames)]
  frames[1::2] = [x[:, ::-1, ::-1] for x in frames[1::2]]   # all of b
  return jnp.concatenate(frames)


def heads_loss(model, params, constant, fake, key):
  """Contrast of (a, b', b) and, with `augment`, of (a, a under other colors, b likewise).

  Args:
    constant: features of `lessons`.
    fake: features of b', constants here.
  """
  config = model.config
  images = len(constant[0]) // len(fake[0]) + 1
  seen = [jnp.concatenate([f, jax.lax.stop_gradient(g)])
          for f, g in zip(constant, fake, strict=True)]
  ids = selfsim.places(key, seen, config.lsesim.patch_nums)

  def contrast(rows):
    a, b, *recolored, fake = jnp.split(rows, images)
    groups = [(a, fake, b), (a, *recolored)] if recolored else [(a, fake, b)]
    return sum(selfsim.contrast(*group, config.lsesim.temperature)
               for group in groups) / len(groups)
  layers = [contrast(rows) for rows in maps(model, params, seen, ids)]
  return weighted({'heads': lambda: sum(layers) / len(layers)}, config.weights)


# ---- Use


def translate(model, params, model_state, carry, frames):
  """Frame by frame. [B, T, H, W, C] -> the same; nothing is carried."""
  del model_state
  fake = model.apply(params, 'gen', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: a, b', some b, and where the middle of a and of b' finds its like."""
  del model_state, key
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  fake = model.apply(params, 'gen', a)
  rows = {'a': a, 'a to b': fake, 'b': b}
  for name, images in (('like the middle, a', a), ('like the middle, a to b', fake)):
    seen = features(model, images)
    rows[name] = likeness(model.apply(params, 'heads', seen)[0], images.shape[1:3])
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}


def likeness(f, size):
  """Picture [B, H, W, 1] of how much all places resemble the middle one, white where most."""
  h, w = f.shape[1:3]
  row = selfsim.similarity_map(f, jnp.array([h // 2 * w + w // 2]), max(h, w), unit=True)
  return ops.resize(jnp.clip(row.reshape(-1, h, w, 1), -1, 1), size, 'nearest')
