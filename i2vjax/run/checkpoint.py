"""Orbax checkpoints of a run folder: save, restore, the newest and the best.

A checkpoint holds up to six items: `params`, `ema` (averages of weights, where they are kept),
`extra` (with step and key), `opt`, `local` (one entry per device of all processes) and `data`
(position of the input). What is saved are host copies, so the
donated state may move on while orbax writes. A save is complete or absent: orbax writes beside and
renames.
"""

import errno
import logging
import pathlib
import shutil

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers

from i2vjax.core import parallel
from i2vjax.core.errors import NonFinite, UserError
from i2vjax.core.state import State

# Scores that may name the best checkpoint: 1 where more is better, -1 where less is.
BETTER = {'psnr': 1, 'ssim': 1, 'warping_mse': -1, 'warping_euclidean': -1, 'brightness_jitter': -1}


def any_in(workdir):
  """True if a run folder holds a checkpoint, readable or not."""
  return any(x.name.isdigit() for x in pathlib.Path(workdir, 'checkpoints').glob('*'))


def manager(workdir, train=None, best=None):
  """Orbax manager of a run: the newest `train.keep` and the best by the score `best` are kept."""
  policies = [checkpoint_managers.LatestN(train.keep if train else None)]
  worth = None
  if best:
    def worth(metrics):
      return BETTER[best] * metrics[name_of(best, metrics)]
    policies.append(checkpoint_managers.BestN(
        get_metric_fn=worth, n=1, keep_checkpoints_without_metrics=False))
  options = ocp.CheckpointManagerOptions(
      preservation_policy=checkpoint_managers.AnyPreservationPolicy(policies),
      best_fn=worth, best_mode='max')
  names = ('params', 'ema', 'extra', 'opt', 'local')
  handlers = {name: ocp.StandardCheckpointHandler() for name in names}
  handlers['data'] = ocp.JsonCheckpointHandler()
  path = pathlib.Path(workdir).absolute() / 'checkpoints'
  return ocp.CheckpointManager(path, item_handlers=handlers, options=options)


def _items(state):
  """A state as trees of host arrays."""
  key = parallel.to_host(jax.random.key_data(state.key))
  items = {'params': parallel.to_host(state.params), 'opt': parallel.to_host(state.opt),
           'extra': {'extra': parallel.to_host(state.model_state), 'key': key,
                     'step': np.asarray(state.step)}}
  items |= {'ema': parallel.to_host(state.ema)} if state.ema else {}
  local = parallel.gather_local(state.device_state)
  return {**items, 'local': local} if jax.tree.leaves(local) else items


def save(checkpoints, state, position, metrics=None):
  """Start writing a checkpoint of `state` and the input's `position`; returns its step.

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
        **items, data=ocp.args.JsonSave(position)))
  except (OSError, ValueError) as error:
    raise _explain(error, checkpoints.directory) from error
  return step


def _refuse_broken(params, step):
  for path, leaf in jax.tree.leaves_with_path(params):
    if not np.all(np.isfinite(leaf)):
      raise NonFinite(f'after step {step} the parameter {jax.tree_util.keystr(path)} is not finite')


def finish(checkpoints):
  """Wait until everything is on disk."""
  try:
    checkpoints.wait_until_finished()
  except (OSError, ValueError) as error:
    raise _explain(error, checkpoints.directory) from error


def _explain(error, folder):
  full = getattr(error, 'errno', None) == errno.ENOSPC or any(
      text in str(error) for text in ('No space left', 'RESOURCE_EXHAUSTED', 'quota'))
  if not full:
    return error
  free = shutil.disk_usage(folder).free // 2**20
  return OSError(errno.ENOSPC, f'the disk is full ({free} MiB free): the checkpoint was not '
                 'written, older ones are intact. Free some space and start again', str(folder))


def restore(checkpoints, state):
  """The newest checkpoint that can be read, as (state, position); None where there is none.

  Newer ones than that are moved to `damaged/` in the run folder, with a line in the log.

  Args:
    checkpoints: from `manager`.
    state: a fresh state of the same config; gives structure and shapes.

  Raises:
    ValueError: there are checkpoints and none can be read; they are left as they are.
    OSError: the disk does not answer.
  """
  reasons = {}
  for step in sorted(checkpoints.all_steps(), reverse=True):
    try:
      found = _restore_step(checkpoints, step, state)
    except (ValueError, FileNotFoundError, NotADirectoryError, KeyError) as error:
      reasons[step] = str(error).strip().split('\n')[0][:200]
      continue
    for newer, reason in reasons.items():
      _set_aside(checkpoints, newer, reason)
    return found
  if reasons:
    raise UserError(
        f'none of the checkpoints {sorted(reasons)} in {checkpoints.directory} can be read '
        f'({reasons[max(reasons)]}): they are damaged, or another version or config wrote them. '
        'Nothing was changed. Restore them from a copy, or begin anew in another --workdir')
  return None


def _restore_step(checkpoints, step, state):
  wanted = _items(state)
  missing = ('local',) if has_averages(checkpoints, step) else ('local', 'ema')
  template = {name: ocp.args.StandardRestore(tree) for name, tree in wanted.items()
              if name not in missing}
  found = checkpoints.restore(step, args=ocp.args.Composite(
      **template, data=ocp.args.JsonRestore()))
  local = _restore_local(checkpoints, step, state, wanted)
  extra = found['extra']
  key = jax.random.wrap_key_data(extra['key'])
  ema = _averages(found, state, checkpoints, step)
  return State(found['params'], found['opt'], extra['extra'], local, np.int32(extra['step']),
               key, ema), found['data']


def _averages(found, state, checkpoints, step):
  """The averages of weights to go on with; a run that had none begins them at its weights."""
  if state.ema and not has_averages(checkpoints, step):
    logging.warning('checkpoint %d has no averages of weights (train.ema): they begin at its '
                    'weights', step)
    return jax.tree.map(np.array, {name: found['params'][name] for name in state.ema})
  if not state.ema and has_averages(checkpoints, step):
    logging.warning('checkpoint %d has averages of weights, and train.ema=0: from here on none '
                    'are kept', step)
  return found['ema'] if state.ema else {}


def _restore_local(checkpoints, step, state, wanted):
  """This process's share of the per-device trees, or fresh ones on another number of devices."""
  if 'local' not in wanted:
    return state.device_state
  saved = checkpoints.item_metadata(step)['local']
  devices = jax.tree.leaves(saved)[0].shape[0]
  if devices != parallel.device_count():
    logging.warning('checkpoint %d was made on %d devices, this run has %d: image pools start '
                    'anew', step, devices, parallel.device_count())
    return state.device_state
  local = checkpoints.restore(step, args=ocp.args.Composite(
      local=ocp.args.StandardRestore(wanted['local'])))['local']
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


def has_averages(checkpoints, step):
  """True if a checkpoint holds averages of weights."""
  return (pathlib.Path(checkpoints.directory) / str(step) / 'ema').is_dir()


def which_weights(checkpoints, step, weights):
  """'ema' or 'raw' for 'auto' and for what was asked.

  Raises:
    ValueError: no such kind, or no averages in this checkpoint.
  """
  if weights not in ('auto', 'ema', 'raw'):
    raise UserError(f'--weights {weights}: choose auto, ema or raw')
  averaged = has_averages(checkpoints, step)
  if weights == 'ema' and not averaged:
    raise UserError(f'--weights ema: checkpoint {step} of {checkpoints.directory} has no averages '
                     'of weights; it was trained with train.ema=0. Take --weights raw')
  return 'ema' if averaged and weights != 'raw' else 'raw'


def which_step(checkpoints, which):
  """Step number of 'latest', 'best' or a number as text.

  Raises:
    FileNotFoundError: no such checkpoint; lists those there are.
  """
  steps = sorted(checkpoints.all_steps())
  if not steps:
    raise FileNotFoundError(f'{checkpoints.directory} holds no checkpoint yet: train first')
  if which == 'best':
    scored = checkpoints.best_step()
    if scored is None:
      raise FileNotFoundError('--checkpoint best: no checkpoint was scored while training '
                              '(--config.eval.every=STEPS, with paired test frames)')
    return scored
  step = steps[-1] if which == 'latest' else int(which) if str(which).isdigit() else None
  if step not in steps:
    raise FileNotFoundError(f'--checkpoint {which}: there are latest, best and steps '
                            + ', '.join(map(str, steps)))
  return step


def best_score(config):
  """Name of the score that names the best checkpoint, or None.

  Raises:
    ValueError: `train.best` is no score that is known while training.
  """
  best = config.train.best
  if best not in ('auto', 'none', *BETTER):
    raise UserError(f"train.best='{best}': choose auto (psnr), none, {', '.join(BETTER)}")
  if not config.eval.every or best == 'none':
    return None
  return 'psnr' if best == 'auto' else best


def name_of(best, scores):
  """The name under which `scores` hold the score `best` ('warping_mse[tvl1]'), or None."""
  return next((name for name in scores if name.partition('[')[0] == best), None)
