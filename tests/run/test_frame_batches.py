"""Frames in chunks: of one padded size, shared where nothing is remembered, dealt in order."""

import numpy as np
import pytest
import stub_runs as stubs

from i2vjax.core import notes
from i2vjax.data.transforms import thermal
from i2vjax.run import translator


def frame(height, width, value, dtype=np.uint8):
  return np.full((height, width, 1), value, dtype)


class Called:
  """A compiled chunk that notes what it is called with."""

  def __init__(self, translate, settings=None):
    self.run, self.shapes, self.traced = stubs.make(translate, settings), [], []
    self.call = translator.compile_chunk(self.run)

  def __call__(self, carry, raw, value_range):
    (self.shapes if isinstance(raw, np.ndarray) else self.traced).append(raw.shape[1:4])
    return self.call(carry, raw, value_range)

  def translate(self, *clips, chunk=4, pad_to=1, rule='clip'):
    clips = [(list(enumerate(clip)), None) for clip in clips]
    return list(translator.translate_clips(self, clips, rule, chunk, pad_to))


def test_frames_of_several_sizes_share_the_chunks_of_their_size():
  call = Called(stubs.negative)
  clip = [frame(16 + 4 * (k % 2), 16, k) for k in range(10)]
  results = call.translate(clip)
  assert [item[0] for item, _, _ in results] == list(range(10))
  for k, (_, source, result) in enumerate(results):
    assert source is clip[k] and result.shape == (*clip[k].shape[:2], 3)
    np.testing.assert_array_equal(result, 255 - k)
  assert sorted(call.shapes) == [(4, 16, 16), (4, 16, 16), (4, 20, 16), (4, 20, 16)]
  assert len(call.traced) == 2   # each size is looked at once


def test_sizes_that_are_padded_alike_share_chunks():
  call = Called(stubs.negative)
  call.translate([frame(16 - k, 14 + k, k) for k in range(3)], chunk=3)
  assert call.shapes == [(3, 16, 16)]


def test_short_clips_share_chunks_with_equal_results():
  run = stubs.halving_run()
  rng = np.random.default_rng(0)
  clips = [list(rng.integers(0, 256, (3, 16, 24, 1), np.uint8)) for _ in range(3)]
  call = Called(stubs.negative)
  call.call = translator.compile_chunk(run)
  shared = call.translate(*clips)
  assert len(call.shapes) == 3   # 9 frames by 4
  alone = [result for clip in clips for result in call.translate(clip)]
  assert len(call.shapes) == 6
  for (_, _, left), (_, _, right) in zip(shared, alone, strict=True):
    np.testing.assert_array_equal(left, right)


def test_a_method_that_remembers_gets_clip_after_clip():
  call = Called(stubs.counting)
  clips = [[frame(16, 16, 0)] * 3, [frame(16, 16, 0)] * 5,
           [frame(16, 16, 0), frame(16, 20, 0), frame(16, 16, 0)]]
  results = call.translate(*clips)
  assert [result[0, 0, 0] for _, _, result in results] == [0, 1, 2, 0, 1, 2, 3, 4, 0, 0, 0]
  assert [shape[1:] for shape in call.shapes] == [(16, 16)] * 4 + [(16, 20), (16, 16)]


def test_one_odd_frame_does_not_hold_back_all_others():
  """The first frame's size never comes again: it is begun before its chunk is full."""
  call, dealt = Called(stubs.negative), []
  clip = [frame(20, 20, 0)] + [frame(16, 16, 1)] * 40

  def items():
    for item in enumerate(clip):
      yield item
      dealt.append(item[0] - len(out))
  out = []
  for result in translator.translate_clips(call, [(items(), None)], 'clip', 4):
    out.append(result)
  assert len(out) == 41 and max(dealt) <= 12
  np.testing.assert_array_equal(out[0][2], 255)


def test_skipped_frames_keep_their_place():
  call = Called(stubs.counting)
  results = call.translate([None, frame(16, 16, 0), None, None, frame(16, 16, 0), None])
  assert [None if x is None else x[0, 0, 0] for _, _, x in results] == [None, 0, None, None, 1,
                                                                        None]
  assert call.shapes == [(4, 16, 16)]


def test_sixteen_bits_of_clips_with_other_ranges_share_no_chunk():
  call = Called(lambda *args: (args[-2], args[-1]))
  ramp = np.linspace(0, 100, 400).reshape(20, 20, 1)
  results = call.translate(*[[(ramp * scale).astype(np.uint16)] * 2 for scale in (10, 50)])
  assert len(call.shapes) == 2
  for _, _, result in results:
    assert (result.min(), result.max()) == (0, 255)


@pytest.mark.parametrize('translate', [stubs.negative, stubs.counting])
def test_sixteen_bits_behind_eight_take_the_range_of_their_first_chunk(translate):
  call = Called(translate)
  ramp = np.linspace(100, 500, 400).reshape(20, 20, 1).astype(np.uint16)
  results = call.translate([frame(20, 20, 9), ramp, ramp + 900], [frame(20, 20, 7)])
  values = thermal.value_range([ramp, ramp + 900], 'clip')
  for (_, shown, _), raw in zip(results[1:3], (ramp, ramp + 900), strict=True):
    np.testing.assert_array_equal(shown, thermal.to_display(raw, values))
  assert [results[k][1].max() for k in (0, 3)] == [9, 7]


def test_pad_to_lets_pictures_of_many_sizes_share_programs(monkeypatch, capsys):
  monkeypatch.setattr(notes, '_said', set())
  clip = [frame(17 + 5 * k, 20 + 3 * k, k) for k in range(8)]
  many, few = Called(stubs.negative), Called(stubs.negative)
  for call, pad_to in ((many, 1), (few, 64)):
    results = call.translate(clip, pad_to=pad_to)
    assert [result.shape[:2] for _, _, result in results] == [x.shape[:2] for x in clip]
    np.testing.assert_array_equal([result[-1, -1, 0] for _, _, result in results],
                                  255 - np.arange(8))
    assert ('--pad_to' in capsys.readouterr().err) == (pad_to == 1)
  assert len(set(many.shapes)) == 8 and set(few.shapes) == {(4, 64, 64)}
