"""Frames a second of the loader, by files and threads.

  python benchmarks/loader_speed.py [--kinds png,small-png,thermal-png,jpeg,street]
      [--threads 1,2] [--workers 0] [--seconds 4] [--json FILE]

Batches as training reads them: a frame of each domain is read, resized to 286 and cropped to 256
pixels. `png` and `jpeg`: color of 640x512 pixels; `thermal-png`: 16 bits of 640x512; `small-png`:
color of 286 pixels, as `prepare --size 286x286` writes it; `street`: drawn anew each time. Pictures
are smooth with the noise of a camera. Each line: frames per second; frames per second of processor
time, which other programs disturb little (without `--workers`); megabytes of files per second,
kilobytes of a file, and kilobytes of a frame that travel to the device.
"""

import argparse
import itertools
import pathlib
import tempfile
import time

import numpy as np

from i2vjax import defaults
from i2vjax.core import files, machine
from i2vjax.data.io import images
from i2vjax.data.loader import batches

KINDS = {   # ending, (height, width, channels), type
    'png': ('.png', (512, 640, 3), np.uint8),
    'jpeg': ('.jpg', (512, 640, 3), np.uint8),
    'thermal-png': ('.png', (512, 640, 1), np.uint16),
    'small-png': ('.png', (286, 286, 3), np.uint8),
    'street': None}
FRAMES, BATCH = 32, 4


def write_frames(folder, kind):
  """A clip of a kind for both domains; returns bytes of a file."""
  ending, (height, width, channels), dtype = KINDS[kind]
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:height, :width] / 40.0
  smooth = 128 + 60 * np.sin(rows) + 60 * np.cos(columns)
  for domain in 'AB':
    for k in range(FRAMES):
      frame = np.clip(smooth[..., None] + rng.normal(0, 3, (height, width, channels)), 0, 255)
      frame = frame.astype(np.uint8) if dtype == np.uint8 else (7000 + 8 * frame).astype(dtype)
      images.write_image(folder / f'train{domain}' / f'{k:04d}{ending}', frame)
  sizes = [path.stat().st_size for path in folder.rglob(f'*{ending}')]
  return sum(sizes) / len(sizes)


def config_of(folder, kind, threads, workers):
  """A run that reads this folder, or draws the street without keeping any of it."""
  config = defaults.get_config()
  config.data.update(threads=threads, workers=workers, batch=BATCH)
  if kind == 'street':
    config.data.scenes.cache_mb = 0
  else:
    config.data.update(source='folders', root=str(folder))
  return config


def measure(config, seconds):
  """(frames per second, per second of processor time, bytes of a frame that travel)."""
  iterator = batches.train_iterator(config, BATCH)
  for _ in range(2 + (config.data.prefetch or batches.PREFETCH)):   # what was made ahead
    batch = next(iterator)
  began, cpu, count = time.perf_counter(), time.process_time(), 0
  while (now := time.perf_counter()) - began < seconds:
    batch = next(iterator)
    count += 1
  frames = sum(batch[side].shape[0] * batch[side].shape[1] for side in 'ab')
  frames *= count
  return (frames / (now - began), frames / (time.process_time() - cpu),
          sum(batch[side].nbytes for side in 'ab') * count / frames)


def main():
  """Measure what the command line asks for."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--kinds', default=','.join(KINDS))
  parser.add_argument('--threads', default=f'1,{machine.threads()}')
  parser.add_argument('--workers', type=int, default=0)
  parser.add_argument('--seconds', type=float, default=4.0, help='for each line')
  parser.add_argument('--json', default='', help='file that gets the numbers')
  options = parser.parse_args()
  print(f'{machine.cores()} cores\n'
        '| files | threads | frames/s | a core | MB/s | KB a file | KB sent |\n'
        '|---|---|---|---|---|---|---|')
  rows = []
  for kind, threads in itertools.product(options.kinds.split(','), options.threads.split(',')):
    with tempfile.TemporaryDirectory() as name:
      size = 0.0 if kind == 'street' else write_frames(pathlib.Path(name), kind)
      rate, a_core, sent = measure(config_of(name, kind, int(threads), options.workers),
                                   options.seconds)
    rows.append({'kind': kind, 'threads': int(threads), 'workers': options.workers, 'rate': rate,
                 'a_core': a_core, 'file': size, 'sent': sent})
    figures = rate, a_core, rate * size / 1e6, size / 1e3, sent / 1e3
    print(f'| {kind} | {threads} | {" | ".join(f"{x:.1f}" for x in figures)} |', flush=True)
  if options.json:
    files.save_json(options.json, rows)


if __name__ == '__main__':
  main()
