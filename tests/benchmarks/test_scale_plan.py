"""The plan of a long training, by hand."""

import pytest
import scale_plan


def plan(*words):
  return scale_plan.plan(scale_plan.parser().parse_args(words))


def test_a_plan_by_hand():
  """1000 windows by 8: 125 steps; 4 epochs of half a second: 250 s. 2 x 8 x 3 frames in 0.5 s."""
  got = plan('--frames=1000', '--window=3', '--epochs=4', '--devices=8', '--batch=8', '--step=0.5',
             '--loader=24', '--file=100', '--sent=200', '--parameters=10')
  assert (got.steps, got.frames, got.cores) == (500, 96, 4)
  assert got.hours == pytest.approx(250 / 3600)
  assert (got.disk, got.link) == pytest.approx((9.6, 19.2))
  assert got.sums == pytest.approx(7 / 4 * 40 / 0.5)   # MB of gradients, there and back
  assert got.store == pytest.approx(0.1)


def test_windows_apart_are_a_third_as_many():
  assert plan('--frames=3001', '--epochs=1', '--batch=1', '--step=1', '--apart').steps == 1000


def test_what_is_printed_names_hours_and_frames():
  said = scale_plan.text(scale_plan.parser().parse_args(['--step=0.08', '--devices=16']))
  assert 'hours on 16 devices' in said and 'read: 600 frames/s' in said
