"""Devices to compile for, and what their makers state of them."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import topologies

from i2vjax.core import backend
from i2vjax.core.errors import UserError

DESCRIPTIONS = pathlib.Path(__file__).parent / 'gpus'   # what XLA must know of a GPU
# libtpu asks the machine what it is; of one that is no TPU it complains, or waits.
NO_TPU_HERE = {'TPU_SKIP_MDS_QUERY': '1', 'TPU_WORKER_HOSTNAMES': 'localhost',
               'TPU_ACCELERATOR_TYPE': 'v5litepod-8', 'ALLOW_MULTIPLE_LIBTPU_LOAD': '1',
               'TPU_STDERR_LOG_LEVEL': '3', 'TPU_MIN_LOG_LEVEL': '3'}


@dataclasses.dataclass(frozen=True)
class Chip:
  """A device as its maker describes it; dense products, decimal units.

  Attributes:
    name: for people.
    platform: 'tpu' or 'gpu'.
    bfloat16: operations a second of matrix products of bfloat16.
    float32: of float32 as XLA multiplies it by default there: TF32 on GPUs, one pass of bfloat16 on
      TPUs.
    exact: of float32 at the highest precision: no tensor cores on GPUs, six passes on TPUs.
    bandwidth: bytes a second from and to its memory.
    memory: bytes.
    link: bytes a second from and to all other devices together.
    launch: seconds that a kernel takes at least, ours; 0 where a program runs as one.
  """

  name: str
  platform: str
  bfloat16: float
  float32: float
  exact: float
  bandwidth: float
  memory: float
  link: float
  launch: float = 0.0


CHIPS = {
    # NVIDIA H100 SXM5 data sheet; half of what it states with sparsity.
    'h100': Chip('NVIDIA H100 SXM 80 GB', 'gpu', 989e12, 494e12, 67e12, 3.35e12, 80e9, 900e9, 2e-6),
    # cloud.google.com/tpu/docs: v4, v5e, v5p, v6e.
    'v4': Chip('TPU v4', 'tpu', 275e12, 275e12, 275e12 / 6, 1.2e12, 32e9, 300e9),
    'v5e': Chip('TPU v5e', 'tpu', 197e12, 197e12, 197e12 / 6, 819e9, 16e9, 200e9),
    'v5p': Chip('TPU v5p', 'tpu', 459e12, 459e12, 459e12 / 6, 2.765e12, 95e9, 600e9),
    'v6e': Chip('TPU v6e', 'tpu', 918e12, 918e12, 918e12 / 6, 1.64e12, 32e9, 400e9),
}
MEGACORE = ('v4', 'v5p')   # two cores that work as one device


@dataclasses.dataclass(frozen=True)
class Target:
  """Devices of one kind.

  Attributes:
    text: as asked for, 'v5e:2x4'.
    chip: Chip.
    shape: devices along each side of the slice; (8,) of GPUs.
  """

  text: str
  chip: Chip
  shape: tuple[int, ...]

  @property
  def devices(self) -> int:
    """How many there are."""
    return math.prod(self.shape)


def parse(text: str) -> Target:
  """'h100', 'h100:8', 'v5e:2x4', 'v4:2x2x1'.

  Raises:
    UserError: no such kind or shape.
  """
  kind, colon, shape = text.partition(':')
  if kind not in CHIPS:
    raise UserError(f'--target {text}: choose here, or one of {", ".join(CHIPS)} with a shape, as '
                    'in v5e:2x4, h100 or h100:8')
  chip = CHIPS[kind]
  if chip.platform == 'gpu':
    if not re.fullmatch(r'(?!0)\d*', shape):
      raise UserError(f'--target {text}: write {kind}, or {kind}:8 for so many')
    return Target(text, chip, (int(shape or 1),))
  sides = 3 if kind in MEGACORE else 2
  if not re.fullmatch(r'[1-9]\d*' + r'x[1-9]\d*' * (sides - 1), shape):
    example = 'x'.join(['2'] * (sides - 1) + ['1' if sides == 3 else '4'])
    raise UserError(f'--target {text}: a slice of {kind} has {sides} sides, as in {kind}:{example}')
  return Target(text, chip, tuple(map(int, shape.split('x'))))


def require(target: Target) -> None:
  """Raises UserError where the compiler for these devices is not installed here."""
  if target.chip.platform == 'tpu' and importlib.util.find_spec('libtpu') is None:
    raise UserError(f'--target {target.text}: compiling for a TPU needs its compiler, which is not '
                    f"here: pip install 'i2vjax[bench]' (libtpu, as this jax {jax.__version__} "
                    'asks for; Linux on x86)')
  names = ('jax_cuda13_plugin', 'jax_cuda12_plugin')
  if target.chip.platform == 'gpu' and not any(map(importlib.util.find_spec, names)):
    raise UserError(f'--target {target.text}: compiling for an NVIDIA GPU needs its compiler, '
                    "which is not here: pip install 'i2vjax[cuda]' (5 GB; it needs no GPU)")


def open_devices(target: Target) -> list[Any]:
  """The devices as the compiler describes them; none of them is here.

  Raises:
    UserError: this machine has no compiler for them, or there is no such slice.
  """
  require(target)
  try:
    found = list((_tpu if target.chip.platform == 'tpu' else _gpu)(target).devices)
  except (jax.errors.JaxRuntimeError, ValueError, NotImplementedError, RuntimeError) as error:
    reason = str(error).strip().splitlines()[0][:300]
    raise UserError(f'--target {target.text}: the compiler refuses it ({reason})') from error
  if len(found) != target.devices:
    raise UserError(f'--target {target.text}: the compiler knows {len(found)} devices of it, not '
                    f'{target.devices}: name another shape')
  return found


def _tpu(target):
  for name, value in NO_TPU_HERE.items():
    os.environ.setdefault(name, value)
  kind = target.text.partition(':')[0]
  whole = all(side % 2 == 0 for side in target.shape[:2])
  host = (2, 2, 1) if whole else (*target.shape, 1)[:3]   # a slice smaller than a host's four
  core = 'megacore' if kind in MEGACORE else 'default'
  return topologies.get_topology_desc(target.text, platform='tpu', chip_config_name=core,
                                      chips_per_host_bounds=host)


def _gpu(target):
  text = (DESCRIPTIONS / f'{target.text.partition(":")[0]}.txtpb').read_text()
  return topologies.get_topology_desc('', platform='cuda', target_config=text,
                                      topology=f'1x1x{target.devices}')


@contextlib.contextmanager
def compiling_for(target: Target) -> Iterator[None]:
  """What is traced meanwhile takes the forms that are fast on the target."""
  with backend.compiling_for(target.chip.platform):
    yield
