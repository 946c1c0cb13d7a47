"""The one training loop. It knows methods only by the names their files offer."""

import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import orbax.checkpoint as ocp
from clu import parameter_overview

from i2vjax.core import ops, parallel
from i2vjax.core.model import Model
from i2vjax.core.state import name_key
from i2vjax.data.loader import batches
from i2vjax.methods import base
from i2vjax.run import (
  averaging,
  bounds,
  checkpoint,
  contact_sheet,
  load,
  phases,
  resume,
  schedules,
  settle,
)
from i2vjax.run import folder as run_folder
from i2vjax.run.feed import Feed
from i2vjax.run.logger import MetricLogger, NonFinite, averages, check_finite
from i2vjax.run.signals import Stop


@dataclasses.dataclass(frozen=True)
class Outcome:
  """How a training run ended: its step, the step it was going to, and whether it was stopped."""

  step: int
  total: int
  stopped: bool


def on_device(raw, config):
  """Raw frames of a batch to floats in [-1, 1]; their value ranges are used up by it."""
  batch = {name: value for name, value in raw.items()
           if name not in ('a', 'b', 'range_a', 'range_b')}
  for side in ('a', 'b'):
    channels = config.data[f'channels_{side}']
    batch[side] = ops.to_float(raw[side], raw[f'range_{side}'], channels)
  return batch


def program(method, model):
  """The compiled step of `model.phase`: (state, raw batch, frozen parameters) -> (state, terms)."""
  def step(state, raw, frozen, key):
    batch = on_device(raw, model.config)
    state, terms = method.step(model.replace(frozen=frozen), state, batch, key)
    return averaging.updated(state, model.config), terms
  return parallel.map_step(step)


def train(config, workdir, show=True, scores=None):
  """Train `config` in `workdir`, going on where an earlier run in that folder stopped.

  Args:
    config: ConfigDict of a method.
    workdir: run folder, made if missing.
    show: progress bar on the terminal.
    scores: Run -> {name: value}, asked every `eval.every` steps; None: never.

  Returns:
    Outcome.

  Raises:
    ValueError, FileNotFoundError: a mistake in config, data or folder, named.
    NonFinite: a loss term stopped being a number; the last good checkpoint is kept.
  """
  workdir = pathlib.Path(workdir)
  settled = settle.settle(config)
  bounds.check(settled)
  before = resume.begun(settled, workdir)
  method, model = load.assemble(settled)
  per_epoch = batches.steps_per_epoch(settled)
  config = phases.with_steps_per_epoch(settled, per_epoch)
  total, devices = phases.total_steps(config, per_epoch), parallel.device_count()
  feed = Feed(config, base.hook(method, 'batch_fields')(config), workdir)
  model = model.replace(config=config, optimizers=schedules.optimizers(
      config, method.PLAYERS, per_epoch, devices))
  state = load.fresh_state(method, model)
  workdir.mkdir(parents=True, exist_ok=True)
  checkpoints = checkpoint.manager(workdir, config.train, checkpoint.best_score(config))
  restored = checkpoint.restore(checkpoints, state)
  if restored:
    state, position = restored
    if position:   # empty in an imported run: from the beginning
      resume.check(before, settled, method, int(state.step), per_epoch)
      feed.set_state(position)
  elif parallel.is_main():
    (workdir / 'parameters.txt').write_text(
        parameter_overview.get_parameter_overview(state.params) + '\n')
  if parallel.is_main():   # only now: a mistake found before this must not bind the folder
    run_folder.write_config(workdir, settled)
  logger = MetricLogger(workdir, config, int(state.step), total, show, parallel.is_main())
  rate = schedules.learning_rate(config.optim, config.train, per_epoch, devices)
  setup = Setup(method, model.replace(frozen=parallel.replicate(model.frozen)), rate, checkpoints,
                logger, feed, total, workdir, scores)
  try:
    with Stop() as stop:
      logger.say(describe(config, state, total))
      step, stopped = loop(setup, parallel.place(state), stop)
      checkpoint.finish(checkpoints)
  finally:
    logger.close()
    checkpoints.close()
  return Outcome(step, total, stopped)


@dataclasses.dataclass
class Setup:
  """What the loop holds besides the state."""

  method: base.Method
  model: Model
  rate: Callable
  checkpoints: ocp.CheckpointManager
  logger: MetricLogger
  feed: Iterator
  total: int
  workdir: pathlib.Path
  scores: Callable | None = None

  @property
  def config(self):
    """The run's config."""
    return self.model.config


def describe(config, state, total):
  """The line a run begins with."""
  count = sum(x.size for x in jax.tree.leaves(state.params))
  start = f'from step {int(state.step)} of' if int(state.step) else 'for'
  return (f'{config.method}: {count:,} parameters, {parallel.describe()}, backbone '
          f'{config.backbone}, data {config.data.source}, {start} {total} steps')


def loop(setup, state, stop):
  """Steps from `state.step` to the end or a stop. Returns (step, stopped)."""
  config = setup.config
  compiled = functools.cache(
      lambda phase: program(setup.method, setup.model.replace(phase=phase)))
  alone = parallel.process()[1] == 1
  pending, waited, saved_at = [], 0.0, time.monotonic()
  step, position, stopped = int(state.step), setup.feed.get_state(), False
  phase_began = None
  while step < setup.total and not stopped:
    began = time.perf_counter()
    first, _ = phases.phase_of(setup.method, config, step)
    if first != phase_began:
      setup.feed, phase_began = feed_of_phase(setup, state, step), first
    batch = parallel.shard(next(setup.feed))
    position = setup.feed.get_state()
    waited += time.perf_counter() - began
    phase = phases.phase_at(setup.method, config, step)
    state, terms = compiled(phase)(state, batch, setup.model.frozen)
    pending.append(terms)
    step += 1
    # Several processes must agree on what they do next, so they look up only where they log.
    look = alone or step % config.log.every == 0
    stopped = look and parallel.any_process(stop.asked)
    minutes = (time.monotonic() - saved_at) / 60
    due = every(config.train.checkpoint_steps, step) or (
        look and parallel.any_process(minutes >= config.train.checkpoint_minutes))
    last = stopped or step == setup.total
    scoring = setup.scores and config.eval.every and (
        step % config.eval.every == 0 or step == setup.total)
    if every(config.log.every, step) or due or last or scoring:
      write_terms(setup, step, pending, waited)
      pending, waited = [], 0.0
    if every(config.log.samples_every, step) or step == setup.total:
      write_samples(setup, state, step)
    if due or last or scoring:
      metrics = score(setup, state, step) if scoring and not stopped else None
      try:
        checkpoint.save(setup.checkpoints, state, position, metrics)
      except NonFinite as error:
        raise advised(setup, error) from None
      saved_at = time.monotonic()
  return step, stopped


def feed_of_phase(setup, state, step):
  """The batches from `step` on, as the method wants them (its hook `batches`)."""
  model = setup.model.replace(phase=phases.phase_at(setup.method, setup.config, step))
  return base.hook(setup.method, 'batches')(model, setup.feed, state, step)


def every(interval, step):
  """True on multiples of a positive interval."""
  return bool(interval) and step % interval == 0


def write_terms(setup, step, pending, waited):
  """Fetch the terms of the last steps, refuse non-finite ones, log their means."""
  terms = jax.device_get(pending)
  first = step - len(terms) + 1
  try:
    check_finite(first, terms)
  except NonFinite as error:
    raise advised(setup, error) from None
  config = setup.config
  values = {**averages(terms), 'lr': float(setup.rate(step - 1))}
  setup.logger.progress(step, values, config.data.batch * config.data.frames, waited)


def advised(setup, error):
  """The error with what is left of the run and what to do."""
  kept = setup.checkpoints.latest_step()
  left = (f'Checkpoint {kept} is the last in' if kept is not None
          else 'No checkpoint had been written yet in')
  return NonFinite(f'{error}. {left} {setup.workdir}. Try a lower --config.optim.lr')


def as_run(setup, state, step):
  """The state as a Run on the host, for samples and scores: averages of weights where kept."""
  model = setup.model.replace(frozen=parallel.to_host(setup.model.frozen), optimizers={})
  return load.Run(setup.method, model, parallel.to_host({**state.params, **state.ema}),
                  parallel.to_host(state.model_state), step, setup.workdir,
                  'ema' if state.ema else 'raw')


def write_samples(setup, state, step):
  """A contact sheet of fixed windows as samples/STEP.png, on the main process."""
  if not parallel.is_main():
    return
  config = setup.config
  raw = batches.sample_windows(config, config.log.samples, 'train',
                               fields=base.hook(setup.method, 'batch_fields')(config))
  rows = draw(as_run(setup, state, step), on_device(raw, config),
              name_key(jax.random.key(config.seed), 'samples'))
  rows = {name: np.asarray(ops.to_uint8(images)) for name, images in rows.items()}
  folder = setup.workdir / 'samples'
  folder.mkdir(exist_ok=True)
  contact_sheet.save_png(folder / f'{step:07d}.png', contact_sheet.contact_sheet(rows))


def draw(run, batch, key):
  """Rows of the sample sheet: the method's own, or input, translation and a target frame."""
  sample_rows = base.hook(run.method, 'sample_rows')
  if sample_rows:
    return sample_rows(run.model, run.params, run.model_state, batch, key)
  _, fake = run.method.translate(run.model, run.params, run.model_state, None, batch['a'])
  rows = {'a': batch['a'], 'a to b': fake, 'b': batch['b']}
  return {name: ops.match_channels(frames[:, 0], 3) for name, frames in rows.items()}


def score(setup, state, step):
  """Scores of the test clips, logged under eval/; None where the one that names the best is not.

  Only frames with a true partner have a PSNR: without them no checkpoint is the best.
  """
  scores = setup.scores(as_run(setup, state, step))
  setup.logger.write(step, {f'eval/{name}': value for name, value in scores.items()})
  best = checkpoint.best_score(setup.config)
  return scores if best and checkpoint.name_of(best, scores) else None
