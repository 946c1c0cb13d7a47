"""Shared parts of networks: norm, anti-aliased sampling, initializers, compute type."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import sample_keys

EPSILON = 1e-5   # instance norm, as PyTorch; it matters for the small values after 'xavier'


def initializer(init):
  """Kernel initializer of a config block `init` (`kind`, `gain`), one for all networks of a run.

  'normal': std `gain`. 'xavier': std gain * sqrt(2 / (fan_in + fan_out)), fans with the kernel's
  area. 'kaiming': std sqrt(2 / fan_in). 'orthogonal': scaled by `gain`. (Public CycleGAN and CUT
  code; never the truncated normal.)
  """
  kinds = {
      'normal': lambda: nn.initializers.normal(init.gain),
      'xavier': lambda: nn.initializers.variance_scaling(init.gain**2, 'fan_avg', 'normal'),
      'kaiming': lambda: nn.initializers.variance_scaling(2.0, 'fan_in', 'normal'),
      'orthogonal': lambda: nn.initializers.orthogonal(init.gain),
  }
  if init.kind not in kinds:
    raise UserError(f'init.kind={init.kind!r}: choose one of {", ".join(kinds)}')
  return kinds[init.kind]()


def compute_dtype(config):
  """Type of activations named by `config.compute`; parameters stay float32."""
  types = {'float32': jnp.float32, 'bfloat16': jnp.bfloat16}
  if config.compute not in types:
    raise UserError(f'compute={config.compute!r}: choose one of {", ".join(types)}')
  return types[config.compute]


class Dropout(nn.Module):
  """A share `rate` of values becomes 0, the rest grows by 1 / (1 - rate), in each sample by itself.

  Acts where the call is given an rng named 'dropout'. Unlike flax's, samples draw by their own keys
  (`core.state.sample_keys`), so that devices that share a batch drop what one would.

  Attributes:
    rate: from 0 to below 1.
    once: along the first axis behind the batch one draw serves all.
  """

  rate: float
  once: bool = False

  @nn.compact
  def __call__(self, x):
    """[B, ...] -> the same."""
    if not self.has_rng('dropout'):
      return x
    return dropped(self.make_rng('dropout'), x, self.rate, self.once)


def dropped(key, x, rate, once=False):
  """x [B, ...] after a dropout; see `Dropout`."""
  shape = (1, *x.shape[2:]) if once else x.shape[1:]
  keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, shape))(sample_keys(key, len(x)))
  return jnp.where(keep, x / (1 - rate), 0)


def normalize(x):
  """Instance norm, and the variance it divides by.

  Statistics in float32 over H and W of each sample and channel, biased variance in two passes: the
  one-pass form E[x^2] - E[x]^2 loses all digits on flat maps, which thermal frames have.

  Args:
    x: [B, H, W, C].

  Returns:
    (x normalized [B, H, W, C] in x's type, variance [B, C] float32).
  """
  wide = x.astype(jnp.float32)
  centered = wide - jnp.mean(wide, axis=(1, 2), keepdims=True)
  variance = jnp.mean(jnp.square(centered), axis=(1, 2), keepdims=True)
  return (centered * jax.lax.rsqrt(variance + EPSILON)).astype(x.dtype), variance[:, 0, 0]


def instance_norm(x):
  """Instance norm without scale, bias or running statistics. [B, H, W, C] -> same."""
  return normalize(x)[0]


def leaky_relu(x):
  """Slope 0.2, in every network here."""
  return nn.leaky_relu(x, 0.2)


def _blur_down_axis(x, axis):
  """[1, 2, 1] / 4 at every second place of `axis`, edges reflected: n -> ceil(n / 2)."""
  n = x.shape[axis]
  padded = jnp.pad(x, [(1, 1) if a == axis else (0, 0) for a in range(x.ndim)], mode='reflect')
  size = (n + 1) // 2

  def every_second(start):
    return jax.lax.slice_in_dim(padded, start, start + 2 * size - 1, 2, axis)
  return 0.25 * (every_second(0) + every_second(2)) + 0.5 * every_second(1)


def blur_down(x):
  """Anti-aliased halving: [1, 2, 1] x [1, 2, 1] / 16, stride 2, reflected edges (Zhang 2019).

  [B, H, W, C] -> [B, ceil(H / 2), ceil(W / 2), C]; H and W at least 2.
  """
  return _blur_down_axis(_blur_down_axis(x, 1), 2)


def _blur_up_axis(x, axis):
  """n -> 2n along `axis`: 3/4 of the nearer and 1/4 of the farther neighbor, edges repeated."""
  n = x.shape[axis]
  first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
  last = jax.lax.slice_in_dim(x, n - 1, n, axis=axis)
  before = jnp.concatenate([first, jax.lax.slice_in_dim(x, 0, n - 1, axis=axis)], axis)
  after = jnp.concatenate([jax.lax.slice_in_dim(x, 1, n, axis=axis), last], axis)
  pair = jnp.stack([0.25 * before + 0.75 * x, 0.75 * x + 0.25 * after], axis + 1)
  return pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1:])


def blur_up(x):
  """Anti-aliased doubling with [1, 3, 3, 1] x [1, 3, 3, 1] / 16: bilinear, half-pixel centers.

  [B, H, W, C] -> [B, 2H, 2W, C].
  """
  return _blur_up_axis(_blur_up_axis(x, 1), 2)


def check_taps(taps, available, network):
  """Refuse features that a network does not have; `network` describes it for the message."""
  unknown = [tap for tap in taps if tap not in available]
  if unknown:
    raise UserError(f'nce.taps: {", ".join(unknown)} not in {network}; it has '
                    f'{", ".join(available)}')


def check_halvings(size, levels, network, remedy='change data.crop_size'):
  """Refuse sides that cannot be halved `levels` times, and name the nearest that can.

  Args:
    size: (height, width).
    network: describes it for the message. remedy: what to change.
  """
  unit = 2**levels
  if any(side % unit for side in size):
    height, width = ('/'.join(str(side) for side in (low, high) if side) for low, high in (
        (side // unit * unit, -(-side // unit) * unit) for side in size))
    raise UserError(f'frames of {ops.size_text(size)} pixels: {network} takes sides that are '
                    f'multiples of {unit}, such as {width} x {height}; {remedy}')
