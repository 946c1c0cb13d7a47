"""A step compiled ahead of time, for devices that are elsewhere."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax

from i2vjax.bench import cases, hlo_counts, hlo_text, program, roofline, targets
from i2vjax.core import parallel

# Autotuning runs kernels on a device, which is not here.
OPTIONS: dict[str, dict[str, str | bool]] = {'gpu': {'xla_gpu_autotune_level': '0'}, 'tpu': {}}
# Of the memory that the plan may take: on GPUs the driver and cuDNN's workspaces need some; the
# compiler of TPUs itself refuses what does not fit.
USABLE = {'gpu': 0.9, 'tpu': 1.0}
MANY = 6   # tries that a search follows a line for; then it halves what is left
MEMORY_ERRORS = ('RESOURCE_EXHAUSTED', 'out of memory', 'Ran out of memory')


@dataclasses.dataclass(frozen=True)
class Compiled:
  """A step as a compiler made it.

  Attributes:
    parameters: numbers that are trained.
    text: of the scheduled program.
    memory: bytes that it needs on each device.
    temporary: of these, what lives during the step alone.
    seconds: that tracing and compiling took.
  """

  parameters: int
  text: str
  memory: int
  temporary: int
  seconds: tuple[float, float]


class Refused(Exception):   # noqa: N818
  """The compiler does not make this program; `memory` is True where it is too large."""

  def __init__(self, reason: str, memory: bool) -> None:
    super().__init__(reason)
    self.memory = memory


def measure(case: cases.Case, target: targets.Target, batch: int = 0,
            search: bool = False) -> dict[str, Any]:
  """The row of one case on one target.

  Args:
    batch: windows a device; 0: the config's.
    search: also find the largest batch a device that fits.

  Returns:
    {'method', 'phase', 'target', 'devices', 'batch': a device, 'compiles', ...}: see `facts`;
    'reason' where it does not compile; 'largest_batch' where it was searched for.
  """
  batch = batch or case.config.data.batch
  row = {'method': case.name, 'phase': case.phase, 'target': target.text,
         'devices': target.devices, 'pixels': list(cases.size(case.config)), 'batch': batch,
         'jax': jax.__version__}
  devices = targets.open_devices(target)
  planned: dict[int, float] = {}
  try:
    first = compile_step(case, target, devices, batch)
    row |= {'compiles': True, **facts(first, target)}
    planned[batch] = first.memory
  except Refused as error:
    row |= {'compiles': False, 'reason': str(error)}
    if not error.memory:
      return row
    planned[batch] = math.inf

  def memory(batch):
    if batch not in planned:
      planned[batch] = plan(case, target, devices, batch)
    return planned[batch]
  if search:
    row['largest_batch'] = largest(memory, room(target.chip), batch)
    row['tried'] = {str(b): None if math.isinf(m) else m for b, m in sorted(planned.items())}
  return row


def room(chip: targets.Chip) -> float:
  """Bytes that a plan may take on a chip."""
  return USABLE[chip.platform] * chip.memory


def compile_step(case: cases.Case, target: targets.Target, devices: list[Any],
                 batch: int) -> Compiled:
  """The step of `batch` windows a device.

  Raises:
    Refused: by the compiler.
  """
  config = cases.with_batch(case.config, batch * target.devices)
  began = time.perf_counter()
  with targets.compiling_for(target):
    step = program.step_of(config, target.devices, case.epoch)
    lowered = step.lower(parallel.mesh_of(devices))
  traced = time.perf_counter()
  try:
    compiled = lowered.compile(compiler_options=OPTIONS[target.chip.platform])
  except jax.errors.JaxRuntimeError as error:
    text = str(error)
    is_memory = any(word in text for word in MEMORY_ERRORS)
    raise Refused(text.strip().splitlines()[0][:300], is_memory) from error
  done = time.perf_counter()
  stated = compiled.memory_analysis()
  return Compiled(program.count(step.inputs[0].params), compiled.as_text() or '',
                  program.memory(compiled), stated.temp_size_in_bytes if stated else 0,
                  (traced - began, done - traced))


def plan(case: cases.Case, target: targets.Target, devices: list[Any], batch: int) -> float:
  """Bytes on each device; infinite where the compiler does not make it."""
  try:
    return compile_step(case, target, devices, batch).memory
  except Refused:
    return math.inf


def facts(compiled: Compiled, target: targets.Target) -> dict[str, Any]:
  """What a row tells of a compiled step.

  Returns:
    {'parameters', 'memory', 'temporary': bytes a device, 'fits', 'trace_s', 'compile_s', 'kernels',
    'flops', 'bytes', 'roofline_s', 'arithmetic_s', 'memory_s', 'collectives': {kind: {'count',
    'bytes'}}, 'collectives_s', 'wide_windows'}.
  """
  found = hlo_counts.kernels(hlo_text.parse(compiled.text))
  all_of_it = roofline.estimate(found, target.chip, target.devices)
  return {
      'parameters': compiled.parameters, 'memory': compiled.memory,
      'temporary': compiled.temporary, 'fits': compiled.memory <= room(target.chip),
      'trace_s': round(compiled.seconds[0], 1), 'compile_s': round(compiled.seconds[1], 1),
      'kernels': all_of_it.kernels, 'flops': all_of_it.flops,
      'bytes': all_of_it.bytes, 'roofline_s': all_of_it.seconds,
      'arithmetic_s': all_of_it.arithmetic, 'memory_s': all_of_it.memory,
      'collectives': {kind: {'count': count, 'bytes': size}
                      for kind, (count, size) in all_of_it.collectives.items()},
      'collectives_s': all_of_it.transfer,
      'wide_windows': hlo_counts.wide_windows(found)}


def largest(memory: Callable[[int], float], limit: float, start: int = 1) -> int:
  """Largest batch whose plan takes at most `limit` bytes; 0 where not even one window fits.

  Plans grow almost evenly with the batch. So the next try is where a line through the last two that
  fit meets the limit. Before there are two it is twice as much, or half way to what does not fit.

  Args:
    memory: batch -> bytes; infinite where there is no plan.
    start: the first try.
  """
  fits: dict[int, float] = {0: 0.0}
  too_large, batch = math.inf, start
  while True:
    found = memory(batch)
    if found <= limit:
      fits[batch] = found
    else:
      too_large = batch
    best = max(fits)
    if too_large == best + 1:
      return best
    batch = next_try(fits, best, too_large, limit)


def next_try(fits: dict[int, float], best: int, too_large: float, limit: float) -> int:
  """The batch to try next, above `best` and below `too_large`."""
  tried = sorted(batch for batch in fits if batch)
  is_bounded = not math.isinf(too_large)
  if is_bounded and not 2 <= len(tried) <= MANY:   # no line to follow, or it leads nowhere soon
    return max((best + int(too_large)) // 2, best + 1)
  if len(tried) < 2:
    return 2 * best
  a, b = tried[-2:]
  each = max((fits[b] - fits[a]) / (b - a), 1.0)
  guess = min(int(b + (limit - fits[b]) / each), 8 * b)
  return int(min(max(guess, best + 1), too_large - 1))
