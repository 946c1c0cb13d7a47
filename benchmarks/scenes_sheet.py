"""Draws the built-in data: four clips, one column each.

  python benchmarks/scenes_sheet.py --output docs/pictures/scenes.png --size 256

From top to bottom: infrared, visible, labels, true motion to the next frame (hue: direction,
brightness: speed, white where the next frame hides the point).
"""

import pathlib

import numpy as np
from absl import app, flags
from matplotlib import colors
from PIL import Image

from i2vjax import defaults
from i2vjax.core.class_names import CITYSCAPES
from i2vjax.data import scenes

OUTPUT = flags.DEFINE_string('output', 'scenes.png', 'picture to write (PNG)')
SIZE = flags.DEFINE_integer('size', 256, 'side of a frame, pixels')
FRAME = flags.DEFINE_integer('frame', 9, 'frame of each clip')
# A street by day and night, a fixed camera, rain and snow: (camera, weather, test clip).
COLUMNS = (('driving', 'clear', 1), ('monitoring', 'clear', 3), ('driving', 'rain', 6),
           ('monitoring', 'snow', 7))
# Cityscapes colors of the classes of the street.
COLORS = {'road': (128, 64, 128), 'sidewalk': (244, 35, 232), 'building': (70, 70, 70),
          'pole': (153, 153, 153), 'traffic light': (250, 170, 30), 'traffic sign': (220, 220, 0),
          'vegetation': (107, 142, 35), 'sky': (70, 130, 180), 'person': (220, 20, 60),
          'car': (0, 0, 142), 'truck': (0, 0, 70), 'bus': (0, 60, 100), 'motorcycle': (0, 0, 230)}


def paint_labels(label):
  """Class ids [H, W] -> RGB."""
  table = np.zeros((256, 3), np.uint8)
  for name, color in COLORS.items():
    table[CITYSCAPES.index(name)] = color
  return table[label]


def paint_flow(flow, visible):
  """Flow [H, W, 2] and where it holds [H, W] -> RGB."""
  speed = np.hypot(flow[..., 0], flow[..., 1])
  turn = np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi) + 0.5
  bright = np.clip(speed / max(np.percentile(speed, 98), 0.5), 0, 1) ** 0.5
  hsv = np.stack([turn, np.full_like(turn, 0.8), bright], axis=-1)
  rgb = (255 * colors.hsv_to_rgb(hsv)).astype(np.uint8)
  rgb[visible == 0] = 255
  return rgb


def column(camera, weather, clip, size, frame):
  """One clip's frame seen four ways: [4 size, size, 3] uint8."""
  data = defaults.data()
  data.scenes.update(dict(size=size, camera=camera, weather=weather))
  a, b = scenes.open_split(data, 'test', 'a'), scenes.open_split(data, 'test', 'b')
  i = a.clips[clip].start + frame
  visible, motion = b.read(i), b.flow(i)
  return np.vstack([np.repeat(a.read(i)['frame'], 3, axis=-1), visible['frame'],
                    paint_labels(visible['label']),
                    paint_flow(motion['forward'], motion['forward_visible'])])


def main(_):
  columns = [column(*spec, SIZE.value, FRAME.value) for spec in COLUMNS]
  path = pathlib.Path(OUTPUT.value)
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.hstack(columns)).save(path)
  print(f'wrote {path}')


if __name__ == '__main__':
  app.run(main)
