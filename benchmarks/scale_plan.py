"""Hours, reading and traffic of a long training, from measured parts.

  python benchmarks/scale_plan.py --frames 580000 --window 3 --epochs 100 --devices 8 --batch 8
      --step 0.080 [--loader 70] [--file 131] [--sent 197] [--parameters 57]

Measured before: `--step`, seconds of a step of so many windows a device (`bench`); `--loader`,
frames a second that a core makes, `--file` and `--sent`, kilobytes of a file and of a frame on its
way to the device (`benchmarks/loader_speed.py`). `--parameters`: millions that are trained.

An epoch sees each window of the longer domain once. Every step reads so many frames of both.
"""

import argparse
import dataclasses


@dataclasses.dataclass(frozen=True)
class Plan:
  """What a training asks for.

  Attributes:
    steps: of the whole training. hours: of it, as long as the loader keeps up.
    frames: source frames a second that must be read. cores: that read them, over all hosts.
    disk, link: megabytes a second from files, and to all devices together.
    sums: megabytes a second that each device sends and gets for the sum of gradients (a ring of
      many: twice the gradients in float32).
    store: gigabytes of the files of one domain.
  """

  steps: int
  hours: float
  frames: float
  cores: float
  disk: float
  link: float
  sums: float
  store: float


def plan(options) -> Plan:
  """The plan of what the command line says."""
  windows = options.frames // options.window if options.apart else options.frames
  steps = options.epochs * -(-windows // options.batch)
  frames = 2 * options.batch * options.window / options.step
  ring = 2 * (options.devices - 1) / options.devices
  return Plan(steps, steps * options.step / 3600, frames, frames / options.loader,
              frames * options.file / 1e3, frames * options.sent / 1e3,
              ring * 4 * options.parameters / options.step, options.frames * options.file / 1e6)


def text(options) -> str:
  """The plan as lines."""
  got = plan(options)
  return '\n'.join((
      f'{got.steps:,} steps of {options.batch} windows of {options.window} frames, '
      f'{options.epochs} epochs: {got.hours:.1f} hours on {options.devices} devices',
      f'read: {got.frames:.0f} frames/s, {got.disk:.1f} MB/s of files, {got.cores:.1f} cores at '
      f'{options.loader:g} frames/s each',
      f'to the devices: {got.link:.1f} MB/s; between them: {got.sums:.1f} MB/s each way of each',
      f'files of one domain: {got.store:.1f} GB'))


def parser():
  """The command line."""
  result = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, kind, default, about in (
      ('frames', int, 580_000, 'of the longer domain'), ('window', int, 3, 'frames of a window'),
      ('epochs', int, 100, ''), ('devices', int, 8, ''),
      ('batch', int, 8, 'windows a step, over all devices'),
      ('step', float, None, 'seconds of a step'), ('loader', float, 70.0, 'frames/s of a core'),
      ('file', float, 131.0, 'KB of a frame on the disk'),
      ('sent', float, 197.0, 'KB of a frame on its way to the device'),
      ('parameters', float, 57.0, 'millions that are trained')):
    result.add_argument(f'--{name}', type=kind, default=default, required=default is None,
                        help=about)
  result.add_argument('--apart', action='store_true',
                      help='windows share no frame: strips, or data.stride = data.frames')
  return result


if __name__ == '__main__':
  print(text(parser().parse_args()))
