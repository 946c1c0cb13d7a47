"""Speed of translation beside its floor: device, reading and writing alone.

  python benchmarks/translate_speed.py [--length 2000] [--sizes 256x256,640x512]
      [--networks starter,small,configs/best.py:demo] [--outputs mp4,folder] [--chunk 8]
      [--full_size] [--json FILE]

A made-up thermal film (H.264) is translated by the `starter` and by a `small` generator (width 8,
3 blocks, untrained); a name like configs/best.py:demo is the untrained generator of that config.
Each line: frames per second of the whole; of the device, of reading and of
writing alone; whole / floor, where the floor is the slowest of the three, or what all cores of this
machine can do if that is less (they share the work: its processor time, divided by the cores);
seconds to the first frame, compiled from nothing; resident memory after a tenth and half of the
frames and at the end, in MB: it grows until all buffers are in use.

With `--full_size` networks see frames of the size that they have learned, and results are enlarged.

Nothing else should run on the machine. At most `--alone` frames are used for each part alone.
"""

import argparse
import collections
import itertools
import os
import pathlib
import re
import tempfile
import time

import jax
import numpy as np

from i2vjax import translate as translation
from i2vjax.cli import parse
from i2vjax.core import files, machine, parallel, start_up
from i2vjax.data.io import result_writers, video_reader
from i2vjax.data.sources import streams
from i2vjax.data.transforms import enlarge
from i2vjax.run import load, padding, preparation, settle, translator

PAGE = os.sysconf('SC_PAGE_SIZE')
CONFIG = pathlib.Path(__file__).parents[1] / 'configs' / 'cyclegan.py'
BLOBS = 12   # warm shapes that drift over the film
EIGHT_BITS = np.array([[0, 255]], np.float32)


def film(path, size, length):
  """A thermal film of drifting warm shapes with the noise of a camera; size: (height, width)."""
  rng = np.random.default_rng(0)
  rows, columns = np.mgrid[:size[0], :size[1]].astype(np.float32)
  starts, speeds = rng.uniform(0, 1, (BLOBS, 2)), rng.uniform(-0.02, 0.02, (BLOBS, 2))
  radius = rng.uniform(0.03, 0.15, BLOBS) * size[0]
  noise = rng.normal(0, 3, (16, *size)).astype(np.float32)
  with video_reader.VideoWriter(path) as video:
    for t in range(length):
      places = (starts + t * speeds) % 1 * size
      frame = 60 + noise[t % 16]
      for (y, x), r in zip(places, radius, strict=True):
        frame = frame + 140 * np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / (2 * r * r))
      video.write(np.clip(frame, 0, 255).astype(np.uint8)[..., None])
  return path


def network(name):
  """The run of a name: 'starter', or 'small', which leaves most of the time to the codecs."""
  if name == 'starter':
    return load.load('starter')
  flags = [f'--config={name}']
  if name == 'small':
    flags = [f'--config={CONFIG}:demo', '--config.gen.width=8', '--config.gen.blocks=3']
  return load.fresh(settle.settle(parse.row_config(flags)))


def resident():
  """Resident memory of this process in MB."""
  return round(int(pathlib.Path('/proc/self/statm').read_text().split()[1]) * PAGE / 2**20)


def timed(count, work):
  """(frames per second of `work()` on so many frames, processor seconds a frame)."""
  began, cpu = time.perf_counter(), time.process_time()
  work()
  return count / (time.perf_counter() - began), (time.process_time() - cpu) / count


def parts_alone(run, source, output, count, chunk, full_size):
  """{part: (frames per second, processor seconds a frame)} of each part with nothing beside it."""
  stream = streams.open_streams(source)[0]
  films = [frame for _, frame, _ in itertools.islice(stream.read('stop'), chunk)]
  way = preparation.for_translation(run.config.data, full_size=full_size)
  frames = [way.apply(frame) for frame in films] if way else films
  call = translator.compile_chunk(run)
  size, _ = padding.layout(call, frames[0].shape, frames[0].dtype, chunk)
  raw = padding.pad(np.stack(frames), size)[None]
  carry, result, _ = call(None, raw, EIGHT_BITS)       # compiles; a second program with a memory
  carry, result, _ = call(carry, raw, EIGHT_BITS)
  shown = np.asarray(result)[:, :frames[0].shape[0], :frames[0].shape[1]]
  if full_size:
    shown = list(map(enlarge.along_edges, shown, films))

  def device():
    memory, last = carry, None
    for _ in range(count // chunk):
      memory, last, _ = call(memory, raw, EIGHT_BITS)
    jax.block_until_ready(last)

  def write():
    results = ((f'{k:06d}', shown[k % chunk], None) for k in range(count))
    write_to(output, results)
  whole = count // chunk * chunk
  return {'device': timed(whole, device), 'write': timed(count, write),
          'read': timed(count, lambda: collections.deque(
              itertools.islice(stream.read('stop'), count), 0))}


def write_to(output, results):
  """Write as `translate` does: a film or a folder."""
  if output.suffix:
    result_writers.write_video(output, results, 25)
  else:
    result_writers.write_folder(output, results)


def whole(run, source, output, length, chunk, full_size):
  """{'whole': (frames per second, processor seconds a frame), 'first': seconds, 'memory': MB}.

  The speed is that from the first frame on, which is compiled for.
  """
  seen, compose, began = {'count': 0, 'memory': []}, translation.compose, time.perf_counter()

  def watched(*args):   # called for each frame on its way to the writer
    seen['count'] += 1
    if seen['count'] == 1:
      seen['from'] = time.perf_counter(), time.process_time()
    if seen['count'] in (max(1, length // 10), length // 2, length):
      seen['memory'].append(resident())
    return compose(*args)
  translation.compose = watched
  try:
    translation.translate(run, source, output, chunk=chunk, full_size=full_size, show=False)
  finally:
    translation.compose = compose
  first, cpu = seen['from']
  speed = (length - 1) / (time.perf_counter() - first), (time.process_time() - cpu) / (length - 1)
  return {'whole': speed, 'first': first - began, 'memory': seen['memory']}


def measure(name, size, kind, options, folder):
  """One line of the table, as a dict."""
  jax.clear_caches()
  run, source = network(name), folder / f'{size[1]}x{size[0]}.mp4'
  if not source.exists():
    film(source, size, options.length)
  target = re.sub(r'\W', '-', name) + f'-{size[0]}-' + ('out.mp4' if kind == 'mp4' else 'out')
  facts = whole(run, source, folder / target, options.length, options.chunk, options.full_size)
  alone = parts_alone(run, source, folder / f'alone-{target}',
                      min(options.alone, options.length), options.chunk, options.full_size)
  cores = machine.cores() / facts['whole'][1]       # frames a second if no core ever waited
  floor = min(cores, *(speed for speed, _ in alone.values()))
  return {'network': name, 'size': f'{size[1]}x{size[0]}', 'output': kind,
          'whole': facts['whole'][0], **{part: speed for part, (speed, _) in alone.items()},
          'cores': cores, 'share': facts['whole'][0] / floor, 'first': facts['first'],
          'memory': facts['memory']}


def line(row):
  """A row of the table of docs/scale.md."""
  speeds = ' | '.join(f'{row[part]:.1f}' for part in ('whole', 'device', 'read', 'write', 'cores'))
  return (f'| {row["network"]} | {row["size"]} | {row["output"]} | {speeds} | {row["share"]:.2f} | '
          f'{row["first"]:.1f} | {" / ".join(map(str, row["memory"]))} |')


def main():
  """Measure what the command line asks for."""
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, default, about in (
      ('length', 2000, 'frames of the film'), ('chunk', 8, 'frames on the device at a time'),
      ('alone', 400, 'frames at most for each part by itself')):
    parser.add_argument(f'--{name}', type=int, default=default, help=about)
  for name, default, about in (
      ('sizes', '256x256,640x512', 'WIDTHxHEIGHT of the film'),
      ('networks', 'starter,small', 'what translates'),
      ('outputs', 'mp4,folder', 'what is written'),
      ('json', '', 'file that gets the numbers')):
    parser.add_argument(f'--{name}', default=default, help=about)
  parser.add_argument('--full_size', action='store_true', help='translate --full_size')
  options = parser.parse_args()
  start_up.keep_memory()
  print(f'{parallel.describe()}, {machine.cores()} cores\n| network | pixels | output | whole | '
        'device | read | write | all cores | whole / floor | first frame, s | MB |\n'
        '|---|---|---|---|---|---|---|---|---|---|---|')
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    for size, name, kind in itertools.product(
        options.sizes.split(','), options.networks.split(','), options.outputs.split(',')):
      width, height = map(int, size.split('x'))
      rows.append(measure(name, (height, width), kind, options, pathlib.Path(folder)))
      print(line(rows[-1]), flush=True)
  if options.json:
    files.save_json(options.json, rows)


if __name__ == '__main__':
  main()
