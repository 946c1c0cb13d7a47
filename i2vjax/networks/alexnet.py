"""AlexNet (Krizhevsky's one-weird-trick form of 2014) up to its features, and the heads of LPIPS.

Frozen: a distance between frames is measured in these features (Zhang et al., CVPR 2018).
"""

from collections.abc import Callable

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks.conv import Conv

CHANNELS = (64, 192, 384, 256, 256)
TAPS = tuple(f'relu{i}' for i in range(1, 6))
KERNELS = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))   # size, stride, padding
SMALLEST = 31                                # side of a frame that the second pooling still halves


class AlexNet(nn.Module):
  """Five convolutions with ReLU; maxima of 3x3 places, every second one, before the first two more.

  Attributes:
    width: channels of the first convolution; 64 in the published file.
    impl: form of the convolutions of stride 1, see conv.Conv.
    kernel_init: see conv.Conv.
  """

  width: int = 64
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.he_normal()

  @nn.compact
  def __call__(self, x):
    """Features after each ReLU.

    Args:
      x: [B, H, W, 3 or 1], in the range the weights want; gray is repeated.

    Returns:
      {'relu1': [B, H / 4, W / 4, width], ..., 'relu5': [B, H / 16, W / 16, 4 width]}, sides about.

    Raises:
      ValueError: frames too small.
    """
    if min(x.shape[1:3]) < SMALLEST:
      raise UserError(f'alexnet: frames {x.shape} are too small, H and W must be at least '
                       f'{SMALLEST}')
    x, features = ops.match_channels(x, 3), {}
    for i, (channels, (kernel, stride, padding)) in enumerate(zip(CHANNELS, KERNELS, strict=True)):
      if i in (1, 2):
        x = nn.max_pool(x, (3, 3), (2, 2))
      impl = 'plain' if stride > 2 else self.impl
      x = nn.relu(Conv(channels * self.width // 64, kernel, stride, padding=padding, impl=impl,
                       kernel_init=self.kernel_init, name=f'conv{i + 1}')(x))
      features[TAPS[i]] = x
    return features


def not_negative(key, shape, dtype=jnp.float32):
  """Random head of a smoke test: like a published one it adds distances, never subtracts."""
  return nn.initializers.uniform(2 / shape[0])(key, shape, dtype)


class Heads(nn.Module):
  """How much each channel of each feature counts in a distance: one weight a channel, at least 0.

  Parameters `lin0` [C_0], `lin1` ... by the place of the feature in the list.
  """

  @nn.compact
  def __call__(self, *maps):
    """Weighted sum over the channels.

    Args:
      maps: [B, h_l, w_l, C_l] for each feature l.

    Returns:
      [[B, h_l, w_l] for each l].
    """
    weights = [self.param(f'lin{i}', not_negative, x.shape[-1:]) for i, x in enumerate(maps)]
    return [jnp.sum(x * weight, axis=-1) for x, weight in zip(maps, weights, strict=True)]
