"""FID and KID of the checkpoints that were kept for chosen epochs."""

import dataclasses

import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import evaluate as evaluator
from i2vjax.core.errors import UserError
from i2vjax.evaluation import epoch_curves, plan, scorers, scoring_networks
from i2vjax.run import direction, load, phases
from i2vjax.run import folder as run_folder


def shifted(by):
  """A run whose frames are all of one gray value: 10 * by."""
  def translate(model, params, model_state, carry, frames):
    return carry, stubs.match(0 * frames + (10 * by / 127.5 - 1), model.config)
  return translate


@pytest.fixture
def run(tmp_path, monkeypatch):
  """8 epochs of 2 steps; checkpoints of epochs 1, 2 and 4; the run itself is that of epoch 4."""
  config = stubs.config()
  config.train.update(steps=16, epochs=8, epochs_decay=0)
  config.eval.update(metrics='fid,kid', weights='random', epochs=(1, 2, 3, 4), kid_degrees=(3, 21))
  config.data.scenes.update(test_clips=1, clip_length=3)
  run_folder.write_config(tmp_path, config)
  for step in (2, 4, 8):
    (tmp_path / 'checkpoints' / str(step)).mkdir(parents=True)
  made = dataclasses.replace(stubs.make(shifted(8), config), step=8, workdir=tmp_path)
  monkeypatch.setattr(load, 'load', lambda workdir, step, config, weights: dataclasses.replace(
      stubs.make(shifted(step), config), step=step, workdir=workdir, weights=weights))
  networks = scoring_networks.ScoringNetworks(
      {'inception': None}, {'inception': None}, {'x': 'random'}, random=True)
  monkeypatch.setattr(scoring_networks, 'load_inception', lambda config: networks)
  monkeypatch.setattr(   # features are the frame's mean color
      scorers.inception_features, 'program', lambda *parts: lambda frames: frames.mean((1, 2)))
  return made


def test_each_kept_epoch_has_its_fid_and_kid_and_a_missing_one_is_named(run, tmp_path):
  """Frames of one color: FID is the distance of the mean colors and the spread of the real ones."""
  scores = evaluator.evaluate(run, tmp_path / 'out', show=False)
  curve = scores['curves']['fid_RANDOM']
  assert (curve['axis'], curve['at']) == ('epoch', [1, 2, 4])
  real = np.concatenate(list(plan.of_run(run.config).reference())).mean((1, 2))
  spread = np.trace(np.cov(real.T))
  expected = [np.sum((10.0 * step - real.mean(0)) ** 2) + spread for step in (2, 4, 8)]
  np.testing.assert_allclose(curve['rows']['translated'], expected, rtol=1e-3)
  assert curve['rows']['translated'][-1] == scores['rows']['translated']['fid_RANDOM']
  assert {'kid_mean_RANDOM', 'kid21_mean_RANDOM'} < scores['curves'].keys()
  assert 'no checkpoint of that epoch' in scores['skipped']['scores by epoch at 3']
  assert 'FID (RANDOM weights) by epoch' in (tmp_path / 'out' / 'index.html').read_text()


def test_a_checkpoint_that_cannot_be_read_costs_its_own_point_alone(run, monkeypatch):
  """Such as one of before averages were kept: what is scored already is not lost."""
  of_step = load.load

  def broken(workdir, step, config, weights):
    if step == 4:
      raise UserError('checkpoint 4 has no averages')
    return of_step(workdir, step, config, weights)
  monkeypatch.setattr(load, 'load', broken)
  scores, _ = evaluator.scores_of_run(run, show=False)
  assert scores['curves']['fid_RANDOM']['at'] == [1, 4]
  assert scores['skipped']['scores by epoch at 2'] == 'checkpoint 4 has no averages'


def test_without_epochs_or_without_fid_there_is_no_curve(run):
  found = plan.of_run(run.config)
  without = dataclasses.replace(found, names=('psnr',))
  assert epoch_curves.curves(run, without, {}, None)[1]['scores by epoch'].startswith('none of fid')
  run.config.eval.epochs = ()
  assert epoch_curves.curves(run, found, {}, None) == ({}, {})


def test_the_way_back_is_scored_by_the_way_back(run):
  turned = direction.swap_domains(run)
  other = epoch_curves.at_step(turned, 4)
  assert other.config.data.direction == 'b2a' and other.step == 4
  assert epoch_curves.at_step(run, 4).config.data.direction == 'a2b'


def test_epochs_end_where_the_run_does():
  config = stubs.config()
  config.train.update(steps=0, epochs=30, epochs_decay=10)
  config.eval.epochs = 60, 10, 40
  assert phases.steps_of_epochs(config, per_epoch=7) == {10: 70, 40: 280}
  config.train.steps = 80   # epochs shrink with the run
  assert phases.steps_of_epochs(config, per_epoch=7) == {10: 20, 40: 80}
