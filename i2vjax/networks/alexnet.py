"""AlexNet up to its features, and the heads of LPIPS; both frozen.

The form of Krizhevsky (2014, "one weird trick"). LPIPS measures a distance between frames in these
features (Zhang et al., CVPR 2018).
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
MIN_SIDE = 31                                # side of a frame that the second pooling still halves


class AlexNet(nn.Module):
  """Five convolutions with ReLU; 3x3 max pooling of stride 2 before the second and the third.

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
      {'relu1': [B, H / 4, W / 4, width], ..., 'relu5': [B, H / 16, W / 16, 4 width]}, where sides
      are approximate.

    Raises:
      UserError: frames too small.
    """
    if min(x.shape[1:3]) < MIN_SIDE:
      raise UserError(f'alexnet: frames {x.shape} are too small, H and W must be at least '
                      f'{MIN_SIDE}')
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
  """Random initial weights of a head: not negative, as in the published files."""
  return nn.initializers.uniform(2 / shape[0])(key, shape, dtype)


class Heads(nn.Module):
  """Weights of the channels of each feature in a distance, at least 0.

  Parameters `lin0` [C_0], `lin1` ... by the index of the feature in the list.
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
