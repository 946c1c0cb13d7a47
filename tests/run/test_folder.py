"""Run folders that several hosts share."""

import pytest

from i2vjax.core import parallel
from i2vjax.core.errors import UserError
from i2vjax.run import folder
from tests.helpers import method_tools


@pytest.fixture
def two_hosts(monkeypatch):
  """Pretends to be one of two hosts, which sees the folder or not; returns what it was asked."""
  def pretend(main, others_miss=False):
    asked = []
    monkeypatch.setattr(parallel, 'process', lambda: (0 if main else 1, 2))
    monkeypatch.setattr(parallel, 'is_main', lambda: main)
    monkeypatch.setattr(parallel, 'barrier', lambda name: None)
    monkeypatch.setattr(parallel, 'any_process',
                        lambda flag: asked.append(flag) or flag or others_miss)
    return asked
  return pretend


def test_a_folder_that_all_hosts_see_is_taken_and_left_clean(two_hosts, tmp_path):
  asked = two_hosts(main=True)
  folder.check_shared(tmp_path)
  assert asked == [False] and not list(tmp_path.iterdir())


@pytest.mark.parametrize('main', [True, False])
def test_a_folder_that_one_host_does_not_see_is_refused_on_all(two_hosts, tmp_path, main):
  asked = two_hosts(main, others_miss=main)
  with pytest.raises(UserError, match='not the same folder on all hosts'):
    folder.check_shared(tmp_path, patience=0)
  assert asked == [not main] and not list(tmp_path.iterdir())


def test_a_run_from_before_precision_could_be_chosen_had_the_default(tmp_path):
  config = method_tools.config_of('cut', 'demo')
  config.precision = 'high'
  folder.write_config(tmp_path, config)
  assert folder.read_config(tmp_path).precision == 'high'
  del config['precision']
  folder.write_config(tmp_path, config)
  assert folder.read_config(tmp_path).precision == 'default'


@pytest.mark.parametrize('name', ['cut', 'cptrans'])
def test_empty_fields_of_a_stored_run_take_what_they_took_before(tmp_path, name):
  config = method_tools.config_of(name, 'demo')
  folder.write_config(tmp_path, config)
  stored = folder.read_config(tmp_path)
  empty = [field for field, value in folder.flatten(config).items() if value is None]
  assert {'data.threads', 'data.cache_dir', 'data.scenes.cache_mb'} <= {*empty}
  for field in empty:
    block, _, leaf = field.rpartition('.')
    kinds = [(of[block] if block else of).get_type(leaf) for of in (config, stored)]
    assert kinds[0] == kinds[1], field


def test_one_process_writes_nothing(tmp_path):
  folder.check_shared(tmp_path / 'not there')
