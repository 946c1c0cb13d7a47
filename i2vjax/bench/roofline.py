"""Least time of a program on a chip, by its stated rates.

The roofline of Williams, Waterman and Patterson (2009), kernel by kernel: each takes at least the
longer of its operations over the chip's rate and its bytes over the chip's bandwidth, and at least
the time of a launch. The sum is a lower bound for a program that runs its kernels one after the
other at the rates its maker states; real chips need more.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Iterable

from i2vjax.bench.hlo_counts import COLLECTIVES, Kernel
from i2vjax.bench.targets import Chip


@dataclasses.dataclass(frozen=True)
class Estimate:
  """Sums over all kernels of a program on one device.

  Attributes:
    kernels: how many run.
    bytes: from and to main memory.
    flops: operations of convolutions and products.
    seconds: least time of all kernels but collectives.
    arithmetic, memory: seconds of the operations alone, of the bytes alone.
    collectives: {kind: (how many, bytes of each device's result)}.
    transfer: seconds of the collectives at the rate of the links; 0 for one device.
  """

  kernels: int
  bytes: float
  flops: float
  seconds: float
  arithmetic: float
  memory: float
  collectives: dict[str, tuple[int, float]]
  transfer: float


def rate(chip: Chip, factors: str) -> float:
  """Operations a second of what is multiplied (`Kernel.factors`)."""
  return {'bfloat16': chip.bfloat16, 'float32': chip.float32, 'exact': chip.exact}[factors]


def least(kernel: Kernel, chip: Chip) -> float:
  """Seconds of one run of a kernel."""
  return max(chip.launch, kernel.bytes / chip.bandwidth, kernel.flops / rate(chip, kernel.factors))


def estimate(kernels: Iterable[Kernel], chip: Chip, devices: int = 1) -> Estimate:
  """Estimate of a program that `devices` devices run together."""
  count: Counter[str] = Counter()
  payload: dict[str, float] = defaultdict(float)
  runs, sums = 0, dict.fromkeys(('bytes', 'flops', 'seconds', 'arithmetic'), 0.0)
  for kernel in kernels:
    if kernel.kind in COLLECTIVES:
      count[kernel.kind] += kernel.times
      payload[kernel.kind] += kernel.times * kernel.payload
      continue
    runs += kernel.times
    of_one = {'bytes': kernel.bytes, 'flops': kernel.flops,
              'seconds': least(kernel, chip),
              'arithmetic': kernel.flops / rate(chip, kernel.factors)}
    for name, value in of_one.items():
      sums[name] += kernel.times * value
  return Estimate(runs, **sums, memory=sums['bytes'] / chip.bandwidth,
                  collectives={kind: (count[kind], payload[kind]) for kind in sorted(count)},
                  transfer=sum(sent(kind, payload[kind], devices) for kind in count) / chip.link)


def sent(kind: str, payload: float, devices: int) -> float:
  """Bytes that a device sends in a ring for a collective that makes `payload` bytes on each."""
  others = devices - 1
  if kind == 'collective-permute':
    return payload
  if kind == 'reduce-scatter':   # of which each device keeps one part
    return payload * others
  return payload * others / devices * (2 if kind == 'all-reduce' else 1)
