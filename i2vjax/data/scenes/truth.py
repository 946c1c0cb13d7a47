"""Ground truth of a frame: class map and object boxes."""

import numpy as np

from i2vjax.data.scenes.render import Raster
from i2vjax.data.scenes.surface import Look
from i2vjax.data.scenes.world import World


def labels(scene: World, view: Raster, look: Look) -> np.ndarray:
  """Cityscapes train ids, uint8 [H, W]."""
  label = scene.tables.label.take(view.ids.ravel())
  label[look.ground.place] = look.ground.label
  return label.reshape(view.ids.shape)


def boxes(scene: World, view: Raster, min_pixels: int = 4) -> np.ndarray:
  """Boxes around the visible part of every object of the classes `palette.OBJECTS`.

  Args:
    min_pixels: objects with fewer visible pixels get none.

  Returns:
    float32 [N, 5]: x0, y0, x1, y1 in pixel edges (a pixel p covers [p, p + 1]) and the class.
  """
  of_class = np.append(255, scene.labels).take(scene.tables.owner)
  boxed = (of_class != 255) & (of_class == scene.tables.label)    # a sign's post is no sign
  y, x = np.nonzero(boxed.take(view.ids))
  owner = scene.tables.owner.take(view.ids[y, x]) - 1
  count = len(scene.labels)
  pixels = np.bincount(owner, minlength=count)
  low, high = np.full((2, count), 1 << 30), np.zeros((2, count), np.int64)
  for axis, at in enumerate((x, y)):
    np.minimum.at(low[axis], owner, at)
    np.maximum.at(high[axis], owner, at + 1)
  visible = np.flatnonzero(pixels >= min_pixels)
  return np.stack([*low[:, visible], *high[:, visible], scene.labels[visible]],
                  axis=1).astype(np.float32)
