"""Run folders of strangers, and damaged ones: nothing in them runs, each is refused by name.

Counts of larger campaigns: docs/reliability.md.
"""

import json
import os
import pickle

import fuzz_archives
import fuzz_runs
import fuzz_trap
import numpy as np
import pytest

from i2vjax.run import folder as run_folder
from i2vjax.run import load, starter, training_curves, warm_start

CODE = "import os; os.mkdir('RAN')\n\n\ndef get_config(variant=None):\n  os.mkdir('RAN')\n"


class Bomb:
  def __reduce__(self):
    return fuzz_trap.spring, ()


@pytest.fixture
def stranger(tmp_path, monkeypatch):
  """A folder with good weights, and with code under every name that something might run."""
  place = tmp_path / 'stranger'
  config = fuzz_runs.make_starter(place)
  for name in ('config.py', '__init__.py', 'method.py', 'cyclegan.py', 'sitecustomize.py',
               'setup.py', 'conftest.py', 'weights.py', 'i2vjax_config.py', 'card.py'):
    (place / name).write_text(CODE)
  for name in ('config.pkl', 'weights.pth', 'weights.pkl', 'config.pickle'):
    (place / name).write_bytes(pickle.dumps(Bomb()))
  np.savez(place / 'pairs.npz', first=np.array([Bomb()], dtype=object))
  (place / 'metrics.jsonl').write_text('{"step": 1, "loss": 1.0}\n')
  monkeypatch.chdir(place)   # where `python -m` looks for modules first
  return place, config


def read_all(place, original):
  """All that commands do with a folder before they compute."""
  word = fuzz_runs.read_folder(place, original)
  warm_start.locate(str(place))
  warm_start.read(place)
  training_curves.read_curves(place / 'metrics.jsonl')
  return word


def test_nothing_in_a_run_folder_is_run(stranger, tmp_path):
  place, original = stranger
  word, text = fuzz_archives.outcome(lambda: read_all(place, original), '', place, 60)
  assert word == 'right' and not list(tmp_path.rglob('RAN')), text


@pytest.mark.parametrize(('field', 'value'), [
    ('method', '__import__("os").mkdir("RAN")'), ('method', '../stranger/method'),
    ('method', 'os'), ('method', 'shared'), ('method', 'fuzz_trap'), ('method', 'base'),
    ('method', ''), ('method', {'x': 1}), ('variant', '{0.__class__}'), ('backbone', 'os.system')])
def test_a_stored_config_names_no_module_but_our_methods(stranger, tmp_path, field, value):
  place, original = stranger
  (place / 'config.json').write_text(json.dumps({**original, field: value}))
  word, text = fuzz_archives.outcome(lambda: read_all(place, original), '', place, 60)
  assert word == ('other fields' if field in ('variant', 'backbone') else 'refused'), text
  assert not list(tmp_path.rglob('RAN'))


def test_a_stored_config_is_data_whatever_it_holds(stranger):
  place, original = stranger
  for content, said in (
      (b'[' * 200000, 'is damaged'), (b'[1, 2]', 'is damaged'), (b'\xff\xfe', 'is damaged'),
      (json.dumps({**original, 'data': 5}).encode(), 'data: a block and a value are mixed up'),
      (json.dumps({**original, 'seed': 'x'}).encode(), 'seed=.x. is no number'),
      (json.dumps({**original, 'seed': 1e999}).encode(), 'seed=.inf. is no number'),
      (json.dumps({**original, 'seed': 2**70}).encode(), 'seed=1180591620717411303424'),
      (json.dumps({**original, 'a.b': 1}).encode(), 'is damaged'),
      (json.dumps({**original, 'gen': {}}).encode(), 'no networks can be built from .*config.json'),
      (json.dumps({**original, 'x': 'y' * run_folder.MOST_BYTES}).encode(), 'is damaged')):
    (place / 'config.json').write_bytes(content)
    with pytest.raises(ValueError, match=said):
      load.load(place)


@pytest.mark.parametrize(('arrays', 'facts', 'said'), [
    ({'params/gen_ab/x': np.zeros(1, np.float32)}, {'step': '1', 'weights': 'raw'}, 'does not fit'),
    ({'params/a': np.zeros(1, np.float32), 'params/a/b': np.zeros(1, np.float32)},
     {'step': '1', 'weights': 'raw'}, 'an array and a block of arrays alike'),
    ({'params': np.zeros(1, np.float32)}, {'step': '1', 'weights': 'raw'}, 'no weights of a run'),
    ({'params/' + 'a/' * 5000 + 'b': np.zeros(1, np.float32)}, {'step': '1', 'weights': 'raw'},
     'no weights of a run'),
    ({'params/a': np.zeros(1, np.int64)}, {'step': '1', 'weights': 'raw'}, 'no weights of a run'),
    ({'other': np.zeros(1, np.float32)}, {'step': '1', 'weights': 'raw'}, 'no weights of a run'),
    ({'params/a/b': np.zeros(1, np.float32)}, {'step': 'x', 'weights': 'raw'}, 'no weights of a'),
    ({'params/a/b': np.zeros(1, np.float32)}, {'step': '1', 'weights': '../x'}, 'no weights of a'),
    ({'model_state/a/b': np.zeros(1, np.float32)}, {'step': '1', 'weights': 'raw'}, 'no weights')])
def test_weights_that_are_none_of_ours_are_refused(tmp_path, arrays, facts, said):
  from safetensors.numpy import save_file
  fuzz_runs.make_starter(tmp_path)
  save_file(arrays, tmp_path / starter.WEIGHTS, facts)
  with pytest.raises(ValueError, match=said):
    load.load(tmp_path)


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(('name', 'count'), [
    ('log', 100), ('scores', 30), ('pairs', 100), ('weights', 20), ('config.json', 20),
    ('fields', 15),
    *(pytest.param(name, 1000, marks=pytest.mark.slow) for name in ('log', 'scores', 'pairs')),
    *(pytest.param(name, 1000, marks=pytest.mark.nightly)
      for name in ('weights', 'config.json', 'fields')),
    pytest.param('checkpoint', 100, marks=pytest.mark.nightly)])
def test_damage_is_refused_by_name(tmp_path, name, count):
  said = []
  found = fuzz_runs.damage(name, tmp_path, count, say=said.append)
  assert set(found) <= {*fuzz_archives.GOOD, *fuzz_runs.ALLOWED[name]}, said
  assert sum(found.values()) == count and os.path.isdir(tmp_path)


