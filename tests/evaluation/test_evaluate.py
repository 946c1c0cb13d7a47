"""evaluate: rows that say what a score of a run means, and their page."""

import json
import re

import jax.numpy as jnp
import numpy as np
import pytest
import stub_runs as stubs
from scored_folders import write

from i2vjax import evaluate as evaluator
from i2vjax.core import notes
from i2vjax.data import open_source as data_source
from i2vjax.evaluation import baselines, eval_clips, plan
from i2vjax.metrics import clips


@pytest.fixture(scope='module')
def run():
  return stubs.halving_run()


@pytest.fixture(scope='module')
def scored(run, tmp_path_factory):
  """(scores, folder) of one full evaluation."""
  folder = tmp_path_factory.mktemp('report')
  return evaluator.evaluate(run, folder, show=False), folder


def test_all_rows_have_all_scores(scored):
  rows = scored[0]['rows']
  assert list(rows) == ['translated', 'source', 'untrained', 'constant', 'ceiling']
  for row in rows.values():
    assert {'psnr', 'ssim', 'warping_mse', 'flicker_ratio', 'brightness_jitter'} <= row.keys()
    assert all(np.isfinite(value) for value in row.values())


def test_reference_rows_stand_in_the_order_they_must(scored):
  """One color per class beats one color, which beats the infrared frame itself."""
  rows = scored[0]['rows']
  assert rows['ceiling']['psnr'] > rows['constant']['psnr'] > rows['source']['psnr']
  assert rows['constant']['flicker'] == 0
  assert rows['source']['flicker_ratio'] == pytest.approx(1, abs=1e-3)


def test_untrained_row_differs_from_the_run(scored):
  rows = scored[0]['rows']
  assert rows['untrained']['psnr'] != rows['translated']['psnr']


def test_files_hold_the_scores_and_what_they_were_made_with(scored, run):
  scores, folder = scored
  stored = json.loads((folder / 'scores.json').read_text())
  assert stored['rows']['translated']['psnr'] == scores['rows']['translated']['psnr']
  assert stored['protocol']['clips'] == 2
  assert stored['protocol']['frames'] == 10
  assert stored['run']['config'] == evaluator.config_hash(run.config)
  assert stored['run']['step'] == 7
  assert len(stored['clips'][0]['series']['psnr']) == 5
  assert len(stored['clips'][0]['series']['warping']) == 4


def test_protocol_says_which_weights_were_scored(scored):
  assert scored[0]['protocol']['weights'] == 'raw'
  assert 'weights of the last step (raw)' in (scored[1] / 'index.html').read_text()


def test_page_needs_nothing_from_outside(scored):
  page = (scored[1] / 'index.html').read_text()
  assert 'src="data:image/png;base64,' in page
  assert not re.search(r'(src|href)="?(http|//|\.|/)', page)
  for words in ('best single color', 'untrained network', 'Worst frames', 'test_000'):
    assert words in page


def test_row_is_the_mean_over_frames(scored):
  scores = scored[0]
  values = [value for clip in scores['clips'] for value in clip['series']['psnr']]
  np.testing.assert_allclose(scores['rows']['translated']['psnr'], np.mean(values), rtol=1e-12)


def test_quick_scores_are_the_run_row(scored, run):
  quick = evaluator.quick_scores(run)
  row = scored[0]['rows']['translated']
  assert quick == {name: row[name] for name in quick}
  assert {'psnr', 'ssim', 'warping_mse', 'flicker_ratio'} <= quick.keys()


def test_nothing_is_overwritten_unless_asked(scored, run):
  with pytest.raises(FileExistsError, match='--overwrite'):
    evaluator.evaluate(run, scored[1], show=False)


def test_a_place_that_cannot_be_written_is_told_before_the_work(run, tmp_path, monkeypatch):
  (tmp_path / 'report').write_text('a file')
  monkeypatch.setattr(evaluator, 'score_rows', None)
  with pytest.raises(OSError, match='report is a file'):
    evaluator.evaluate(run, tmp_path / 'report', show=False)


def test_a_perfect_translation_reaches_the_cap():
  """The stand-in looks the answer up: frames of b in the order they are asked for."""
  config = stubs.config()
  targets = data_source(config.data, 'test', 'b')
  frames = np.stack([targets.read(i)['frame'] for i in range(5)])
  answers = jnp.concatenate([jnp.asarray(frames)] * 2) / 127.5 - 1

  def perfect(model, params, model_state, carry, frames):
    return carry, answers[None, :frames.shape[1]]
  config.eval.max_clips = 1
  config.eval.batch = 5
  scores = evaluator.quick_scores(stubs.make(perfect, config))
  assert scores['psnr'] == 100
  assert scores['ssim'] == 1


def test_frames_that_are_not_resized_are_scored_at_their_size(tmp_path):
  """854x480 stays 854x480: padded for networks that need multiples of 8, and cropped."""
  frames = np.random.default_rng(0).integers(0, 256, (3, 30, 54, 3), np.uint8)
  for domain in 'ab':
    write(tmp_path / domain / 'clip', frames)
  config = stubs.config(source='folders', resize='none', test_a=str(tmp_path / 'a'),
                        test_b=str(tmp_path / 'b'))
  seen = []

  def same(model, params, model_state, carry, frames):
    if frames.shape[2] % 8 or frames.shape[3] % 8:
      raise ValueError('sides must be multiples of 8')
    seen.append(frames.shape[2:4])
    return carry, frames
  run = stubs.make(same, config)
  clip, = eval_clips.of_run(config, paired=True, with_motion=False)
  np.testing.assert_array_equal(clip.source, frames)
  np.testing.assert_array_equal(baselines.translated(run)(clip), frames)
  assert set(seen) == {(32, 56)}
  assert evaluator.quick_scores(run)['psnr'] == 100


def test_unquantised_scores_use_the_floats(run):
  config = run.config.copy_and_resolve_references()
  config.eval.quantize = False
  config.eval.metrics = 'psnr'
  exact = evaluator.quick_scores(run.with_config(config))
  rounded = evaluator.quick_scores(run)
  assert exact['psnr'] != rounded['psnr']
  np.testing.assert_allclose(exact['psnr'], rounded['psnr'], atol=0.05)


@pytest.mark.parametrize('names', ['psnr', 'sharpness'])   # of floats, of pictures
@pytest.mark.parametrize('quantize', [True, False])
def test_nan_of_a_network_is_no_black_picture(tmp_path, quantize, names, capsys, monkeypatch):
  """A corner of 2 x 3 pixels is NaN in each frame: counted in this row, not in the others."""
  config = stubs.config()
  config.eval.update(metrics=names, quantize=quantize, max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, :, :2, :3].set(jnp.nan)
  run = stubs.make(broken, config)
  monkeypatch.setattr(notes, '_said', set())
  frames = baselines.translated(run)(next(iter(plan.of_run(config).clips())))
  assert np.isnan(frames).any(-1).sum() == len(frames) * 2 * 3
  assert re.search(r'clip \S+: the networks give NaN or infinity in 5 of 5 frames',
                   capsys.readouterr().err)
  scores = evaluator.evaluate(run, tmp_path / 'out', show=False)
  row = scores['rows']['translated']
  assert np.isnan(row.get('psnr', np.nan)) and row['num_nonfinite'] == len(frames)
  assert 'num_nonfinite' not in scores['rows']['source']
  assert 'the output holds NaN' in (tmp_path / 'out' / 'index.html').read_text()


@pytest.mark.parametrize('quantize', [True, False])
def test_infinity_of_a_network_is_no_white_picture(quantize):
  config = stubs.config()
  config.eval.update(metrics='psnr', quantize=quantize, max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, 1:3, :2, :3].set(jnp.inf)
  scores, _ = evaluator.scores_of_run(stubs.make(broken, config), show=False)
  assert scores['rows']['translated']['num_nonfinite'] == 2


def test_what_several_scorers_count_is_added_up():
  """PSNR, SSIM (values of one scorer) and LPIPS (another) of 3 frames, 2 of which hold NaN."""
  config = stubs.config()
  config.data.update(crop_size=64, load_size=64)
  config.data.scenes.clip_length = 3
  config.eval.update(metrics='psnr,ssim,lpips', weights='random', max_clips=1)

  def broken(model, params, model_state, carry, frames):
    return carry, stubs.match(frames, model.config).at[:, 1:3, 0, 0].set(jnp.nan)
  run = stubs.make(broken, config)
  rows = {'translated': baselines.translated(run)}
  scores, _ = evaluator.score_rows(rows, plan.of_run(config), show=False)
  assert scores['rows']['translated']['num_nonfinite'] == 2 * 3


def test_nan_in_one_clip_leaves_the_other_as_files_would_hold_it():
  """Whole numbers, but in the middle frame: there the others have the same values as floats."""
  config = stubs.config()

  def broken(model, params, model_state, carry, frames):
    carry, frames = stubs.counting(model, params, model_state, carry, frames)
    return carry, frames.at[:, 2, 0, 0].set(jnp.nan)
  clip = next(eval_clips.of_run(config, paired=True, with_motion=False))
  whole = baselines.translated(stubs.make(stubs.counting, config))(clip)
  frames = baselines.translated(stubs.make(broken, config))(clip)
  assert whole.dtype == np.uint8 and frames.dtype == np.float32
  expected = whole.astype(np.float32)
  expected[2, 0, 0] = np.nan
  np.testing.assert_allclose((frames + 1) * 127.5, expected, atol=1e-4)


def test_visible_to_infrared_is_scored_too():
  config = stubs.config(direction='b2a', channels_b=1)
  config.eval.max_clips = 1
  scores = evaluator.quick_scores(stubs.make(stubs.negative, config))
  assert np.isfinite(scores['psnr'])


def test_best_color_maximizes_mean_psnr():
  rng = np.random.default_rng(0)
  frames = [np.uint8(rng.integers(low, low + spread, (3, 12, 12, 3)))
            for low, spread in ((0, 90), (120, 10))]
  moments = [clips.moments(frame) for frame in frames]
  means = np.concatenate([mean for mean, _ in moments])
  variances = np.concatenate([variance for _, variance in moments])
  best = clips.best_color(means, variances)

  def psnr(color):
    target = np.concatenate(frames) / 255
    return np.mean(-10 * np.log10(np.mean((target - color) ** 2, axis=(1, 2, 3))))
  assert psnr(best) >= psnr(means.mean(axis=0)) - 1e-9
  for step in np.eye(3) * 0.003:
    assert psnr(best) > psnr(best + step)
    assert psnr(best) > psnr(best - step)


def test_moments_give_the_error_of_a_constant():
  target = np.random.default_rng(0).integers(0, 256, (1, 8, 8, 3), np.uint8)
  color = np.array([0.2, 0.5, 0.9])
  means, variances = clips.moments(target)
  direct = np.mean((target / 255 - color) ** 2)
  np.testing.assert_allclose(variances[0] + np.mean((means[0] - color) ** 2), direct, rtol=1e-6)
