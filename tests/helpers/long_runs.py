"""Memory and open files of commands that run long, sampled while they run.

By hand, 100,000 frames and a day of steps of 0.4 seconds:
  python tests/helpers/long_runs.py translate evaluate --count 100000
  python tests/helpers/long_runs.py train --count 216000
"""

import argparse
import contextlib
import os
import pathlib
import sys
import tempfile
import threading
import time

import numpy as np

PAGE = os.sysconf('SC_PAGE_SIZE')
ROOT = pathlib.Path(__file__).parents[2]
SIDE = 32          # pixels; of still smaller frames x264 makes another file each time
FIRST = 0.3        # share of the time after which all is compiled, and buffers have their size
SMALL = ('--config.data.load_size=16', '--config.data.crop_size=16', '--config.gen.width=4',
         '--config.gen.blocks=1', '--config.disc.width=4', '--config.disc.layers=1')


def resident():
  """Memory of this process in MB without what is a file: long clips are in temporary ones."""
  _, all_pages, of_files, *_ = map(int, pathlib.Path('/proc/self/statm').read_text().split())
  return (all_pages - of_files) * PAGE / 2**20


class Watch:
  """Samples memory and open files of this process from a thread of its own.

  Attributes:
    samples: [(seconds, MB, open files), ...], ten a second.
  """

  def __init__(self):
    self.samples, self._over = [], threading.Event()

  def _look(self):
    began = time.monotonic()
    while not self._over.wait(0.1):
      self.samples.append((time.monotonic() - began, resident(),
                           len(os.listdir('/proc/self/fd'))))

  def __enter__(self):
    self._thread = threading.Thread(target=self._look, daemon=True)
    self._thread.start()
    return self

  def __exit__(self, *_):
    self._over.set()
    self._thread.join()

  def growth(self):
    """{'seconds', 'mb', 'mb_end', 'files', 'files_end'}: medians early on, and at the end."""
    times, memory, files = np.array(self.samples).T
    early = (times > FIRST * times[-1]) & (times < (FIRST + 0.15) * times[-1])
    late = times > 0.85 * times[-1]
    return {'seconds': float(times[-1]), 'mb': float(np.median(memory[early])),
            'mb_end': float(np.median(memory[late])), 'files': int(np.median(files[early])),
            'files_end': int(np.median(files[late]))}


def film(path, count):
  """A film of so many noisy gray frames."""
  from i2vjax.data.io import video_reader
  noise = np.random.default_rng(0).integers(0, 255, (64, SIDE, SIDE, 1), np.uint8)
  with video_reader.VideoWriter(path) as video:
    for t in range(count):
      video.write(noise[t % 64])
  return path


def run_command(*arguments):
  """Run `i2vjax ARGUMENTS` in this process; memory and open files while it did."""
  from i2vjax import main
  with Watch() as watch:
    assert main.main(['i2vjax', *map(str, arguments)]) == 0, arguments
  return watch.growth()


def trained(folder):
  """A run folder of one step."""
  from i2vjax import main
  assert main.main(['i2vjax', '--config', f'{ROOT}/configs/cyclegan.py:demo', '--workdir',
                    str(folder / 'run'), *SMALL, '--config.train.steps=1',
                    '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=2',
                    '--config.log.tensorboard=false', '--show=false']) == 0
  return folder / 'run'


def translate(folder, count):
  """Translate a film of so many frames."""
  source = film(folder / 'long.mp4', count)
  return run_command('translate', '--workdir', trained(folder), '--input', source, '--output',
                     folder / 'translated.mp4', '--chunk=64', '--show=false')


def evaluate(folder, count):
  """Score a film of so many frames, after one of a tenth: its early values are that one's late."""
  early, late = (_evaluated(folder, frames) for frames in (max(4, count // 10), count))
  return {**late, 'mb': early['mb_end'], 'files': early['files_end']}


def _evaluated(folder, count):
  result, source = (film(folder / f'{name}{count}.mp4', count) for name in ('result', 'source'))
  return run_command('evaluate', '--result', result, '--reference', source, '--source', source,
                     '--output', folder / f'report{count}', '--show=false',
                     '--config.eval.metrics=psnr,ssim,flicker')


def train(folder, count):
  """So many steps of the method of the fault tests, with ten thousand lines of the log."""
  import fault_server
  import fault_tools
  import tiny_runs
  fault_server.add_methods()
  footage = tiny_runs.make_footage(folder / 'footage')
  return run_command(*fault_tools.arguments(folder / 'run', footage), *length(count))


def length(count):
  """Flags of so many steps: saved 20 times, scored 8 times, 10,000 lines in the log."""
  return (f'--config.train.steps={count}', f'--config.train.checkpoint_steps={max(1, count // 20)}',
          f'--config.log.every={max(1, count // 10_000)}',
          f'--config.log.samples_every={max(1, count // 10)}',
          f'--config.eval.every={max(1, count // 8)}')


COMMANDS = {'translate': translate, 'evaluate': evaluate, 'train': train}


def measure(name, count):
  """`Watch.growth` of a command in a temporary folder."""
  with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
    return COMMANDS[name](pathlib.Path(folder), count)


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('names', nargs='+', choices=COMMANDS)
  parser.add_argument('--count', type=int, default=100_000)
  flags = parser.parse_args()
  for name in flags.names:
    found = measure(name, flags.count)
    print(f'{name}: {flags.count} in {found["seconds"]:.0f} s; {found["mb"]:.0f} MB early, '
          f'{found["mb_end"]:.0f} MB late; {found["files"]} and {found["files_end"]} open files',
          flush=True)


if __name__ == '__main__':
  sys.exit(main())
