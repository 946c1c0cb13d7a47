"""Patch projection for contrastive losses: features to unit vectors (CUT's 'netF').

Features are taken at the same random places of two images, and a small MLP per tap (or none) maps
them to the space where they are compared. A tap is a named feature map of the generator.
"""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.networks import layers, resnet, unet_generator

EPSILON = 1e-7   # added to the norm, as the public code does


class PatchMLP(nn.Module):
  """dense_0 -> ReLU -> dense_1, both `width` wide."""

  width: int
  kernel_init: Callable

  @nn.compact
  def __call__(self, x):
    """[..., C] -> [..., width]."""
    x = nn.relu(nn.Dense(self.width, kernel_init=self.kernel_init, name='dense_0')(x))
    return nn.Dense(self.width, kernel_init=self.kernel_init, name='dense_1')(x)


class PatchProjector(nn.Module):
  """`mlp_k` for the k-th tap, then unit length. In float32 for features of any type.

  Attributes:
    width: of both layers of each MLP.
    mlp: False compares the features themselves; the module then has no parameters.
    kernel_init: initializer.
  """

  width: int = 256
  mlp: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)

  @nn.compact
  def __call__(self, patches):
    """[[..., S, C_k] for each tap k] -> [[..., S, width or C_k]] of unit length."""
    patches = [x.astype(jnp.float32) for x in patches]
    if self.mlp:
      patches = [PatchMLP(self.width, self.kernel_init, name=f'mlp_{k}')(x)
                 for k, x in enumerate(patches)]
    return [unit(x) for x in patches]

  def init(self, rngs, *args, **kwargs):
    """Variables with a `params` collection even where that is empty (mlp=False)."""
    return {'params': {}, **super().init(rngs, *args, **kwargs)}


def unit(x):
  """x / (|x| + 1e-7) along the last axis; a zero vector stays zero, with a finite gradient."""
  square = jnp.sum(jnp.square(x), axis=-1, keepdims=True)
  return x / (jnp.sqrt(jnp.maximum(square, 1e-24)) + EPSILON)


def projector(config):
  """PatchProjector of the block `config.nce` (`width`, `mlp`)."""
  return PatchProjector(config.nce.width, config.nce.mlp, layers.initializer(config.init))


def taps(config):
  """The taps of `config.nce.taps` by their full names, checked; for a generator of `config.gen`.

  Raises:
    UserError: a tap the generator does not have.
  """
  gen, names = config.gen, full_names(config)
  if _is_unet(gen):
    unet_generator.check_taps(names, gen.levels, gen.blocks)
  else:
    resnet.check_taps(names, gen.blocks, gen.up)
  return names


def _is_unet(gen):
  return gen.get('kind', 'resnet') == 'unet'


def full_names(config):
  """`config.nce.taps` with full names, whether or not the generator has them.

  Four names depend on the generator: 'res_mid' is the middle residual block (res_2 of 6, res_4 of
  9), 'up_0' is 'up_0.blur' or 'up_0.conv' according to `gen.up`, 'layer_16' the layer that has this
  number in public I2V-GAN code: res_6 (res_4 behind halvings by blur), or up_0 where the generator
  has no such block, as with its 6. 'cut_like' are the five taps of CUT with the middle block last
  (ours: I2V-GAN's list has the layer numbers of CUT).
  """
  gen, names = config.gen, []
  middle, up = f'res_{(gen.blocks - 1) // 2}', f'up_0.{upsampling(gen.up)}'
  sixteenth = 4 if gen.down == 'blur' else 6
  relative = {
      'res_mid': (middle,), 'up_0': (up,),
      'layer_16': (f'res_{sixteenth}' if gen.blocks > sixteenth else up,),
      'cut_like': ('rgb', 'down_0.conv', 'down_1.conv', 'res_0', middle)}
  for name in config.nce.taps:
    names += relative.get(name, (name,))
  return tuple(names)


def upsampling(up):
  """Suffix of the tap of up_0, the feature before its norm."""
  return 'blur' if up == 'blur' else 'conv'


def example(config, in_channels, used=True):
  """Patches to initialize a projector with: [[1, 1, C_k], ...].

  A projector that is not `used` may have taps that the generator lacks: its parameters still have
  their shapes, but are never read.
  """
  names = taps(config) if used else full_names(config)
  network = unet_generator if _is_unet(config.gen) else resnet
  channels = network.tap_channels(names, config.gen.width, in_channels)
  return [jnp.zeros((1, 1, c)) for c in channels]


def places(key, maps, count):
  """Random places, one set per tap, without repetition.

  Args:
    key: typed PRNG key.
    maps: [[..., h_k, w_k, C_k] for each tap k].
    count: places per tap; on smaller maps all of them.

  Returns:
    [[n_k] int32 numbers on the map, row by row], n_k = min(count, h_k w_k).
  """
  keys = jax.random.split(key, len(maps))
  sizes = [x.shape[-3] * x.shape[-2] for x in maps]
  # The largest of uniform draws are a random set, without the two sorts of `jax.random.choice`.
  return [jax.lax.top_k(jax.random.uniform(key, (size,)), min(count, size))[1]
          for key, size in zip(keys, sizes, strict=True)]


def patches(maps, ids):
  """Features [[..., h_k, w_k, C_k]] at the places [[n_k]] -> [[..., n_k, C_k]]."""
  def at(x, places):
    return jnp.take(x.reshape(*x.shape[:-3], -1, x.shape[-1]), places, axis=-2)
  return [at(x, places) for x, places in zip(maps, ids, strict=True)]
