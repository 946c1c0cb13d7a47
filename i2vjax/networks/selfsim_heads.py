"""Learned projection heads for self-similarity features (LSeSim)."""

import flax.linen as nn

from i2vjax.networks.projector import PatchMLP

MIN_CHANNELS = 32                     # of a head
INIT = nn.initializers.normal(0.02)   # public code, independent of `config.init`


class SelfSimilarityHeads(nn.Module):
  """`head_k` for the k-th layer: 1x1 convolution to max(32, C / 4) channels, ReLU, another one.

  Attributes:
    learned: False returns the features unchanged; the module then has no parameters.
  """

  learned: bool = True

  @nn.compact
  def __call__(self, features):
    """[[..., C_k] for each layer k] -> [[..., max(32, C_k // 4)]]; in float32 if learned."""
    if not self.learned:
      return features
    return [PatchMLP(max(MIN_CHANNELS, f.shape[-1] // 4), INIT, name=f'head_{k}')(f)
            for k, f in enumerate(features)]

  def init(self, rngs, *args, **kwargs):
    """Variables with a `params` collection even where that is empty (learned=False)."""
    return {'params': {}, **super().init(rngs, *args, **kwargs)}
