"""A segmenter for MornGAN that compiles in no time."""

import flax.linen as nn

from i2vjax.networks import layers


class ToySegmenter(nn.Module):
  """Pixel by pixel, sure of what it says."""

  classes: int

  def setup(self):
    self.inner, self.outer = nn.Dense(6), nn.Dense(self.classes)

  def __call__(self, x):
    return self.classify(self.features(x))

  def features(self, x):
    return nn.relu(self.inner(x))

  def classify(self, h, key=None):
    if key is not None:
      h = layers.dropped(key, h, 0.5)
    return 20 * self.outer(h)
