"""All cases on all targets, kept in a file as they come.

Each is measured in a process of its own: the largest memory is one number a process, a compiler
that fails may take its process with it, and nothing should be measured in another's leftovers.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import jax

from i2vjax.bench import ahead, cases, here, table, targets
from i2vjax.core import files
from i2vjax.core.errors import UserError

HERE = 'here'


@dataclasses.dataclass(frozen=True)
class Options:
  """What is asked for, as the flags of the command.

  Attributes:
    batch: windows a device; 0: the config's.
    rounds, chunk, sizes, with_torch: see `here.measure`.
    largest_batch: see `ahead.measure`.
  """

  batch: int = 0
  rounds: int = 5
  chunk: int = 8
  sizes: tuple[int, ...] = (256, 512)
  with_torch: bool = False
  largest_batch: bool = False

  def flags(self, target: str) -> list[str]:
    """Those of a target on a command line."""
    if target != HERE:
      return [f'--batch={self.batch}', f'--largest_batch={self.largest_batch}']
    sizes = ','.join(map(str, self.sizes)) or '0'
    return [f'--batch={self.batch}', f'--rounds={self.rounds}', f'--sizes={sizes}',
            *[f'--chunk={self.chunk}'] * bool(self.sizes), f'--with_torch={self.with_torch}']


def measure(case: cases.Case, target: str, options: Options) -> dict[str, Any]:
  """One row, in this process.

  Raises:
    UserError: the target is none, or has no compiler here; no twin in PyTorch.
  """
  if target == HERE:
    return here.measure(case, options.batch, options.rounds, options.sizes, options.chunk,
                        options.with_torch)
  jax.config.update('jax_platforms', 'cpu')   # nothing runs, whatever device is here
  return ahead.measure(case, targets.parse(target), options.batch, options.largest_batch)


def all_of(listed: Sequence[cases.Case], asked: Sequence[str], options: Options,
           overrides: Sequence[str] = (), path: str | None = None, overwrite: bool = False,
           say: Callable[[str], None] = print) -> list[dict[str, Any]]:
  """Rows of all cases on all targets; one alone is measured in this process.

  Args:
    listed: cases.
    asked: targets.
    overrides: '--config.FIELD=VALUE' that the cases were read with.
    path: JSON file of rows, written after each of them. Rows that it holds are not measured again
      unless `overwrite`.
    say: told of each row that is done.

  Raises:
    UserError: see `measure`; or `path` holds something else.
  """
  rows = stored(path) if path and not overwrite else []
  asks = {**dataclasses.asdict(options), 'sizes': list(options.sizes),
          'overrides': list(overrides)}
  done = [key(row) for row in rows if 'error' not in row]
  todo = [(case, target) for target in asked for case in listed
          if (case.name, target, asks) not in done]
  for target in asked:
    if target != HERE:
      parsed = targets.parse(target)
      if target in {name for _, name in todo}:   # rows that are there need no compiler
        targets.require(parsed)
  for case, target in todo:
    alone = len(listed) * len(asked) == 1
    row = measure(case, target, options) if alone else in_child(case, target, options, overrides)
    row['asked'] = asks
    rows = [x for x in rows if key(x) != key(row)] + [row]
    if path:
      files.save_json(path, rows)
    say(f'{table.name(row)}, {target}: {_brief(row)}')
  return rows


def key(row: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
  """What a row is of: method, target, and all that was asked for."""
  return row['method'], row['target'], row.get('asked', {})


def _brief(row):
  if 'error' in row or not row.get('compiles', True):
    return row.get('error') or row['reason']
  seconds = row.get('step_s') or row['roofline_s']
  return f'{table.number(seconds)} s' + ('' if 'step_s' in row else ' at least')


def stored(path: str) -> list[dict[str, Any]]:
  """Rows of an earlier command; [] where there is no such file.

  Raises:
    UserError: the file holds something else.
  """
  if not pathlib.Path(path).exists():
    return []
  try:
    rows = json.loads(pathlib.Path(path).read_text('utf-8'))
    assert all({'method', 'target'} <= row.keys() for row in rows)
  except (ValueError, AssertionError, AttributeError, TypeError) as error:
    raise UserError(f'--json {path} holds no measurements: name another file') from error
  return rows


def in_child(case: cases.Case, target: str, options: Options,
             overrides: Sequence[str] = ()) -> dict[str, Any]:
  """The row of one case from a process of its own; {'error': ...} where that process failed."""
  with tempfile.TemporaryDirectory(prefix='i2vjax-bench-') as folder:
    path = os.path.join(folder, 'row.json')
    command = [sys.executable, '-m', 'i2vjax.main', 'bench', f'--methods={case.name}',
               f'--target={target}', f'--json={path}', *options.flags(target), *overrides]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                             errors='replace')
    try:
      _, said = child.communicate()
    finally:   # also where this process was interrupted
      child.kill()
      child.wait()
    if child.returncode:
      return {'method': case.name, 'phase': case.phase, 'target': target,
              'error': _reason(said, child.returncode)}
    return stored(path)[0]


def _reason(said, code):
  """The line that tells what went wrong."""
  lines = [line.strip() for line in said.splitlines() if line.strip()]
  telling = [line for line in lines if 'rror' in line or 'INTERNAL' in line]
  return (telling or lines or [f'ended with {code} and said nothing'])[-1][:300]
