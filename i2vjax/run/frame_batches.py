"""Frames gathered into chunks for the device, and dealt out in order.

A method that remembers frames gets those of a clip one chunk after the other. One that does not
gets frames of several clips, and of several sizes that are padded alike, in one chunk.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from i2vjax.core import notes
from i2vjax.data.transforms import thermal
from i2vjax.run import padding

MANY_SIZES = 6    # padded sizes of one translation from which on --pad_to is recommended
HELD_CHUNKS = 3   # chunks' worth of frames that are held at most, for the sake of their order


@dataclasses.dataclass
class Values:
  """The raw values of a clip that become -1 and 1, [2]; None: not known yet."""

  range: np.ndarray | None = None


EIGHT_BITS = Values(np.array([0, 255], np.float32))


@dataclasses.dataclass
class Chunk:
  """Frames of one padded size that are on the device together.

  Attributes:
    size: (height, width), padded. values: of its frames.
    slots: its frames, until the device has them.
    number: in the order in which the device begins chunks; -1: it waits for more frames.
    result: [T, H, W, C], on the device or here. finite: bool [T], as `translator.compile_chunk`
      says, the same.
  """

  size: tuple[int, int]
  values: Values
  slots: list[Slot] = dataclasses.field(default_factory=list)
  number: int = -1
  result: Any = None
  finite: Any = None


@dataclasses.dataclass
class Slot:
  """A place in the order.

  Attributes:
    item: whose place it is.
    source: its frame, until the device has it. size: (height, width) of that.
    shown: what is shown of it.
    chunk, place: where its result is.
  """

  item: tuple
  source: np.ndarray | None = None
  size: tuple[int, int] = (0, 0)
  shown: np.ndarray | None = None
  chunk: Chunk | None = None
  place: int = 0


class Batches:
  """Chunks that are filled, computed and dealt out.

  One is computed while the one before is dealt out. Unfinished ones are filled up with their last
  frame, so that one compiled program serves each padded size.
  """

  def __init__(self, call: Callable, rule: Any = 'clip', chunk: int = 8, pad_to: int = 1,
               tell: Callable[[Any, bool], Any] | None = None) -> None:
    """What chunks are made of.

    Args:
      call: of `translator.compile_chunk`.
      rule: `data.thermal_range` of the run.
      chunk: frames on the device at a time.
      pad_to: sides become multiples of it at least.
      tell: called with (label, finite) of each translated frame as it is dealt out.
    """
    self.call, self.rule, self.chunk, self.pad_to = call, rule, chunk, pad_to
    self._tell = tell
    self._slots: collections.deque[Slot] = collections.deque()   # not dealt out yet, in order
    self._filling: dict[tuple, Chunk] = {}                       # by what their frames share
    self._layouts: dict[tuple, tuple[tuple[int, int], bool]] = {}
    self._kind: tuple | None = None                              # type and shapes of the latest
    self._values, self._run = Values(), 0                        # of its clip; of equal frames
    self._carry: Any = None
    self._carry_of = -1                                          # the run that it belongs to
    self._begun = self._held = 0

  def begin_clip(self, value_range: np.ndarray | None) -> None:
    """Frames from here on are of another clip. value_range: [2]; None: by its first chunk."""
    self._values, self._kind = Values(value_range), None

  def add(self, item: tuple) -> None:
    """Put (label, raw frame [H, W, C] or None, seconds, a larger frame to be shown) at the end.

    The last two may be left away.
    """
    slot = Slot(item)
    self._slots.append(slot)
    if item[1] is None:
      return
    frame = slot.source = thermal.stretch(item[1], self.rule)
    slot.shown = thermal.stretch(item[3], self.rule) if len(item) > 3 else frame
    slot.size = frame.shape[:2]
    if self._kind != (kind := (frame.dtype, frame.shape, slot.shown.shape)):
      self._run, self._kind = self._run + 1, kind
    self._held += 1
    self._fill(slot, *self._layout(frame.shape, frame.dtype))

  def _layout(self, shape, dtype):
    """(padded size, whether the method remembers) for frames of this kind; each is traced once."""
    if (shape, dtype) not in self._layouts:
      self._layouts[shape, dtype] = padding.layout(self.call, shape, dtype, self.chunk, self.pad_to)
      if len({size for size, _ in self._layouts.values()}) == MANY_SIZES:
        notes.say_once(f'frames of {MANY_SIZES} sizes and perhaps more: each is compiled for. '
                       '--pad_to=64 has similar ones share a program; frames change a little, as '
                       'more of them is mirrored at the edges')
    return self._layouts[shape, dtype]

  def _fill(self, slot, size, remembers):
    """Put a frame into its chunk; what waits for nothing more goes to the device."""
    frame = slot.source
    values = EIGHT_BITS if frame.dtype == np.uint8 else self._values
    shared = id(values) if values.range is None else values.range.tobytes()
    key = size, frame.shape[2], frame.dtype.str, self._run if remembers else shared
    if remembers and key not in self._filling:
      self._begin_all(remembers)   # the run before has ended
    chunk = self._filling.setdefault(key, Chunk(size, values))
    slot.chunk, slot.place = chunk, len(chunk.slots)
    chunk.slots.append(slot)
    if len(chunk.slots) == self.chunk:
      self._begin(key, remembers)
    elif not remembers and self._held >= HELD_CHUNKS * self.chunk:
      self._begin(next(iter(self._filling)), remembers)   # whose first frame the others wait for

  def _begin(self, key, remembers):
    """Have the device begin a chunk."""
    chunk = self._filling.pop(key)
    raw = [slot.source for slot in chunk.slots]
    if chunk.values.range is None:   # the range of the first 16-bit chunk serves the whole clip
      chunk.values.range = thermal.value_range(raw, self.rule)
    frames = np.concatenate([padding.pad(frame[None], chunk.size) for frame in raw]
                            + [padding.pad(raw[-1][None], chunk.size)] * (self.chunk - len(raw)))
    if self._carry_of != key[-1]:
      self._carry, self._carry_of = None, key[-1]
    carry, chunk.result, chunk.finite = self.call(self._carry, frames[None],
                                                  chunk.values.range[None])
    self._carry = carry if remembers else None
    for slot in chunk.slots:
      slot.source, slot.shown = None, thermal.to_display(slot.shown, chunk.values.range)
    chunk.slots = []
    chunk.number, self._begun = self._begun, self._begun + 1

  def _begin_all(self, remembers):
    for key in list(self._filling):
      self._begin(key, remembers)

  def dealt(self) -> Iterator[tuple]:
    """(item, shown, result) in order, as far as the device need not be waited for."""
    yield from self._deal(self._begun - 1)

  def rest(self) -> Iterator[tuple]:
    """(item, shown, result) of all that is left."""
    self._begin_all(remembers=False)
    yield from self._deal(self._begun)

  def _deal(self, end):
    """What is before chunk number `end`, and skipped items between."""
    while self._slots and (self._slots[0].chunk is None
                           or 0 <= self._slots[0].chunk.number < end):
      slot = self._slots.popleft()
      if slot.chunk is None:
        yield slot.item, None, None
        continue
      self._held -= 1
      slot.chunk.result = np.asarray(slot.chunk.result)
      if self._tell:
        slot.chunk.finite = np.asarray(slot.chunk.finite)
        self._tell(slot.item[0], bool(slot.chunk.finite[slot.place]))
      height, width = slot.size
      yield slot.item, slot.shown, slot.chunk.result[slot.place, :height, :width]
