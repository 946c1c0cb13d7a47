"""Recurrent U-Net and clip critic of GTC.

Everything is computed for all frames of a clip at once, except the recurrence of the memory, a scan
over time with one matrix product per frame: compiled once for any length.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.networks import layers
from i2vjax.networks.batchnorm import ConvNorm
from i2vjax.networks.conv import Conv


class Memory(nn.Module):
  """Recurrent cell of two 1x1 convolutions on input and previous state (GTC, 3.2.3).

    o_t = A [x_t, h_{t-1}] + a        h_t = act(B [x_t, h_{t-1}] + c)        h_0 = 0

  The parts of A and B for x are applied to all frames at once, and the part of A for h after the
  scan, in which only h = act(g_t + B_h h) remains.

  Attributes:
    features: channels of o.
    hidden: channels of h.
    act: 'tanh' or 'none', of the state; the paper names none. Ours: tanh, since a linear recurrence
      trained on 5 frames may grow without bound over the hundreds of a test video.
    recurrent: False: only the 1x1 convolution o_t = A x_t + a (image2image in the paper's table).
    kernel_init, dtype: see conv.Conv; the state stays float32.
  """

  features: int
  hidden: int = 512
  act: str = 'tanh'
  recurrent: bool = True
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, carry=None):
    """Returns (last state h_T, outputs o).

    Args:
      x: [B, T, h, w, C].
      carry: h_0 [B, h, w, hidden] float32; None: zeros.

    Returns:
      (h_T [B, h, w, hidden] float32, or None without recurrence; o [B, T, h, w, features]).
    """
    if self.act not in ('tanh', 'none'):
      raise UserError(f"hidden_act={self.act!r}: choose 'tanh' or 'none'")
    C, x = x.shape[-1], x.astype(self.dtype)
    out, out_bias = self._weights('out', C, self.features)
    if not self.recurrent:
      return None, x @ out + out_bias
    state, state_bias = self._weights('state', C, self.hidden)
    act = jnp.tanh if self.act == 'tanh' else lambda h: h

    def advance(h, from_input):
      """(h_t, h_{t-1})."""
      return act((from_input + h.astype(self.dtype) @ state[C:]).astype(jnp.float32)), h
    if carry is None:
      carry = jnp.zeros((x.shape[0], *x.shape[2:4], self.hidden))
    from_input = jnp.moveaxis(x @ state[:C] + state_bias, 1, 0)   # scan runs over the first axis
    carry, previous = jax.lax.scan(advance, carry, from_input)
    previous = jnp.moveaxis(previous, 0, 1).astype(self.dtype)
    return carry, x @ out[:C] + previous @ out[C:] + out_bias

  def _weights(self, name, channels, features):
    """(kernel [C + hidden, features], bias [features]) of one of the two convolutions."""
    rows = channels + (self.hidden if self.recurrent else 0)
    kernel = self.param(f'{name}_kernel', self.kernel_init, (rows, features))
    bias = self.param(f'{name}_bias', nn.initializers.zeros, (features,))
    return kernel.astype(self.dtype), bias.astype(self.dtype)


class RecurrentUNet(nn.Module):
  """Clip to clip: `down_0` .. `down_{n-1}`, `memory`, `up_{n-1}` .. `up_0`, `head` (GTC, 3.2.3).

  Kernel 4, stride 2, padding 1; leaky ReLU in the encoder, ReLU in the decoder, batch norm on all
  but down_0. The output of up_k is concatenated with that of down_{k-1} after its activation. The
  paper's list ends with up_0, at the size of the frame: the output convolution `head` is ours, 3x3
  with stride 1.

  Attributes:
    out_channels: of the frames that come out.
    width: channels of level 0; level k has width * min(2^k, 8).
    levels: n.
    hidden, hidden_act, recurrent: of the memory.
    dropout: rate on the three innermost doublings, where the call is given an rng named 'dropout':
      one mask per clip for all of its frames, since one per frame would itself flicker (ours).
    norm_first: batch norm on down_0 too, as the paper's table can be read; pix2pix has none there.
    axis: see BatchNorm.
    remat: recompute each level in the backward pass.
    impl, kernel_init, dtype: see conv.Conv. Frames come back in float32.
  """

  out_channels: int = 3
  width: int = 64
  levels: int = 7
  hidden: int = 512
  hidden_act: str = 'tanh'
  recurrent: bool = True
  dropout: float = 0.5
  norm_first: bool = False
  axis: str | None = None
  remat: bool = False
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x, carry=None, moments='running'):
    """Returns (carry, frames).

    Args:
      x: [B, T, H, W, C] in [-1, 1], sides multiples of 2^levels.
      carry: as returned by the previous call, or None at a clip's start.
      moments: of the batch norms, see BatchNorm.

    Returns:
      (carry [B, H / 2^levels, W / 2^levels, hidden] float32, None without recurrence;
      [B, T, H, W, out_channels] in [-1, 1]).
    """
    check_size(x.shape[2:4], self.levels)
    T, widths = x.shape[1], [self.width * min(2**k, 8) for k in range(self.levels)]
    cast = {'kernel_init': self.kernel_init, 'dtype': self.dtype}
    rest = {'impl': self.impl, **cast}
    stage = nn.remat(ConvNorm, static_argnums=(2,)) if self.remat else ConvNorm
    h, down = ops.fold(x).astype(self.dtype), []
    for k, width in enumerate(widths):
      if k or self.norm_first:
        h = stage(width, axis=self.axis, name=f'down_{k}', **rest)(h, moments)
      else:
        h = Conv(width, 4, 2, padding=1, name='down_0', **rest)(h)
      h = layers.leaky_relu(h)
      down.append(h)
    memory = Memory(widths[-1], self.hidden, self.hidden_act, self.recurrent, name='memory', **cast)
    carry, h = memory(ops.unfold(h, T), carry)
    h = ops.fold(h)
    for k in reversed(range(self.levels)):
      h = stage(widths[k], up=True, axis=self.axis, name=f'up_{k}', **rest)(h, moments)
      if self.dropout and k >= self.levels - 3:
        h = ops.fold(layers.Dropout(self.dropout, once=True)(ops.unfold(h, T)))
      h = nn.relu(h)
      h = jnp.concatenate([h, down[k - 1]], axis=-1) if k else h
    h = Conv(self.out_channels, 3, name='head', **rest)(h)
    return carry, ops.unfold(jnp.tanh(h.astype(jnp.float32)), T)


def check_size(size, levels):
  """Refuse sides (height, width) that cannot be halved `levels` times."""
  layers.check_halvings(size, levels, f'a recurrent U-Net with gen.levels={levels}',
                        'change data.crop_size, or take fewer gen.levels')


class Stream(nn.Module):
  """One stream of the clip critic: `conv_0` .. `conv_3`, `memory` with one output; the mean of it.

  Batch norm on conv_1 .. conv_3 with the moments of the batch: a critic is used only in training.
  Attributes as in ClipCritic.
  """

  width: int = 64
  hidden: int = 512
  hidden_act: str = 'tanh'
  recurrent: bool = True
  axis: str | None = None
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, x):
    """[B, T, H, W, C], sides multiples of 16 -> [B] float32."""
    cast = {'kernel_init': self.kernel_init, 'dtype': self.dtype}
    rest = {'impl': self.impl, **cast}
    h = Conv(self.width, 4, 2, padding=1, name='conv_0', **rest)(ops.fold(x).astype(self.dtype))
    for k in (1, 2, 3):
      layer = ConvNorm(self.width * 2**k, axis=self.axis, running=False, name=f'conv_{k}', **rest)
      h = layer(layers.leaky_relu(h), 'train')
    h = ops.unfold(layers.leaky_relu(h), x.shape[1])
    memory = Memory(1, self.hidden, self.hidden_act, self.recurrent, name='memory', **cast)
    return jnp.mean(memory(h)[1].astype(jnp.float32), axis=(1, 2, 3, 4))


class ClipCritic(nn.Module):
  """One logit for a whole clip, from its frames and from its residuals (GTC, 3.2.3).

  The two streams have the same layers and separate weights. The paper concatenates their outputs,
  averages them and takes a sigmoid; as the memory's output is linear, one output channel per stream
  and a weighted sum of the two means are the same functions.

  Attributes:
    width: channels of conv_0; conv_k has width * 2^k.
    hidden, hidden_act, recurrent: of the memories.
    axis: see BatchNorm. impl, kernel_init, dtype: see conv.Conv.
  """

  width: int = 64
  hidden: int = 512
  hidden_act: str = 'tanh'
  recurrent: bool = True
  axis: str | None = None
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, frames, residuals=None):
    """Logits [B] float32.

    Args:
      frames: [B, T, H, W, C], the clip, with its input beside it in channels where conditional.
      residuals: [B, T, H, W, C'] of the clip; None: the score is that of the frames.
    """
    fields = {name: getattr(self, name) for name in (
        'width', 'hidden', 'hidden_act', 'recurrent', 'axis', 'impl', 'kernel_init', 'dtype')}
    scores = [Stream(name='frames', **fields)(frames)]
    if residuals is not None:
      scores.append(Stream(name='residuals', **fields)(residuals))
    share = self.param('share', nn.initializers.constant(1 / len(scores)), (len(scores),))
    return jnp.stack(scores, axis=-1) @ share + self.param('bias', nn.initializers.zeros, ())
