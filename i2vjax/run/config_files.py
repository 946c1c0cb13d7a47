"""Find and read a config: one's own file, or the package's."""

from __future__ import annotations

import contextlib
import difflib
import functools
import importlib.util
import operator
import pathlib
import re
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from i2vjax.core import notes
from i2vjax.core.errors import UserError, did_you_mean

# In an installed package; in a checkout, also one that is installed with --editable, the folder
# stands beside the package (setup.py).
PLACES = tuple(above / 'configs' for above in pathlib.Path(__file__).parents[1:3])

# Fields that are an int, (height, width), or 'WIDTHxHEIGHT'.
SIZES = ('data.load_size', 'data.crop_size', 'data.scenes.size')


def folder() -> pathlib.Path:
  """The folder of the configs that come with i2vjax.

  Raises:
    FileNotFoundError: this installation has none.
  """
  for place in PLACES:
    if (place / 'cptrans.py').is_file():
      return place
  raise FileNotFoundError(f'{PLACES[0]}: this installation of i2vjax comes without its configs; '
                          'install it anew, or name a config file of your own')


def names() -> list[str]:
  """Names of the configs that come with i2vjax."""
  return sorted(path.stem for path in folder().glob('*.py'))


def find(text: str) -> str:
  """'FILE.py[:VARIANT]' of what a person wrote.

  Args:
    text: FILE.py[:VARIANT] by its path. Where no such file is here, 'cptrans[:VARIANT]' and
      'configs/cptrans.py[:VARIANT]' name the config that comes with i2vjax.

  Raises:
    UserError: neither is there; with the nearest name. Or the file is no config.
  """
  name, colon, variant = text.partition(':')
  path = pathlib.Path(name)
  if not path.is_file():
    stem = name.removeprefix('configs/').removesuffix('.py')
    if name not in (stem, f'configs/{stem}.py') or stem not in names():
      raise UserError(f'--config {name}: no such file.{_nearest(path)}')
    if name != stem:   # a person may believe it is the file that stands in another folder
      notes.say_once(f'{name} is not in this folder: taking the one that comes with i2vjax')
    path = folder() / f'{stem}.py'
    return f'{path}{colon}{variant}'
  if path.suffix != '.py':
    raise UserError(f'--config {name} is no config: those are Python files with a function '
                    'get_config, such as configs/cptrans.py')
  if 'get_config' not in path.read_text(encoding='utf-8', errors='replace'):
    raise UserError(f'--config {name} has no function get_config(variant)')
  return text


def _nearest(path):
  """The nearest name of a config, written as `path` is; or all there are."""
  ours = {stem: stem if path.parent == pathlib.Path() and not path.suffix else f'configs/{stem}.py'
          for stem in names()}
  here = {file.stem: str(file) for file in path.parent.glob('*.py')}
  there = {**ours, **here} if path.parent in (pathlib.Path(), pathlib.Path('configs')) else here
  close = difflib.get_close_matches(path.stem, there, n=1, cutoff=0.5)
  if close:
    return f' Did you mean {there[close[0]]!r}?'
  return f' With i2vjax come {", ".join(names())}; any other is named by its path'


def read(text: str) -> ConfigDict:
  """The config of what `find` finds.

  Raises:
    UserError: see `find`; a variant that the config does not have.
  """
  name, _, variant = find(text).partition(':')
  spec = importlib.util.spec_from_file_location('i2vjax_config', name)
  assert spec and spec.loader, 'the name ends in .py'
  module = importlib.util.module_from_spec(spec)
  try:
    spec.loader.exec_module(module)
    return module.get_config(variant or None)
  except SyntaxError as error:
    raise UserError(f'{error.filename}, line {error.lineno}: {error.msg}') from error
  except ValueError as error:   # configs refuse an unknown variant so
    raise UserError(str(error)) from error


def change(config: ConfigDict, changes: Mapping[str, Any]) -> ConfigDict:
  """A locked copy with other values.

  Args:
    config: of a method.
    changes: {'train.steps': 2}: as --config.train.steps=2 on the command line.

  Raises:
    UserError: no such field; or a value of another type.
  """
  config = config.copy_and_resolve_references()
  config.lock()
  for path, value in changes.items():
    if unknown := unknown_field(config, path):
      raise UserError(unknown)
    block, name = _place(config, path)
    sized = path in SIZES   # whose kind may change: `read_sizes`
    try:
      with block.ignore_type() if sized else contextlib.nullcontext():
        block[name] = value
    except (TypeError, ValueError) as error:
      kind = type(block[name]).__name__
      why = f'{error}' if block[name] is None else f'a value of type {kind} is asked for'
      raise UserError(f'{path}={value!r}: {why}') from error
  read_sizes(config)
  return config


def _place(config, path):
  """(the block that a field stands in, its name there)."""
  *blocks, name = path.split('.')
  return functools.reduce(operator.getitem, blocks, config), name


def read_sizes(config: ConfigDict) -> None:
  """Makes (512, 640) of a size of frames that was written '640x512', as films have it.

  Raises:
    UserError: it is neither a whole number, nor a pair of them, nor WIDTHxHEIGHT.
  """
  for path in SIZES:
    if unknown_field(config, path):   # of a config that has no such data
      continue
    block, name = _place(config, path)
    size = block[name]
    if isinstance(size, str) and (sides := re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', size)):
      with block.ignore_type():
        block[name] = size = (int(sides[2]), int(sides[1]))
    pair = size if isinstance(size, tuple | list) else (size, size)
    if len(pair) != 2 or not all(isinstance(side, int) for side in pair):
      raise UserError(f'--config.{path}={size}: write a whole number, or both sides: 640x512 '
                      '(width x height), which is the same as 512,640 (height, width)')


def unknown_field(config: ConfigDict, path: str) -> str:
  """'' where the config has the field 'block.name'; else what is wrong, with the nearest."""
  block = config
  for part in path.split('.'):
    if not hasattr(block, 'keys'):
      return f'no such config field: {path}, since {path.rpartition(".")[0]} is a value'
    if part not in block:
      return (f'no such config field: {path}.'
              + (did_you_mean(part, block.keys()) or f' There are {", ".join(block.keys())}'))
    block = block[part]
  return ''
