"""Kernels, bytes and operations of a compiled program.

What a loop does counts as often as the loop runs. A kernel is what runs by itself: a fusion, a
convolution, a product of matrices, a copy, a sort. Its bytes are those of its inputs and its result
that lie in main memory, slices of a larger array only as far as they are cut out. Operations are
those of convolutions and products of matrices, where zeros between and around inputs count as
nothing, as in XLA's own analysis.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator

from i2vjax.bench.hlo_text import Array, Instruction, Module, bits, whole

# These move nothing: names for what is there, and the ends of what had begun.
FREE = {'parameter', 'constant', 'get-tuple-element', 'tuple', 'bitcast', 'after-all', 'domain',
        'partition-id', 'replica-id', 'opt-barrier', 'add-dependency', 'async-update',
        'get-dimension-size'}
COLLECTIVES = ('all-reduce', 'all-gather', 'reduce-scatter', 'all-to-all', 'collective-permute',
               'collective-broadcast')
SLICES = ('dynamic-slice', 'slice', 'gather')
NO_KERNEL = ('AllocateBuffer', 'Sharding', 'ConcatBitcast', 'AssumeGatherIndicesInBound')


@dataclasses.dataclass(frozen=True)
class Kernel:
  """One kernel of a program.

  Attributes:
    kind: opcode, target of a custom call, 'fusion'.
    times: how often it runs.
    bytes: from and to main memory, each time.
    flops: operations of convolutions and products in it, each time.
    factors: type of what is multiplied, 'bfloat16', 'float32', or 'exact' where float32 is asked
      for by its precision.
    payload: bytes that a collective brings to other devices, each time.
    name: op_name of the traced program, else its own.
    taps: of the window of a convolution, along its longest side; 0: none.
  """

  kind: str
  times: int
  bytes: float
  flops: float
  factors: str
  payload: float
  name: str
  taps: int = 0


def kernels(module: Module, computation: str = '', times: int = 1) -> list[Kernel]:
  """All kernels of a computation (the whole program by default) and of what it calls."""
  found: list[Kernel] = []
  scope = module.computations[computation or module.entry]
  for line in scope.values():
    if line.opcode in FREE or line.opcode.endswith('-done'):
      continue
    if line.opcode == 'while':
      found += kernels(module, line.called('body') or '', times * rounds(line))
    elif line.opcode == 'conditional':
      found += max((kernels(module, name, times) for name in branches(line)),
                   key=lambda inside: sum(k.times * k.bytes for k in inside))   # the heaviest
    elif line.opcode in ('call', 'async-start'):
      found += kernels(module, line.called('to_apply') or line.called('calls') or '', times)
    elif not _is_free_call(line):
      found.append(kernel(module, scope, line, times))
  return found


def rounds(line: Instruction) -> int:
  """Of a loop; 1 where the program does not know."""
  known = re.search(r'"known_trip_count":\{"n":"(\d+)"', line.rest)
  return int(known[1]) if known else 1


def branches(line: Instruction) -> list[str]:
  """Computations of a conditional."""
  listed = re.search(r'branch_computations=\{([^}]*)\}', line.rest)
  if listed:
    return [name.strip().lstrip('%') for name in listed[1].split(',')]
  return [name for word in ('true', 'false') if (name := line.called(f'{word}_computation'))]


def _is_free_call(line):
  return line.opcode == 'custom-call' and _target(line) in NO_KERNEL


def _target(line):
  named = re.search(r'custom_call_target="([^"]*)"', line.rest)
  return named[1] if named else ''


def kernel(module: Module, scope: dict[str, Instruction], line: Instruction,
           times: int) -> Kernel:
  """One instruction that runs by itself, within the computation `scope`."""
  kind = line.opcode.removesuffix('-start')
  kind = _target(line) if kind == 'custom-call' else kind
  inside = list(works(module, scope, line))
  traced = re.search(r'op_name="([^"]*)"', line.rest)
  payload = sum(a.bytes for a in brought(line)) if kind in COLLECTIVES else 0.0
  return Kernel(kind, times, touched(module, scope, line), sum(f for f, _ in inside),
                max(inside, default=(0.0, 'float32'))[1], payload,
                traced[1] if traced else line.name, taps(line))


def brought(line: Instruction) -> list[Array]:
  """Arrays that a collective makes; those but sums that only begin name their inputs too."""
  begins = line.opcode.endswith('-start') and line.opcode != 'all-reduce-start'
  return line.arrays[len(line.operands):][:len(line.operands)] if begins else line.arrays


# ---- Bytes ---------------------------------------------------------------------------------------


def in_memory(arrays: list[Array]) -> float:
  """Bytes of those arrays that lie in main memory."""
  return sum(a.bytes for a in arrays if a.in_main_memory)


def touched(module: Module, scope: dict[str, Instruction], line: Instruction) -> float:
  """Bytes that an instruction reads and writes in main memory."""
  result = in_memory(line.arrays)
  if line.opcode.removesuffix('-start') in SLICES:
    cut = line.arrays[1:2] if line.opcode.endswith('-start') else line.arrays
    return sum(a.bytes for a in cut) + in_memory(cut)   # read, wherever the result is put
  if line.opcode.endswith('-start'):   # its result names inputs and outputs
    return result * (2 if line.opcode == 'all-reduce-start' else 1)
  if line.opcode == 'dynamic-update-slice':
    return 2 * in_memory(scope[line.operands[1]].arrays)
  inputs = [scope[name].arrays if name in scope else [] for name in line.operands]
  callee = module.computations.get(line.called('calls') or '', {})
  if line.opcode != 'fusion' or not callee:
    return result + sum(map(in_memory, inputs))
  parameters = {int(x.arguments): x for x in callee.values() if x.opcode == 'parameter'}
  read = sum(_read_of(callee, parameters.get(k), arrays) for k, arrays in enumerate(inputs))
  return read + _written(callee, result)


def _read_of(callee, parameter, arrays):
  """Bytes of one input that a fused computation reads: slices alone where it only cuts."""
  whole_input = in_memory(arrays)
  users = [x for x in callee.values() if parameter and parameter.name in x.operands]
  if users and all(x.opcode in SLICES and x.operands[0] == parameter.name for x in users):
    return min(whole_input, sum(a.bytes for x in users for a in x.arrays))
  if users and all(x.opcode == 'dynamic-update-slice' and x.operands[0] == parameter.name
                   for x in users):
    return 0.0   # overwritten in place
  return whole_input


def _written(callee, result):
  """Bytes of the result; of arrays that are overwritten in place the new parts alone."""
  root = list(callee)[-1]
  ends = callee[root].operands if callee[root].opcode == 'tuple' else [root]
  for name in ends:
    end = callee[name]
    while end.opcode == 'bitcast':
      end = callee[end.operands[0]]
    if end.opcode == 'dynamic-update-slice':
      part = callee[end.operands[1]]
      result -= sum(a.bytes for a in end.arrays) - sum(a.bytes for a in part.arrays)
  return max(result, 0.0)


# ---- Operations ----------------------------------------------------------------------------------


def works(module: Module, scope: dict[str, Instruction],
          line: Instruction) -> Iterator[tuple[float, str]]:
  """(operations, type of factors) of the convolutions and products in an instruction."""
  if line.opcode == 'fusion':
    callee = module.computations.get(line.called('calls') or '', {})
    for inner in callee.values():
      yield from works(module, callee, inner)
    return
  target = _target(line) if line.opcode == 'custom-call' else line.opcode
  operands = [scope[name].arrays for name in line.operands if name in scope]
  if len(operands) < 2 or not all(operands[:2]):
    return
  first, second, result = operands[0][0], operands[1][0], line.arrays[0]
  if target in ('dot', 'convolution') or 'conv' in target or 'gemm' in target or (
      'matmul' in target):
    is_conv = 'conv' in target
    flops = (convolution if is_conv else product)(line, target, first, second, result)
    yield flops, factors(line, first)


def factors(line: Instruction, array: Array) -> str:
  """See Kernel.factors."""
  if bits(array.dtype) <= 16:
    return 'bfloat16'
  return 'exact' if 'highest' in line.rest.lower() else 'float32'


def taps(line: Instruction) -> int:
  """Longest side of the window of a convolution that is a kernel by itself; 0 for all else."""
  text = re.search(r'window=\{size=([\dx]+)', line.rest)
  is_filter = 'BackwardFilter' in line.rest   # its window is that of the convolution
  return max(whole(text[1].replace('x', ','))) if text and not is_filter else 0


def wide_windows(found: list[Kernel], above: int = 12) -> int:
  """Convolutions whose window has more taps along a side than any network here has.

  On GPUs they are weight gradients that XLA does not know as such, and run as convolutions whose
  window is the whole map (networks/conv.py).
  """
  return sum(k.times for k in found if k.taps > above)


def product(line: Instruction, target: str, left: Array, right: Array, result: Array) -> float:
  """Operations of a product of matrices, two for each pair of numbers."""
  del target, right
  summed = line.numbers('lhs_contracting_dims')
  if summed is None:   # of a library, which is told so in its own words
    listed = re.search(r'"lhs_contracting_dimensions":\[([^\]]*)\]', line.rest)
    summed = whole(listed[1].replace('"', '')) if listed else (len(left.dims) - 1,)
  return 2.0 * result.size * math.prod(left.dims[k] for k in summed)


def convolution(line: Instruction, target: str, first: Array, second: Array,
                result: Array) -> float:
  """Operations of a convolution or of one of its gradients: those of the convolution itself."""
  labels = re.search(r'dim_labels=(\w+)_(\w+)->(\w+)', line.rest)
  if not labels:
    return 0.0
  data, kernel, out = first, second, result
  if 'BackwardFilter' in target:
    data, kernel, out = first, result, second
  elif 'BackwardInput' in target:
    data, kernel, out = result, second, first
  of_data, of_kernel, of_out = labels.groups()
  flops = 2.0 * out.dims[of_out.index('b')] * out.dims[of_out.index('f')]
  flops *= kernel.dims[of_kernel.index('i')]   # of one group, where there are several
  for axis in (c for c in of_kernel if c.isdigit()):
    flops *= pairs(data.dims[of_data.index(axis)], kernel.dims[of_kernel.index(axis)],
                   out.dims[of_out.index(axis)], window(line, int(axis)))
  return flops


def window(line: Instruction, axis: int) -> tuple[int, int, int, int]:
  """(stride, padding before, zeros between inputs + 1, between taps + 1) along an axis."""
  text = re.search(r'window=\{([^}]*)\}', line.rest)
  fields = dict(part.split('=') for part in text[1].split()) if text else {}

  def at(name, default):
    return fields[name].split('x')[axis] if name in fields else default
  return (int(at('stride', 1)), int(at('pad', '0_0').split('_')[0]), int(at('lhs_dilate', 1)),
          int(at('rhs_dilate', 1)))


def pairs(size: int, taps: int, outputs: int, how: tuple[int, int, int, int]) -> int:
  """Pairs of an output and a tap along an axis whose input is none of the zeros put in."""
  stride, pad, between, apart = how
  last = (size - 1) * between
  return sum(1 for o in range(outputs) for t in range(taps)
             if 0 <= (place := o * stride + t * apart - pad) <= last and place % between == 0)
