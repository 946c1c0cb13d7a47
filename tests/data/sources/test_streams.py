"""Streams: the value range of thermal clips that can only be read in order."""

import numpy as np

from i2vjax.data.sources import streams
from i2vjax.data.transforms import thermal


def frames(count, dtype=np.uint16):
  return [(str(k), np.full((2, 2, 1), k, dtype), None) for k in range(count)]


def test_a_peek_at_the_value_range_hands_out_every_item_once():
  count = thermal.RANGE_FRAMES + 6
  items, value_range = streams.peek_value_range(iter(frames(count)), 'clip')
  assert [label for label, _, _ in items] == [str(k) for k in range(count)]
  np.testing.assert_array_equal(value_range, [0, thermal.RANGE_FRAMES - 1])


def test_a_peek_at_8_bits_finds_no_range_and_loses_nothing():
  items, value_range = streams.peek_value_range(iter(frames(3, np.uint8)), 'clip')
  assert value_range is None
  assert len(list(items)) == 3
