"""What a run that goes on in its folder may change, and what not."""

import logging

from i2vjax.core.errors import UserError
from i2vjax.run import checkpoint, phases, resume_rules
from i2vjax.run import folder as run_folder


def begun(config, workdir):
  """The config of the run that `workdir` holds, if `config` may go on with it; else None.

  Raises:
    ValueError: it may not; names every field that differs.
  """
  if not ((workdir / 'config.json').is_file() and checkpoint.any_in(workdir)):
    return None
  before = run_folder.read_config(workdir)
  for note in resume_rules.compare_configs(before, config):
    logging.warning('changed since this run began: %s', note)
  return before


def check(before, config, method, step, per_epoch):
  """Refuse what a config may not change in a run that goes on.

  Args:
    before, config: the run's settled config and the one asked for.
    method: its module. step: steps done. per_epoch: windows in an epoch.

  Raises:
    ValueError: other reading processes, or another phase at this step; says which.
  """
  if before.data.workers != config.data.workers:
    raise UserError(
        f'data.workers: {before.data.workers} -> {config.data.workers}: a run that goes on has to '
        'read with as many processes as before, or its batches would be others')
  was, now = (
    phases.phase_of(method, phases.with_steps_per_epoch(x, per_epoch), max(step - 1, 0))[1]
    for x in (before, config)
  )
  if was != now:
    raise UserError(
        f'train.steps or train.epochs: step {step} of this run is in the phase {was!r}, and would '
        f'be in {now!r} with the new length. Keep the length, or begin in another --workdir')
