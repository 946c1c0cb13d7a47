"""Little clips as folders of frames and as films, for tests of translation."""

import numpy as np

from i2vjax.data.io import images, video_reader

QUIET = {'show': False}   # of `translate`


def footage(length=5, height=18, width=26, channels=1, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (length, height, width, channels), np.uint8)


def write_frames(folder, clip, names=None):
  for index, frame in enumerate(clip):
    name = names[index] if names else f'{index + 1:03d}'
    images.write_image(folder / f'{name}.png', frame)
  return folder


def read_frames(folder):
  return {str(path.relative_to(folder)): images.read_image(path)
          for path in sorted(folder.rglob('*.png'))}


def write_video(path, clip, rate=30, times=None):
  with video_reader.VideoWriter(path, rate) as writer:
    for index, frame in enumerate(clip):
      writer.write(frame, times[index] if times else None)
  return path
