"""Run folders: nothing is lost, nothing half-written is believed."""

import errno
import logging

import jax
import ml_collections
import numpy as np
import pytest
import toy

from i2vjax import defaults
from i2vjax.core import errors, parallel
from i2vjax.core.errors import UserError
from i2vjax.run import checkpoint, resume
from i2vjax.run import folder as run_folder
from i2vjax.run.logger import NonFinite


def same(left, right):
  return jax.tree.all(jax.tree.map(lambda x, y: np.array_equal(x, y), left, right))


@pytest.fixture(scope='module')
def straight(tmp_path_factory):
  """Six steps in one go."""
  return toy.summary(*toy.train(tmp_path_factory.mktemp('straight'), 6))


def test_three_and_three_steps_equal_six_bit_for_bit(straight, tmp_path):
  toy.train(tmp_path, 3)
  assert toy.summary(*toy.train(tmp_path, 6)) == straight


def test_damaged_newest_checkpoint_is_set_aside_and_the_run_goes_back_one(
    straight, tmp_path, caplog):
  toy.train(tmp_path, 2)
  toy.train(tmp_path, 4)
  for data in (tmp_path / 'checkpoints' / '4' / 'params').rglob('*'):
    if data.is_file():
      data.write_bytes(data.read_bytes()[:3])
  with caplog.at_level(logging.WARNING):
    assert toy.summary(*toy.train(tmp_path, 6)) == straight
  assert 'checkpoint 4 cannot be read' in caplog.text
  assert (tmp_path / 'damaged' / '4').is_dir()


def test_checkpoints_of_another_kind_are_refused_and_left_alone(tmp_path):
  toy.train(tmp_path, 2)
  other = toy.toy_state({p: toy.optax.sgd(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  with pytest.raises(ValueError, match=r'none of the checkpoints \[2\].*Nothing was changed'):
    checkpoint.restore(checkpoint.manager(tmp_path), other)
  assert (tmp_path / 'checkpoints' / '2').is_dir() and not (tmp_path / 'damaged').exists()


def test_parameters_that_are_no_numbers_are_not_kept(tmp_path):
  state, _ = toy.train(tmp_path, 2)
  params = parallel.to_host(state.params)
  params['disc']['bias'][:] = np.nan
  checkpoints = checkpoint.manager(tmp_path)
  with pytest.raises(NonFinite, match=r"after step 9 the parameter \['disc'\].*bias.* not finite"):
    checkpoint.save(checkpoints, state.replace(params=params, step=np.int32(9)), {})
  assert checkpoints.all_steps() == [2]


def test_leftover_of_a_killed_save_is_ignored(straight, tmp_path):
  toy.train(tmp_path, 3)
  half = tmp_path / 'checkpoints' / '5.orbax-checkpoint-tmp'
  half.mkdir()
  (half / 'params').write_text('half')
  assert toy.summary(*toy.train(tmp_path, 6)) == straight


def test_other_number_of_devices_deals_pools_anew_and_says_so(tmp_path, caplog, monkeypatch):
  toy.train(tmp_path, 2)
  monkeypatch.setattr(jax, 'device_count', lambda: 4)
  with caplog.at_level(logging.WARNING):
    state, _ = toy.train(tmp_path, 3)
  assert 'made on 1 devices, this run has 4' in caplog.text
  assert int(state.step) == 3


def test_full_disk_is_named_and_older_checkpoints_stay(tmp_path, monkeypatch):
  toy.train(tmp_path, 2)
  checkpoints = checkpoint.manager(tmp_path)

  def full(*args, **kwargs):
    raise OSError(errno.ENOSPC, 'No space left on device')
  monkeypatch.setattr(checkpoints, 'save', full)
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  with pytest.raises(OSError, match='disk is full'):
    checkpoint.save(checkpoints, state, {})
  assert checkpoints.all_steps() == [2]


def test_newest_and_best_are_kept(tmp_path):
  train = ml_collections.ConfigDict(dict(keep=2))
  checkpoints = checkpoint.manager(tmp_path, train, best='psnr')
  nets = {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)}
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS}, nets)
  for step, psnr in enumerate([10, 14, 12, 11, 13], 1):
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {}, {'psnr': psnr})
  checkpoint.finish(checkpoints)
  assert sorted(checkpoints.all_steps()) == [2, 4, 5]
  assert checkpoint.which_step(checkpoints, 'best') == 2
  assert checkpoint.which_step(checkpoints, 'latest') == 5
  assert checkpoint.which_step(checkpoints, '4') == 4
  with pytest.raises(FileNotFoundError, match='2, 4, 5'):
    checkpoint.which_step(checkpoints, '3')


def test_a_score_that_is_no_number_is_never_the_best(tmp_path):
  """NaN among scores would leave them in any order, and the best be deleted."""
  train = ml_collections.ConfigDict(dict(keep=1))
  checkpoints = checkpoint.manager(tmp_path, train, best='psnr')
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  for step, psnr in enumerate([20.0, np.nan, 10.0, np.nan, 12.0], 1):
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {}, {'psnr': psnr})
  checkpoint.finish(checkpoints)
  assert sorted(checkpoints.all_steps()) == [1, 5]
  assert checkpoint.which_step(checkpoints, 'best') == 1


def test_chosen_steps_are_kept_too(tmp_path):
  train = ml_collections.ConfigDict(dict(keep=1))
  checkpoints = checkpoint.manager(tmp_path, train, steps=(2, 3, 9))
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  for step in range(1, 6):
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {})
  checkpoint.finish(checkpoints)
  assert run_folder.steps_in(tmp_path) == {2, 3, 5} == set(checkpoints.all_steps())


def test_the_best_by_an_error_is_the_least(tmp_path):
  train = ml_collections.ConfigDict(dict(keep=1))
  checkpoints = checkpoint.manager(tmp_path, train, best='warping_mse')
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  for step, error in enumerate([3e-3, 1e-3, 2e-3], 1):
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {},
                    {'psnr': 9.0, 'warping_mse[tvl1]': error})
  checkpoint.finish(checkpoints)
  assert sorted(checkpoints.all_steps()) == [2, 3]
  assert checkpoint.which_step(checkpoints, 'best') == 2


def test_best_by_a_score_that_checkpoints_lack_is_told(tmp_path):
  train = ml_collections.ConfigDict(dict(keep=1))
  checkpoints = checkpoint.manager(tmp_path, train, best='ssim')
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  for step in (1, 2):   # `train.best` was set later: training goes on
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {}, {'psnr': 9.0})
  checkpoint.finish(checkpoints)
  with pytest.raises(UserError, match=r'no checkpoint has the score ssim \(train.best\); they have '
                                      'psnr: name one with --config.train.best, or a step'):
    checkpoint.which_step(checkpoints, 'best', 'ssim')
  checkpoint.save(checkpoints, state.replace(step=np.int32(3)), {}, {'psnr': 8.0, 'ssim': 0.5})
  checkpoint.save(checkpoints, state.replace(step=np.int32(4)), {}, {'psnr': 7.0})
  checkpoint.finish(checkpoints)
  assert checkpoint.which_step(checkpoints, 'best', 'ssim') == 3


def test_best_by_a_score_unknown_while_training_is_refused():
  config = defaults.get_config()
  config.train.best = 'fid'
  with pytest.raises(ValueError, match="train.best='fid': choose auto"):
    checkpoint.best_score(config)


# ---- config.json ----


def config():
  c = defaults.get_config()
  c.method, c.data.train_a = 'toy', 'somewhere'
  c.lss = dict(radii=(2, 4, 8))
  return c


def test_config_survives_the_run_folder(tmp_path):
  run_folder.write_config(tmp_path, config())
  read = run_folder.read_config(tmp_path)
  assert read.to_dict() == config().to_dict()
  assert read.lss.radii == (2, 4, 8)
  read.data.cache_dir = 'elsewhere'   # an empty field can still be filled


def test_a_run_of_an_earlier_version_is_scored_with_todays_defaults(tmp_path):
  config = defaults.get_config()
  del config.eval['fid_mode'], config.data.scenes['heat_spread']
  run_folder.write_config(tmp_path, config)
  read = run_folder.read_config(tmp_path)
  assert read.eval.fid_mode == defaults.evaluation().fid_mode
  assert read.data.scenes.heat_spread == 0


def test_folder_without_config_is_no_run(tmp_path):
  with pytest.raises(FileNotFoundError, match='no run folder'):
    run_folder.read_config(tmp_path)


def test_a_folder_of_nearly_that_name_is_offered(tmp_path):
  run_folder.write_config(tmp_path / 'street', defaults.get_config())
  with pytest.raises(FileNotFoundError, match=f"Did you mean '{tmp_path}/street'"):
    run_folder.read_config(tmp_path / 'steet')
  with pytest.raises(FileNotFoundError, match="Did you mean 'starter'"):
    run_folder.read_config('startr')
  with pytest.raises(FileNotFoundError, match=r'was given\.$'):
    run_folder.read_config(tmp_path / 'other')


def test_damaged_config_is_named(tmp_path):
  (tmp_path / 'config.json').write_text('{"method": ')
  with pytest.raises(ValueError, match=r'config.json is damaged'):
    run_folder.read_config(tmp_path)


def test_differences_of_meaning_are_refused_field_by_field():
  other = config()
  other.seed, other.optim.b1 = 5, 0.9
  with pytest.raises(ValueError, match=r'optim.b1: 0.5 -> 0.9\n  seed: 0 -> 5'):
    resume.compare_configs(config(), other)


def test_lengths_and_logging_may_change_and_are_noted():
  other = config()
  other.train.steps, other.log.every, other.data.threads = 99, 5, 1
  assert resume.compare_configs(config(), other) == [
      'data.threads: None -> 1', 'log.every: 20 -> 5', 'train.steps: 0 -> 99']


def test_an_empty_field_that_is_gone_is_no_difference():
  old = config()
  old.gan.gone, old.gan.missed = 0, 3
  with pytest.raises(ValueError, match='gan.missed: 3 -> None') as found:
    resume.compare_configs(old, config())
  assert 'gan.gone' not in str(found.value)


def test_nearest_name_is_offered():
  assert errors.did_you_mean('trian', ['train', 'export']) == " Did you mean 'train'?"
  assert errors.did_you_mean('xyz', ['train']) == ''


def test_best_without_scores_is_no_silent_latest(tmp_path):
  toy.train(tmp_path, 1)
  with pytest.raises(FileNotFoundError, match='no checkpoint was scored'):
    checkpoint.which_step(checkpoint.manager(tmp_path, best='psnr'), 'best')


def test_fields_of_earlier_versions_are_read_under_todays_names(tmp_path):
  (tmp_path / 'config.json').write_text(
      '{"method": "stc", "variant": "demo-colour", "data": {"task": "colour"}, '
      '"weights": {"gan": 2.0, "temporal": 1.0}}')
  read = run_folder.read_config(tmp_path)
  assert (read.data.task, read.variant) == ('color', 'demo-color')
  assert dict(read.weights) == {'temporal': 1.0, 'adversarial': 2.0}


def test_saving_without_scores_is_no_reason_to_warn(tmp_path, caplog):
  checkpoints = checkpoint.manager(tmp_path, ml_collections.ConfigDict(dict(keep=2)), best='psnr')
  state = toy.toy_state({p: toy.optax.adam(1) for p in toy.PLAYERS},
                        {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})
  with caplog.at_level(logging.WARNING):
    checkpoint.save(checkpoints, state, {})
    checkpoint.finish(checkpoints)
  assert checkpoints.all_steps() == [0] and 'tracked_metric' not in caplog.text
