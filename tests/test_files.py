"""Files that are whole or absent, and where ours are kept."""

import json
import os

import numpy as np
import pytest

from i2vjax import files


def test_cache_follows_the_users_setting(tmp_path, monkeypatch):
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
  assert files.cache('xla') == tmp_path / 'i2vjax' / 'xla'
  monkeypatch.delenv('XDG_CACHE_HOME')
  monkeypatch.setenv('HOME', str(tmp_path))
  assert files.cache('xla') == tmp_path / '.cache' / 'i2vjax' / 'xla'


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
  path = tmp_path / 'x.txt'
  files.save_text(path, 'old')

  def fail(temporary):
    temporary.write_text('half')
    raise OSError('disk full')
  with pytest.raises(OSError, match='disk full'):
    files.save_atomic(path, fail)
  assert path.read_text() == 'old'
  assert os.listdir(tmp_path) == ['x.txt']


def test_who_reads_the_old_file_keeps_reading_it(tmp_path):
  """The new file takes the name; it does not grow inside the old one."""
  path = tmp_path / 'x.txt'
  files.save_text(path, 'old')
  with open(path) as reader:
    files.save_text(path, 'new')
    assert reader.read() == 'old'
  assert path.read_text() == 'new'


def test_json_has_no_nan(tmp_path):
  tree = {'a': np.float32('nan'), 'b': [np.int64(3), float('inf'), 'x', None, True]}
  files.save_json(tmp_path / 'x.json', tree)
  read = json.loads((tmp_path / 'x.json').read_text())
  assert read == {'a': None, 'b': [3, None, 'x', None, True]}
