"""Segmentation network with a residual trunk and an atrous head (MornGAN).

From the public MornGAN code, at full resolution. The head is that of DeepLab v3 (Chen et al.,
2017): convolutions of four dilations and a global mean of the same features. Only the last
convolution has a bias.
"""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.networks import layers
from i2vjax.networks.combogan import prelu
from i2vjax.networks.conv import conv, dilated, transposed

DILATIONS = (6, 12, 18)
BLOCKS = 4


class Layer(nn.Module):
  """Convolution without bias, instance norm, PReLU.

  Attributes:
    features, kernel, stride: of the convolution; padding keeps the size.
    pad: 'zero' | 'reflect'.
    dilation: pixels between the taps of a 3 x 3 kernel.
    up: a transposed convolution of kernel 4 instead, which doubles H and W.
    norm, act: False leaves them out.
    impl, kernel_init, dtype: see conv.Conv.
  """

  features: int
  kernel: int = 3
  stride: int = 1
  pad: str = 'zero'
  dilation: int = 1
  up: bool = False
  norm: bool = True
  act: bool = True
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, h, w, features]."""
    k, ends = (4 if self.up else self.kernel), (x.shape[-1], self.features)
    kernel = self.param('kernel', self.kernel_init, (k, k, *(ends[::-1] if self.up else ends)))
    x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
    if self.up:
      x = transposed(x, kernel, self.impl)
    elif self.dilation > 1:
      x = dilated(x, kernel, self.dilation)
    else:
      x = conv(x, kernel, self.stride, self.pad, k // 2, self.impl)
    x = layers.instance_norm(x) if self.norm else x
    return prelu('act')(x) if self.act else x


class AtrousSegmenter(nn.Module):
  """`stem`, `down_i`, `res_i_j`, `up_i`, `reach_i`, `whole`, `join`, `head`.

  Attributes:
    classes: K.
    width: channels of the stem and of each branch of the head; 4 width inside.
    dropout: share of `features` dropped where a key is given.
    remat: recompute each layer in the backward pass.
    impl, kernel_init, dtype: see conv.Conv. Logits come back in float32.
  """

  classes: int
  width: int = 64
  dropout: float = 0.5
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    kind = nn.remat(Layer) if self.remat else Layer
    rest = dict(impl=self.impl, kernel_init=self.kernel_init, dtype=self.dtype)
    w = self.width
    self.stem = kind(w, 7, pad='reflect', **rest)
    self.down = [kind(2 * w, stride=2, **rest), kind(4 * w, stride=2, **rest)]
    self.res = [(kind(4 * w, **rest), kind(4 * w, act=False, **rest)) for _ in range(BLOCKS)]
    self.up = [kind(2 * w, up=True, **rest), kind(w, up=True, **rest)]
    self.reach = [kind(w, 1, **rest), *(kind(w, dilation=d, **rest) for d in DILATIONS)]
    self.whole = kind(w, 1, norm=False, **rest)
    self.join = kind(4 * w, 1, **rest)
    self.head = nn.Dense(self.classes, kernel_init=self.kernel_init, dtype=self.dtype)

  def __call__(self, x, key=None):
    """[B, H, W, C] in [-1, 1] -> logits [B, H, W, K]; H and W multiples of 4."""
    return self.classify(self.features(x), key)

  def features(self, x):
    """[B, H, W, C] in [-1, 1] -> [B, H, W, 4 width], all but the last convolution."""
    x = self.stem(with_coordinates(x))
    for layer in self.down:
      x = layer(x)
    for first, second in self.res:
      x = x + second(first(x))
    for layer in self.up:
      x = layer(x)
    mean = self.whole(jnp.mean(x, axis=(1, 2), keepdims=True))
    branches = [layer(x) for layer in self.reach] + [jnp.broadcast_to(mean, x.shape)]
    return self.join(jnp.concatenate(branches, axis=-1))

  def classify(self, h, key=None):
    """Features [B, H, W, 4 width] -> logits [B, H, W, K]; with a key, by dropout."""
    if key is not None and self.dropout:
      h = layers.dropped(key, h, self.dropout)
    return self.head(h).astype(jnp.float32)


def with_coordinates(x):
  """[B, H, W, C] -> [B, H, W, C + 2]: x and y from -1 at the first to 1 at the last pixel."""
  B, H, W, _ = x.shape
  places = jnp.meshgrid(jnp.linspace(-1, 1, W), jnp.linspace(-1, 1, H))
  grid = jnp.broadcast_to(jnp.stack(places, axis=-1).astype(x.dtype), (B, H, W, 2))
  return jnp.concatenate([x, grid], axis=-1)


def segmenter(config, classes):
  """Segmenter of the block `config.seg` (`width`, `dropout`)."""
  return AtrousSegmenter(classes, config.seg.width, config.seg.dropout, bool(config.remat),
                         kernel_init=layers.initializer(config.init),
                         dtype=layers.compute_dtype(config))


def reader(model, params, frames, key):
  """Logits of several segmenters on several images; each trunk runs once per image.

  Args:
    model: `core.model.Model` whose networks include the segmenters.
    params: {name: parameters}.
    frames: {image: [B, H, W, C]}.
    key: PRNG key of the dropout.

  Returns:
    Function (net, image, learns=False) -> [B, H, W, K]; with dropout where the network learns.
  """
  keys = {image: jax.random.fold_in(key, k) for k, image in enumerate(sorted(frames))}

  @functools.cache
  def features(net, image):
    return model.networks[net].apply({'params': params[net]}, frames[image], method='features')

  @functools.cache
  def logits(net, image, learns=False):
    dropout_key = keys[image] if learns else None
    return model.networks[net].apply({'params': params[net]}, features(net, image), dropout_key,
                                     method='classify')
  return logits


def painted(labels, count):
  """[N, H, W] ids -> [N, H, W, 3] in [-1, 1], one color per class, no class is black."""
  hue = 2 * jnp.pi * 0.618 * jnp.arange(count)[:, None]
  colors = jnp.cos(hue + jnp.array([0.0, 2.0, 4.0]) * jnp.pi / 3)
  return jnp.where((labels < count)[..., None], colors[jnp.minimum(labels, count - 1)], -1.0)
