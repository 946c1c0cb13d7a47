"""What a run that goes on may change."""

import types

import pytest

from i2vjax import defaults
from i2vjax.run import folder as run_folder
from i2vjax.run import phases, resume

METHOD = types.SimpleNamespace(
    phases=lambda config: [(0, 'warm'), (2 * config.train.per_epoch, 'full')])


def config_of(**train):
  config = defaults.get_config()
  config.train.update(epochs=4, epochs_decay=0, **train)
  return config


def test_a_folder_without_a_checkpoint_binds_nobody(tmp_path):
  run_folder.write_config(tmp_path, config_of())
  other = config_of()
  other.seed = 7
  assert resume.earlier_config(other, tmp_path) is None
  (tmp_path / 'checkpoints' / '3').mkdir(parents=True)
  with pytest.raises(ValueError, match='seed: 0 -> 7'):
    resume.earlier_config(other, tmp_path)


def test_another_number_of_reading_processes_is_a_note():
  before, now = config_of(), config_of()
  now.data.workers, now.data.threads = 2, 4
  assert resume.compare_configs(before, now) == ['data.threads: None -> 4', 'data.workers: 0 -> 2']


@pytest.mark.parametrize('step,fits', [(20, True), (21, False), (40, False), (41, True)])
def test_a_new_length_must_not_move_the_run_into_another_phase(step, fits):
  """From step 20 of 40 the old run was in the second phase, the new one is from 40 of 80."""
  before, now = config_of(steps=40), config_of(steps=80)
  if fits:
    resume.check_progress(before, now, METHOD, step, 10)
    return
  with pytest.raises(ValueError, match=f"step {step} of this run is in the phase 'full'.*'warm'"):
    resume.check_progress(before, now, METHOD, step, 10)


def test_the_measure_of_epochs_is_not_stored():
  config = config_of()
  assert phases.with_steps_per_epoch(config, 7).train.per_epoch == 7
  assert config.train.per_epoch == 0


def test_checkpoints_without_their_config_are_no_run_to_go_on_with(tmp_path):
  (tmp_path / 'checkpoints' / '3').mkdir(parents=True)
  with pytest.raises(ValueError, match='checkpoints but no config.json.*another --workdir'):
    resume.earlier_config(None, tmp_path)


def test_a_run_from_before_the_generator_could_be_chosen_goes_on_with_the_same_one():
  before, now = config_of(), config_of()
  before.gen = {'width': 4}
  now.gen = {'width': 4, 'kind': 'resnet', 'levels': 4}
  assert resume.compare_configs(before, now) == []
  now.gen.kind = 'unet'
  with pytest.raises(ValueError, match="gen.kind: 'resnet' -> 'unet'"):
    resume.compare_configs(before, now)


def test_runs_from_before_a_choice_go_on_with_what_they_did():
  before, now = config_of(), config_of()
  now.temporal, now.disc = {'directions': 'both'}, {'kind': 'clip', 'layers': 3, 'down': 'stride'}
  now.vgg = {'content_norm': 'l1'}
  assert resume.compare_configs(before, now) == []
  now.temporal.directions, now.disc.kind = 'forward', 'patch'
  with pytest.raises(ValueError, match="disc.kind: 'clip' -> 'patch'\n.*'both' -> 'forward'"):
    resume.compare_configs(before, now)
