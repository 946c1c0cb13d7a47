"""Parts of RAFT (Teed and Deng, ECCV 2020): encoders, correlation, update.

All convolutions have a bias and zero padding of half the kernel, also those of stride 2. Norms:
'instance' (no parameters), 'batch' with frozen statistics, 'none'. Coordinates are (x, y) in pixels
of the eighth-size grid, float32.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.networks import layers
from i2vjax.networks.conv import DIMENSIONS, Conv

# torchvision's, for training from scratch.
HE = nn.initializers.variance_scaling(2.0, 'fan_out', 'normal')
LEVELS = 4   # of the correlation pyramid


class FrozenBatchNorm(nn.Module):
  """Batch norm with the statistics of a weight file; all four arrays are frozen parameters."""

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> the same."""
    zeros, ones = nn.initializers.zeros, nn.initializers.ones
    shape = (x.shape[-1],)
    scale, bias = self.param('scale', ones, shape), self.param('bias', zeros, shape)
    mean, var = self.param('mean', zeros, shape), self.param('var', ones, shape)
    return (x - mean) * (scale * jax.lax.rsqrt(var + layers.EPSILON)) + bias


class Unit(nn.Module):
  """Convolution, norm and, unless `relu` is False, ReLU."""

  features: int
  kernel: int
  stride: int = 1
  norm: str = 'none'
  relu: bool = True

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, H / stride, W / stride, features]."""
    x = Conv(self.features, self.kernel, self.stride, kernel_init=HE, name='conv')(x)
    if self.norm == 'batch':
      x = FrozenBatchNorm(name='norm')(x)
    elif self.norm == 'instance':
      x = layers.instance_norm(x)
    return nn.relu(x) if self.relu else x


class Block(nn.Module):
  """Residual block: two 3x3 convolutions, or 1x1, 3x3, 1x1 with a quarter of the channels inside.

  The ReLU comes after the last unit and again after the sum.
  """

  features: int
  stride: int
  norm: str
  bottleneck: bool

  @nn.compact
  def __call__(self, x):
    """[B, H, W, C] -> [B, H / stride, W / stride, features]."""
    c, s = self.features, self.stride
    units = ((c, 3, s), (c, 3, 1))
    if self.bottleneck:
      units = ((c // 4, 1, 1), (c // 4, 3, s), (c, 1, 1))
    y = x
    for i, (features, kernel, stride) in enumerate(units):
      y = Unit(features, kernel, stride, self.norm, name=f'unit_{i}')(y)
    if s > 1:
      x = Unit(c, 1, s, self.norm, relu=False, name='skip')(x)
    return nn.relu(x + y)


class Encoder(nn.Module):
  """Frames to features at an eighth of their size.

  Attributes:
    widths: channels of the stem and of the three stages of two blocks.
    out: channels of the 1x1 convolution at the end.
    norm, bottleneck: as `Block`.
  """

  widths: tuple
  out: int
  norm: str
  bottleneck: bool

  @nn.compact
  def __call__(self, x):
    """[B, 8 h, 8 w, 3] -> [B, h, w, out]."""
    x = Unit(self.widths[0], 7, 2, self.norm, name='stem')(x)
    for stage, width in enumerate(self.widths[1:]):
      for i in range(2):
        stride = 2 if stage and not i else 1
        x = Block(width, stride, self.norm, self.bottleneck, name=f'stage_{stage}_{i}')(x)
    return Conv(self.out, 1, kernel_init=HE, name='head')(x)


# ---- Correlation


def correlation(f1: jax.Array, f2: jax.Array) -> list[jax.Array]:
  """All pairs of features, and their means over 2x2, 4x4 and 8x8 places of the second frame.

  c_0[b, i, j, k, l] = <f1[b, i, j], f2[b, k, l]> / sqrt(C). Memory 1.33 (h w)^2 floats per pair.

  Args:
    f1, f2: [B, h, w, C].

  Returns:
    [[B, h, w, h / 2^n, w / 2^n] for n = 0 to 3], float32, odd edges dropped; may have size 0.
  """
  c = jnp.einsum('bijc,bklc->bijkl', f1, f2, precision=jax.lax.Precision.HIGHEST)
  levels = [c / f1.shape[-1] ** 0.5]
  for _ in range(LEVELS - 1):
    *outer, k, l = levels[-1].shape
    even = levels[-1][..., :k // 2 * 2, :l // 2 * 2]
    levels.append(jnp.mean(even.reshape(*outer, k // 2, 2, l // 2, 2), axis=(-3, -1)))
  return levels


def tents(centers: jax.Array, radius: int, size: int) -> jax.Array:
  """Weights of bilinear sampling at center - radius ... center + radius, 0 outside the line.

  [B, h, w] -> [B, h, w, 2 radius + 1, size]: max(0, 1 - |place - index|).
  """
  places = centers[..., None] + jnp.arange(-radius, radius + 1)
  return jnp.maximum(0, 1 - jnp.abs(places[..., None] - jnp.arange(size)))


def look_up(levels: list[jax.Array], coordinates: jax.Array, radius: int) -> jax.Array:
  """Correlations around where each pixel is thought to have gone.

  A product with two tent matrices instead of a gather: exact, differentiable, and on every device
  a small part of an update.

  Args:
    levels: of `correlation`.
    coordinates: [B, h, w, 2].
    radius: r.

  Returns:
    [B, h, w, 4 (2 r + 1)^2]: channel n (2r+1)^2 + (dx + r) (2r+1) + (dy + r), sampled on level n at
    coordinates / 2^n + (dx, dy); the outer of the two counts columns.
  """
  windows = []
  for n, level in enumerate(levels):
    height, width = level.shape[3:]
    x = tents(coordinates[..., 0] / 2 ** n, radius, width)
    y = tents(coordinates[..., 1] / 2 ** n, radius, height)
    rows = jnp.einsum('bijek,bijkl->bijel', y, level, precision=jax.lax.Precision.HIGHEST)
    window = jnp.einsum('bijal,bijel->bijae', x, rows, precision=jax.lax.Precision.HIGHEST)
    windows.append(window.reshape(*window.shape[:3], -1))
  return jnp.concatenate(windows, axis=-1)


# ---- Update


class Line(nn.Module):
  """Convolution with a kernel of any two odd sides; parameters as `conv.Conv`."""

  features: int
  kernel: tuple

  @nn.compact
  def __call__(self, x):
    """[B, H, W, I] -> [B, H, W, features]."""
    if self.kernel[0] == self.kernel[1]:
      raise ValueError(f'Line of {self.kernel}: a square kernel is conv.Conv')
    kernel = self.param('kernel', HE, (*self.kernel, x.shape[-1], self.features))
    bias = self.param('bias', nn.initializers.zeros, (self.features,))
    sides = [(side // 2, side // 2) for side in self.kernel]
    return jax.lax.conv_general_dilated(x, kernel, (1, 1), sides,
                                        dimension_numbers=DIMENSIONS) + bias


class GRU(nn.Module):
  """Convolutional gated recurrent unit: h <- (1 - z) h + z tanh(Q [r h, x])."""

  hidden: int
  kernel: tuple

  @nn.compact
  def __call__(self, h, x):
    """h: [B, H, W, hidden], x: [B, H, W, C] -> new h."""
    def layer(name):
      if self.kernel[0] == self.kernel[1]:
        return Conv(self.hidden, self.kernel[0], kernel_init=HE, name=name)
      return Line(self.hidden, self.kernel, name=name)
    both = jnp.concatenate([h, x], -1)
    z, r = nn.sigmoid(layer('z')(both)), nn.sigmoid(layer('r')(both))
    return (1 - z) * h + z * jnp.tanh(layer('q')(jnp.concatenate([r * h, x], -1)))


class Update(nn.Module):
  """One iteration for `nn.scan`: carries (hidden, coordinates), reads context and levels.

  Attributes:
    sizes: one of `raft.SIZES`.
  """

  sizes: dict

  @nn.compact
  def __call__(self, carry, context, levels):
    """Returns ((hidden, coordinates), None)."""
    hidden, coordinates = carry
    sizes, coordinates = self.sizes, jax.lax.stop_gradient(coordinates)
    flow = coordinates - grid(*coordinates.shape[1:3])
    motion = self._motion(look_up(levels, coordinates, sizes['radius']), flow)
    x = jnp.concatenate([context, motion], -1)
    for i, kernel in enumerate(sizes['gru']):
      hidden = GRU(sizes['hidden'], kernel, name=f'gru_{i}')(hidden, x)
    step = Unit(sizes['flow_head'], 3, name='head_0')(hidden)
    step = Conv(2, 3, kernel_init=HE, name='head_1')(step)
    return (hidden, coordinates + step), None

  def _motion(self, correlations, flow):
    """Features of correlation and flow, and the flow itself behind them."""
    parts = {'corr': correlations, 'flow': flow}
    for part, kernels in (('corr', (1, 3)), ('flow', (7, 3))):
      for i, (width, kernel) in enumerate(zip(self.sizes[part], kernels, strict=False)):
        parts[part] = Unit(width, kernel, name=f'{part}_{i}')(parts[part])
    merged = jnp.concatenate([parts['corr'], parts['flow']], -1)
    return jnp.concatenate([Unit(self.sizes['merge'], 3, name='merge')(merged), flow], -1)


def grid(rows: int, cols: int) -> jax.Array:
  """[1, rows, cols, 2] coordinates (x, y) of the pixels."""
  x, y = jnp.meshgrid(jnp.arange(cols, dtype=jnp.float32), jnp.arange(rows, dtype=jnp.float32))
  return jnp.stack([x, y], -1)[None]


# ---- Eight times larger


def upsample_corners(flow: jax.Array) -> jax.Array:
  """Bilinear with aligned corners, vectors eight times as long: [B, h, w, 2] -> [B, 8h, 8w, 2]."""
  def matrix(size):
    places = jnp.linspace(0, size - 1, 8 * size) if size > 1 else jnp.zeros(8)
    return jnp.maximum(0, 1 - jnp.abs(places[:, None] - jnp.arange(size)))
  _, h, w, _ = flow.shape
  return 8 * jnp.einsum('yh,xw,bhwc->byxc', matrix(h), matrix(w), flow,
                        precision=jax.lax.Precision.HIGHEST)


def upsample_convex(flow: jax.Array, mask: jax.Array) -> jax.Array:
  """Each fine pixel a convex mixture of the nine coarse ones around it.

  Args:
    flow: [B, h, w, 2].
    mask: [B, h, w, 9 * 64] logits, channel m 64 + 8 i + j: neighbor m (row by row), fine row i,
      fine column j.

  Returns:
    [B, 8 h, 8 w, 2], eight times as long.
  """
  B, h, w, _ = flow.shape
  weights = jax.nn.softmax(mask.reshape(B, h, w, 9, 8, 8), axis=3)
  padded = jnp.pad(8 * flow, ((0, 0), (1, 1), (1, 1), (0, 0)))
  around = jnp.stack([padded[:, i:i + h, j:j + w] for i in range(3) for j in range(3)], 3)
  fine = jnp.einsum('bhwmij,bhwmc->bhiwjc', weights, around,
                    precision=jax.lax.Precision.HIGHEST)
  return fine.reshape(B, 8 * h, 8 * w, 2)
