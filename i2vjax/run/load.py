"""A method with its parameters: fresh or loaded from a run folder."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Callable
from typing import Any

import flax
import jax
import numpy as np
import orbax.checkpoint as ocp
from ml_collections import ConfigDict

from i2vjax import methods, pretrained
from i2vjax.core import parallel
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, init_params
from i2vjax.methods import base
from i2vjax.run import averaging, bounds, checkpoint, checksums, starter
from i2vjax.run import folder as run_folder

# How a value that cannot be meant shows in flax, jax and NumPy.
REFUSALS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
            MemoryError, flax.errors.FlaxError)


@dataclasses.dataclass(frozen=True)
class Run:
  """A method with its networks and parameters, ready to translate.

  Attributes:
    method: module under i2vjax.methods.
    model: config, networks and frozen parameters; no optimizers.
    params: {name: parameters} of the trained networks.
    model_state: batch statistics and the like.
    step: steps trained.
    workdir: the run folder, or None for a run that was never saved.
    weights: 'ema' where the networks that translate are averages over training, else 'raw'.
  """

  method: base.Method
  model: Model
  params: Any
  model_state: Any
  step: int
  workdir: pathlib.Path | None = None
  weights: str = 'raw'

  @property
  def config(self) -> ConfigDict:
    """The run's config."""
    return self.model.config

  def with_config(self, config: ConfigDict) -> Run:
    """The same run under another config."""
    return dataclasses.replace(self, model=self.model.replace(config=config))


def assemble(config: ConfigDict, training: bool = True) -> tuple[base.Method, Model]:
  """The method of a settled config and its model, without optimizers.

  To translate, only those frozen networks are loaded that the method names in
  `INFERENCE_NETWORKS`: a run can be moved to where the weight files of the others are not.

  Raises:
    MissingWeights: a weight file is not here; named.
  """
  method = methods.get(config.method)
  frozen = base.hook(method, 'frozen_networks')(config)
  if not training:
    frozen = {name: net for name, net in frozen.items() if name in method.INFERENCE_NETWORKS}
  networks = {**method.networks(config), **{name: module for name, (module, _) in frozen.items()}}
  examples = method.example_inputs(config)
  params = {}
  for name, (module, weights) in frozen.items():
    params[name] = parallel.main_first(functools.partial(
        pretrained.load, weights, module, examples.get(name), config))
  return method, Model(config, networks, frozen=params)


def fresh_params(method: base.Method, model: Model) -> dict[str, Any]:
  """Initial parameters of the trained networks."""
  trained = {name: model.networks[name] for name in method.networks(model.config)}
  key = jax.random.key(model.config.seed)
  return init_params(trained, method.example_inputs(model.config), key)


def fresh_state(method: base.Method, model: Model, params: dict[str, Any] | None = None) -> State:
  """The state of step 0 on the default device; `device_state` has one entry per local device.

  Args:
    method, model: with optimizers.
    params: weights to begin at; None: initial ones.
  """
  config, opt = model.config, {}
  params = params or fresh_params(method, model)
  for player, names in method.PLAYERS.items():
    opt[player] = model.optimizers[player].init({name: params[name] for name in names})
  device_state = parallel.per_device(base.hook(method, 'device_state')(config))
  model_state = base.hook(method, 'model_state')(config)
  return State(params, opt, model_state, device_state, np.int32(0), jax.random.key(config.seed),
               averaging.fresh(method, params, config.train))


def fresh(config: ConfigDict) -> Run:
  """The untrained networks of `config` as a Run."""
  method, model = assemble(config, training=False)
  return untrained(Run(method, model, {}, {}, 0))


def untrained(run: Run) -> Run:
  """A run with fresh parameters: the reference row of every table."""
  return dataclasses.replace(
      run, params=fresh_params(run.method, run.model), step=0, weights='raw',
      model_state=base.hook(run.method, 'model_state')(run.config))


def load(workdir: str | pathlib.Path, which: str | int = 'latest', config: ConfigDict | None = None,
         weights: str = 'auto') -> Run:
  """A trained run from its folder alone.

  Args:
    workdir: run folder; 'starter': the weights that come with the package (run/starter.py);
      'hf:OWNER/NAME[@REVISION]': those of a repository (run/hub.py).
    which: 'latest', 'best' or a step.
    config: the run's config with overrides; None reads it from the folder.
    weights: of the networks that translate: 'ema', their averages over training, 'raw', those of
      the last step, or 'auto': averages where the checkpoint has them.

  Raises:
    FileNotFoundError, UserError: named cause and remedy.
  """
  workdir = run_folder.locate(workdir)
  config = config or run_folder.read_config(workdir)
  if starter.is_starter(workdir):
    return _load_starter(workdir, which, config, weights)
  best = _built(checkpoint.best_score, config, workdir) or 'psnr'   # None: best is the latest
  checkpoints = checkpoint.manager(workdir, best=best)
  step = checkpoint.which_step(checkpoints, which, best)
  weights = checkpoint.which_weights(checkpoints, step, weights)
  run = _built(fresh, config, workdir)
  templates = {'params': run.params, 'extra': {
      'extra': run.model_state, 'step': np.int32(0),
      'key': np.asarray(jax.random.key_data(jax.random.key(0)))}}
  if weights == 'ema':
    templates['ema'] = {name: run.params[name] for name in averaging.names(run.method)}
  items = _restore(checkpoints, workdir, step, templates)
  return dataclasses.replace(
      run, params={**items['params'], **items.get('ema', {})}, weights=weights, step=step,
      model_state=items['extra']['extra'], workdir=pathlib.Path(workdir))


def _built(make: Callable, config: ConfigDict, folder: pathlib.Path) -> Any:
  """`make(config)`, of the config of a folder, which its training built the same from.

  Raises:
    UserError: of `make`; or it fails in any other way: the config is not what training wrote.
  """
  try:
    bounds.check_values(config)
    return make(config)
  except UserError:
    raise
  except REFUSALS as error:
    reason = (str(error).strip().splitlines() or [''])[0][:200]
    raise UserError(f'no networks can be built from {folder}/config.json '
                    f'({type(error).__name__}: {reason}): it was changed, or is of another version '
                    'of i2vjax; restore it from a copy') from error


def _load_starter(folder, which, config, weights):
  """`load` of a folder that holds weights as one file; only networks that translate are in it."""
  stored = starter.read(folder)
  if str(which) not in ('latest', str(stored.step)):
    raise UserError(f'--checkpoint {which}: {folder} holds one set of weights, of step '
                    f'{stored.step}; leave it away')
  if weights not in ('auto', stored.kind):
    raise UserError(f'--weights {weights}: {folder} holds {stored.kind} weights alone')
  method, model, shapes, statistics = _built(_expected, config, folder)
  for name in averaging.names(method):
    if jax.tree.map(np.shape, stored.params.get(name)) != jax.tree.map(np.shape, shapes[name]):
      raise UserError(f'{folder} does not fit its config: {name} has other shapes or is missing')
  if jax.tree.map(np.shape, stored.model_state or {}) != statistics:
    raise UserError(f'{folder} does not fit its config: its batch statistics have other shapes')
  return Run(method, model, dict(stored.params), stored.model_state, stored.step, folder,
             stored.kind)


def _expected(config):
  """(method, model, shapes of its parameters, and of its batch statistics), nothing computed."""
  method, model = assemble(config, training=False)
  shapes = jax.eval_shape(functools.partial(fresh_params, method, model))
  statistics = jax.eval_shape(functools.partial(base.hook(method, 'model_state'), config))
  return method, model, shapes, jax.tree.map(np.shape, statistics or {})


def _restore(checkpoints, workdir, step, templates):
  """Items of a checkpoint, or a UserError that names the others."""
  arguments = {name: ocp.args.StandardRestore(parallel.to_host(tree))
               for name, tree in templates.items()}
  try:
    items = dict(checkpoints.restore(step, args=ocp.args.Composite(
        **arguments, data=ocp.args.JsonRestore())).items())
    _, sums = checksums.split(items.pop('data'))
    checksums.check(sums, items)
    return items
  except Exception as error:   # a changed byte shows as any error of orbax, zarr or JSON
    reason = str(error).strip().split('\n')[0][:300] or type(error).__name__
    others = ', '.join(str(x) for x in sorted(checkpoints.all_steps()) if x != step)
    raise UserError(f'checkpoint {step} of {workdir} cannot be read ({reason}); '
                    + (f'there are others for --checkpoint: {others}' if others else
                       'there is no other')) from error
