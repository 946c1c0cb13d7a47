"""The training loop of all methods; it knows their hooks alone.

Three configs are about: `config` as asked for; `settled`, which also says what this machine
decides (`backbone='auto'`) and is written to config.json; and `model.config`, the settled one with
the steps in an epoch of these data, which methods read.
"""

import dataclasses
import functools
import logging
import math
import pathlib
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import orbax.checkpoint as ocp
from clu import parameter_overview
from jax.sharding import Mesh
from ml_collections import ConfigDict

from i2vjax import Door
from i2vjax.core import files, ops, parallel, precision
from i2vjax.core.errors import NonFinite, UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State
from i2vjax.data.loader import batches
from i2vjax.methods import base
from i2vjax.run import (
  agreement,
  averaging,
  bounds,
  checkpoint,
  critic_remedies,
  load,
  lock,
  phases,
  resume,
  sample_sheet,
  schedules,
  settle,
  warm_start,
)
from i2vjax.run import folder as run_folder
from i2vjax.run.feed import Feed
from i2vjax.run.logger import MetricLogger, averages, check_finite
from i2vjax.run.signals import StopOnSignal

ScoreFn = Callable[[load.Run], dict[str, float]]   # Run -> {score: value}
T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a training run ended: its step, the step it was going to, and whether it was stopped."""

  step: int
  total: int
  stopped: bool


def on_device(raw: base.Batch, config: ConfigDict) -> dict[str, jax.Array]:
  """Raw frames of a batch to floats in [-1, 1]; their value ranges are used up by it."""
  batch = {name: value for name, value in raw.items()
           if name not in ('a', 'b', 'range_a', 'range_b')}
  for side in ('a', 'b'):
    channels = config.data[f'channels_{side}']
    batch[side] = ops.to_float(raw[side], raw[f'range_{side}'], channels)
  return batch


def compile_step(method: base.Method, model: Model,
                 mesh: Mesh | None = None) -> jax.stages.Wrapped:
  """The compiled step of `model.phase`: (state, raw batch, frozen parameters) -> (state, terms).

  `parallel.map_step` makes the key that `step` gets, of the run's key and the step; `mesh` is its
  argument.
  """
  def step(state, raw, frozen, key):
    batch = on_device(raw, model.config)
    traced = model.replace(frozen=frozen)
    with precision.of(model.config):
      state, terms = method.step(critic_remedies.with_views(traced, key), state, batch, key)
      state, penalty = critic_remedies.penalize(method, traced, state, batch)
    return averaging.update_averages(state, model.config), terms | penalty
  return parallel.map_step(step, mesh, math.prod(ops.hw(model.config.data.crop_size)))


def train(config: ConfigDict, workdir: str | pathlib.Path, show: bool = True,
          score_fn: ScoreFn | None = None) -> Outcome:
  """Train `config` in `workdir`, going on where an earlier run in that folder stopped.

  Args:
    config: ConfigDict of a method.
    workdir: run folder, made if missing.
    show: progress bar on the terminal.
    score_fn: called every `eval.every` steps; None: never.

  Returns:
    Outcome.

  Raises:
    UserError, FileNotFoundError: a mistake in config, data or folder, named. One that is found
      after some steps (a damaged frame) comes when these are saved.
    NonFinite: a loss term stopped being a number; the last good checkpoint is kept.
  """
  workdir = pathlib.Path(workdir)
  settled = parallel.together(lambda: _checked(config, workdir))
  with lock.hold(workdir) as held:
    return _train(settled, workdir, show, score_fn, held)


def _checked(config, workdir):
  """The settled config, which a run that goes on is compared with."""
  settled = settle.settle(config)
  run_folder.check_place(workdir, settled)
  bounds.check(settled)
  return settled


def _train(settled: ConfigDict, workdir: pathlib.Path, show: bool, score_fn: ScoreFn | None,
           held: lock.RunLock | None) -> Outcome:
  """`train` of a settled config in a folder that is ours alone; `held`: its lock."""
  began = time.perf_counter()
  earlier = parallel.together(lambda: resume.earlier_config(settled, workdir))
  settled = resume.with_origin(settled, earlier) if earlier else settled
  per_epoch = parallel.together(lambda: batches.steps_per_epoch(settled))
  agreement.check(settled, per_epoch)
  method, model = load.assemble(settled)
  critic_remedies.tell_idle(model)
  model = with_optimizers(method, model, per_epoch)
  feed = Feed(model.config, base.hook(method, 'batch_fields')(model.config), workdir)
  state = load.fresh_state(method, model)
  notes: list[str] = []
  if earlier is None and settled.train.init_from:
    state, notes = warm_start.begin(method, model, state)
  workdir.mkdir(parents=True, exist_ok=True)
  run_folder.check_shared(workdir)
  total, kept = phases.total_steps(settled, per_epoch), steps_to_keep(settled, per_epoch)
  checkpoints = checkpoint.manager(workdir, settled.train, checkpoint.best_score(settled), kept)
  restored = checkpoint.restore(checkpoints, state)
  if restored:
    state, position = restored
    if position:   # empty in an imported run: from the beginning
      resume.check_progress(earlier, settled, method, int(state.step), per_epoch)
      feed.set_state(position)
  elif parallel.is_main():
    files.save_text(workdir / 'parameters.txt',
                    parameter_overview.get_parameter_overview(state.params) + '\n')
  if parallel.is_main():   # only now: a mistake found before this must not bind the folder
    run_folder.write_config(workdir, settled)
  logger = MetricLogger(workdir, settled, int(state.step), total, show, parallel.is_main())
  model = model.replace(frozen=parallel.replicate(model.frozen))
  rate = schedules.learning_rate(settled.optim, settled.train, per_epoch, parallel.device_count())
  setup = Setup(method, model, rate, checkpoints, logger, feed, total, workdir,
                score_fn, kept, began, held)
  try:
    with StopOnSignal() as stop:
      step, stopped = _loop_and_close(setup, state, stop, (*notes, describe(settled, state, total)))
  except OSError as error:
    raise checkpoint.explained(error, workdir) from error
  return Outcome(step, total, stopped)


def _loop_and_close(setup, state, stop, lines):
  """`loop`; whatever comes of it, the log and the checkpoints are closed."""
  try:
    for line in lines:
      setup.logger.say(line)
    step, stopped = loop(setup, parallel.place(state), stop)
    checkpoint.finish(setup.checkpoints)
    return step, stopped
  finally:
    setup.logger.close()
    if sys.exc_info()[0] is None or parallel.process()[1] == 1:
      setup.checkpoints.close()   # else orbax would wait for processes that may be gone


def with_optimizers(method: base.Method, model: Model, per_epoch: int) -> Model:
  """The model as it is trained: with optimizers, and with the steps in an epoch in its config.

  Methods read `train.per_epoch` where something begins at an epoch. It follows from the data, so
  it stays 0 in `config.json`.
  """
  config = phases.with_steps_per_epoch(model.config, per_epoch)
  optimizers = schedules.optimizers(config, method.PLAYERS, per_epoch, parallel.device_count())
  return model.replace(config=config, optimizers=optimizers)


@dataclasses.dataclass(frozen=True)
class Setup:
  """What the loop holds besides the state.

  Attributes:
    method, model: what is trained; frozen parameters are on the devices.
    rate: steps done -> learning rate, for the log.
    checkpoints, logger: where the run is written.
    feed: the batches; a method may have them in another order (`feed_of_phase`).
    total: length of the run in steps.
    workdir: run folder.
    score_fn: ScoreFn, or None.
    kept: steps whose checkpoints are kept to the end (`eval.epochs`).
    began: when this process began to prepare the run, by `time.perf_counter`.
    held: the lock of the run folder, on the main process.
  """

  method: base.Method
  model: Model
  rate: schedules.Rate
  checkpoints: ocp.CheckpointManager
  logger: MetricLogger
  feed: Feed
  total: int
  workdir: pathlib.Path
  score_fn: ScoreFn | None = None
  kept: frozenset[int] = frozenset()
  began: float = 0.0
  held: lock.RunLock | None = None

  @property
  def config(self) -> ConfigDict:
    """The run's config, with the steps in an epoch."""
    return self.model.config


def steps_to_keep(config: ConfigDict, per_epoch: int) -> frozenset[int]:
  """The last steps of `eval.epochs`; epochs beyond the end of the run are named in the log."""
  steps = phases.steps_of_epochs(config, per_epoch)
  beyond = sorted(set(config.eval.epochs) - steps.keys())
  if beyond and parallel.is_main():
    logging.warning('eval.epochs: this run ends before epoch %s', ', '.join(map(str, beyond)))
  return frozenset(steps.values())


def describe(config: ConfigDict, state: State, total: int) -> str:
  """The line a run begins with."""
  count = sum(x.size for x in jax.tree.leaves(state.params))
  start = f'from step {int(state.step)} of' if int(state.step) else 'for'
  return (f'{config.method}: {count:,} parameters, {parallel.describe()}, backbone '
          f'{config.backbone}, data {config.data.source}, {start} {total} steps')


def loop(setup: Setup, state: State, stop: StopOnSignal) -> tuple[int, bool]:
  """Steps from `state.step` to the end or a stop. Returns (step, stopped)."""
  config, feed = setup.config, setup.feed

  programs: dict[Any, Callable] = {}
  sheets = sample_sheet.SampleSheets(setup.method, setup.model, setup.workdir, on_device)
  step = start = int(state.step)
  stopped, phase_start = False, None
  position, saved_at = feed.get_state(), time.monotonic()
  pending: list[dict[str, jax.Array]] = []

  def reading(work: Callable[[], T]) -> T:
    try:
      return work()
    except (UserError, OSError) as error:
      raise after_saving(setup, state, position, pending, error) from error

  while step < setup.total and not stopped:
    # One step: a batch, then the compiled program.
    began = time.perf_counter()
    first, _ = phases.phase_of(setup.method, config, step)
    if first != phase_start:
      feed = reading(functools.partial(feed_of_phase, setup, feed, state, step))
      phase_start = first
    batch = parallel.shard(reading(functools.partial(next, feed)))
    came = time.perf_counter()
    program_key = phases.program_key(setup.method, config, step)
    inputs = state, batch, setup.model.frozen
    if program_key not in programs:
      programs[program_key] = compile_phase(setup, program_key, inputs)
    state, terms = programs[program_key](*inputs)
    position = feed.get_state()
    setup.logger.watch.step(began, came, terms)
    if step == start:
      jax.block_until_ready(terms)
      setup.logger.say(f'first step done {time.perf_counter() - setup.began:.0f} s after the start')
    pending.append(terms)
    step += 1

    # What is to do after it.
    now = due(setup, step, stop.asked, (time.monotonic() - saved_at) / 60)
    stopped = now.stop
    if now.log:
      write_terms(setup, step, pending)
      pending = []
    if now.sample and parallel.is_main():
      reading(functools.partial(sheets.write, state, step))
    if now.save:
      metrics = reading(functools.partial(score, setup, state, step)) if now.score else None
      save(setup, state, position, metrics)
      saved_at = time.monotonic()
  return step, stopped


def compile_phase(setup: Setup, program_key: Any, inputs: tuple) -> Callable:
  """The compiled step of a phase; says how long that took."""
  began = time.perf_counter()
  program = compile_step(setup.method, setup.model.replace(phase=program_key))
  ready = parallel.one_by_one(parallel.compiled(program, *inputs))
  name = '' if program_key == 'train' else f' of {program_key}'
  setup.logger.say(f'step{name} compiled in {time.perf_counter() - began:.0f} s')
  return ready


class Due(NamedTuple):
  """What is to do after a step: end the loop, write terms, a sample sheet, scores, a checkpoint."""

  stop: bool
  log: bool
  sample: bool
  score: bool
  save: bool


def due(setup: Setup, step: int, stop_asked: bool, minutes: float) -> Due:
  """What is to do after `step` steps, the same on all processes.

  Several processes ask each other only where they log, since asking costs time.

  Args:
    stop_asked: this process was asked to stop.
    minutes: since the last checkpoint, by the clock of this process.
  """
  config = setup.config
  log, finished = every(config.log.every, step), step == setup.total
  asking = log or parallel.process()[1] == 1
  stop = asking and parallel.any_process(stop_asked)
  has_scores = setup.score_fn is not None and bool(config.eval.every)
  score = has_scores and not stop and (every(config.eval.every, step) or finished)
  save = (stop or finished or score or step in setup.kept
          or every(config.train.checkpoint_steps, step)
          or asking and parallel.any_process(minutes >= config.train.checkpoint_minutes))
  return Due(stop, log or save, every(config.log.samples_every, step) or finished, score, save)


def feed_of_phase(setup: Setup, feed: Feed, state: State, step: int) -> Feed:
  """The batches from `step` on, as the method wants them (its hook `training_feed`)."""
  model = setup.model.replace(phase=phases.program_key(setup.method, setup.config, step))
  return base.hook(setup.method, 'training_feed')(model, feed, state, step)


def every(interval: int, step: int) -> bool:
  """True on multiples of a positive interval."""
  return bool(interval) and step % interval == 0


def write_terms(setup: Setup, step: int, pending: list[dict[str, jax.Array]]) -> None:
  """Fetch the terms of the last steps, refuse non-finite ones, log their means."""
  terms = jax.device_get(pending)
  first = step - len(terms) + 1
  try:
    check_finite(first, terms)
  except NonFinite as error:
    raise with_advice(setup, error) from None
  config = setup.config
  values = {**averages(terms), 'lr': float(setup.rate(step - 1))}
  setup.logger.progress(step, values, config.data.batch * config.data.frames)


def with_advice(setup: Setup, error: NonFinite) -> NonFinite:
  """The error with what is left of the run and what to do."""
  return NonFinite(f'{error}. {_what_is_left(setup)}. Try a lower --config.optim.lr')


def _what_is_left(setup):
  last = setup.checkpoints.latest_step()
  left = (f'Checkpoint {last} is the last in' if last is not None
          else 'No checkpoint had been written yet in')
  return f'{left} {setup.workdir}'


def save(setup: Setup, state: State, position: dict, metrics: dict[str, float] | None) -> None:
  """A checkpoint of the state and the position of the input."""
  if setup.held:
    setup.held.check()
  try:
    checkpoint.save(setup.checkpoints, state, position, metrics)
  except NonFinite as error:
    raise with_advice(setup, error) from None


def after_saving(setup: Setup, state: State, position: dict, pending: list[dict[str, jax.Array]],
                 error: UserError | OSError) -> UserError | OSError:
  """The error of frames that cannot be read, with what is left, after a checkpoint of `state`.

  Of several processes one cannot save alone, and the others do not know of the error: they go back
  to the last checkpoint. Scores that could not be measured are missing in the run that goes on.

  Args:
    position: of the input after the steps of `state`. pending: terms that are not logged yet.

  Raises:
    NonFinite: a term or a parameter is no number; no checkpoint is written.
  """
  step = int(state.step)
  if parallel.process()[1] > 1 or not step:
    return error
  try:
    if pending:
      write_terms(setup, step, pending)
    save(setup, state, position, None)
    checkpoint.finish(setup.checkpoints)
    left = (f'Checkpoint {step} is saved in {setup.workdir}: mend what is said here, and the same '
            'command goes on from there')
  except OSError as failed:
    left = f'Step {step} could not be saved: {failed}. {_what_is_left(setup)}'
  kind = UserError if isinstance(error, UserError) else OSError
  return kind(f'{str(error).rstrip(".")}. {left}')


def as_run(setup: Setup, state: State, step: int) -> load.Run:
  """The state as a Run on the host, for scores: averages of weights where kept."""
  model = setup.model.replace(frozen=parallel.to_host(setup.model.frozen), optimizers={})
  return load.Run(setup.method, model, parallel.to_host({**state.params, **state.ema}),
                  parallel.to_host(state.model_state), step, setup.workdir,
                  'ema' if state.ema else 'raw')


def score(setup: Setup, state: State, step: int) -> dict[str, float] | None:
  """Scores of the test clips, logged under eval/.

  Returns:
    {name: value}; None if the score that `train.best` asks for is not among them (without true
    partners frames have no PSNR): then this checkpoint is never the best.
  """
  assert setup.score_fn is not None, 'the loop asks for scores only where there are any'
  scores = setup.score_fn(as_run(setup, state, step))
  setup.logger.write(step, {f'eval/{name}': value for name, value in scores.items()})
  best = checkpoint.best_score(setup.config)
  return scores if best and checkpoint.full_score_name(best, scores) else None


sys.modules[__name__].__class__ = Door   # i2vjax.train(config, workdir) is api.train
