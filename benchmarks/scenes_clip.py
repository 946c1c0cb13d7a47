"""Writes a test clip of the built-in street as video files.

  python benchmarks/scenes_clip.py --output runs/demo/held_out [--clip 0] [--size 128] [--frames 48]

infrared.mp4 is the thermal camera by night, an input for translate; visible.mp4 shows the same
moments by day.
"""

import argparse
import pathlib

from i2vjax import defaults
from i2vjax.data import scenes
from i2vjax.data.io import video_writer


def write_clip(output, clip=0, size=128, frames=48, rate=12):
  """Two videos of test clip `clip`, `size` pixels square, in the folder `output`."""
  data = defaults.data()
  data.scenes.update(size=size, clip_length=frames, test_clips=clip + 1)
  output.mkdir(parents=True, exist_ok=True)
  for domain, name in (('a', 'infrared'), ('b', 'visible')):
    source = scenes.open_split(data, 'test', domain)
    _, start, length = source.clips[clip]
    with video_writer.VideoWriter(output / f'{name}.mp4', rate=rate) as writer:
      for t in range(length):
        writer.write(source.read(start + t)['frame'])


def main():
  """Parse the command line and write."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--clip', type=int, default=0)
  parser.add_argument('--size', type=int, default=128)
  parser.add_argument('--frames', type=int, default=48)
  options = parser.parse_args()
  write_clip(options.output, options.clip, options.size, options.frames)
  print(f'wrote {options.output}/infrared.mp4 and visible.mp4')


if __name__ == '__main__':
  main()
