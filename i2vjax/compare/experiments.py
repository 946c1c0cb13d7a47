"""The runs of a comparison, and whether they belong in one table."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import shlex
from collections.abc import Callable, Sequence

from ml_collections import ConfigDict

from i2vjax import fields
from i2vjax.compare import budgets
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches
from i2vjax.run import config_files, phases, settle, starter
from i2vjax.run import folder as run_folder


@dataclasses.dataclass(frozen=True)
class Row:
  """A line of the table: its name, a config file with variant, and overrides of its fields."""

  name: str
  path: str
  overrides: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class RunSpec:
  """One run of the table.

  Attributes:
    row: name of its row. seed: its seed.
    workdir: its run folder. report: folder of its scores.
    config: settled, with the seed; of a run that was trained before, what it is scored with.
    total: the step it is scored at.
    arguments: of `train`; None: it was trained before and is only scored.
    per_epoch: steps in an epoch of its data; 0: not counted, the budget does not ask.
    changes: `--config.FIELD=VALUE` that a run which was trained before is scored with.
    stored: the config that such a run was trained with; None: `config`.
  """

  row: str
  seed: int
  workdir: pathlib.Path
  report: pathlib.Path
  config: ConfigDict
  total: int
  arguments: tuple[str, ...] | None = None
  per_epoch: int = 0
  changes: tuple[str, ...] = ()
  stored: ConfigDict | None = None

  def facts(self) -> dict:
    """{dotted field: value}: how it was trained, and what it is scored with."""
    return flat(self.stored or self.config) | {
        name: value for name, value in flat(self.config).items()
        if fields.field(name).role == 'score'}


def parse_row(text: str) -> Row:
  """The Row of 'NAME=FILE[:VARIANT] --config.FIELD=VALUE ...'; without NAME= it gets one.

  Raises:
    UserError: it is written otherwise.
  """
  name, mark, rest = text.partition('=')
  if '--config' in name or not mark:
    name, rest = '', text
  path, *overrides = shlex.split(rest) or ['']
  if not path or path.startswith('-') or not all(map(is_override, overrides)):
    raise UserError(f"--row {text!r}: write --row 'NAME=configs/METHOD.py:VARIANT "
                     "--config.FIELD=VALUE ...'")
  if not name:
    file, _, variant = path.partition(':')
    config = f'{pathlib.Path(file).stem} {variant}'.rstrip()
    changes = [override.removeprefix('--config.') for override in overrides]
    name = ' '.join([config, *changes])
  return Row(name.strip(), path, tuple(overrides))


def is_override(text: str) -> bool:
  """True for --config.FIELD=VALUE."""
  return text.startswith('--config.') and '=' in text


def slug(name: str) -> str:
  """A row's name as part of a folder's name."""
  return re.sub(r'[^a-z0-9]+', '-', name.lower()).strip('-') or 'row'


def plan(output: pathlib.Path, rows: list[Row], seeds: Sequence[int], common: Sequence[str],
         read: Callable[[Sequence[str]], ConfigDict], budget: str = 'steps') -> list[RunSpec]:
  """The runs of rows that are trained, first seed of all rows first.

  Args: see `compare.compare`.

  Raises:
    UserError: an override names the seed, or a folder holds another run.
  """
  overrides = list(common)
  for row in rows:
    overrides += row.overrides
  if any(re.match(r'--config\.seed\b', text) for text in overrides):
    raise UserError('--config.seed: the seeds of a table are given by --seeds 0,1,2')
  items = []
  for row in rows:
    arguments = (f'--config={row.path}', *with_changes(common, row.overrides))
    config = settle.settle(read(arguments))
    per_epoch = 0
    if budget == 'epochs' or not config.train.steps:
      per_epoch = batches.steps_per_epoch(config)
    total = phases.total_steps(config, per_epoch)
    for seed in seeds:
      seeded = config.copy_and_resolve_references()
      seeded.seed = seed
      folder = output / f'{slug(row.name)}-{seed}'
      items.append(RunSpec(row.name, seed, folder, folder / 'report', seeded, total,
                           (*arguments, f'--config.seed={seed}'), per_epoch))
      check_folder(items[-1])
  return sorted(items, key=lambda item: list(seeds).index(item.seed))


def with_changes(before: Sequence[str], after: Sequence[str]) -> tuple[str, ...]:
  """--NAME=VALUE arguments, each name once: those of `after`, and of `before` what it leaves."""
  changed = {text.partition('=')[0] for text in after}
  return (*(text for text in before if text.partition('=')[0] not in changed), *after)


def trained_runs(output: pathlib.Path, runs: Sequence[str], budget: str = 'steps',
                 planned: Sequence[RunSpec] = (), common: Sequence[str] = (),
                 read: Callable[[Sequence[str]], ConfigDict] | None = None) -> list[RunSpec]:
  """The runs of folders that were trained before; a row is named after its first folder.

  Runs that differ in nothing but their seed, and in what changes no score, share a row; two rows
  never share a name, even where their folders do.

  Args:
    output, budget: see `compare.compare`.
    runs: the folders; 'starter' and hf:OWNER/NAME are the weights that those name.
    planned: runs of `plan` in the same table: a run of the same config joins their row.
    common: `--config.FIELD=VALUE` of all rows; those that `changes_scores` are of runs too.
    read: arguments of `evaluate` -> config; needed with `common`.

  Raises:
    UserError: no row is trained, and one of `common` changes no score.
    FileNotFoundError: a folder holds no checkpoint, or its data are not here to count epochs of.
  """
  items, names = [], {same_row(item): item.row for item in planned}
  changes = tuple(filter(changes_scores, common)) if read else ()
  for run in runs:
    workdir = run_folder.locate(run)
    stored = run_folder.read_config(workdir)
    if not planned:
      refuse_idle(stored, [text for text in common if text not in changes])
    config = read([f'--workdir={workdir}', *changes]) if changes and read else stored
    steps = starter.steps_in(workdir)
    if not steps:
      raise FileNotFoundError(f'{workdir} holds no checkpoint yet: train first')
    taken = [item.row for item in (*planned, *items)]
    item = RunSpec('', config.seed, workdir, output, config, max(steps), changes=changes,
                   stored=stored)
    name = names.setdefault(same_row(item), free_name(run, config.seed, taken))
    if any((item.row, item.seed) == (name, config.seed) for item in (*planned, *items)):
      name = free_name(run, None, taken)
    report = output / f'{slug(name)}-{config.seed}' / 'report'
    per_epoch = batches.steps_per_epoch(stored) if budget == 'epochs' else 0
    items.append(dataclasses.replace(item, row=name, report=report, per_epoch=per_epoch))
  return items


def changes_scores(override: str) -> bool:
  """True for --config.FIELD=VALUE of the test data, of scores or of their speed."""
  name = field_of(override)
  return name.startswith(('data.', 'eval.')) and not fields.shapes_networks(name) and (
      fields.field(name).role in ('score', 'speed') or fields.must_agree_in_table(name)
      or name == 'data.scenes.size')


def field_of(override: str) -> str:
  """'data.flip' of --config.data.flip=true."""
  return override.partition('=')[0].removeprefix('--config.')


def refuse_idle(config: ConfigDict, overrides: Sequence[str]) -> None:
  """Raises UserError where there is any of these overrides of what only training reads."""
  if overrides:
    text = overrides[0]
    raise UserError(config_files.unknown_field(config, field_of(text)) or (
        f'{text} does nothing where no row is trained: --runs are scored as they were trained, on '
        'other test data where --config.data.FIELD says so. Leave it away'))


def same_row(item: RunSpec) -> str:
  """A text that two runs share if they are seeds of one row.

  Without the fields that change neither training nor scores, nor `train.per_epoch`, which is
  filled in as training starts and follows from the data.
  """
  telling = {name: value for name, value in item.facts().items()
             if fields.field(name).role not in ('output', 'speed')
             and name not in ('seed', 'train.per_epoch')}
  return json.dumps(telling | {'total': item.total}, sort_keys=True)


def free_name(run: str, seed: int | None, taken: Sequence[str]) -> str:
  """The shortest name of a row, after its folder, that no row has: 'cut', 'y/cut', 'y/cut-1'.

  Names that differ in signs alone count as one, since their reports would share a folder.

  Args:
    run: the first run of the row, as it was given.
    seed: left out of the name where it ends the folder's; None: kept.
    taken: names of other rows.
  """
  slugs, names = set(map(slug, taken)), [pathlib.Path(run).resolve().name, str(pathlib.Path(run))]
  if seed is not None:
    names = [*(name.removesuffix(f'-{seed}') for name in names), names[-1]]
  return next((name for name in names if slug(name) not in slugs), names[-1])


def flat(config: ConfigDict) -> dict:
  """{dotted field: value} as config.json holds them."""
  return run_folder.flatten(json.loads(config.to_json_best_effort()))


def scoring_changes(item: RunSpec) -> dict:
  """{field of `eval`: value} in which a trained row differs from what its run folder says."""
  old, new = run_folder.read_config(item.workdir).eval, item.config.eval
  return {name: new[name] for name in old if name in new and old[name] != new[name]}


def scored_config(item: RunSpec) -> ConfigDict:
  """The config that `evaluate` has when it scores the run for this row."""
  if item.arguments is None:
    return item.config
  config = run_folder.read_config(item.workdir)
  with config.ignore_type():
    config.eval.update(scoring_changes(item))
  return config


def unique_folders(items: list[RunSpec]) -> None:
  """Raises UserError where two runs share a folder or would, or there is no run at all."""
  if not items:
    raise UserError('compare needs rows: --configs A.py:demo,B.py:demo, --row ..., or --runs ...')
  item_of_folder, item_of_run = {}, {}
  for item in items:
    other = item_of_run.setdefault(item.workdir.resolve(), item)
    if other is not item and item.arguments is None:
      raise UserError(f'--runs: {item.workdir} is in the table already, as row {other.row!r}, '
                      f'seed {other.seed}; name it once')
    other = item_of_folder.setdefault(item.report, item)
    if other is not item:
      raise UserError(f'two rows would share {item.report.parent}: {other.row!r} and '
                       f"{item.row!r}; give them names of their own (--row 'NAME=...')")


def check_folder(item: RunSpec) -> None:
  """Raises UserError where the folder holds another run than the row asks for.

  A folder without a checkpoint holds no run yet: a training that ended before its first one starts
  again. Fields that only one of the two configs has came into the program, or left it, since the
  run was trained, and are no reason to refuse it.
  """
  path = item.workdir / 'config.json'
  if not path.is_file() or not run_folder.steps_in(item.workdir):
    return
  old, new = flat(run_folder.read_config(item.workdir)), flat(item.config)
  changed = [f'{name}: {old[name]!r} there, {new[name]!r} asked for'
             for name in sorted(old.keys() & new.keys())
             if old[name] != new[name] and not fields.may_differ_in_folder(name)]
  if changed:
    raise UserError(f'{item.workdir} holds another run than row {item.row!r} asks for:\n  '
                     + '\n  '.join(changed) + '\nuse the same values, or another --output')


# ---- what may stand in one table --------------------------------------------------------------

# Fields that rows share, but for runs that are only scored: scores do not depend on them. (Of the
# street the segmentation network that judges depends on the training clips.)
TRAINED_ON = ('data.train_a', 'data.train_b', 'data.scenes.val_clips')


def alike(item: RunSpec) -> dict:
  """{field: value} that rows which are trained must share: data, and protocol of the scores."""
  return _alike(item.stored or item.config, item.facts())


def scored_alike(item: RunSpec) -> dict:
  """{field: value} that runs which are only scored must share: what they are scored on and how."""
  data, idle = item.config.data, set(TRAINED_ON)
  if data.source == 'folders':
    idle |= {'data.paired'} | ({'data.root'} if data.test_a and data.test_b else set())
  return {name: value for name, value in _alike(item.config, flat(item.config)).items()
          if name not in idle}


def _alike(config, facts):
  facts = {name: value for name, value in facts.items() if fields.must_agree_in_table(name)}
  facts['data.task'] = config.data.get('task', 'translate')   # a field of some methods alone
  facts['data.crop_size'] = ops.hw(config.data.crop_size)
  if config.data.source == 'scenes':
    facts['data.scenes.size, or else data.load_size,'] = ops.hw(
        config.data.scenes.size or config.data.load_size)
  else:
    facts = {name: value for name, value in facts.items() if not name.startswith('data.scenes.')}
  return facts


def check_alike(items: list[RunSpec], allow_different: bool, budget: str = 'steps') -> list[str]:
  """Notes on what differs between rows; what makes scores incomparable is refused.

  Rows that are trained share data and budget, so that the method alone differs. Where all rows are
  runs that were trained before, they must be scored alike, and how they were trained is noted:
  nothing can change it any more.

  Args:
    items: the runs.
    allow_different: note it instead.
    budget: of `budgets.BUDGETS`: what every row is trained with as much of.

  Raises:
    UserError: names field, rows and values.
  """
  first = {item.row: item for item in reversed(items)}   # seeds of a row share all of this
  rows = list(reversed(first.values()))
  lines = differences(rows, alike) + budgets.differences(rows, budget)
  trained = []
  if all(item.arguments is None for item in rows):
    told = [line.partition(' (as many')[0] for line in lines]
    lines = differences(rows, scored_alike)
    trained = [f'Their own configs differ: {line}' for line in told if line not in lines]
  if lines and not allow_different:
    raise UserError('these rows do not belong in one table:\n  ' + '\n  '.join(lines) +
                     '\ngive all rows the same (--config.FIELD=VALUE), or say --allow_different')
  return [f'Not comparable: {line}' for line in lines] + trained + differences(rows, lambda item: {
      name: value for name, value in flat(item.config).items() if fields.noted_in_table(name)})


def differences(items: list[RunSpec], facts: Callable[[RunSpec], dict]) -> list[str]:
  """['FIELD is 1 in row A, C and 2 in row B', ...] of the fields in which rows differ.

  A field that a method does not have counts as 'none'.
  """
  fields_of_row = {item.row: facts(item) for item in items}
  lines = []
  for name in sorted(set().union(*fields_of_row.values())):
    value_of_row = {row: str(values.get(name, 'none')) for row, values in fields_of_row.items()}
    if len(set(value_of_row.values())) > 1:
      lines.append(f'{name} is {budgets.by_value(value_of_row)}')
  return lines
