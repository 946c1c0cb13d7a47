"""A held-out clip of the street, translated, as a moving picture.

  python benchmarks/starter_clip.py [--workdir starter] [--output docs/pictures/starter.webp]
                                    [--clip 0] [--size 128] [--frames 36]

Side by side, with a word above each: infrared by night, its translation, the same moments by day.
Prints PSNR and SSIM of this clip.
"""

import argparse
import pathlib

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont

from i2vjax import defaults
from i2vjax.core import files
from i2vjax.data import scenes
from i2vjax.metrics import psnr_ssim
from i2vjax.run import load, translator

NAMES = 'infrared, by night', 'its translation', 'the truth, by day'
GAP, SCALE = 4, 2   # pixels between the pictures; enlarged for the page
MS = 83             # a frame stays: 12 a second


def read_clip(domain, config, clip):
  """Frames [T, H, W, C] uint8 of one test clip of the street."""
  source = scenes.open_split(config, 'test', domain)
  _, start, length = source.clips[clip]
  return np.stack([source.read(start + t)['frame'] for t in range(length)])


def clips(run, clip, size, frames):
  """(infrared, translation, truth), each [T, H, W, 3] uint8; the street is the run's own."""
  data = defaults.data()
  data.scenes.update(run.config.data.scenes.to_dict())
  data.scenes.update(size=size, clip_length=frames, test_clips=clip + 1)
  infrared, truth = (read_clip(domain, data, clip) for domain in 'ab')
  translated = translate(translator.compile_chunk(run, True), infrared)
  return np.broadcast_to(infrared, truth.shape), translated, truth


def translate(call, infrared):
  """[T, H, W, 3] uint8 of [T, H, W, 1] uint8, by what `translator.compile_chunk` gives."""
  pairs = ((None, frame) for frame in infrared)
  return np.stack([frame for _, _, frame in
                   translator.translate_clip(call, pairs, None, 8, (0, 255))])


def score(translated, truth):
  """(PSNR, SSIM) of uint8 frames [T, H, W, 3], means over them."""
  fake, real = (np.asarray(frames, np.float32) for frames in (translated, truth))
  return (float(psnr_ssim.psnr(fake, real, 255).mean()),
          float(psnr_ssim.ssim(fake, real, 255).mean()))


def side_by_side(columns):
  """[T, H, W, 3] pictures with a white gap between them, enlarged, under their names."""
  gap = np.full((*columns[0].shape[:2], GAP, 3), 255, np.uint8)
  parts = [columns[0], gap, columns[1], gap, columns[2]]
  wide = np.concatenate(parts, axis=2).repeat(SCALE, axis=1).repeat(SCALE, axis=2)
  names = names_above(wide.shape[2])
  return np.concatenate([np.broadcast_to(names, (len(wide), *names.shape)), wide], axis=1)


def names_above(width):
  """[H, width, 3] uint8: what each column is."""
  strip = PIL.Image.new('RGB', (width, 24), 'white')
  draw, font = PIL.ImageDraw.Draw(strip), PIL.ImageFont.load_default(16)
  for i, name in enumerate(NAMES):
    draw.text(((2 * i + 1) * width / (2 * len(NAMES)), 12), name, 'black', font, anchor='mm')
  return np.asarray(strip)


def write(path, frames):
  """An animated WebP of [T, H, W, 3] uint8."""
  pictures = [PIL.Image.fromarray(frame) for frame in frames]
  files.save_atomic(path, lambda part: pictures[0].save(
      part, 'WEBP', save_all=True, append_images=pictures[1:], duration=MS, loop=0, quality=80,
      method=6))


def main():
  """Parse the command line, translate, write."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdir', default='starter')
  parser.add_argument('--output', type=pathlib.Path,
                      default=pathlib.Path('docs/pictures/starter.webp'))
  parser.add_argument('--clip', type=int, default=0)
  parser.add_argument('--size', type=int, default=128)
  parser.add_argument('--frames', type=int, default=36)
  options = parser.parse_args()
  columns = clips(load.load(options.workdir), options.clip, options.size, options.frames)
  write(options.output, side_by_side(columns))
  psnr, ssim = score(*columns[1:])
  print(f'wrote {options.output}: {psnr:.2f} dB, SSIM {ssim:.3f}')


if __name__ == '__main__':
  main()
