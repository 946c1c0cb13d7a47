"""Checkpoints of a run folder: save, restore, the newest, the best.

Orbax writes up to six items, which have these names on disk: `params`, `ema` (averages of weights,
where they are kept), `extra` (`State.model_state`, step and key), `opt`, `local`
(`State.device_state`, one entry per device of all processes) and `data` (position of the input).
What is saved are host copies, so the donated state may move on while orbax writes. A save is
complete or absent: orbax writes beside and renames.
"""

import functools
import logging
import math
import os
import pathlib
import shutil
from collections.abc import Iterable

import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict
from orbax.checkpoint import checkpoint_managers

from i2vjax.core import files, parallel
from i2vjax.core.errors import NonFinite, UserError
from i2vjax.core.state import State
from i2vjax.metrics import score_names
from i2vjax.run import checksums
from i2vjax.run import folder as run_folder

# ---- Which checkpoint is the best -------------------------------------------------------------

# Scores that may decide it: 1 where more is better, -1 where less is.
SIGN_OF_SCORE = {'psnr': 1, 'ssim': 1, 'warping_mse': -1, 'warping_euclidean': -1,
                 'brightness_jitter': -1}


def best_score(config: ConfigDict) -> str | None:
  """Name of the score that decides which checkpoint is the best (`train.best`), or None.

  Raises:
    UserError: `train.best` is no score that is known while training.
  """
  best = config.train.best
  if best not in ('auto', 'none', *SIGN_OF_SCORE):
    raise UserError(f"train.best='{best}': choose auto (psnr), none, {', '.join(SIGN_OF_SCORE)}")
  if not config.eval.every or best == 'none':
    return None
  return 'psnr' if best == 'auto' else best


def full_score_name(best: str, scores: Iterable[str]) -> str | None:
  """The name that the score `best` has in `scores`, such as 'warping_mse[tvl1]', or None."""
  return score_names.find(best, scores)


def _signed_score(best, metrics):
  """The score of a checkpoint that decides, with a sign that makes more better.

  One without that score, of a training that was scored otherwise before, is worse than any, and so
  is NaN, beside which orbax would sort the others in any order.
  """
  name = full_score_name(best, metrics)
  if name is None or math.isnan(metrics[name]):
    return -math.inf
  return SIGN_OF_SCORE[best] * metrics[name]


# Errors of the system that mean a damaged checkpoint; others mean that the disk does not answer.
DAMAGE = (FileNotFoundError, NotADirectoryError, IsADirectoryError)

# ---- Save and restore -------------------------------------------------------------------------


def any_in(workdir: str | pathlib.Path) -> bool:
  """True if a run folder holds a checkpoint, readable or not."""
  return bool(run_folder.steps_in(workdir))


def _worth_saying(record: logging.LogRecord) -> bool:
  """False for what orbax warns of at every save without scores, where nothing is wrong."""
  return 'tracked_metric' not in record.getMessage()


def manager(workdir: str | pathlib.Path, train: ConfigDict | None = None,
            best: str | None = None, steps: Iterable[int] = ()) -> ocp.CheckpointManager:
  """Orbax manager of a run: what of it is kept.

  Args:
    workdir: run folder.
    train: config block: the newest `train.keep` are kept, and what a killed run had not finished is
      taken away; None: nothing is removed.
    best: from `best_score`: the best by that score is kept too; None: none is.
    steps: so are the checkpoints of these steps.
  """
  logging.getLogger('absl').addFilter(_worth_saying)   # the same filter twice is one
  policies: list[checkpoint_managers.PreservationPolicy] = [
      checkpoint_managers.LatestN(train.keep if train else None),
      checkpoint_managers.CustomSteps(list(steps))]
  signed_score = functools.partial(_signed_score, best) if best else None
  if signed_score:
    policies.append(checkpoint_managers.BestN(
        get_metric_fn=signed_score, n=1, keep_checkpoints_without_metrics=False))
  names = ('params', 'ema', 'extra', 'opt', 'local')
  handlers: dict[str, ocp.CheckpointHandler] = {
      name: ocp.StandardCheckpointHandler() for name in names}
  handlers['data'] = ocp.JsonCheckpointHandler()
  path = pathlib.Path(workdir).absolute() / 'checkpoints'
  return ocp.CheckpointManager(path, item_handlers=handlers, options=ocp.CheckpointManagerOptions(
      preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
      best_fn=signed_score, best_mode='max', cleanup_tmp_directories=train is not None))


def _items(state):
  """A state as the items of a checkpoint: trees of host arrays."""
  key = parallel.to_host(jax.random.key_data(state.key))
  items = {'params': parallel.to_host(state.params), 'opt': parallel.to_host(state.opt),
           'extra': {'extra': parallel.to_host(state.model_state), 'key': key,
                     'step': np.asarray(state.step)}}
  if state.ema:
    items['ema'] = parallel.to_host(state.ema)
  device_state = parallel.gather_local(state.device_state)
  if jax.tree.leaves(device_state):
    items['local'] = device_state
  return items


def save(checkpoints: ocp.CheckpointManager, state: State, position: dict,
         metrics: dict[str, float] | None = None) -> int:
  """Start writing a checkpoint of `state` and the input's `position`; returns its step.

  Nothing is written where there is one of this step already.

  Raises:
    NonFinite: a parameter is no number; no checkpoint is written.
    OSError: the disk is full; older checkpoints are untouched.
  """
  step = int(state.step)
  if step in checkpoints.all_steps():
    return step
  trees = _items(state)
  _refuse_broken(trees['params'], step)
  items = {name: ocp.args.StandardSave(tree) for name, tree in trees.items()}
  try:
    checkpoints.save(step, metrics=metrics, force=True, args=ocp.args.Composite(
        **items, data=ocp.args.JsonSave(checksums.with_checksums(position, trees))))
  except (OSError, ValueError) as error:
    raise explained(error, checkpoints.directory) from error
  return step


def _refuse_broken(params, step):
  for path, leaf in jax.tree.leaves_with_path(params):
    if not np.all(np.isfinite(leaf)):
      raise NonFinite(f'after step {step} the parameter {jax.tree_util.keystr(path)} is not finite')


def finish(checkpoints: ocp.CheckpointManager) -> None:
  """Wait until everything is on disk."""
  try:
    checkpoints.wait_until_finished()
  except (OSError, ValueError) as error:
    raise explained(error, checkpoints.directory) from error


def explained(error: Exception, place: str | os.PathLike[str]) -> Exception:
  """The error to raise where a run could not be written: one that names the place and what is left.

  Args:
    error: of orbax or the system. place: what was written to.
  """
  if not files.disk_full(error):
    return error
  return files.disk_full_error(place, 'what was being written there is lost, older checkpoints are '
                               'intact. Mend that and start again', error)


def restore(checkpoints: ocp.CheckpointManager, state: State) -> tuple[State, dict] | None:
  """The newest checkpoint that can be read, as (state, position); None where there is none.

  Newer ones than that are moved to `damaged/` in the run folder, with a line in the log.

  Args:
    checkpoints: from `manager`.
    state: a fresh state of the same config; gives structure and shapes.

  Raises:
    UserError: there are checkpoints and none can be read; they are left as they are.
    OSError: the disk does not answer.
  """
  reasons = {}
  for step in sorted(checkpoints.all_steps(), reverse=True):
    try:
      restored = _restore_step(checkpoints, step, state)
    except Exception as error:   # a changed byte shows as any error of orbax, zarr or JSON
      if isinstance(error, OSError) and not isinstance(error, DAMAGE):
        raise
      reasons[step] = str(error).strip().split('\n')[0][:200] or type(error).__name__
      continue
    for newer, reason in reasons.items():
      _set_aside(checkpoints, newer, reason)
    return restored
  if reasons:
    raise UserError(
        f'none of the checkpoints {sorted(reasons)} in {checkpoints.directory} can be read '
        f'({reasons[max(reasons)]}): they are damaged, or another version or config wrote them. '
        'Nothing was changed. Restore them from a copy, or begin anew in another --workdir')
  return None


def _restore_step(checkpoints, step, state):
  templates = _items(state)
  missing = ('local',) if has_averages(checkpoints, step) else ('local', 'ema')
  arguments = {name: ocp.args.StandardRestore(tree) for name, tree in templates.items()
               if name not in missing}
  items = checkpoints.restore(step, args=ocp.args.Composite(
      **arguments, data=ocp.args.JsonRestore()))
  position, sums = checksums.split(items['data'])
  checksums.check(sums, {name: items[name] for name in arguments})
  extra = items['extra']
  restored = State(
      params=items['params'], opt=items['opt'], model_state=extra['extra'],
      device_state=_restore_device_state(checkpoints, step, state, templates, sums),
      step=np.int32(extra['step']), key=jax.random.wrap_key_data(extra['key']),
      ema=_restore_averages(items, state, checkpoints, step))
  return restored, position


def _restore_averages(items, state, checkpoints, step):
  """The averages of weights to go on with; a run that had none begins them at its weights."""
  if state.ema and not has_averages(checkpoints, step):
    logging.warning('checkpoint %d has no averages of weights (train.ema): they begin at its '
                    'weights', step)
    return parallel.to_host({name: items['params'][name] for name in state.ema})
  if not state.ema and has_averages(checkpoints, step):
    logging.warning('checkpoint %d has averages of weights, and train.ema=0: from here on none '
                    'are kept', step)
  return items['ema'] if state.ema else {}


def _restore_device_state(checkpoints, step, state, templates, sums):
  """This process's share of the per-device trees, or fresh ones on another number of devices."""
  if 'local' not in templates:
    return state.device_state
  saved = checkpoints.item_metadata(step)['local']
  devices = jax.tree.leaves(saved)[0].shape[0]
  if devices != parallel.device_count():
    logging.warning('checkpoint %d was made on %d devices, this run has %d: image pools start '
                    'anew', step, devices, parallel.device_count())
    return state.device_state
  local = checkpoints.restore(step, args=ocp.args.Composite(
      local=ocp.args.StandardRestore(templates['local'])))['local']
  checksums.check(sums, {'local': local})
  return parallel.own_share(local)


def _set_aside(checkpoints, step, reason):
  folder = pathlib.Path(checkpoints.directory)
  logging.warning('checkpoint %d cannot be read (%s): moved to %s, going back one', step, reason,
                  folder.parent / 'damaged')

  def move():
    if (folder / str(step)).exists():
      (folder.parent / 'damaged').mkdir(exist_ok=True)
      shutil.move(folder / str(step), folder.parent / 'damaged' / str(step))
  parallel.main_first(move)
  checkpoints.reload()


# ---- Which checkpoint, which weights ----------------------------------------------------------


def has_averages(checkpoints: ocp.CheckpointManager, step: int) -> bool:
  """True if a checkpoint holds averages of weights."""
  return (pathlib.Path(checkpoints.directory) / str(step) / 'ema').is_dir()


def which_weights(checkpoints: ocp.CheckpointManager, step: int, weights: str) -> str:
  """'ema' or 'raw' for 'auto', 'ema' or 'raw'.

  Raises:
    UserError: no such kind, or no averages in this checkpoint.
  """
  if weights not in ('auto', 'ema', 'raw'):
    raise UserError(f'--weights {weights}: choose auto, ema or raw')
  averaged = has_averages(checkpoints, step)
  if weights == 'ema' and not averaged:
    raise UserError(f'--weights ema: checkpoint {step} of {checkpoints.directory} has no averages '
                     'of weights; it was trained with train.ema=0. Take --weights raw')
  return 'ema' if averaged and weights != 'raw' else 'raw'


def which_step(checkpoints: ocp.CheckpointManager, which: str | int,
               best: str | None = None) -> int:
  """Step number of 'latest', 'best' or a number as text.

  Args:
    checkpoints: from `manager`. which: which one. best: the score that `manager` was given.

  Raises:
    FileNotFoundError: no such checkpoint; lists those there are.
    UserError: none has the score `best`; lists those there are.
  """
  steps = sorted(checkpoints.all_steps())
  if not steps:
    raise FileNotFoundError(f'{checkpoints.directory} holds no checkpoint yet: train first')
  if which == 'best':
    step = checkpoints.best_step()
    if step is None:
      raise FileNotFoundError('--checkpoint best: no checkpoint was scored while training '
                              '(--config.eval.every=STEPS, with paired test frames)')
    _refuse_unscored(checkpoints, step, best)
    return step
  if which == 'latest':
    return steps[-1]
  text = str(which)
  if not (text.isdecimal() and len(text) < 19) or int(which) not in steps:
    raise FileNotFoundError(f'--checkpoint {which}: there are latest, best and steps '
                            + ', '.join(map(str, steps)))
  return int(which)


def _refuse_unscored(checkpoints, step, best):
  """Raises UserError where even the best checkpoint lacks the score that decides."""
  there = checkpoints.metrics(step) or {}
  if best and full_score_name(best, there) is None:
    known = [name for name in SIGN_OF_SCORE if full_score_name(name, there)]
    raise UserError(f'--checkpoint best: no checkpoint has the score {best} (train.best); '
                    + (f'they have {", ".join(known)}: name one with --config.train.best, or a '
                       'step' if known else 'name a step'))
