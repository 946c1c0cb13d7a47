"""A training step and translation on the device that is here, timed."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from i2vjax import train
from i2vjax.bench import cases, ceilings, clock, program, twins
from i2vjax.core import parallel
from i2vjax.data.loader import batches
from i2vjax.methods import base
from i2vjax.run import load, phases, schedules, translator


@dataclasses.dataclass(frozen=True)
class Training:
  """A compiled step with its state.

  Attributes:
    step: does one step and waits for it.
    planned: bytes of XLA's plan (`program.memory`).
    touched: bytes that it reads and writes, as XLA counts them.
    compile_s: seconds that compiling took; programs of the cache take less.
  """

  step: Callable[[], Any]
  planned: int
  touched: float
  compile_s: float


def training_program(config: ConfigDict, epoch: int = 1,
                     impl: str = 'auto') -> tuple[jax.stages.Wrapped, tuple[Any, Any, Any]]:
  """The step of a settled config as the training loop has it, from raw frames to a new state.

  Args:
    epoch: from 1, whose phase of training the step is of.
    impl: form of the convolutions (networks/conv.py).

  Returns:
    (program that is not compiled yet, its inputs: state, batch, frozen parameters).
  """
  config = cases.with_epochs(config)
  method, model = load.assemble(config)
  phase = phases.program_key(method, config, epoch - 1)
  model = model.replace(
      networks=with_impl(model.networks, impl), phase=phase,
      optimizers=schedules.optimizers(config, method.PLAYERS, 100, parallel.device_count()))
  fields = base.hook(method, 'batch_fields')(config)
  batch = batches.sample_windows(config, parallel.local_batch(config.data.batch), 'train', fields)
  return train.compile_step(method, model), (
      parallel.place(load.fresh_state(method, model)), parallel.shard(batch),
      parallel.replicate(model.frozen))


def training(config: ConfigDict, epoch: int = 1, impl: str = 'auto') -> Training:
  """The step of `training_program`, compiled, and its state."""
  step_program, (state, batch, frozen) = training_program(config, epoch, impl)
  began = time.perf_counter()
  compiled = parallel.compiled(step_program, state, batch, frozen)
  compile_s = time.perf_counter() - began
  run = parallel.one_by_one(compiled)

  def step():
    nonlocal state
    state, terms = run(state, batch, frozen)
    jax.block_until_ready((state.params, terms))
    return terms
  return Training(step, program.memory(compiled), _touched(compiled), compile_s)


def with_impl(nets: Mapping[str, Any], impl: str) -> dict[str, Any]:
  """The networks with a chosen form of their convolutions."""
  return {name: net.clone(impl=impl) if hasattr(net, 'impl') else net for name, net in nets.items()}


def _touched(compiled):
  costs = compiled.cost_analysis() or {}
  return float(costs.get('bytes accessed', math.nan))


def measure(case: cases.Case, batch: int = 0, rounds: int = 5, sizes: tuple[int, ...] = (256, 512),
            chunk: int = 8, with_torch: bool = False) -> dict[str, Any]:
  """The row of one case on this machine.

  Args:
    batch: windows a device; 0: the config's.
    rounds: steps that are timed.
    sizes: sides of the frames that are translated; (): none.
    chunk: frames on the device at a time.
    with_torch: also time the same step in PyTorch, in turn with ours.

  Returns:
    {'method', 'phase', 'target': 'here', 'device', 'batch': of all devices, 'step_s': least, ...}.

  Raises:
    UserError: there is no such step in PyTorch.
  """
  config = cases.with_batch(case.config, (batch or case.config.data.batch)
                            * parallel.device_count())
  config = twins.comparable(config) if with_torch else config
  ours = training(config, case.epoch)
  sides = {'ours': ours.step}
  if with_torch:
    sides['torch'] = twins.step(config)
  times = clock.alternate(sides, rounds)
  step_s = float(times['ours'][:, 0].min())
  row = {'method': case.name, 'phase': case.phase, 'target': 'here',
         'device': parallel.describe(), 'batch': config.data.batch,
         'pixels': list(cases.size(config)), 'jax': jax.__version__, 'step_s': step_s,
         'median_s': float(np.median(times['ours'][:, 0])),
         'frames_per_second': config.data.batch * config.data.frames / step_s,
         'planned': ours.planned, 'peak': parallel.peak_memory() or clock.resident(),
         'compile_s': ours.compile_s, **shares(config, case.epoch, ours.touched, step_s)}
  if with_torch:
    row |= {'torch_s': float(times['torch'][:, 0].min())}
  if sizes:
    row['translate'] = {str(side): translation(config, side, chunk, rounds) for side in sizes}
  return row


def shares(config: ConfigDict, epoch: int, touched: float, step_s: float) -> dict[str, float]:
  """What a step does each second, beside what this device was measured to do at most.

  Returns:
    {'flops': of a step on one device, 'bytes', 'ceiling_flops', 'ceiling_bytes': a second,
    'share_products', 'share_copies'}.
  """
  ceiling = ceilings.measure(config.compute)
  flops = program.flops(config, parallel.device_count(), epoch)
  return {'flops': flops, 'bytes': touched, 'ceiling_flops': ceiling.products,
          'ceiling_bytes': ceiling.copies, 'share_products': flops / step_s / ceiling.products,
          'share_copies': touched / step_s / ceiling.copies}


def translation(config: ConfigDict, side: int, chunk: int, rounds: int) -> dict[str, float]:
  """Untrained networks on square frames.

  Returns:
    {'frames_per_second': in chunks, one computed while the one before is fetched, 'latency_s': one
    frame by itself from raw pixels to translated ones, 'compile_s'}.
  """
  run = load.fresh(config)
  rng = np.random.default_rng(0)
  frames = rng.integers(0, 255, (1, chunk, side, side, 3), np.uint8)
  limits = np.array([[0, 255]], np.float32)
  call = translator.compile_chunk(run)
  began = time.perf_counter()
  carry, result, _ = call(None, frames, limits)
  np.asarray(result)
  compile_s = time.perf_counter() - began

  def several():
    nonlocal carry
    waiting = None
    for _ in range(2):
      carry, result, _ = call(carry, frames, limits)
      if waiting is not None:
        np.asarray(waiting)
      waiting = result
    np.asarray(waiting)
  latency = clock.seconds(lambda: np.asarray(call(None, frames[:, :1], limits)[1]), rounds)
  return {'frames_per_second': 2 * chunk / clock.seconds(several, rounds), 'latency_s': latency,
          'compile_s': compile_s}
