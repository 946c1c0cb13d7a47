"""Processes of a run that were not given the same."""

import json

import pytest

from i2vjax import defaults
from i2vjax.core import parallel
from i2vjax.core.errors import UserError
from i2vjax.run import agreement


def config(**data):
  settings = defaults.get_config()
  settings.data.update(load_size=16, crop_size=16, **data)
  settings.data.scenes.update(clips=2, clip_length=3, cache_mb=1)
  return settings


@pytest.fixture
def of_another(monkeypatch):
  """Lets `check` meet a second process with these facts changed."""
  def put(**changes):
    monkeypatch.setattr(parallel, 'process', lambda: (0, 2))
    monkeypatch.setattr(parallel, 'together', lambda work: work())
    monkeypatch.setattr(parallel, 'gather_text', lambda text: [
        text, json.dumps({**json.loads(text), **changes})])
  return put


def test_another_config_is_refused_field_by_field(of_another):
  of_another(**{'data.batch': '4', 'seed': '7'})
  with pytest.raises(UserError) as found:
    agreement.check(config(), 2)
  assert 'data.batch: 1 on process 0, 4 on process 1\n  seed: 0 on process 0, 7' in str(found.value)
  assert 'data.root' not in agreement.facts(config(), 2)   # it may be mounted in another place


@pytest.mark.parametrize('name, value', [
    ('clips of a', 9), ('names of the clips of b', 1), ('steps in an epoch', 5),
    ('brightness of the first frame of a', 300.0), ('jax', '0.1')])
def test_other_data_and_versions_are_refused(of_another, name, value):
  of_another(**{name: value})
  with pytest.raises(UserError, match=f'{name}: .* on process 0, {value} on process 1'):
    agreement.check(config(), 2)


def test_the_same_everywhere_passes(of_another):
  facts = agreement.facts(config(), 2)
  of_another(**{'brightness of the first frame of a':
                facts['brightness of the first frame of a'] + 0.3})
  agreement.check(config(), 2)


def test_many_differences_are_counted():
  first = {str(k): 0 for k in range(20)}
  lines = agreement.differences([first, dict.fromkeys(first, 1)])
  assert len(lines) == agreement.SHOWN + 1 and lines[-1] == 'and 14 more'


def test_a_mistake_of_another_process_is_raised_here_too(monkeypatch):
  monkeypatch.setattr(parallel, 'gather_text', lambda text: [text, 'no such folder: /x'])
  with pytest.raises(UserError, match='process 1 of this run stopped: no such folder: /x'):
    parallel.together(lambda: 3)
  with pytest.raises(FileNotFoundError, match='mine'):
    parallel.together(lambda: open('/nowhere/mine'))   # noqa: SIM115
