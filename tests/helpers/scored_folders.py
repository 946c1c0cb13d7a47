"""Folders of frames as other programs write them, for tests of scores."""

from i2vjax.data.io import images


def write(folder, clip, name='{:03d}'):
  for index, frame in enumerate(clip):
    images.write_image(folder / (name.format(index) + '.png'), frame)
  return folder
