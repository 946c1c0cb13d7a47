"""The text of a compiled XLA program, read into computations and instructions."""

from __future__ import annotations

import dataclasses
import functools
import math
import re

ARRAY = re.compile(r'\b([a-z]+\d*[a-z0-9]*)\[([\d,]*)\](\{[^}]*\})?')
HEADER = re.compile(r'^(ENTRY )?%?([\w.\-]+) \(.*-> .*\{\s*$')
NAME = re.compile(r'%([\w.\-]+)')


@dataclasses.dataclass(frozen=True)
class Array:
  """One array of a shape, as written: f32[8,128]{1,0:T(8,128)S(1)}."""

  dtype: str
  dims: tuple[int, ...]
  layout: str = ''

  @property
  def size(self) -> int:
    """Numbers in it."""
    return math.prod(self.dims)

  @property
  def bytes(self) -> float:
    """Without padding of its layout."""
    return self.size * bits(self.dtype) / 8

  @property
  def in_main_memory(self) -> bool:
    """False for memory space S(1) and above, which is on the chip."""
    return 'S(' not in self.layout


@dataclasses.dataclass(frozen=True)
class Instruction:
  """One line of a computation.

  Attributes:
    name, opcode: as written.
    shape: text of its result, a tuple in parentheses.
    arguments: text in the parentheses behind the opcode.
    rest: all behind them.
  """

  name: str
  opcode: str
  shape: str
  arguments: str
  rest: str

  @functools.cached_property
  def operands(self) -> list[str]:
    """Names of what it reads."""
    return NAME.findall(self.arguments)

  @property
  def arrays(self) -> list[Array]:
    """Of the result."""
    return arrays(self.shape)

  def called(self, word: str) -> str | None:
    """Name of the computation behind `word=`, as in body=%b."""
    found = re.search(rf'\b{word}=%?([\w.\-]+)', self.rest)
    return found[1] if found else None

  def numbers(self, word: str) -> tuple[int, ...] | None:
    """Whole numbers of `word={1,2}`."""
    found = re.search(rf'\b{word}=\{{([\d,]*)\}}', self.rest)
    return whole(found[1]) if found else None


@dataclasses.dataclass(frozen=True)
class Module:
  """A program: {computation: {name: Instruction}} and which one it begins with."""

  computations: dict[str, dict[str, Instruction]]
  entry: str


def bits(dtype: str) -> int:
  """Of one number: f32, bf16, s4, pred, f8e4m3fn; 0 for what is no number."""
  if dtype == 'pred':
    return 8
  found = re.match(r'[a-z]+(\d+)', dtype)
  return int(found[1]) if found else 0


def whole(text: str) -> tuple[int, ...]:
  """'8,128' -> (8, 128)."""
  return tuple(int(x) for x in text.split(',') if x)


def arrays(shape: str) -> list[Array]:
  """Arrays of a shape, or of all in a tuple."""
  return [Array(dtype, whole(dims), layout) for dtype, dims, layout in ARRAY.findall(shape)]


def parse(text: str) -> Module:
  """Reads `compiled.as_text()`.

  Raises:
    ValueError: there is no ENTRY.
  """
  computations: dict[str, dict[str, Instruction]] = {}
  current, entry = None, ''
  for line in text.splitlines():
    head = HEADER.match(line)
    if head:
      current = computations.setdefault(head[2], {})
      entry = head[2] if head[1] else entry
    elif line.startswith('}'):
      current = None
    elif current is not None and (found := instruction(line)):
      current[found.name] = found
  if not entry:
    raise ValueError('this text of a program has no ENTRY')
  return Module(computations, entry)


def instruction(line: str) -> Instruction | None:
  """`  ROOT %name = shape opcode(operands), attributes`; None for another line."""
  head, sign, tail = line.partition(' = ')
  if not sign:
    return None
  end = closing(tail) if tail.startswith('(') else tail.find(' ')
  shape, call = tail[:end].strip(), tail[end:].strip()
  opcode, bracket, _ = call.partition('(')
  if not bracket:
    return None
  end = len(opcode) + closing(call[len(opcode):])
  return Instruction(head.split()[-1].lstrip('%'), opcode, shape, call[len(opcode) + 1:end - 1],
                     call[end:])


def closing(text: str) -> int:
  """Index behind the parenthesis that closes the first one of `text`."""
  depth = 0
  for index, letter in enumerate(text):
    depth += (letter == '(') - (letter == ')')
    if not depth:
      return index + 1
  return len(text)
