"""Mistakes of all rows, found before the first of them is trained.

What `train` and `evaluate` would refuse hours later, when the runs before are done: frames or maps
that are not there, weight files, scores that cannot be computed. Nothing is built and no device is
taken: it belongs to the runs.
"""

from __future__ import annotations

from collections.abc import Sequence

from ml_collections import ConfigDict

from i2vjax import methods
from i2vjax.compare import budgets
from i2vjax.compare.experiments import RunSpec
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches
from i2vjax.evaluation import plan, scoring_networks
from i2vjax.methods import base
from i2vjax.pretrained import registry
from i2vjax.run import bounds


def check(items: Sequence[RunSpec], done: Sequence[RunSpec] = ()) -> dict[str, plan.Plan]:
  """Refuse all rows that cannot be trained or scored.

  Args:
    items: the runs of the table.
    done: those of them that are trained already and only scored.

  Returns:
    {row: the scores that will be computed, and what of}.

  Raises:
    UserError: names every such row and its reason.
  """
  trained = {item.workdir for item in done}
  plans, reasons = {}, []
  for item in {item.row: item for item in reversed(items)}.values():
    try:
      if item.arguments is not None and item.workdir not in trained:
        trainable(item.config)
      plans[item.row] = plan.of_run(item.config)
    except (UserError, FileNotFoundError) as error:
      reasons.append(f'{item.row}: {error}')
  if reasons:
    raise UserError('nothing was trained, since some rows would be refused:\n  '
                    + '\n  '.join(reversed(reasons)))
  return plans


def trainable(config: ConfigDict) -> None:
  """Raise what `train` would: fields out of bounds, weight files, frames and maps."""
  bounds.check(config)
  method = methods.get(config.method)
  for _, weights in base.hook(method, 'frozen_networks')(config).values():
    entry = registry.entry(weights)
    if registry.lookup(config, entry.field) != 'random':
      registry.require(entry, config)
  method.networks(config)
  batches.train_windows(config.data, base.hook(method, 'batch_fields')(config))


def protocol(items: Sequence[RunSpec], plans: dict[str, plan.Plan], budget: str) -> list[str]:
  """What rows of a table have in common, in sentences: length, frames, what scores are against."""
  first = next(iter(plans.values()))
  data, settings = first.config.data, first.config.eval
  height, width = ops.hw(data.crop_size)
  places = {item.config.data.test_a or item.config.data.name or item.config.data.root
            or item.config.data.train_a or item.config.data.train_b for item in items}
  place = f' ({places.pop()})' if len(places) == 1 and data.source != 'scenes' else ''
  lines = [f'trained for {budgets.statement(items, budget)}',
           f'frames of {data.source}{place}, crops of {width} × {height} pixels']
  if {'fid', 'kid'} & set(first.names):
    degrees = f', KID of degree {", ".join(map(str, settings.kid_degrees))}'
    lines.append(f'FID and KID as {settings.fid_mode} has them, against {first.reference_name}'
                 + (degrees if 'kid' in first.names else '')
                 + (', random features' if scoring_networks.is_random(first.config) else ''))
  lines += networks(items)
  if all(item.config.eval.get('stretch') == 'minmax' for item in items):
    lines.append('each translated frame is stretched to the whole range before it is scored')
  if first.estimator:
    lines.append(f'motion of the source estimated by {first.estimator}')
  return lines


def networks(items: Sequence[RunSpec]) -> list[str]:
  """Batch and residual blocks, where all rows have the same: what papers say of a comparison."""
  batch_sizes = {item.config.data.batch for item in items}
  blocks = {residual_blocks(item.config) for item in items}
  facts = [f'batches of {batch_sizes.pop()}'] if len(batch_sizes) == 1 else []
  if len(blocks) == 1 and None not in blocks:
    facts.append(f'generators of {blocks.pop()} residual blocks')
  return [', '.join(facts)] if facts else []


def residual_blocks(config: ConfigDict) -> int | None:
  """Those of the generator; None where it has another form."""
  settings = config.get('gen', {})
  return settings.get('blocks') if settings.get('kind', 'resnet') == 'resnet' else None
