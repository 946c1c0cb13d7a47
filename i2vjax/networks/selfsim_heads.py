"""Heads that choose which features count for self-similarity (LSeSim, the learned variant)."""

import flax.linen as nn

from i2vjax.networks.projector import PatchMLP

LEAST = 32                            # channels of a narrow head
INIT = nn.initializers.normal(0.02)   # public code, whatever the rest of the run starts with


class SelfSimilarityHeads(nn.Module):
  """`head_k` for the k-th layer: 1x1 convolution to max(32, C / 4) channels, ReLU, another one.

  Attributes:
    learned: False passes the features on; the module then has no parameters.
  """

  learned: bool = True

  @nn.compact
  def __call__(self, features):
    """[[..., C_k] for each layer k] -> [[..., max(32, C_k // 4)]]; in float32 if learned."""
    if not self.learned:
      return features
    return [PatchMLP(max(LEAST, f.shape[-1] // 4), INIT, name=f'head_{k}')(f)
            for k, f in enumerate(features)]

  def init(self, rngs, *args, **kwargs):
    """Variables with a `params` collection even where that is empty (learned=False)."""
    return {'params': {}, **super().init(rngs, *args, **kwargs)}
