"""Measurements as Markdown tables: one for this machine, one for each target."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]


def number(value: float | None, unit: float = 1.0, digits: int = 3) -> str:
  """`value / unit` with so many digits that count; '' for what is not known."""
  if value is None or not math.isfinite(value):
    return ''
  value /= unit
  if value and abs(value) < 10**digits:
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return f'{value:.{decimals}f}'
  return f'{value:,.0f}'


def percent(value: float | None) -> str:
  """Share as '12 %'."""
  return '' if value is None or not math.isfinite(value) else f'{100 * value:.0f} %'


def name(row: Row) -> str:
  """The method, with its phase where it is not the only one, and what of its config was changed."""
  phase = row.get('phase', 'train')
  changes = [text.removeprefix('--config.') for text in row.get('asked', {}).get('overrides', ())]
  return ', '.join([row['method'].partition('@')[0], *([] if phase == 'train' else [phase]),
                    *changes])


def _of(key: str, unit: float = 1.0) -> Callable[[Row], str]:
  return lambda row: number(row.get(key), unit)


def _translated(side: str, key: str, unit: float = 1.0) -> Callable[[Row], str]:
  return lambda row: number(row.get('translate', {}).get(side, {}).get(key), unit)


def translations(rows: Iterable[Row]) -> tuple[Column, ...]:
  """Columns of the sizes that were translated."""
  sides = sorted({side for row in rows for side in row.get('translate', {})}, key=int)
  return tuple(column for side in sides for column in (
      (f'{side} px, frames/s', _translated(side, 'frames_per_second')),
      ('first, ms', _translated(side, 'latency_s', 1e-3))))


def _ratio(row: Row) -> str:
  return number(row['step_s'] / row['torch_s']) if row.get('torch_s') else ''


def _collectives(row: Row) -> str:
  listed = row.get('collectives', {}).items()
  return ', '.join(f"{each['count']} {kind} of {number(each['bytes'], 1e6)} MB"
                   for kind, each in listed)


def _pixels(row: Row) -> str:
  return 'x'.join(map(str, row['pixels']))


def _theirs(row: Row) -> str:
  return number(row['collectives_s'], 1e-3) if row.get('collectives') else ''


def _outcome(row: Row) -> str:
  """Whether it compiles and fits."""
  if not row['compiles']:
    return 'no'
  return 'yes' if row['fits'] else 'yes, too large'


HERE: tuple[Column, ...] = (
    ('method', name), ('batch', lambda row: str(row['batch'])),
    ('pixels', _pixels),
    ('step, s', _of('step_s')), ('frames/s', _of('frames_per_second')),
    ('PyTorch, s', _of('torch_s')), ('ours / PyTorch', _ratio),
    ('GFLOP', _of('flops', 1e9)), ('of products', lambda row: percent(row.get('share_products'))),
    ('of copies', lambda row: percent(row.get('share_copies'))),
    ('planned, GB', _of('planned', 1e9)), ('peak, GB', _of('peak', 1e9)),
    ('compile, s', _of('compile_s')))
AHEAD: tuple[Column, ...] = (
    ('method', name), ('target', lambda row: row['target']), ('compiles', _outcome),
    ('pixels', _pixels), ('batch a device', lambda row: str(row['batch'])),
    ('memory, GB', _of('memory', 1e9)), ('largest batch', lambda row: str(row.get('largest_batch',
                                                                                   ''))),
    ('kernels', _of('kernels')), ('TFLOP', _of('flops', 1e12)), ('GB moved', _of('bytes', 1e9)),
    ('least, ms', _of('roofline_s', 1e-3)), ('collectives', _collectives),
    ('theirs, ms', _theirs), ('compile, s', _of('compile_s')))


def markdown(rows: Iterable[Row]) -> str:
  """Tables of all rows, with what went wrong below."""
  rows = list(rows)
  here = [row for row in rows if row['target'] == 'here' and 'error' not in row]
  ahead = [row for row in rows if row['target'] != 'here' and 'error' not in row]
  parts = [table(HERE + translations(here), here), table(AHEAD, ahead)]
  parts += [f'{name(row)}, {row["target"]}: {row.get("error") or row.get("reason")}'
            for row in rows if 'error' in row or 'reason' in row]
  return '\n\n'.join(part for part in parts if part)


def table(columns: tuple[Column, ...], rows: list[Row]) -> str:
  """One Markdown table without the columns that no row has anything for; '' without rows."""
  if not rows:
    return ''
  cells = [[text(row) for _, text in columns] for row in rows]
  used = [k for k in range(len(columns)) if any(line[k] for line in cells)]
  lines = [[columns[k][0] for k in used], ['---'] * len(used)]
  lines += [[line[k] for k in used] for line in cells]
  return '\n'.join(f'| {" | ".join(line)} |' for line in lines)
