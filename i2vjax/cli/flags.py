"""The flags of the command line, and help on them."""

import dataclasses
import os
import re
import textwrap
from collections.abc import Sequence
from typing import Any

from absl import flags

ALL = 'all'   # in place of a command, where a help text is about every command that has the flag


@dataclasses.dataclass(frozen=True)
class Flag:
  """One flag.

  Attributes:
    about: {command, or several separated by ', ', or ALL: help text}.
    kind: str, bool, int, float, 'list' (separated by commas) or 'rows' (may be repeated).
    default: its value without the flag.
    least: the least number it takes.
    choices: the values it takes; (): any.
  """

  about: dict[str, str]
  kind: Any = str
  default: Any = None
  least: int | None = None
  choices: tuple[str, ...] = ()


FLAGS = {
    # ---- folders and files
    'workdir': Flag({ALL: 'Run folder.',
                     'train': 'May be left out, then runs/METHOD-VARIANT.',
                     'evaluate': 'With --result: whose settings of scores hold.',
                     'translate, evaluate, export, app': "'starter': the weights that come with "
                                                         'i2vjax; hf:OWNER/NAME[@REVISION]: '
                                                         'those of a repository on the Hugging '
                                                         'Face hub.'}),
    'input': Flag({'translate, prepare': 'A video file, a folder of frames, or a glob.',
                   'translate': 'Or a picture. Or a live one: /dev/video0, rtsp://..., '
                                'udp://...; Ctrl-C ends it and finishes the file.'}),
    'output': Flag({ALL: 'Where the result goes. Never overwritten unless --overwrite.'}),
    'overwrite': Flag({'translate, evaluate, export, prepare': 'Replace what --output names.',
                       'bench': 'Measure rows of --json again.',
                       'compare': 'Score again, train nothing again.'}, bool, False),

    # ---- which weights of a run
    'checkpoint': Flag({ALL: "'latest', 'best' or a step."}, default='latest'),
    'weights': Flag({ALL: 'Which weights translate: ema, their averages over training, raw, those '
                          'of the last step; auto: averages where there are any.'},
                    default='auto', choices=('auto', 'ema', 'raw')),
    'format': Flag({'export': 'orbax: its parameters; jax: a file that runs with jax alone; onnx: '
                              'one for onnxruntime. Several are separated by commas.'},
                   'list', ('orbax',)),
    'publish': Flag({'export': 'hf:OWNER/NAME: also a repository on the Hugging Face hub, which '
                               '--workdir hf:OWNER/NAME reads.'}),
    'network': Flag({'export': 'Which network.',
                     'translate, evaluate': 'Which generator, gen_ba leads back. Without it: the '
                                            'one from source to target.',
                     'app': 'Which generator.'}),

    # ---- translate
    'side_by_side': Flag({'translate': 'The input beside the result.'}, bool, False),
    'fuse': Flag({'translate': "The result's colors on the infrared brightness."}, bool, False),
    'lossless': Flag({'translate': 'FFV1 in .mkv instead of H.264.'}, bool, False),
    'on_damage': Flag({'translate, prepare': 'At a frame that cannot be read: stop, or skip it.'},
                      default='stop', choices=('stop', 'skip')),
    'rate': Flag({'translate': 'Frames per second of a video made from pictures. Default: 25.'},
                 float),
    'deinterlace': Flag({'translate, prepare': 'Make whole frames of the half pictures of an '
                                               'interlaced video.'}, bool, False),
    'as_is': Flag({'translate': "Leave out the run's own resize and crop of frames "
                                '(data.prepare).'}, bool, False),
    'full_size': Flag({'translate': 'Translate at the size that the run has learned, and enlarge '
                                    'to that of the input, along its edges: for larger footage.'},
                      bool, False),
    'reconnect': Flag({'translate': 'Seconds that a live input which is lost is tried again before '
                                    'the file is finished.'}, float, 30.0),
    'split': Flag({'translate': "Instead of --input: the frames of the run's own data that "
                                'evaluate judges, as OUTPUT/result/CLIP/FRAME.png.'},
                  choices=('test', 'val', 'train')),
    'with_truth': Flag({'translate': 'With --split: true frames, sources, class maps and boxes '
                                     'beside them, as far as there are any.'}, bool, False),
    'chunk': Flag({'translate, bench': 'Frames at a time on the device.'}, int, 8, least=1),
    'pad_to': Flag({'translate': 'Pad frames to multiples of so many pixels (a power of two up to '
                                 '256): pictures of many sizes share a few compiled programs, and '
                                 'change a little.'}, int, 1, least=1),

    # ---- evaluate
    'result': Flag({'evaluate': 'A folder of frames any program wrote.'}),
    'reference': Flag({'evaluate': 'The frames it should have been. Without it: the scores that '
                                   'need none.'}),
    'source': Flag({'evaluate': 'The frames it was made from.',
                    'import': 'Whose checkpoint it is.'}),

    # ---- compare
    'configs': Flag({'compare': 'Config files with variants, a row each, separated by commas.'},
                    'list', ()),
    'row': Flag({'compare': "'NAME=FILE:VARIANT --config.FIELD=VALUE ...': a row with overrides "
                            'of its own; may be repeated.'}, 'rows', ()),
    'runs': Flag({'compare': 'Folders of runs that are there already, separated by commas; '
                             'starter: the weights that come with i2vjax. Fields of data. and '
                             'eval. hold for them too.'},
                 'list', ()),
    'seeds': Flag({'compare': 'Seeds that each row is trained with, separated by commas.'},
                  'list', ('0',)),
    'budget': Flag({'compare': 'What every row is trained with as much of: steps, epochs (as in '
                               'papers; batch and frames of a window decide how many steps one '
                               'has) or frames.'}, choices=('steps', 'epochs', 'frames'),
                   default='steps'),
    'allow_different': Flag({'compare': 'Note rows that are scored on other data, or trained on '
                                        'them or for longer, instead of refusing.'}, bool, False),

    # ---- import, fetch
    'from': Flag({'import': 'The folder of the checkpoint.'}),
    'label': Flag({'import': "Which of the files: 'latest' or an epoch."}, default='latest'),
    'id': Flag({'fetch': 'Which file; may stand without --id.'}),
    'file': Flag({'fetch': 'Take this local file instead of a download.'}),
    'url': Flag({'fetch': 'Another address than the known one.'}),
    'mirror': Flag({'fetch': 'A folder that holds the files under their names: nothing is '
                             'downloaded. Default: $I2VJAX_MIRROR.'}),

    # ---- prepare
    'domain': Flag({'prepare': 'Domain a (infrared) or b: write trainA and testA, which data.root '
                               'reads.'}),
    'size': Flag({'prepare': 'WIDTHxHEIGHT of the frames. Default: as they are.',
                  'export': 'WIDTHxHEIGHT of the only frames that jax and onnx take. Default: any, '
                            'if the method allows it.'}),
    'test_share': Flag({'prepare': 'Share of the clips for testing; 1: all.'}, float, 0.0),
    'test_clips': Flag({'prepare': 'Clips for testing, separated by commas.'}, 'list', ()),
    'as_drawn': Flag({'prepare': 'Of radiometric JPEG the 8-bit picture that it shows, not the '
                                 'temperatures.'}, bool, False),
    'dataset': Flag({'prepare': 'A published set to make records of, such as irvi/traffic.'}),
    'manual_dir': Flag({'prepare': 'The folder its files were unpacked to.'}),
    'data_dir': Flag({'prepare': 'The folder of all records. Default: ~/tensorflow_datasets.'}),
    'limit': Flag({'prepare': 'Files per split of a set, for a trial. 0: all.'}, int, 0, least=0),

    # ---- app, doctor
    'host': Flag({'app': 'Address it listens on; 0.0.0.0: all who reach this machine may use it.'},
                 default='127.0.0.1'),
    'port': Flag({'app': 'Port it listens on.'}, int, 7860, least=1),
    'max_mb': Flag({'app': 'Megabytes that an upload may have.'}, int, 200, least=1),
    'max_seconds': Flag({'app': 'Seconds that a film may last.'}, int, 60, least=1),
    'brief': Flag({'doctor': 'Only the device, and what is wrong.'}, bool, False),
    # ---- bench
    'methods': Flag({'bench': 'Configs, separated by commas: cut, cptrans:demo, or morngan@77 for '
                              "the phase of an epoch. Default: every method's."}, 'list', ()),
    'target': Flag({'bench': 'here: what this machine has, timed. Or devices to compile for ahead '
                             'of time, none of which need be here: h100, h100:8, v5e:1x1, v5e:2x4, '
                             'v4:2x2x1, ... Several separated by commas.'}, 'list', ('here',)),
    'json': Flag({'bench': 'A file for all numbers, written after each row; rows that it has are '
                           'not measured again unless --overwrite.'}),
    'batch': Flag({'bench': "Windows of a step on each device. 0: the config's."}, int, 0, least=0),
    'rounds': Flag({'bench': 'Steps that are timed; the least counts.'}, int, 5, least=1),
    'sizes': Flag({'bench': 'Sides of the frames that are translated, separated by commas; 0: '
                            'none.'}, 'list', ('256', '512')),
    'with_torch': Flag({'bench': 'Time the same step in PyTorch too (needs PyTorch and a '
                                 'checkout).'}, bool, False),
    'largest_batch': Flag({'bench': 'With a target: also look for the largest batch that fits, '
                                    'which compiles some times more.'}, bool, False),

    # ---- progress, several processes
    'show': Flag({ALL: 'Progress bars.'}, bool, True),
    'coordinator': Flag({ALL: 'Several processes: HOST:PORT of process 0.'}),
    'processes': Flag({ALL: 'Several processes: how many.'}, int),
    'process_id': Flag({ALL: 'Several processes: which one.'}, int),
}
PROCESSES = ('coordinator', 'processes', 'process_id')
# Command -> (example, its flags in the order that help shows them).
USES = {
    'train': ('--config configs/cptrans.py:demo --workdir runs/mine',
              ('workdir', 'show', *PROCESSES)),
    'translate': ('--workdir runs/mine --input infrared.mp4 --output translated.mp4',
                  ('workdir', 'input', 'output', 'overwrite', 'checkpoint', 'weights',
                   'network', 'side_by_side', 'fuse', 'lossless', 'on_damage', 'chunk', 'pad_to',
                   'rate', 'deinterlace', 'as_is', 'full_size', 'reconnect', 'split', 'with_truth',
                   'show')),
    'evaluate': ('--workdir runs/mine',
                 ('workdir', 'checkpoint', 'weights', 'network', 'result', 'reference', 'source',
                  'output', 'overwrite', 'show')),
    'compare': ('--output runs/table --configs configs/cut.py:demo,configs/cptrans.py:demo '
                '--seeds 0,1,2',
                ('output', 'configs', 'row', 'runs', 'seeds', 'budget', 'allow_different',
                 'overwrite', 'show')),
    'export': ('--workdir runs/mine --output exported',
               ('workdir', 'output', 'format', 'size', 'overwrite', 'checkpoint', 'weights',
                'network', 'publish')),
    'prepare': ('--input infrared.mp4 --output footage --domain a --test_share 0.2',
                ('input', 'output', 'overwrite', 'domain', 'size', 'test_share', 'test_clips',
                 'on_damage', 'deinterlace', 'as_drawn', 'dataset', 'manual_dir', 'data_dir',
                 'limit', 'show')),
    'fetch': ('vgg19', ('id', 'file', 'url', 'mirror', 'show')),
    'import': ('--source cut --from checkpoints/grumpifycat --workdir runs/theirs',
               ('source', 'from', 'label', 'workdir')),
    'doctor': ('', ('brief',)),
    'app': ('--workdir starter',
            ('workdir', 'checkpoint', 'weights', 'network', 'host', 'port', 'max_mb',
             'max_seconds')),
    'bench': ('--methods cut,cptrans --target v5e:2x4 --json bench.json',
              ('methods', 'target', 'json', 'overwrite', 'batch', 'largest_batch', 'rounds',
               'sizes', 'chunk', 'with_torch')),
}


def define_flags(values: flags.FlagValues) -> None:
  """All flags but --config, into a fresh set, so that one process can run several commands."""
  for name, flag in FLAGS.items():
    text, default = overall_about(flag), flag.default
    if flag.choices:
      flags.DEFINE_enum(name, default, list(flag.choices), text, flag_values=values)
    elif flag.kind == 'list':
      flags.DEFINE_list(name, list(default), text, flag_values=values)
    elif flag.kind == 'rows':
      flags.DEFINE_multi_string(name, list(default), text, flag_values=values)
    elif flag.kind is bool:
      flags.DEFINE_bool(name, default, text, flag_values=values)
    elif flag.kind is int:
      flags.DEFINE_integer(name, default, text, flag.least, flag_values=values)
    elif flag.kind is float:
      flags.DEFINE_float(name, default, text, flag_values=values)
    else:
      flags.DEFINE_string(name, default, text, flag_values=values)


# ---- Arguments as they are written --------------------------------------------------------------


Given = tuple[str, str]   # name of a flag or 'config.FIELD', and the text it is given


def given(arguments: Sequence[str]) -> list[Given]:
  """[(name, text)] of all flags and fields in raw arguments, in order, as absl will read them.

  A switch without a value has the text 'true', --noNAME has 'false'; '' where a value is missing.
  """
  return [(name, text) for name, text, _ in _occurrences(arguments) if name]


def split_fields(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
  """(other arguments, fields as --config.FIELD=VALUE), each in order, however they are written."""
  others, fields = [], []
  for name, text, words in _occurrences(arguments):
    if name.startswith('config.'):
      fields.append(f'--{name}={text}')
    else:
      others += words
  return others, fields


def flag_value(arguments: Sequence[str], name: str) -> str | None:
  """Value of --name in raw arguments, or None."""
  return next((text for found, text in given(arguments) if found == name and text), None)


def spoken(text: str) -> bool:
  """What a switch is given."""
  return text.lower() in ('true', 't', '1')


def _occurrences(arguments):
  """(name, text, its words) of each flag; ('', '', [word]) of a word that is none."""
  rest = list(arguments)
  while rest:
    word = rest.pop(0)
    if not word.strip('-') or not word.startswith('-'):
      yield '', '', [word]
      continue
    name, mark, text = word[1:].removeprefix('-').partition('=')
    if mark:
      yield name, text, [word]
    elif _is_switch(name):
      yield name, 'true', [word]
    elif _is_switch(name.removeprefix('no')) or name.startswith('noconfig.'):
      yield name[2:], 'false', [word]
    elif rest and (name in FLAGS or not re.match('--?[a-z]', rest[0])):
      text = rest.pop(0)
      yield name, text, [word, text]
    else:   # a field that is a switch; or a value is missing
      yield name, 'true' if name.startswith('config.') else '', [word]


def _is_switch(name):
  return name in FLAGS and FLAGS[name].kind is bool


def expand_home(text: str) -> str:
  """An argument with `~` for the home folder written out, which a shell does not do behind `=`.

  Fields of the config keep it: they are compared with those of the run folder.
  """
  if text.startswith(('--config.', '-config.')):
    return text
  flag, mark, value = text.partition('=') if text.startswith('-') else ('', '', text)
  return flag + mark + ','.join(os.path.expanduser(part) for part in value.split(','))


def library_message(error: Exception) -> str:
  """The sentence in a library's error that is for the user."""
  text = str(error.args[0] if error.args else error).replace('\\n', '\n')
  lines = [line.strip() for line in text.splitlines() if line.strip()]
  advice = [line.rstrip("'") for line in lines if 'Did you mean' in line]
  sentences = [line for line in lines if not line.endswith(':')]
  return (advice or sentences or lines)[-1].removeprefix('ValueError: ')


# ---- Help ---------------------------------------------------------------------------------------


def overall_help(head: str) -> str:
  """What --help prints: `head` and all flags."""
  values = flags.FlagValues()
  define_flags(values)
  return f'{head}\nFlags, besides --config.FIELD=VALUE:\n{values.get_help()}'


def command_help(command: str, summary: str) -> str:
  """What COMMAND --help prints: `summary`, an example, and its own flags."""
  example, names = USES[command]
  lines = [f'{command}: {summary}', '', f'  python -m i2vjax.main {command} {example}'.rstrip(), '']
  if command in ('train', 'compare', 'bench'):
    lines += _paragraph('config.FIELD=VALUE', 'Any field of the config file, or of all of them.')
  if command == 'train':
    lines += _paragraph('config=FILE.py:VARIANT', 'Needed: what to train: a file, or, as in '
                                                  'cptrans:demo, one that comes with i2vjax.')
  for name in names:
    lines += _paragraph(name, about(command, FLAGS[name]))
  return '\n'.join([*lines, '', 'All commands and flags: python -m i2vjax.main --help'])


def about(command: str, flag: Flag) -> str:
  """What a flag does in one command."""
  texts = [text for commands, text in flag.about.items()
           if commands == ALL or command in commands.split(', ')]
  if flag.default and flag.kind in (str, int):
    texts.append(f'Default: {flag.default}.')
  return ' '.join(texts)


def overall_about(flag: Flag) -> str:
  """What a flag does in all commands."""
  return ' '.join(text if commands == ALL else f'{commands}: {text}'
                  for commands, text in flag.about.items())


def _paragraph(name, text):
  return textwrap.wrap(text, 98, initial_indent=f'  --{name:21} ', subsequent_indent=' ' * 26,
                       break_on_hyphens=False)
