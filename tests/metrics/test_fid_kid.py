"""FID and KID: distances of features by hand and against SciPy; preparation; kept references."""

import functools
import json
import logging

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from PIL import Image

from i2vjax import defaults
from i2vjax.evaluation import scoring_networks
from i2vjax.metrics import fid_kid, inception_features
from i2vjax.pretrained import registry


def draw(count, dims=8, seed=0, shift=0.0):
  return np.random.default_rng(seed).normal(shift, 1, (count, dims))


# ---- FID ----------------------------------------------------------------------------------------


def test_frechet_distance_of_scaled_identities():
  """S1 = a^2 I, S2 = b^2 I: tr (S1 S2)^(1/2) = d a b."""
  np.testing.assert_allclose(fid_kid.trace_of_root(4 * np.eye(5), 9 * np.eye(5)), 30, rtol=1e-12)


def test_frechet_distance_of_a_moved_and_stretched_set():
  """y = b x + c: |m1 - m2|^2 + (1 - b)^2 tr S, on both ways to the trace."""
  for count in (40, 4):
    x = draw(count)
    y = 3 * x + 2
    expected = np.sum((x.mean(0) - y.mean(0)) ** 2) + 4 * np.trace(np.cov(x, rowvar=False))
    values = fid_kid.fid(x, y)
    np.testing.assert_allclose(values['fid'], expected, rtol=1e-9)
    np.testing.assert_allclose(values['fid_div100'], expected / 100, rtol=1e-9)


def test_trace_of_the_root_equals_scipy():
  first, second = (np.cov(draw(200, 64, seed), rowvar=False) for seed in range(2))
  expected = np.trace(scipy.linalg.sqrtm(first @ second)).real
  np.testing.assert_allclose(fid_kid.trace_of_root(first, second), expected, rtol=1e-9)


def test_short_cut_for_few_images_equals_the_covariances():
  """In 32 dimensions 12 and 9 images leave most directions empty."""
  x, y = draw(12, 32), draw(9, 32, 1)
  slow = fid_kid.trace_of_root(np.cov(x, rowvar=False), np.cov(y, rowvar=False))
  fast = fid_kid.trace_of_root_from_features(x - x.mean(0), y - y.mean(0))
  np.testing.assert_allclose(fast, slow, rtol=1e-6)


@pytest.mark.parametrize('count', [100, 5])
def test_a_set_against_itself_is_0(count):
  assert abs(fid_kid.fid(draw(count, 32), draw(count, 32))['fid']) < 1e-3


def test_one_image_has_no_covariance():
  for x, y in ((draw(1), draw(5)), (draw(5), draw(1))):
    with pytest.raises(ValueError, match='FID needs at least 2 images per set'):
      fid_kid.fid(x, y)
  with pytest.raises(ValueError, match='not of one kind'):
    fid_kid.fid(draw(5, 8), draw(5, 9))


def test_few_images_are_warned_of_once_with_their_number(caplog):
  for _ in range(2):
    fid_kid.fid(draw(53), draw(47))
  assert [r.levelno for r in caplog.records] == [logging.WARNING]
  assert 'FID of 53 images against 47' in caplog.text and '2048' in caplog.text
  assert fid_kid.small_set_warning(2048, 5000) == ''


def test_nan_is_shown_and_counted():
  x = draw(6)
  x[2, 3] = np.nan
  values = fid_kid.result(x, draw(6))
  assert values['num_nonfinite'] == 1
  assert all(np.isnan(values[name]) for name in ('fid', 'fid_div100', 'kid_mean', 'kid_std'))


# ---- KID ----------------------------------------------------------------------------------------


def mmd_by_hand(x, y, q):
  """Equation term by term."""
  m, D = x.shape

  def k(a, b):
    return (a @ b / D + 1) ** q
  inside = sum(k(z[i], z[j]) for z in (x, y) for i in range(m) for j in range(m) if i != j)
  across = sum(k(a, b) for a in x for b in y)
  return inside / (m * (m - 1)) - 2 * across / m**2


@pytest.mark.parametrize('q', [1, 3, 21])
def test_kid_of_whole_sets_is_the_unbiased_mmd(q):
  x, y = draw(7), draw(7, seed=1, shift=0.3)
  name = 'kid' if q == 3 else f'kid{q}'
  values = fid_kid.kid(x, y, degrees=(q,))
  np.testing.assert_allclose(values[f'{name}_mean'], mmd_by_hand(x, y, q), rtol=1e-9)
  assert values[f'{name}_std'] == 0


def test_kid_of_subsets_is_the_mean_over_their_mmds():
  """Every pair of subsets of 2 out of 3 occurs: the mean tends to the mean over all of them."""
  x, y = draw(3), draw(3, seed=1, shift=0.5)
  pairs = [[0, 1], [0, 2], [1, 2]]
  every = [mmd_by_hand(x[a], y[b], 3) for a in pairs for b in pairs]
  values = fid_kid.kid(x, y, subsets=20000, subset_size=2)
  np.testing.assert_allclose(values['kid_mean'], np.mean(every), atol=0.03 * np.std(every))
  np.testing.assert_allclose(values['kid_std'], np.std(every), rtol=0.03)


def test_subsets_one_by_one_equal_subsets_from_one_matrix(monkeypatch):
  call = functools.partial(fid_kid.kid, draw(30), draw(20, seed=1), degrees=(3, 21), subsets=5,
                           subset_size=10)
  whole = call()
  monkeypatch.setattr(fid_kid, 'MAX_KERNEL_VALUES', 0)
  for name, value in call().items():
    np.testing.assert_allclose(value, whole[name], rtol=1e-9)


def test_subsets_are_no_larger_than_the_smaller_set(caplog):
  x, y = draw(11), draw(5, seed=1)
  small, large = (fid_kid.kid(x, y, subsets=9, subset_size=size) for size in (5, 1000))
  assert small == large and small['kid_std'] > 0
  assert 'subsets of 5 images, not 1000' in caplog.text


def test_the_same_set_twice_is_negative():
  assert fid_kid.kid(draw(9), draw(9))['kid_mean'] < 0


def test_seed_makes_the_draws():
  call = functools.partial(fid_kid.kid, draw(30), draw(30, seed=1), subsets=3, subset_size=10)
  assert call(seed=0) == call(seed=0) != call(seed=1)


@pytest.mark.parametrize('options', [dict(degrees=()), dict(degrees=(0,)), dict(subsets=0),
                                     dict(subset_size=1)])
def test_impossible_options_are_refused(options):
  with pytest.raises(ValueError, match='begin at 1'):
    fid_kid.kid(draw(5), draw(5), **options)
  with pytest.raises(ValueError, match='KID needs at least 2'):
    fid_kid.kid(draw(1), draw(5))


# ---- totals -------------------------------------------------------------------------------------


def test_order_and_parts_do_not_matter():
  x, y = draw(20).astype(np.float32), draw(25, seed=1).astype(np.float32)
  options = dict(degrees=(3, 21), subsets=4, subset_size=8)
  whole = fid_kid.result(fid_kid.update(fid_kid.init(), x), y, **options)
  a, b = (fid_kid.update(fid_kid.init(), part) for part in (x[:7], x[:6:-1]))
  for total in (fid_kid.merge(a, b), fid_kid.merge(b, a)):
    values = fid_kid.result(total, y[::-1], **options)
    assert list(values) == ['fid', 'fid_div100', 'kid_mean', 'kid_std', 'kid21_mean', 'kid21_std']
    for name, value in values.items():
      np.testing.assert_allclose(value, whole[name], rtol=1e-9)


def test_masked_features_are_not_there():
  x = draw(6)
  total = fid_kid.update(fid_kid.init(), x, mask=[1, 1, 0, 1, 0, 0])
  np.testing.assert_array_equal(fid_kid.gather(total), x[[0, 1, 3]])


def test_names_choose_and_the_suffix_marks():
  x, y = draw(5), draw(6)
  assert set(fid_kid.result(x, y, names=('kid',), random=True)) == {
      'kid_mean_RANDOM', 'kid_std_RANDOM'}
  assert set(fid_kid.result(x, y, names=('fid',))) == {'fid', 'fid_div100'}


def test_an_empty_total_is_refused():
  with pytest.raises(ValueError, match='at least 2 images'):
    fid_kid.result(fid_kid.init(), draw(5))


def test_protocol_says_numbers_and_scale():
  known = fid_kid.protocol(169, 400, degrees=(3, 21), seed=4)
  assert (known['fid_frames'], known['fid_reference_frames'], known['kid_subset_size']) == (
      169, 400, 169)
  assert 'unconfirmed' in known['fid_div100'] and 'too large' in known['fid_note']
  assert json.dumps(known) and 'fid_note' not in fid_kid.protocol(3000, 3000)


# ---- preparation --------------------------------------------------------------------------------


def pictures(size, count=1):
  return np.random.default_rng(0).integers(0, 256, (count, *size, 3)).astype(np.uint8)


def test_torchmetrics_mode_reads_pixel_i_at_i_h_over_299():
  frames = inception_features.levels(pictures((20, 400)))
  found = inception_features.prepare(frames, 'torchmetrics')
  expected = np.zeros((299, 299, 3))
  for i in range(299):
    for j in range(299):
      y, x = i * 20 / 299, j * 400 / 299
      top, left = int(y), int(x)
      below, right = min(top + 1, 19), min(left + 1, 399)
      f, g = y - top, x - left
      expected[i, j] = ((1 - f) * ((1 - g) * frames[0, top, left] + g * frames[0, top, right])
                        + f * ((1 - g) * frames[0, below, left] + g * frames[0, below, right]))
  np.testing.assert_allclose(found[0], (expected - 128) / 128, atol=1e-5)


def test_clean_mode_is_pillows_bicubic_in_float():
  """Shrinking smooths, values beyond 0 and 255 are cut, nothing is rounded to 8 bits."""
  frames = pictures((500, 310))
  prepared = inception_features.prepare(inception_features.levels(frames), 'clean')
  found = np.asarray(prepared) * 128 + 128
  one = Image.fromarray(frames[0, :, :, 1].astype(np.float32)).resize((299, 299), Image.BICUBIC)
  np.testing.assert_allclose(found[0, :, :, 1], np.clip(one, 0, 255), atol=1e-3)
  assert found.min() >= 0 and np.abs(found - np.round(found)).max() > 0.1


def test_modes_at_299_pixels_differ_in_scale_alone():
  frames = inception_features.levels(pictures((299, 299)))
  made = {mode: np.asarray(inception_features.prepare(frames, mode))
          for mode in inception_features.MODES}
  np.testing.assert_allclose(made['pytorch_fid'], frames / 127.5 - 1, atol=1e-6)
  for mode in ('clean', 'torchmetrics'):
    np.testing.assert_allclose(made[mode], (frames - 128) / 128, atol=1e-5)


def test_levels_of_files_and_of_networks_agree():
  saved = pictures((8, 9))
  of_network = inception_features.levels(saved / np.float32(127.5) - 1)
  np.testing.assert_allclose(of_network, saved, atol=1e-3)
  gray = inception_features.levels(saved[..., :1])
  np.testing.assert_array_equal(gray, np.repeat(saved[..., :1], 3, -1))
  for wrong in (saved[0], saved.astype(np.int32)):
    with pytest.raises(ValueError, match='expected'):
      inception_features.levels(wrong)


def test_an_unknown_mode_is_named():
  for call in (lambda: inception_features.prepare(np.zeros((1, 8, 8, 3)), 'tf'),
               lambda: inception_features.program(None, {}, 'tf')):
    with pytest.raises(ValueError, match='pytorch_fid, clean, torchmetrics'):
      call()


# ---- features of clips --------------------------------------------------------------------------


class Few(nn.Module):
  """12 features of one convolution, in the place of Inception's 2048 of 94."""

  @nn.compact
  def __call__(self, x):
    return jnp.mean(nn.relu(nn.Conv(12, (3, 3), 2)(x)), axis=(1, 2))


@pytest.fixture(scope='module')
def thin():
  """(module, parameters)."""
  module = Few()
  return module, jax.jit(module.init)(jax.random.key(0), np.zeros((1, 75, 75, 3)))['params']


def test_a_filled_up_batch_changes_nothing(thin):
  frames = pictures((40, 30), 3)
  call = inception_features.program(*thin, batch=2)
  found = call(frames)
  assert found.shape == (3, 12) and found.dtype == np.float32
  one = np.concatenate([call(frame[None]) for frame in frames])
  np.testing.assert_allclose(found, one, rtol=1e-5, atol=1e-6)
  assert np.ptp(found, axis=0).max() > 1e-3


def test_a_frame_with_nan_or_infinity_has_features_nan(thin):
  frames = np.zeros((4, 32, 32, 3), np.float32)
  frames[1, 3, 4, 0], frames[2, 0, 0, 1] = np.nan, np.inf
  found = inception_features.program(*thin, batch=2)(frames)
  np.testing.assert_array_equal(np.isnan(found).all(axis=1), [False, True, True, False])
  assert np.isfinite(found[[0, 3]]).all()


# ---- kept references ----------------------------------------------------------------------------


def counted():
  """A program that makes features of brightness, and its calls."""
  calls = []

  def call(frames):
    calls.append(len(frames))
    return frames.reshape(len(frames), -1)[:, :3].astype(np.float32)
  return call, calls


def test_features_of_a_clip_are_made_once(tmp_path):
  call, calls = counted()
  frames = pictures((8, 9), 4)
  for _ in range(2):   # the second time by another process
    found = inception_features.cached(call, tmp_path / 'inner', mode='clean')(frames)
    np.testing.assert_array_equal(found, call(frames))
  assert calls == [4, 4, 4]   # once for the file, twice for the comparison
  assert len(list((tmp_path / 'inner').iterdir())) == 1


@pytest.mark.parametrize('change', [
    lambda x: (x[:3], {}), lambda x: (x[:, ::-1], {}), lambda x: (x.reshape(4, 9, 8, 3), {}),
    lambda x: (x, {'mode': 'torchmetrics'}), lambda x: (x, {'inception': 'another file'})])
def test_other_frames_or_another_protocol_are_looked_at_anew(tmp_path, change):
  call, calls = counted()
  frames = pictures((8, 9), 4)
  inception_features.cached(call, tmp_path, mode='clean')(frames)
  other, made = change(frames)
  inception_features.cached(call, tmp_path, **({'mode': 'clean'} | made))(other)
  assert len(calls) == 2


@pytest.mark.parametrize('content', [b'', b'hello', None])
def test_a_damaged_file_of_features_is_made_anew(tmp_path, content):
  call, calls = counted()
  program, frames = inception_features.cached(call, tmp_path), pictures((8, 9), 4)
  expected = program(frames)
  path, = tmp_path.iterdir()
  path.write_bytes(path.read_bytes()[:100] if content is None else content)
  np.testing.assert_array_equal(program(frames), expected)
  np.testing.assert_array_equal(np.load(path), expected)
  assert len(calls) == 2


# ---- are the files here? ------------------------------------------------------------------------


@pytest.fixture
def config(tmp_path, monkeypatch):
  monkeypatch.delenv('I2VJAX_PRETRAINED', raising=False)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  config = defaults.get_config()
  config.unlock()
  config.pretrained_dir = str(tmp_path / 'weights')
  config.eval.weights, config.eval.lpips_net = 'file', 'alex'
  (tmp_path / 'weights').mkdir()
  return config


def test_a_missing_file_is_said_with_the_command(config):
  reason = scoring_networks.missing('fid', config)
  assert 'pt_inception-2015-12-05-6726825d.pth (91 MB)' in reason
  assert 'python -m i2vjax.main fetch inception_fid' in reason
  assert scoring_networks.missing('kid', config) == reason
  config.eval.weights = 'random'
  assert scoring_networks.missing('fid', config) is None


def test_nothing_is_missing_where_the_file_lies(config, tmp_path):
  (tmp_path / 'weights' / registry.ENTRIES['inception_fid'].file).write_bytes(b'')
  assert scoring_networks.missing('fid', config) is None


def test_unknown_scores_and_weights_are_named(config):
  with pytest.raises(ValueError, match='there are fid, kid, lpips'):
    scoring_networks.missing('psnr', config)
  config.eval.weights = 'none'
  with pytest.raises(ValueError, match="choose 'file' or 'random'"):
    scoring_networks.missing('fid', config)
