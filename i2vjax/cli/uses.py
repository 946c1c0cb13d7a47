"""Refuse flags and fields that a command has no use for."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from typing import Any

from absl.flags import FlagValues

from i2vjax.cli.flags import FLAGS, USES, Given, spoken
from i2vjax.core.errors import UserError

# Commands whose --config names a file; the others read that of a run, or one for each row.
WITH_CONFIG_FILE = ('train', 'evaluate', 'prepare', 'fetch', 'import', 'doctor')


@dataclasses.dataclass(frozen=True)
class Idle:
  """Flags and fields that do nothing in some uses of a command.

  Attributes:
    when: which uses, as an error says it: 'without --result'.
    holds: flags of a command line -> whether it is such a use.
    names: of flags; 'config.eval.' stands for all fields of that block, 'config.' for all there
      are.
    but: fields among them that are read all the same.
  """

  when: str
  holds: Callable[[FlagValues], Any]
  names: tuple[str, ...]
  but: tuple[str, ...] = ()

  def covers(self, name: str) -> bool:
    """True for a flag, or a field 'config.eval.batch', that does nothing then."""
    return _is_among(name, self.names) and not _is_among(name, self.but)


def _always(_):
  return True


def _is_live(flag):
  # The import takes seconds: it is asked only where a flag is given that depends on it.
  if not flag.input or flag.split:
    return False
  from i2vjax import live
  return live.is_live(flag.input)


def _is_program(flag):
  return {'jax', 'onnx'} & set(flag.format)


def _measures_here(flag):
  return 'here' in flag.target


IN_TRAINING = 'once a run is trained'
# What only training reads. `train.best` says which checkpoint is the best.
TRAINING = Idle(IN_TRAINING, _always,
                ('config.train.', 'config.optim.', 'config.log.', 'config.gan.', 'config.init.',
                 'config.weights.', 'config.critic.'),
                ('config.train.best',))
# Of `eval` a translation reads what method files ask of the time after training, and whether there
# is a best checkpoint.
SCORING = Idle('where nothing is scored', lambda flag: not flag.split, ('config.eval.',),
               ('config.eval.mode', 'config.eval.stretch', 'config.eval.every'))
# Of `data`, what says how a run's frames are translated; all else is about frames of its own.
OWN_FRAMES = Idle('with --input, which names the frames',
                  lambda flag: flag.input and not flag.split, ('config.data.',),
                  tuple(f'config.data.{name}' for name in (
                      'direction', 'task', 'channels_a', 'channels_b', 'thermal_range', 'polarity',
                      'unpalette', 'prepare.', 'resize', 'load_size',
                      'source', 'root', 'name', 'train_a', 'train_b', 'test_a', 'test_b')))
WEIGHT_FILES = Idle('where only weight files are looked for', _always, ('config.',),
                    ('config.pretrained_dir', 'config.flow.weights', 'config.vit.weights'))

# Command -> what does nothing in which of its uses. A flag that belongs to all uses of a command
# stands in `USES` alone.
IDLE = {
    'train': (
        Idle('without --coordinator HOST:PORT',
             lambda flag: not (flag.coordinator or os.environ.get('I2VJAX_COORDINATOR')),
             ('processes', 'process_id')),
    ),
    'translate': (
        Idle("with --split, which writes the frames of the run's data as they are scored",
             lambda flag: flag.split,
             ('input', 'side_by_side', 'fuse', 'lossless', 'on_damage', 'chunk', 'pad_to', 'rate',
              'deinterlace', 'as_is', 'full_size', 'reconnect')),
        Idle('without --split: what a person gives by --input has no truth',
             lambda flag: not flag.split, ('with_truth',)),
        Idle('with a live --input, whose frames come one at a time', _is_live,
             ('on_damage', 'chunk', 'pad_to', 'rate', 'deinterlace')),
        Idle('unless --input is live (/dev/video0, rtsp://..., udp://...)',
             lambda flag: not _is_live(flag), ('reconnect',)),
        OWN_FRAMES, TRAINING, SCORING,
    ),
    'evaluate': (
        Idle('without --result', lambda flag: not flag.result, ('reference', 'source')),
        Idle("without --result: a run's own config is read, of which --config.FIELD=VALUE changes "
             'fields', lambda flag: not flag.result, ('config',)),
        Idle('with --result, which takes the frames of any program',
             lambda flag: flag.result, ('checkpoint', 'weights', 'network', 'config.'),
             ('config.eval.', 'config.pretrained_dir', 'config.data.clip_regex',
              'config.data.max_gap')),
        Idle('beside --config, which says how to score', lambda flag: flag['config'].present,
             ('workdir',)),
        Idle(f'{IN_TRAINING}, but for --config.eval.epochs', lambda flag: (
            not flag.result and not flag.config.eval.get('epochs')), ('config.train.',),
             ('config.train.best',)),
        Idle(IN_TRAINING, lambda flag: not flag.result, TRAINING.names,
             ('config.train.',)),
    ),
    'compare': (
        Idle('where no row is trained: --runs are scored as they were (give --configs or --row)',
             lambda flag: not (flag.configs or flag.row), ('seeds', 'config.'),
             ('config.data.', 'config.eval.')),
    ),
    'export': (
        Idle('with --format orbax alone: parameters take any size (see jax, onnx)',
             lambda flag: not _is_program(flag), ('size',)),
        TRAINING, dataclasses.replace(SCORING, holds=_always),
    ),
    'prepare': (
        Idle('with --dataset', lambda flag: flag.dataset,
             ('input', 'output', 'domain', 'size', 'test_share', 'test_clips', 'on_damage',
              'deinterlace', 'as_drawn', 'config', 'config.')),
        Idle('without --dataset', lambda flag: not flag.dataset,
             ('manual_dir', 'data_dir', 'limit')),
        Idle('in prepare, which only cuts footage into frames', lambda flag: not flag.dataset,
             ('config.',), ('config.data.frames_per_image', 'config.data.clip_regex',
                            'config.data.clip_regex_a', 'config.data.clip_regex_b',
                            'config.data.max_gap')),
    ),
    'fetch': (
        Idle('without the ID of a file', lambda flag: not flag.id, ('file', 'url', 'mirror')),
        Idle('with --file', lambda flag: flag.file, ('url', 'mirror')),
        Idle('with --url', lambda flag: flag.url, ('mirror',)),
        WEIGHT_FILES,
    ),
    'doctor': (WEIGHT_FILES,),
    'app': (TRAINING, dataclasses.replace(SCORING, holds=_always),
            dataclasses.replace(OWN_FRAMES, when='where frames are dropped', holds=_always)),
    'bench': (
        Idle('without --json', lambda flag: not flag.json, ('overwrite',)),
        Idle('unless --target names a device to compile for',
             lambda flag: set(flag.target) <= {'here'}, ('largest_batch',)),
        Idle('unless --target has here: elsewhere programs are compiled, not run',
             lambda flag: not _measures_here(flag), ('rounds', 'sizes', 'chunk', 'with_torch')),
        Idle('with --sizes 0, which translates nothing',
             lambda flag: not any(text.strip('0 ') for text in flag.sizes), ('chunk',)),
    ),
}


def check_given(command: str, given: Sequence[Given]) -> None:
  """Refuse a flag that is given twice, or that the command does not have.

  Args:
    command: its name.
    given: of `flags.given`.

  Raises:
    UserError: names flag and values, and where the flag belongs.
  """
  first: dict[str, str] = {}
  for name, text in given:
    flag = FLAGS.get(name)
    before = first.setdefault(name, text)
    if before != text and not (flag and flag.kind == 'rows'):
      raise UserError(f'--{name} is given twice, as {before} and as {text}: '
                      + (f'write --{name} {before},{text}' if flag and flag.kind == 'list' else
                         'leave one away'))
    if not has(command, name) and _asks(name, text):
      raise UserError(f'--{name} does nothing in {command}: it belongs to {_owners(name)}. '
                      f'Leave it away{_longer(command, name)}')


def has(command: str, name: str) -> bool:
  """Whether a command has a flag; of flags that nobody has, and of fields, others know."""
  if name == 'config':
    return command in WITH_CONFIG_FILE
  # Scripts give --show=false to all commands, also to those that show no bar.
  return name not in FLAGS or name == 'show' or name in USES[command][1]


def _owners(name):
  return ', '.join(command for command in USES if has(command, name))


def _longer(command, name):
  """', or write --configs' for --config in `compare`; '' where no flag begins so."""
  return ''.join(f', or write --{other}' for other in USES[command][1] if other.startswith(name))


def check_used(command: str, flag: FlagValues, given: Sequence[Given]) -> None:
  """Refuse flags and fields that do nothing in what the command is asked to do.

  Args:
    command: its name.
    flag: its flags, read.
    given: of `flags.given`.

  Raises:
    UserError: names them, and when they do nothing.
  """
  asked = [name for name, text in given if _asks(name, text)]
  for idle in IDLE.get(command, ()):
    names = list(dict.fromkeys(filter(idle.covers, asked)))
    if names and idle.holds(flag):
      raise UserError(f'--{", --".join(names)} {"does" if len(names) == 1 else "do"} nothing '
                      f'{idle.when}. Leave {"it" if len(names) == 1 else "them"} away')


def _asks(name, text):
  """False where --name=text of a switch says what holds without it."""
  flag = FLAGS.get(name)
  return not (flag and flag.kind is bool and spoken(text) == flag.default)


def _is_among(name, names):
  return any(name == part or (part.endswith('.') and name.startswith(part)) for part in names)
