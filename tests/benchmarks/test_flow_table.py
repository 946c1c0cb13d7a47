"""benchmarks/flow_table.py: its columns where the answer is known."""

import importlib.util
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest

PATH = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'flow_table.py'
SPEC = importlib.util.spec_from_file_location('flow_table', PATH)
flow_table = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(flow_table)


@pytest.fixture(scope='module')
def street():
  return flow_table.street((48, 48), 2, 'driving', 'clear')['street, visible']


def test_standing_still_is_wrong_by_the_true_motion(street):
  estimate, random = flow_table.estimator('zero', False)
  means, seconds = flow_table.measure(estimate, street)
  lengths = [np.linalg.norm(truth['forward'], axis=-1).mean() for *_, truth in street]
  assert not random and means[1] == pytest.approx(np.mean(lengths), rel=1e-5)
  assert means[2] > 1 and len(seconds) == 2


def test_the_true_motion_is_right_and_explains_the_next_frame(street):
  a, b, truth = street[0]
  exact = flow_table.scores(truth['forward'][None], a[None], b[None], truth)
  still = flow_table.scores(0 * truth['forward'][None], a[None], b[None], truth)
  assert exact[:4] == [0, 0, 0, 0] and exact[4] < still[4]


def test_folders_have_no_truth(footage):
  pairs = flow_table.folder(footage / 'train_ir', (32, 48), 3)
  assert len(pairs) == 3 and pairs[0][0].shape == (32, 48, 3)
  lines = flow_table.table('infrared', pairs, ['zero'], stretch=True).splitlines()
  assert lines[-1].startswith('| zero |  |  |  |  | ') and 'stretched' in lines[0]


def test_a_dark_16_bit_frame_is_dark():
  frame = np.full((2, 2, 1), 200, np.uint16)
  np.testing.assert_allclose(flow_table.to_float(frame), 400 / 65535 - 1, rtol=1e-6)
  np.testing.assert_allclose(flow_table.to_float(frame.astype(np.uint8)), 400 / 255 - 1, rtol=1e-6)
  assert flow_table.to_float(frame).shape == (2, 2, 3)


def test_one_frame_a_clip_is_refused(footage, tmp_path):
  (tmp_path / 'one.png').write_bytes((footage / 'train_ir/clip0/0000.png').read_bytes())
  with pytest.raises(ValueError, match='no two frames'):
    flow_table.folder(tmp_path, (32, 32), 3)


def test_missing_weights_leave_the_time_alone(street, monkeypatch, tmp_path):
  monkeypatch.setenv('I2VJAX_PRETRAINED', str(tmp_path))
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setattr(flow_table.pretrained, 'load', lambda *args: args[-1].flow.name)
  assert flow_table.estimator('raft_small', False)[1]


# ---- end-point error by hand


def test_end_point_error_by_hand():
  """Errors of 5, 0, 4 of 100, and 4 pixels: the third is below 5 % of its motion."""
  truth = jnp.array([[0.0, 0.0], [9.0, 9.0], [100.0, 0.0], [10.0, 0.0]]).reshape(1, 2, 2, 2)
  flow = truth + jnp.array([[3.0, 4.0], [0.0, 0.0], [0.0, 4.0], [0.0, 4.0]]).reshape(1, 2, 2, 2)
  found = flow_table.end_point(flow, truth)
  np.testing.assert_allclose(found['epe'], 13 / 4)
  np.testing.assert_allclose(found['fl'], 2 / 4)


def test_masked_pixels_do_not_count():
  truth = jnp.zeros((2, 2, 2, 2))
  flow = truth.at[:, 0, 0].set(jnp.array([6.0, 8.0]))
  mask = jnp.ones((2, 2, 2)).at[1, 0, 0].set(0)
  found = flow_table.end_point(flow, truth, mask)
  np.testing.assert_allclose(found['epe'], [10 / 4, 0])
  np.testing.assert_allclose(found['fl'], [1 / 4, 0])
  assert np.isnan(flow_table.end_point(flow, truth, 0 * mask)['epe']).all()


def test_shapes_must_agree():
  with pytest.raises(ValueError, match='differ in shape'):
    flow_table.end_point(jnp.zeros((1, 2, 2, 2)), jnp.zeros((2, 2, 2, 2)))
