"""PatchGAN critic with one score per patch (Isola et al., 2017)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.networks import layers as shared
from i2vjax.networks.conv import Conv


class PatchDiscriminator(nn.Module):
  """conv_0 (no norm), conv_1 .. conv_{L-1}, conv_L (stride 1), head: kernel 4, zero padding 1.

  With L = 3 and down 'stride' each logit sees 70x70 pixels and the map's side is H // 8 - 2.

  Attributes:
    width: channels of conv_0; conv_i has width * min(2^i, 8).
    layers: L.
    down: 'stride', or 'blur' (stride 1, then an anti-aliased halving after the activation).
    out_channels: channels of the logit map.
    impl: form of the convolutions (conv.py); 'matmul' for per-patch weight gradients.
    kernel_init: initializer.
    dtype: of the activations; the logits come back in float32.
  """

  width: int = 64
  layers: int = 3
  down: str = 'stride'
  out_channels: int = 1
  impl: str = 'auto'
  kernel_init: Callable = nn.initializers.normal(0.02)
  dtype: Any = jnp.float32

  def setup(self):
    if self.down not in ('stride', 'blur'):
      raise UserError(f"disc.down={self.down!r}: choose 'stride' or 'blur'")
    stride = 2 if self.down == 'stride' else 1
    self.conv = [self._conv(self.width * min(2**i, 8), stride if i < self.layers else 1)
                 for i in range(self.layers + 1)]
    self.head = self._conv(self.out_channels, 1)

  def _conv(self, features, stride):
    return Conv(features, 4, stride, padding=1, impl=self.impl, kernel_init=self.kernel_init,
                dtype=self.dtype)

  def __call__(self, x, intermediates=False):
    """Score map.

    Args:
      x: [B, H, W, C] in [-1, 1].
      intermediates: also return the inputs of the last two convolutions, from which the norms of
        the per-patch gradients of their weights follow exactly.

    Returns:
      logits [B, h, w, out_channels] float32, or (logits, dict) with `conv_in_prev` [B, h', w', C']
      the input of conv_L, `norm` [B, h'', w'', C''] its normalized output, `var` [B, C''] the
      variance that the norm divides by, `conv_in_last` the input of the head (`norm` after its
      leaky ReLU). Inputs are those before the convolution's padding.
    """
    self._check(x.shape)
    for i in range(self.layers):
      conv = self.conv[i]
      x = shared.leaky_relu(shared.instance_norm(conv.for_norm(x)) if i else conv(x))
      x = shared.blur_down(x) if self.down == 'blur' else x
    norm, variance = shared.normalize(self.conv[self.layers].for_norm(x))
    last = shared.leaky_relu(norm)
    logits = self.head(last).astype(jnp.float32)
    if intermediates:
      return logits, {'conv_in_prev': x, 'norm': norm, 'var': variance, 'conv_in_last': last}
    return logits

  def _check(self, shape):
    """Refuse frames too small for one logit: each side must be at least 3 * 2^layers."""
    min_side = 3 * 2**self.layers
    if min(shape[1:3]) < min_side:
      raise UserError(f'PatchGAN with disc.layers={self.layers} needs frames of at least '
                      f'{min_side}x{min_side} pixels, got {shape[1]}x{shape[2]}: enlarge '
                      'data.crop_size or use fewer disc.layers')


class MultiScaleCritic(nn.Module):
  """`scales` PatchGANs with weights of their own: on the frame, on its half, its quarter, ...

  A patch critic sees some tens of pixels: it cannot know that a sky is bright and a road below it
  gray. The same critic on a smaller copy of the frame sees all of it (pix2pixHD, CVPR 2018).

  Attributes:
    critic: PatchDiscriminator, the form of all of them.
    scales: how many.
  """

  critic: PatchDiscriminator
  scales: int

  def setup(self):
    self.scale = [self.critic.clone(name=f'scale_{k}') for k in range(self.scales)]

  def __call__(self, x):
    """[B, H, W, C] -> [B, h, w, scales], the scores of the coarser ones repeated in place.

    The mean over all elements is the mean over scales of each one's mean, up to how often a coarse
    score is repeated at the edges.
    """
    maps = [self.scale[0](x)]
    for critic in self.scale[1:]:
      x = nn.avg_pool(x, (2, 2), (2, 2))
      score = critic(x)
      size = (*maps[0].shape[:3], score.shape[-1])
      maps.append(jax.image.resize(score, size, 'nearest'))
    return jnp.concatenate(maps, axis=-1)


def finest(net, params):
  """(PatchDiscriminator, its parameters): of a critic of several scales the one on whole frames."""
  return (net.critic, params['scale_0']) if isinstance(net, MultiScaleCritic) else (net, params)


def discriminator(config, in_channels, out_channels=None):
  """PatchGAN of the block `config.disc` (`width`, `layers`, `down`, optional `out_channels`).

  One for each of `config.critic.scales`. `in_channels` is for the reader: flax takes it from the
  input. `out_channels` overrides the config's.
  """
  del in_channels
  disc, scales = config.disc, config.critic.scales
  critic = PatchDiscriminator(
      disc.width, disc.layers, disc.down, out_channels or disc.get('out_channels', 1),
      kernel_init=shared.initializer(config.init), dtype=shared.compute_dtype(config))
  return MultiScaleCritic(critic, scales) if scales > 1 else critic
