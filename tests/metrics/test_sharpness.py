"""Sharpness by hand."""

import numpy as np
import pytest

from i2vjax.metrics import sharpness


def test_a_ramp_has_its_slope_and_a_plain_frame_none():
  ramp = np.broadcast_to(np.linspace(0, 1, 11)[:, None, None], (11, 5, 1))
  assert sharpness.mean_gradient(ramp) == pytest.approx(0.1)
  assert sharpness.mean_gradient(np.full((4, 4, 3), 0.3)) == 0


def test_color_counts_by_its_luma():
  green = np.zeros((1, 2, 3))
  green[0, 1, 1] = 1
  assert sharpness.mean_gradient(green) == pytest.approx(0.587)


def test_blur_loses_sharpness():
  frame = np.random.default_rng(0).random((16, 16, 1))
  soft = (frame + np.roll(frame, 1, 0) + np.roll(frame, 1, 1)) / 3
  assert sharpness.mean_gradient(soft) < 0.8 * sharpness.mean_gradient(frame)
