"""FID and KID of a run's checkpoints at chosen epochs (`eval.epochs`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches
from i2vjax.evaluation import baselines
from i2vjax.evaluation.plan import Plan
from i2vjax.evaluation.report import text
from i2vjax.run import direction, load, phases
from i2vjax.run import folder as run_folder

NAMES = ('fid', 'kid', 'kid_street')   # scores that are followed over epochs


def curves(run: load.Run, plan: Plan, own: dict[str, float],
           score: Callable[[dict, Plan], dict]) -> tuple[dict, dict[str, str]]:
  """The scores of the checkpoints that were kept for `eval.epochs` (CPTrans, Fig. 6).

  Args:
    run: the run that is scored, of a run folder.
    plan: of its scores.
    own: {score: value} of the run itself, which needs no second look.
    score: (rows, plan) -> {score: value} of the first row.

  Returns:
    ({score: entry of 'curves' in scores.json}, {what is left out: why}). Both are empty where
    `eval.epochs` is.
  """
  if not run.config.eval.epochs:
    return {}, {}
  names = tuple(name for name in NAMES if name in plan.names)
  if run.workdir is None or not names:
    why = ('the run has no folder' if run.workdir is None
           else f'none of {", ".join(NAMES)} is computed')
    return {}, {'scores by epoch': why}
  try:
    steps = phases.steps_of_epochs(run.config, batches.steps_per_epoch(run.config))
  except (UserError, OSError) as error:
    return {}, {'scores by epoch': f'the steps in an epoch are not known here: {error}'}
  there = run_folder.steps_in(run.workdir)
  missing = [str(epoch) for epoch, step in steps.items() if step not in there]
  small = dataclasses.replace(plan, names=names, estimator='')
  values, left_out = {}, {}
  for epoch, step in steps.items():
    if step == run.step:
      values[epoch] = own
    elif step in there:
      try:
        other = at_step(run, step)
      except (UserError, OSError) as error:   # must not cost the scores that are known already
        left_out[f'scores by epoch at {epoch}'] = str(error)
        continue
      values[epoch] = score({'translated': baselines.translated(other)}, small)
  if missing:
    left_out[f'scores by epoch at {", ".join(missing)}'] = (
        'no checkpoint of that epoch: they are kept where --config.eval.epochs names them while '
        'the run trains')
  return _by_score(values, names), left_out


def _by_score(values, names):
  """{score: curve} of {epoch: {score: value}}."""
  found = {}
  for column in text.columns(values.values()):
    name = column.key
    if any(name.startswith(start) for start in names):
      at = [epoch for epoch, scores in values.items() if name in scores]
      found[name] = {'axis': 'epoch', 'at': at,
                     'rows': {'translated': [values[epoch][name] for epoch in at]}}
  return found


def at_step(run: load.Run, step: int) -> load.Run:
  """The same run with the parameters of another checkpoint; turned round if `run` is."""
  turned = run_folder.read_config(run.workdir).data.direction != run.config.data.direction
  config = direction.swap_domains(run).config if turned else run.config
  other = load.load(run.workdir, step, config, run.weights)
  return direction.swap_domains(other) if turned else other
