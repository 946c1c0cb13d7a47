"""Write and read the config of a run folder."""

import difflib
import json
import math
import os
import pathlib
import time
from typing import Any

import ml_collections
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError, did_you_mean
from i2vjax.data.io import output_paths
from i2vjax.data.sources import locate as places
from i2vjax.run import hub

# Config fields by the names that earlier versions gave them: {method: {old: new}}.
OLD_NAMES = {'stc': {'weights.gan': 'weights.adversarial'},
             'mocyclegan': {'weights.gan': 'weights.adversarial'},
             'morngan': {'cgr.unlabelled': 'cgr.unlabeled'}}
# Values by the names that earlier versions gave them: {field: {old: new}}.
OLD_VALUES = {'data.task': {'colour': 'color'}}
OLD_WORDS = {'colour': 'color'}   # the same for the words of a variant, which '-' joins
MOST_BYTES = 2**22    # of a config.json
STARTER = 'starter'   # in place of a run folder: the trained weights that come with the package
STARTER_FOLDER = pathlib.Path(__file__).parents[1] / 'starter'


def locate(workdir: str | pathlib.Path) -> pathlib.Path:
  """The folder that a command line names.

  The word 'starter' is the one inside the package, hf:OWNER/NAME a copy of a repository
  (run/hub.py). A folder of one's own with such a name is './starter', or a pathlib.Path.

  Raises:
    UserError: this version of the package has no starter; see `hub.locate`.
  """
  if hub.is_address(workdir):
    return hub.locate(str(workdir))
  if workdir != STARTER:   # a Path never equals a str
    return pathlib.Path(workdir)
  if not (STARTER_FOLDER / 'config.json').is_file():
    raise UserError('this installation of i2vjax comes without starter weights (no '
                    f'{STARTER_FOLDER}): train a run and name its folder; a folder of your own '
                    f'called {STARTER} is ./{STARTER}')
  return STARTER_FOLDER


def is_read_only(workdir: str | os.PathLike[str]) -> bool:
  """True for what names no folder of the user: nothing is written there."""
  return workdir == STARTER or hub.is_address(workdir)


def refuse_read_only(workdir: str | os.PathLike[str], remedy: str) -> None:
  """Raises UserError where a run would be written to what comes with the package, or the hub.

  Args:
    workdir: as it was given. remedy: what to do instead.
  """
  if not is_read_only(workdir):
    return
  if workdir != STARTER:
    raise UserError(f'--workdir {workdir} is a repository, which is only read: {remedy}')
  raise UserError(f'--workdir {workdir} names the weights that come with i2vjax, which are only '
                  f'read: {remedy}; a folder of that name here is ./{workdir}')


def check_place(workdir: str | pathlib.Path, config: ConfigDict) -> None:
  """Refuse a run folder among the frames of the run: its sample sheets are pictures.

  Raises:
    UserError: it is inside them, or a file by its name. OSError: nothing can be written there.
  """
  output_paths.check_folder_name(workdir, '--workdir')
  places.check_apart(config.data, workdir, '--workdir')
  if parallel.is_main():
    output_paths.check_writable(workdir)


def check_shared(workdir: pathlib.Path, patience: float = 30.0) -> None:
  """Refuse a run folder that is not the same on all hosts: each would keep a part of the run.

  Args:
    workdir: it exists on each.
    patience: seconds that a file may take to show on the other hosts (network folders cache).

  Raises:
    UserError: on all processes, if one of them does not see what the main process wrote.
  """
  if parallel.process()[1] == 1:
    return
  mark = workdir / '.seen_by_all_hosts'
  if parallel.is_main():
    mark.touch()
  parallel.barrier('mark')
  end = time.monotonic() + patience
  while not mark.exists() and time.monotonic() < end:
    time.sleep(0.1)
  missing = parallel.any_process(not mark.exists())   # all have looked: it can go
  if parallel.is_main():
    mark.unlink()
  if missing:
    raise UserError(f'--workdir {workdir} is not the same folder on all hosts of this run: give '
                    'one that all of them see (NFS, a Filestore share, a mounted bucket)')


def write_config(workdir: str | pathlib.Path, config: ConfigDict) -> None:
  """Store the whole config in the run folder."""
  files.save_json(pathlib.Path(workdir) / 'config.json',
                   json.loads(config.to_json_best_effort()))


def read_config(workdir: str | pathlib.Path) -> ConfigDict:
  """The config of a run folder, with tuples and empty fields as `defaults` has them.

  Fields of `data` and `eval`, `critic`, `precision`, `optim.warmup` and `train.init_from` that are
  younger than the run get their defaults, which stand for what its version did.

  Raises:
    FileNotFoundError: not a run folder.
    UserError: the file is damaged; see `locate`.
  """
  path = locate(workdir) / 'config.json'
  if not path.is_file():
    raise FileNotFoundError(f'{workdir} is no run folder: it has no config.json. --workdir must '
                            'name the folder a training run was given.'
                            + did_you_mean(str(workdir), _places_like(workdir)))
  try:
    return _completed(ml_collections.ConfigDict(_tuples(_renamed(_stored(path)))))
  except (ValueError, TypeError, LookupError, AttributeError, OverflowError,
          RecursionError) as error:
    raise UserError(f'{path} is damaged ({str(error)[:200]}); restore it from a copy') from error


def _places_like(workdir):
  """What may have been meant by a place that is no run folder."""
  place = pathlib.Path(workdir)
  beside = [path.parent for path in place.parent.glob('*/config.json')]
  alike = difflib.get_close_matches(place.name, [path.name for path in beside], 1)
  return [STARTER, *(str(path) for path in beside if path.name in alike)]


def _completed(config):
  _reopen_placeholders(config, defaults.get_config())
  if 'optim' in config:
    config.critic = config.get('critic', defaults.critic())
    config.optim.warmup = config.optim.get('warmup', 0)
  if 'compute' in config:
    config.precision = config.get('precision', 'default')
  if 'train' in config:
    config.train.init_from = config.train.get('init_from', '')
  for block, fields in (('data', defaults.data()), ('eval', defaults.evaluation())):
    if block in config:
      _fill(config[block], fields)
  # Of runs of earlier versions, which kept them as they were typed: below the folder of today.
  return places.with_absolute(config) if 'data' in config else config


def _fill(block, fields):
  """Give a block the fields that it lacks, and so the blocks in it."""
  for name, value in fields.items():
    if name not in block:
      block[name] = value
    elif isinstance(value, ConfigDict):
      _fill(block[name], value)


def _stored(path):
  """The tree of a config.json, its blocks and numbers where `defaults` has such.

  Anybody may have written it: it is data, and nothing in it is run.
  """
  if path.stat().st_size > MOST_BYTES:
    raise ValueError(f'{path.stat().st_size} bytes')
  stored = json.loads(path.read_text('utf-8'))
  if not isinstance(stored, dict):
    raise ValueError('it is not the config of a training run')
  _check_kinds(stored, defaults.get_config())
  return stored


def _check_kinds(stored, template, prefix=''):
  """Refuse a text in the place of a number, and the like; fields of methods are not known here."""
  for name in template:
    value, kind = stored.get(name), template.get_type(name)
    if name not in stored or (value is None and kind is not ml_collections.ConfigDict):
      continue
    if isinstance(value, dict) != (kind is ml_collections.ConfigDict):
      raise ValueError(f'{prefix}{name}: a block and a value are mixed up')
    if isinstance(value, dict):
      _check_kinds(value, template[name], f'{prefix}{name}.')
    elif kind in (int, float, bool) and not (
        isinstance(value, int | float) and math.isfinite(value)
        and (kind is not int or value == int(value))):
      raise ValueError(f'{prefix}{name}={str(value)[:80]!r} is no number that it takes')


def _renamed(stored):
  """The stored tree under today's names and values."""
  if not isinstance(stored, dict):
    return stored
  for old, new in OLD_NAMES.get(stored.get('method'), {}).items():
    (block, name), (_, today) = old.split('.'), new.split('.')
    if name in stored.get(block, {}):
      stored[block][today] = stored[block].pop(name)
  for field, values in OLD_VALUES.items():
    block, name = field.split('.')
    value = stored.get(block, {}).get(name)
    if isinstance(value, str):
      stored[block][name] = values.get(value, value)
  words = (stored.get('variant') or '').split('-')
  return {**stored, 'variant': '-'.join(OLD_WORDS.get(word, word) for word in words)}


def _tuples(value):
  if isinstance(value, dict):
    return {key: _tuples(item) for key, item in value.items()}
  return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def _reopen_placeholders(config, template):
  """Empty fields get their type back, so that a command line may fill them."""
  for name in template:
    if isinstance(template[name], ml_collections.ConfigDict) and name in config:
      _reopen_placeholders(config[name], template[name])
    elif template[name] is None and config.get(name) is None:
      with config.ignore_type():
        config[name] = ml_collections.config_dict.placeholder(template.get_type(name))


def flatten(config: ConfigDict | dict, prefix: str = '') -> dict[str, Any]:
  """{dotted field: value} of a config."""
  flat: dict[str, Any] = {}
  for name, value in config.items():
    if isinstance(value, (ml_collections.ConfigDict, dict)):
      flat |= flatten(value, f'{prefix}{name}.')
    else:
      flat[prefix + name] = list(value) if isinstance(value, tuple) else value
  return flat


def steps_in(workdir: str | pathlib.Path) -> set[int]:
  """Steps of the checkpoints in a run folder, readable or not."""
  names = [path.name for path in pathlib.Path(workdir, 'checkpoints').glob('*')]
  return {int(name) for name in names if name.isascii() and name.isdigit()}
