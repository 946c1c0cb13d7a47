"""Random config fields and flags through the parsing and planning of `i2vjax.main`.

  python tests/helpers/fuzz_configs.py [--count 1000] [NAME ...]
"""

import argparse
import collections
import contextlib
import io
import pathlib
import shutil
import tempfile

import fuzz_archives
import hypothesis
import numpy as np
from hypothesis import strategies as some

from i2vjax.app import server
from i2vjax.cli import commands, errors, flags, parse
from i2vjax.compare import experiments
from i2vjax.data.io import images
from i2vjax.data.transforms import preprocess
from i2vjax.interop import export
from i2vjax.run import bounds, config_files, hub, outputs, settle
from i2vjax.run import folder as run_folder

NAMES = ('fields', 'flags', 'prepare', 'addresses')
CONFIG = 'cyclegan:demo'
# What a shell can hand over: no NUL, bytes that are no UTF-8 as Python has them.
TEXT = some.text(some.characters(exclude_characters='\0', exclude_categories=()), max_size=40)
NUMBER = some.one_of(
    some.integers(), some.integers(-3, 300), some.floats(), some.sampled_from(
        ['1e999', '-1e999', 'nan', '0x10', '1_000', '٣', '²', '9' * 5000, '-0', '+1', '1.',
         '1e-400']))
LIST = some.lists(NUMBER, max_size=4).map(lambda x: ','.join(map(str, x)))
VALUE = some.one_of(
    NUMBER, some.booleans(), TEXT, LIST, some.sampled_from(
        ['', ' ', 'auto', 'none', 'random', '(1,2)', '[]', '{}', '()', 'None', '../x', '/dev/null',
         '-rf', '~', '$(id)', 'a\nb', "__import__('os').mkdir('RAN')"])).map(str)


def field_names():
  """Names of fields, right ones and wrong ones."""
  names = sorted(run_folder.flatten(config_files.read(CONFIG)))
  return some.one_of(some.sampled_from(names), some.sampled_from(
      ['data', 'gen', 'nothing', 'data.nothing', 'data.batch.x', '', '.', '__class__',
       'data.items']),
      some.text(max_size=9).filter(lambda x: not set(x) & set('\0=')))


def plan_training(changes):
  """All that training does with a config before it reads data."""
  config = parse.row_config([f'--config={CONFIG}', *(f'--config.{k}={v}' for k, v in changes)])
  settled = settle.settle(config)
  bounds.check(settled)
  return 'right'


def flag_lines(command):
  """Arguments of a command: some of its flags and of others, with any value."""
  names = [*flags.USES[command][1], 'nothing', '']
  return some.lists(some.tuples(some.sampled_from(names), VALUE), max_size=4).map(
      lambda pairs: [f'--{name}={value}' for name, value in pairs])


def plan_command(command, lines, place):
  """A command line is read, with what is checked before anything is loaded."""
  given = {'train': [f'--config={CONFIG}'], 'import': ['--source=cut']}.get(
      command, ['--workdir=starter'] if 'workdir' in flags.USES[command][1] else [])
  with contextlib.chdir(place):
    _, flag, config = parse.parse(['i2vjax', command, *given, *lines])
    commands.refuse_addresses(flag, command)
    preprocess.read_size(flag.size)
    export.check_formats(flag.format, 'gen')
    for text in (*flag.configs, *flag.row):
      experiments.parse_row(text)
    if command == 'app':
      server.check_port(flag.host, flag.port)
    if command == 'translate' and flag.rate is not None:
      outputs.rate_of(None, flag.rate, 'x.mp4', True)
  return 'right'


def prepare(lines, place):
  """The whole command on two little pictures; it may write to `out` alone."""
  shutil.rmtree(place / 'out', ignore_errors=True)
  for k in range(2):
    images.write_image(place / 'in' / f'{k}.png', np.full((8, 8, 1), k, np.uint8))
  with contextlib.chdir(place), contextlib.redirect_stdout(io.StringIO()):
    values = parse.parse(['i2vjax', 'prepare', f'--input={place}/in', f'--output={place}/out',
                          '--show=false', *lines])[1]
    code = commands.COMMANDS['prepare'](values, values.config, []) or errors.DONE
  return 'right' if code == errors.DONE else 'code'


def address(text):
  hub.parse(text)
  return 'right'


def cases(name, place):
  """A strategy of functions () -> word."""
  if name == 'fields':
    pair = some.tuples(field_names(), VALUE)
    return some.lists(pair, min_size=1, max_size=3).map(lambda x: lambda: plan_training(x))
  if name == 'flags':
    return some.sampled_from(sorted(flags.USES)).flatmap(lambda command: flag_lines(command).map(
        lambda lines: lambda: plan_command(command, lines, place)))
  if name == 'prepare':
    names = some.sampled_from(['domain', 'size', 'test_share', 'test_clips', 'on_damage',
                               'overwrite', 'as_drawn', 'deinterlace', 'config.data.max_gap',
                               'config.data.frames_per_image', 'config.data.clip_regex'])
    return some.lists(some.tuples(names, VALUE), max_size=3).map(
        lambda pairs: lambda: prepare([f'--{k}={v}' for k, v in pairs], place))
  return some.one_of(TEXT, TEXT.map(lambda x: f'hf:{x}'), TEXT.map(lambda x: f'hf:me/{x}')).map(
      lambda text: lambda: address(text))


def campaign(name, place, count, say=None):
  """Counter of outcomes of so many cases."""
  place, counts = pathlib.Path(place), collections.Counter()

  @hypothesis.settings(max_examples=count, database=None, derandomize=True, deadline=None,
                       suppress_health_check=list(hypothesis.HealthCheck))
  @hypothesis.given(cases(name, place))
  def run(case):
    word, text = fuzz_archives.outcome(case, '', place)
    counts[word] += 1
    if say and word not in fuzz_archives.GOOD:
      say(f'{name}: {word} {text[:300]}')
  run()
  return counts


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('names', nargs='*')
  parser.add_argument('--count', type=int, default=1000)
  options = parser.parse_args()
  for name in options.names or NAMES:
    with tempfile.TemporaryDirectory() as place:
      found = campaign(name, place, options.count, lambda text: print(text, flush=True))
      print(f'{name:12}', dict(found), flush=True)


if __name__ == '__main__':
  main()
