"""A method with its networks and parameters: fresh, as training state, or loaded from a folder."""

import dataclasses
import functools
import pathlib
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from i2vjax import methods, pretrained
from i2vjax.core import parallel
from i2vjax.core.state import State, init_params
from i2vjax.run import averaging, checkpoint
from i2vjax.run import folder as run_folder


@dataclasses.dataclass(frozen=True)
class Run:
  """A method with its networks and parameters, ready to translate.

  Attributes:
    config: the run's ConfigDict.
    method: module under i2vjax.methods.
    nets: {name: flax module}, frozen networks included.
    params: {name: parameters} of the trained networks.
    extra: batch statistics and the like.
    fixed: {name: parameters} of the frozen networks.
    step: steps trained.
    workdir: pathlib.Path, or None for a run that was never saved.
    weights: 'ema' where the networks that translate are averages over training, else 'raw'.
  """

  config: Any
  method: Any
  nets: Any
  params: Any
  extra: Any
  fixed: Any
  step: int
  workdir: Any = None
  weights: str = 'raw'


def assemble(config, training=True):
  """(method, nets, fixed parameters) of a settled config. Raises MissingWeights by name.

  Translating needs the frozen networks that the method names in `TRANSLATES_WITH`, as far as this
  config has them, and no others: a run goes where its teachers' weight files are not.
  """
  method = methods.get(config.method)
  frozen = methods.optional(method, 'fixed', config, default={})
  if not training:
    needed = getattr(method, 'TRANSLATES_WITH', ())
    frozen = {name: net for name, net in frozen.items() if name in needed}
  nets = {**method.networks(config), **{name: module for name, (module, _) in frozen.items()}}
  examples = method.inputs(config)
  fixed = {name: parallel.main_first(functools.partial(
      pretrained.load, weight, module, examples.get(name), config))
           for name, (module, weight) in frozen.items()}
  return method, nets, fixed


def fresh_params(config, method, nets):
  """Initial parameters of the trained networks. `inputs` also has the frozen ones' examples."""
  trained = {name: nets[name] for name in method.networks(config)}
  return init_params(trained, method.inputs(config), jax.random.key(config.seed))


def fresh_state(config, method, nets, tx):
  """The state of step 0 on the host's default device; `local` has one entry per local device."""
  key = jax.random.key(config.seed)
  params = fresh_params(config, method, nets)
  opt = {player: tx[player].init({name: params[name] for name in names})
         for player, names in method.PLAYERS.items()}
  local = parallel.per_device(methods.optional(method, 'local', config, default={}))
  extra = methods.optional(method, 'extra', config, default={})
  return State(params, opt, extra, local, np.int32(0), key,
               averaging.fresh(method, params, config.train))


def fresh(config):
  """The untrained networks of `config` as a Run."""
  method, nets, fixed = assemble(config, training=False)
  return untrained(Run(config, method, nets, {}, {}, fixed, 0))


def untrained(run):
  """A run with fresh parameters: the reference row of every table."""
  extra = methods.optional(run.method, 'extra', run.config, default={})
  return dataclasses.replace(run, params=fresh_params(run.config, run.method, run.nets),
                             extra=extra, step=0, weights='raw')


def load(workdir, which='latest', config=None, weights='auto'):
  """A trained run from its folder alone.

  Args:
    workdir: run folder.
    which: 'latest', 'best' or a step.
    config: the run's config with overrides; None reads it from the folder.
    weights: of the networks that translate: 'ema', their averages over training, 'raw', those of
      the last step, or 'auto': averages where the checkpoint has them.

  Raises:
    FileNotFoundError, ValueError: named cause and remedy.
  """
  config = config or run_folder.read_config(workdir)
  best = checkpoint.best_score(config) or 'psnr'   # without a name: best is the latest
  checkpoints = checkpoint.manager(workdir, best=best)
  step = checkpoint.which_step(checkpoints, which)
  weights = checkpoint.which_weights(checkpoints, step, weights)
  run = fresh(config)
  example = {'extra': run.extra, 'step': np.int32(0),
             'key': np.asarray(jax.random.key_data(jax.random.key(0)))}
  wanted = {'params': run.params, 'extra': example}
  if weights == 'ema':
    wanted['ema'] = {name: run.params[name] for name in averaging.names(run.method)}
  try:
    found = checkpoints.restore(step, args=ocp.args.Composite(**{
        name: ocp.args.StandardRestore(parallel.to_host(tree)) for name, tree in wanted.items()}))
  except (ValueError, OSError, KeyError) as error:
    reason = str(error).strip().split('\n')[0][:300]
    others = ', '.join(str(x) for x in sorted(checkpoints.all_steps()) if x != step)
    raise ValueError(f'checkpoint {step} of {workdir} cannot be read ({reason}); '
                     + (f'there are others for --checkpoint: {others}' if others else
                        'there is no other')) from error
  params = {**found['params'], **(found['ema'] if weights == 'ema' else {})}
  return dataclasses.replace(run, params=params, extra=found['extra']['extra'], step=step,
                             workdir=pathlib.Path(workdir), weights=weights)
