"""Bytes of the newest checkpoint that were changed or cut off: found, or without consequence."""

import collections
import pathlib
import random
import shutil
import sys

import jax
import numpy as np
import optax
import pytest
import toy

from i2vjax.run import checkpoint, checksums

NEWEST, OLDER = 4, 2


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run folder with two checkpoints."""
  folder = tmp_path_factory.mktemp('run')
  for steps in (OLDER, NEWEST):
    toy.train(folder, steps)
  return folder


def fresh_state():
  return toy.toy_state({player: optax.adam(1e-2, b1=0.5) for player in toy.PLAYERS},
                       {'gen': toy.nn.Dense(3), 'disc': toy.nn.Dense(1)})


def restored(folder):
  """(step, checksums of all that a run goes on with, position); closes its manager."""
  checkpoints = checkpoint.manager(folder)
  try:
    state, position = checkpoint.restore(checkpoints, fresh_state())
  finally:
    checkpoints.close()
  trees = {'params': state.params, 'opt': state.opt, 'ema': state.ema, 'local': state.device_state,
           'extra': (state.model_state, jax.random.key_data(state.key))}
  return int(state.step), {name: checksums.of_tree(tree) for name, tree in trees.items()}, position


def damage(path, rng, how):
  data = bytearray(path.read_bytes())
  if how == 'cut':
    data = data[:rng.randrange(len(data))] if data else data
  elif data:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
  path.write_bytes(data)


def outcomes(run, folder, count, seed, say=None):
  """Damage one file after the other; Counter of what came of it.

  'another state' is the one outcome that must not be: a state that was never saved, believed.
  """
  rng, found = random.Random(seed), collections.Counter()
  whole, older = restored(run), None
  without = shutil.copytree(run, folder / 'older')
  shutil.rmtree(without / 'checkpoints' / str(NEWEST))
  older = restored(without)
  files = sorted(path.relative_to(run) for path in (run / 'checkpoints' / str(NEWEST)).rglob('*')
                 if path.is_file())
  for k in range(count):
    copy = shutil.copytree(run, folder / f'{k}')
    file, how = files[k % len(files)] if k < len(files) else rng.choice(files), rng.choice(
        ('cut', 'flip', 'flip'))
    damage(copy / file, rng, how)
    try:
      now = restored(copy)
      outcome = ('no consequence' if now == whole else 'back to the one before' if now == older
                 else 'another state')
    except Exception as error:
      outcome = f'{type(error).__name__}'
    found[outcome] += 1
    if say and outcome not in ('no consequence', 'back to the one before'):
      say(f'{how} {file}: {outcome}')
    shutil.rmtree(copy)
  return found


@pytest.mark.parametrize('count', [40, pytest.param(400, marks=pytest.mark.nightly)])
@pytest.mark.slow
def test_a_damaged_byte_is_found_or_has_no_consequence(run, tmp_path, count):
  found = outcomes(run, tmp_path, count, seed=count)
  assert set(found) <= {'no consequence', 'back to the one before'}, found
  assert found['back to the one before'] > count // 4


def test_a_byte_inside_a_large_array_is_found(tmp_path, caplog):
  """Orbax alone reads it as another number, without a word: its arrays have no checksums."""
  numbers = np.random.default_rng(0).normal(size=(100, 500)).astype(np.float32)
  state = fresh_state().replace(model_state={'seen': numbers})
  checkpoints = checkpoint.manager(tmp_path)
  for step in (OLDER, NEWEST):
    checkpoint.save(checkpoints, state.replace(step=np.int32(step)), {'next_index': step})
  checkpoint.finish(checkpoints)
  largest = max((path for path in (tmp_path / 'checkpoints' / str(NEWEST)).rglob('*')
                 if path.is_file()), key=lambda path: path.stat().st_size)
  data = bytearray(largest.read_bytes())
  data[len(data) // 2] ^= 4
  largest.write_bytes(data)
  found, position = checkpoint.restore(checkpoints, state)
  assert (int(found.step), position) == (OLDER, {'next_index': OLDER})
  np.testing.assert_array_equal(found.model_state['seen'], numbers)
  assert 'its extra are not what was stored: the checksum differs' in caplog.text
  assert (tmp_path / 'damaged' / str(NEWEST)).is_dir()


def test_a_checkpoint_of_an_earlier_version_has_no_checksums_and_is_read():
  position, sums = checksums.split({'next_index': 3})
  assert position == {'next_index': 3} and sums == {}
  checksums.check(sums, {'params': np.zeros(3)})


def test_a_changed_position_is_found():
  stored = checksums.with_checksums({'next_index': 3}, {'params': {'w': np.zeros(3)}})
  assert checksums.split(stored)[0] == {'next_index': 3}
  with pytest.raises(ValueError, match='position in the data is not what was stored'):
    checksums.split({**stored, 'next_index': 7})
  with pytest.raises(ValueError, match='params are not what was stored'):
    checksums.check(stored['checksums'], {'params': {'w': np.array([0.0, 0.0, 1.0])}})


if __name__ == '__main__':   # with PYTHONPATH=tests/helpers: FILE FOLDER COUNT SEED
  place = pathlib.Path(sys.argv[1])
  for number in (OLDER, NEWEST):
    toy.train(place / 'run', number)
  print(outcomes(place / 'run', place, int(sys.argv[2]), int(sys.argv[3]), print))
