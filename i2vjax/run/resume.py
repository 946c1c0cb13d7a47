"""What may change when a run goes on in its folder."""

import logging
import pathlib

from ml_collections import ConfigDict

from i2vjax import fields
from i2vjax.core.errors import UserError
from i2vjax.methods import base
from i2vjax.run import checkpoint, phases, starter
from i2vjax.run import folder as run_folder

# Fields of methods that are younger than some runs, with the values that say what those runs did.
YOUNGER = {'gen.kind': 'resnet', 'gen.levels': 4, 'gan.g_form': 'nonsaturating',
           'vgg.content_norm': 'l1', 'temporal.directions': 'both', 'seg.boundary_floor': 0.0,
           'disc.kind': 'clip', 'disc.layers': 3, 'disc.down': 'stride'}   # disc: of gtc
ORIGIN = 'train.init_from'


def earlier_config(config: ConfigDict, workdir: pathlib.Path) -> ConfigDict | None:
  """The config of the run that `workdir` holds; None where it holds no checkpoint.

  Fields that differ and may do so are named in the log.

  Raises:
    UserError: `config` may not go on with that run; names every field that differs. Or the folder
      holds no run, but weights alone (run/starter.py).
  """
  if starter.is_starter(workdir):
    raise UserError(f'{workdir} holds weights without what a training needs to go on: give another '
                    f'--workdir, and --config.train.init_from={workdir} to begin at them')
  if not checkpoint.any_in(workdir):
    return None
  if not (workdir / 'config.json').is_file():
    raise UserError(f'{workdir} holds checkpoints but no config.json, which says what they belong '
                    'to: restore it from a copy, or give another --workdir')
  earlier = run_folder.read_config(workdir)
  for note in compare_configs(earlier, config):
    logging.warning('changed since this run began: %s', note)
  return earlier


def with_origin(config: ConfigDict, earlier: ConfigDict) -> ConfigDict:
  """A copy of the config that says where the run began, whatever it asks for now.

  A run that goes on has its weights from its checkpoint: the run it once began at is not read, and
  may be gone.
  """
  config, began = config.copy_and_resolve_references(), earlier.train.init_from
  if config.train.get('init_from', '') != began:
    logging.warning('train.init_from=%r is not looked at: this run goes on from its own '
                    'checkpoint, and began at %s', config.train.init_from,
                    began or 'initial weights')
  with config.unlocked():
    config.train.init_from = began
  return config


def compare_configs(earlier: ConfigDict, config: ConfigDict) -> list[str]:
  """Differences that a continued run may have (`fields.may_change_on_resume`), as lines of text.

  An empty field that one of them lacks was added or removed since, and is no difference.

  Raises:
    UserError: a field differs that changes the state or its meaning; names every such field.
  """
  old, new = run_folder.flatten(earlier), run_folder.flatten(config)
  old |= {name: value for name, value in YOUNGER.items() if name in new and name not in old}
  new[ORIGIN] = old.get(ORIGIN)   # see `with_origin`
  allowed: list[str] = []
  refused: list[str] = []
  for name in sorted(old.keys() | new.keys()):
    before, now = old.get(name), new.get(name)
    in_both = name in old and name in new
    if before == now or not (in_both or before or now):
      continue
    lines = allowed if fields.may_change_on_resume(name) else refused
    lines.append(f'{name}: {before!r} -> {now!r}')
  if refused:
    raise UserError('this run folder was trained with another config:\n  ' + '\n  '.join(refused)
                    + '\nuse the same values, or another --workdir')
  return allowed


def check_progress(earlier: ConfigDict, config: ConfigDict, method: base.Method, step: int,
                   per_epoch: int) -> None:
  """Refuse a length that would not fit the `step` that an earlier run has come to.

  Args:
    earlier: settled config of the run so far.
    config: settled config it shall go on with.
    method: its module.
    step: steps done.
    per_epoch: steps in an epoch of the data.

  Raises:
    UserError: another phase at this step; says which.
  """
  last_step = max(step - 1, 0)
  before = _phase_name(method, earlier, per_epoch, last_step)
  now = _phase_name(method, config, per_epoch, last_step)
  if before != now:
    raise UserError(
        f'train.steps or train.epochs: step {step} of this run is in the phase {before!r}, and '
        f'would be in {now!r} with the new length. Keep the length, or begin in another --workdir')


def _phase_name(method, config, per_epoch, step):
  return phases.phase_of(method, phases.with_steps_per_epoch(config, per_epoch), step)[1]
