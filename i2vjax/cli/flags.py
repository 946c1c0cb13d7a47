"""What the command line may say: all flags, which command takes which, and help on them."""

import os
import re
import textwrap

from absl import flags

from i2vjax.core.errors import UserError

TEXT_FLAGS = {
    'workdir': 'Run folder. train: may be left out, then runs/METHOD-VARIANT.',
    'input': 'translate, prepare: a video file, a folder of frames, or a glob.',
    'output': 'Where the result goes. Never overwritten unless --overwrite.',
    'network': 'export: which network. translate, evaluate: which generator, gen_ba leads back. '
               'Without it: the one from source to target.',
    'result': 'evaluate: a folder of frames any program wrote.',
    'reference': 'evaluate: the frames it should have been.',
    'source': 'evaluate: the frames it was made from. import: whose checkpoint it is.',
    'from': 'import: the folder of the checkpoint.',
    'id': 'fetch: which file; may stand without --id.',
    'file': 'fetch: take this local file instead of a download.',
    'url': 'fetch: another address than the known one.',
    'dataset': 'prepare: a published set to make records of, such as irvi/traffic.',
    'manual_dir': 'prepare: the folder its files were unpacked to.',
    'data_dir': 'prepare: the folder of all records. Default: ~/tensorflow_datasets.',
    'domain': 'prepare: domain a (infrared) or b: write trainA and testA, which data.root reads.',
    'size': 'prepare: WIDTHxHEIGHT of the frames. Default: as they are.',
    'coordinator': 'Several processes: HOST:PORT of process 0.',
}
SWITCHES = {
    'overwrite': 'translate, evaluate, export, prepare: replace what --output names. '
                 'compare: score again, train nothing again.',
    'side_by_side': 'translate: the input beside the result.',
    'fuse': "translate: the result's colors on the infrared brightness.",
    'lossless': 'translate: FFV1 in .mkv instead of H.264.',
    'allow_different': 'compare: note rows on other data or of other length instead of refusing.',
}
LISTS = {
    'configs': 'compare: config files with variants, a row each, separated by commas.',
    'runs': 'compare: folders of runs that are there already, separated by commas.',
    'test_clips': 'prepare: clips for testing, separated by commas.',
    'seeds': 'compare: seeds that each row is trained with, separated by commas.',
}
PROCESSES = ('coordinator', 'processes', 'process_id')
# Command -> (example, its flags in the order that help shows them).
USES = {
    'train': ('--config configs/cptrans.py:demo --workdir runs/mine',
              ('workdir', 'show', *PROCESSES)),
    'translate': ('--workdir runs/mine --input infrared.mp4 --output translated.mp4',
                  ('workdir', 'input', 'output', 'overwrite', 'checkpoint', 'weights',
                   'network', 'side_by_side', 'fuse', 'lossless', 'on_damage', 'chunk', 'show')),
    'evaluate': ('--workdir runs/mine',
                 ('workdir', 'checkpoint', 'weights', 'network', 'result', 'reference', 'source',
                  'output', 'overwrite', 'show')),
    'compare': ('--output runs/table --configs configs/cut.py:demo,configs/cptrans.py:demo '
                '--seeds 0,1,2',
                ('output', 'configs', 'row', 'runs', 'seeds', 'allow_different', 'overwrite',
                 'show')),
    'export': ('--workdir runs/mine --output exported',
               ('workdir', 'output', 'overwrite', 'checkpoint', 'weights', 'network')),
    'prepare': ('--input infrared.mp4 --output footage --domain a --test_share 0.2',
                ('input', 'output', 'overwrite', 'domain', 'size', 'test_share', 'test_clips',
                 'on_damage', 'dataset', 'manual_dir', 'data_dir', 'limit', 'show')),
    'fetch': ('vgg19', ('id', 'file', 'url', 'show')),
    'import': ('--source cut --from checkpoints/grumpifycat --workdir runs/theirs',
               ('source', 'from', 'label', 'workdir')),
    'doctor': ('', ()),
}


def define_flags(values):
  """All flags but --config, into a fresh set, so that one process can run several commands."""
  for name, text in TEXT_FLAGS.items():
    flags.DEFINE_string(name, None, text, flag_values=values)
  for name, text in SWITCHES.items():
    flags.DEFINE_bool(name, False, text, flag_values=values)
  for name, text in LISTS.items():
    flags.DEFINE_list(name, '0' if name == 'seeds' else '', text, flag_values=values)
  flags.DEFINE_multi_string('row', [], "compare: 'NAME=FILE:VARIANT --config.FIELD=VALUE ...': a "
                            'row with overrides of its own; may be repeated.', flag_values=values)
  flags.DEFINE_bool('show', True, 'Progress bars.', flag_values=values)
  flags.DEFINE_string('checkpoint', 'latest', "'latest', 'best' or a step.", flag_values=values)
  flags.DEFINE_enum('weights', 'auto', ['auto', 'ema', 'raw'],
                    'Which weights translate: ema, their averages over training, raw, those of the '
                    'last step; auto: averages where there are any.', flag_values=values)
  flags.DEFINE_string('label', 'latest', "import: which of the files: 'latest' or an epoch.",
                      flag_values=values)
  flags.DEFINE_enum('on_damage', 'stop', ['stop', 'skip'],
                    'translate, prepare: at a frame that cannot be read: stop, or skip it.',
                    flag_values=values)
  flags.DEFINE_float('test_share', 0.0, 'prepare: share of the clips for testing; 1: all.',
                     flag_values=values)
  flags.DEFINE_integer('limit', 0, 'prepare: files per split of a set, for a trial. 0: all.', 0,
                       flag_values=values)
  flags.DEFINE_integer('chunk', 8, 'translate: frames at a time on the device.', 1,
                       flag_values=values)
  flags.DEFINE_integer('processes', None, 'Several processes: how many.', flag_values=values)
  flags.DEFINE_integer('process_id', None, 'Several processes: which one.', flag_values=values)


def flag_value(arguments, name):
  """Value of --name in raw arguments, or None."""
  for index, text in enumerate(arguments):
    if text in (f'--{name}', f'-{name}'):
      return arguments[index + 1] if index + 1 < len(arguments) else None
    if text.startswith((f'--{name}=', f'-{name}=')):
      return text.split('=', 1)[1]
  return None


def expand_home(text):
  """An argument with `~` for the home folder written out, which a shell does not do behind `=`.

  Fields of the config keep it: they are compared with those of the run folder.
  """
  if text.startswith(('--config.', '-config.')):
    return text
  flag, mark, value = text.partition('=') if text.startswith('-') else ('', '', text)
  return flag + mark + ','.join(os.path.expanduser(part) for part in value.split(','))


def check_sizes(config):
  """Raises ValueError where a size of frames is neither a whole number nor a pair of them."""
  for name in ('load_size', 'crop_size'):
    size = config.data[name]
    pair = size if isinstance(size, (tuple, list)) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) for side in pair):
      raise UserError(f'--config.data.{name}={size}: write a whole number, or two as in 256,320 '
                  '(height, width)')


def library_message(error):
  """The sentence in a library's error that is for the user."""
  text = str(error.args[0] if error.args else error).replace('\\n', '\n')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  asked = [line.rstrip("'") for line in lines if 'Did you mean' in line]
  line = (asked or [line for line in lines if not line.endswith(':')] or lines)[-1]
  return line.removeprefix('ValueError: ')


def overall_help(head):
  """What --help prints: `head` and all flags."""
  values = flags.FlagValues()
  define_flags(values)
  return f'{head}\nFlags, besides --config.FIELD=VALUE:\n{values.get_help()}'


def command_help(command, summary):
  """What COMMAND --help prints: `summary`, an example, and its own flags."""
  values = flags.FlagValues()
  define_flags(values)
  example, names = USES[command]
  lines = [f'{command}: {summary}', '', f'  python -m i2vjax.main {command} {example}'.rstrip(), '']
  if command in ('train', 'compare'):
    lines += _flag('config.FIELD=VALUE', 'Any field of the config file, or of all of them.')
  if command == 'train':
    lines += _flag('config=FILE.py:VARIANT', 'Needed: what to train, such as '
                                             'configs/cptrans.py:demo.')
  for name in names:
    default, text = values[name].value, re.sub(r'^<.*>: |;\s+repeat this option.*', '',
                                               values[name].help, flags=re.S)
    lines += _flag(name, _about(command, text) + (
        f' Default: {default}.' if default and type(default) in (int, str) else ''))
  return '\n'.join([*lines, '', 'All commands and flags: python -m i2vjax.main --help'])


def _flag(name, text):
  return textwrap.wrap(text, 98, initial_indent=f'  --{name:21} ', subsequent_indent=' ' * 26,
                       break_on_hyphens=False)


def _about(command, text):
  """Of a text 'All. one, two: some. three: more.' what concerns one command."""
  general, *rest = re.split(r'(?:^|(?<=[.;] ))((?:[a-z]+, )*[a-z]+): ', text)
  own = [clause for names, clause in zip(rest[::2], rest[1::2], strict=True)
         if command in names.split(', ')]
  return ''.join(part[0].upper() + part[1:] for part in (general, *own) if part).rstrip()
