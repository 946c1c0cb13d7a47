"""PearlGAN's configs: numbers of the public scripts, start of terms, edge maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import config_of, one_step, parameter_counts
from pearlgan_toys import BATCH, EDGES, FRAMES, REAL, setup_of, tiny

from i2vjax.losses import edges
from i2vjax.methods import pearlgan
from i2vjax.run import schedules


def test_numbers_of_the_public_scripts():
  flir, kaist = (config_of('pearlgan', word) for word in ('paper', 'kaist'))
  assert (flir.sga.threshold, flir.start.ssim, kaist.sga.threshold, kaist.start.accs) == (
      0.8, 11, 0.44, 31)
  today = config_of('pearlgan', 'todaygan-paper')
  assert (today.gen.up_norm, today.disc.norm, today.data.crop_size) == ('instance', 'instance', 384)
  assert config_of('pearlgan', 'todaygan-demo').data.crop_size == 64
  with pytest.raises(ValueError, match='configs/pearlgan.py:flir'):
    config_of('pearlgan', 'flir')


def test_rate_falls_as_in_the_public_code():
  """2e-4 (1 - (k - 1 - n0) / n1) in epoch k after n0 constant ones."""
  config = config_of('pearlgan', 'paper')
  rate = schedules.learning_rate(config.optim, config.train, 3)
  for k in (1, 40, 41, 42, 60, 80):
    expected = 2e-4 * (1 - max(0, k - 1 - 40) / 40)
    np.testing.assert_allclose(float(rate(3 * (k - 1))), expected, rtol=1e-5)


def test_ssim_and_accs_begin_with_their_epoch():
  config = tiny()
  config.start.update(ssim=11, accs=31)
  config.train.per_epoch = 7
  for name, first in (('ssim', 70), ('accs', 210)):
    assert [float(pearlgan.ramp(config, jnp.int32(step), name))
            for step in (0, first - 1, first, first + 1)] == [0, 0, 1, 1]


def test_edges_come_from_the_batch_where_it_has_them():
  maps = pearlgan.edge_maps(tiny(), BATCH)
  for x, edges_of_x in zip('ab', EDGES, strict=True):
    np.testing.assert_allclose(maps[x], edges_of_x[:, 0] / 255, rtol=1e-6)


def test_contours_are_taken_of_the_infrared_domain():
  config = tiny()
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(edges, 'contours', lambda x: ('contours', x))
    patch.setattr(edges, 'canny', lambda x: ('canny', x))
    for direction, kinds in (('a2b', ('contours', 'canny')), ('b2a', ('canny', 'contours'))):
      config.data.direction = direction
      maps = pearlgan.edge_maps(config, FRAMES)
      assert (maps['a'][0], maps['b'][0]) == kinds
      np.testing.assert_array_equal(maps['b'][1], REAL['b'])
  config.weights.sga = 0.0
  assert pearlgan.edge_maps(config, FRAMES) is None


def test_number_of_parameters():
  """Four halves and two critics of the public repository."""
  config = config_of('pearlgan', 'paper')
  config.data.crop_size = 32
  counts = parameter_counts(pearlgan, config)
  assert counts['gen_ab'] + counts['gen_ba'] == 23_602_998
  assert counts['disc_a'] + counts['disc_b'] == 33_396_402


@pytest.mark.slow
@pytest.mark.parametrize('words', ['demo', 'demo-todaygan'])
def test_real_networks_stay_finite_on_flat_frames(words):
  """One level everywhere: no edge, no variance, equal scores."""
  config = config_of('pearlgan', words)
  config.data.update(load_size=32, crop_size=32)
  config.gen.update(width=4, blocks_enc=1, blocks_dec=1)
  config.disc.update(width=4, stages=2)
  flat = {x: jnp.full((1, 1, 32, 32, 3), level) for x, level in (('a', -1.0), ('b', 0.25))}
  after, terms = one_step(pearlgan, *setup_of(config), flat)
  assert all(np.isfinite(x).all() for x in jax.tree.leaves((after.params, terms)))
