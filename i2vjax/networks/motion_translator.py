"""Motion translator of Mocycle-GAN: optical flow to its correction.

The paper says only that such a network exists. Its layers are ours: a small version of the frames'
ResNet generator, without norm and without tanh.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.conv import Conv, ConvTranspose

NORMS = {'none': lambda x: x, 'instance': layers.instance_norm}


class MotionTranslator(nn.Module):
  """Stem, two halvings, residual blocks, two doublings, head; 1,076,418 parameters.

  The head is initialized with zeros, so that no motion is changed at first: both domains show the
  same geometry. The other kernels preserve the variance (He et al., 2015), as there is no norm.

  Attributes:
    width: channels of the stem; the residual blocks have four times as many.
    blocks: residual blocks.
    norm: 'none', or 'instance', which removes a motion of the whole frame.
    scale: pixels that are 1 inside the network.
    impl, kernel_init, dtype: see conv.Conv.
  """

  width: int = 32
  blocks: int = 3
  norm: str = 'none'
  scale: float = 20.0
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.he_normal()
  dtype: Any = jnp.float32

  def setup(self):
    if self.norm not in NORMS:
      raise UserError(f'motion.norm={self.norm!r}: choose one of {", ".join(NORMS)}')
    rest = {'impl': self.impl, 'kernel_init': self.kernel_init, 'dtype': self.dtype}
    width = self.width
    self.stem = Conv(width, 7, pad='reflect', **rest)
    self.down = [Conv(2 * width, 3, 2, **rest), Conv(4 * width, 3, 2, **rest)]
    self.res = [(Conv(4 * width, 3, pad='reflect', **rest),
                 Conv(4 * width, 3, pad='reflect', **rest)) for _ in range(self.blocks)]
    self.up = [ConvTranspose(2 * width, 3, **rest), ConvTranspose(width, 3, **rest)]
    self.head = Conv(2, 7, pad='reflect', **rest | {'kernel_init': nn.initializers.zeros})

  def __call__(self, flow):
    """[B, H, W, 2] pixels -> the same, float32. H and W are multiples of 4."""
    if flow.shape[1] % 4 or flow.shape[2] % 4:
      raise UserError(f'the motion translator takes flows whose sides are multiples of 4, got '
                       f'{flow.shape[1]}x{flow.shape[2]}: change data.crop_size')
    norm = NORMS[self.norm]
    x = flow / self.scale
    for conv in (self.stem, *self.down):
      x = nn.relu(norm(conv(x)))
    for first, second in self.res:
      x = x + norm(second(nn.relu(norm(first(x)))))
    for conv in self.up:
      x = nn.relu(norm(conv(x)))
    return self.scale * self.head(x).astype(jnp.float32)


def translator(config):
  """MotionTranslator of the block `config.motion` (`width`, `blocks`, `norm`, `scale`)."""
  motion = config.motion
  return MotionTranslator(motion.width, motion.blocks, motion.norm, motion.scale,
                          dtype=layers.compute_dtype(config))
