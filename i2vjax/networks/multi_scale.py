"""PatchGAN critics at several scales of a frame, as one score map (pix2pixHD, CVPR 2018).

A patch critic sees some tens of pixels: it cannot know that a sky is bright and a road below it
gray. The same critic on a smaller copy of the frame sees all of it.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp

from i2vjax.networks.patchgan import PatchDiscriminator


class MultiScaleCritic(nn.Module):
  """`scales` critics with weights of their own: on the frame, on its half, its quarter, ...

  Attributes:
    critic: PatchDiscriminator without parameters, the form of all of them.
    scales: how many.
  """

  critic: PatchDiscriminator
  scales: int

  def setup(self):
    self.scale = [self.critic.clone(name=f'scale_{k}') for k in range(self.scales)]

  def __call__(self, x):
    """[B, H, W, C] -> [B, h, w, scales], the scores of the coarser ones repeated in place.

    A mean over all elements is the mean over scales of each one's mean, up to how often a coarse
    score is repeated at the edges.
    """
    fine = self.scale[0](x)
    maps = [fine]
    for critic in self.scale[1:]:
      x = halve(x)
      score = critic(x)
      maps.append(jax.image.resize(score, (*fine.shape[:3], score.shape[-1]), 'nearest'))
    return jnp.concatenate(maps, axis=-1)


def halve(x):
  """Means over 2 x 2 pixels; a last odd row or column is left out. [B, H, W, C] -> half."""
  return nn.avg_pool(x, (2, 2), (2, 2))
