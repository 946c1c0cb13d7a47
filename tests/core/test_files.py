"""Atomic writes, the cache folder, full disks, disk-backed arrays."""

import errno
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from limits import largest_file

from i2vjax.core import files


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


@pytest.mark.parametrize('mask', [0o022, 0o027, 0o077], ids=oct)
def test_files_have_the_rights_that_the_user_asks_for(tmp_path, monkeypatch, mask):
  """Umask is of the whole process, and is not touched: other threads make files meanwhile."""
  before = os.umask(mask)
  try:
    with monkeypatch.context() as patched:
      patched.setattr(os, 'umask', None)
      files.save_text(tmp_path / 'x.txt', 'x')
  finally:
    os.umask(before)
  assert (tmp_path / 'x.txt').stat().st_mode & 0o777 == 0o666 & ~mask


def test_who_reads_the_old_file_keeps_reading_it(tmp_path):
  """The new file takes the name; it does not grow inside the old one."""
  path = tmp_path / 'x.txt'
  files.save_text(path, 'old')
  with open(path) as reader:
    files.save_text(path, 'new')
    assert reader.read() == 'old'
  assert path.read_text() == 'new'


def of_a_process_that_is_gone():
  child = subprocess.run([sys.executable, '-c', 'import os; print(os.getpid())'], text=True,
                         capture_output=True, check=True)
  return files.part_prefix().replace(f'-{os.getpid()}-', f'-{int(child.stdout)}-')


def test_what_killed_processes_had_not_finished_goes_and_nothing_else(tmp_path):
  dead, ours = of_a_process_that_is_gone(), files.part_prefix()
  foreign = dead.replace(dead[6:14], '0' * 8)   # of another machine, where it may live
  for name in (dead + 'a.png', ours + 'b.png', foreign + 'c.png', '.part-of mine', 'd.png'):
    (tmp_path / name).touch()
  (tmp_path / 'clip' / f'{dead}folder').mkdir(parents=True)
  assert [path.name for path in files.sweep(tmp_path)] == [dead + 'a.png']
  assert {path.name for path in tmp_path.iterdir()} == {
      ours + 'b.png', foreign + 'c.png', '.part-of mine', 'd.png', 'clip'}
  assert len(files.sweep(tmp_path, deep=True)) == 1 and not any((tmp_path / 'clip').iterdir())
  assert files.sweep(tmp_path / 'missing') == []


def new_and_old(tmp_path):
  for name in ('new', 'old'):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'x').write_text(name)
  return tmp_path / 'new', tmp_path / 'old'


def test_a_new_folder_takes_the_place_of_an_old_one(tmp_path):
  new, old = new_and_old(tmp_path)
  files.put_in_place(new, old)
  assert (old / 'x').read_text() == 'new' and os.listdir(tmp_path) == ['old']
  new.mkdir()
  files.put_in_place(new, tmp_path / 'deep' / 'first')
  assert sorted(os.listdir(tmp_path)) == ['deep', 'old']


@pytest.mark.parametrize('call', [1, 2])
def test_a_rename_that_fails_leaves_the_old_folder_where_it_was(tmp_path, monkeypatch, call):
  new, old = new_and_old(tmp_path)
  calls, replace = [], os.replace

  def fail(source, target):
    calls.append(source)
    if len(calls) == call:
      raise OSError('no')
    replace(source, target)
  monkeypatch.setattr(files.os, 'replace', fail)
  with pytest.raises(OSError, match='no'):
    files.put_in_place(new, old)
  assert (old / 'x').read_text() == 'old' and (new / 'x').read_text() == 'new'
  assert sorted(os.listdir(tmp_path)) == ['new', 'old']


def killed(function, before, *paths, at_deletion=False):
  """Exit code of a process that dies (9) before so many renames, or as it deletes a folder."""
  script = (
      'import os, shutil, sys\n'
      'from i2vjax.core import files\n'
      'count, replace = [0], os.replace\n'
      'def step(*paths):\n'
      '  count[0] += 1\n'
      f'  os._exit(9) if count[0] == {before} else replace(*paths)\n'
      'files.os.replace = step\n'
      + 'files.shutil.rmtree = lambda *_, **__: os._exit(9)\n' * at_deletion
      + f'files.{function}(sys.argv[1], sys.argv[2])\n')
  return subprocess.run([sys.executable, '-c', script, *paths], check=False).returncode


@pytest.mark.parametrize('killed_before', [1, 2, 3])
def test_killed_at_any_rename_neither_is_lost_and_the_next_sweep_mends_it(tmp_path, killed_before):
  """3: both renames are done, the old folder is not yet deleted."""
  new, old = new_and_old(tmp_path)
  assert killed('put_in_place', killed_before, new, old, at_deletion=True) == 9
  files.sweep(tmp_path)
  expected = 'new' if killed_before == 3 else 'old'
  assert (old / 'x').read_text() == expected
  assert not [name for name in os.listdir(tmp_path) if name.startswith('.')]
  assert new.exists() == (killed_before != 3)


@pytest.mark.parametrize('aside', [False, True])
@pytest.mark.parametrize('killed_before', range(1, 6))
def test_several_folders_come_together_whenever_the_process_is_killed(tmp_path, killed_before,
                                                                      aside):
  """Renames: the hidden folder; test; train. An old train is put aside before the new one."""
  part, place = tmp_path / 'place' / 'part', tmp_path / 'place'
  for name in ('train', 'test'):
    (part / name).mkdir(parents=True)
    (part / name / 'x').write_text('new')
  if aside:
    (place / 'train').mkdir()
    (place / 'train' / 'x').write_text('old')
  code = killed('put_all_in_place', killed_before, part, place)
  assert code == (9 if killed_before <= (4 if aside else 3) else 0)
  files.sweep(place)
  found = {path.parent.name: path.read_text() for path in place.glob('t*/x')}
  if killed_before == 1:      # it was not known yet to be whole
    assert found == ({'train': 'old'} if aside else {}) and part.exists()
  elif aside and killed_before in (2, 3):   # what the new one would replace is never deleted
    assert found['test'] == 'new' and found['train'] in ('old', 'new')
  else:
    assert found == {'train': 'new', 'test': 'new'}
  assert not [name for name in os.listdir(place) if name.startswith('.')]


def test_ctrl_c_between_two_renames_finishes_them_first(tmp_path, monkeypatch):
  for name in ('train', 'test'):
    (tmp_path / 'part' / name).mkdir(parents=True)
  placed, place = [], files.put_in_place

  def interrupted(*paths):
    placed.append(paths)
    if len(placed) == 2:
      raise KeyboardInterrupt
    place(*paths)
  monkeypatch.setattr(files, 'put_in_place', interrupted)
  with pytest.raises(KeyboardInterrupt):
    files.put_all_in_place(tmp_path / 'part', tmp_path)
  assert sorted(os.listdir(tmp_path)) == ['test', 'train']


def test_json_has_no_nan(tmp_path):
  tree = {'a': np.float32('nan'), 'b': [np.int64(3), float('inf'), 'x', None, True]}
  files.save_json(tmp_path / 'x.json', tree)
  read = json.loads((tmp_path / 'x.json').read_text())
  assert read == {'a': None, 'b': [3, None, 'x', None, True]}


# ---- Full disks -------------------------------------------------------------------------------


@pytest.mark.parametrize(('error', 'full'), [
    (OSError(errno.ENOSPC, 'x'), True), (OSError(errno.EDQUOT, 'x'), True),
    (OSError(errno.EFBIG, 'x'), True), (ValueError('[Errno 27] File too large'), True),
    (ValueError('RESOURCE_EXHAUSTED: write'), True), (OSError(errno.EACCES, 'x'), False),
    (ValueError('shapes differ'), False)])
def test_a_full_disk_is_known_by_number_or_by_the_words_of_orbax(error, full):
  assert files.disk_full(error) == full


def test_a_full_disk_is_told_with_what_is_free_where_the_file_would_be(tmp_path):
  error = files.disk_full_error(tmp_path / 'not' / 'there.mkv', 'nothing is left',
                                OSError(errno.ENOSPC, 'x'))
  assert isinstance(error, OSError)
  assert re.fullmatch(rf'{tmp_path}/not/there.mkv: the disk is full \(\d+ MiB free\); nothing is '
                      'left', str(error))


def test_a_file_beyond_a_limit_is_told_as_such(tmp_path):
  """Room there is: FAT32 takes 4 GiB, and a user's limit (ulimit -f) may be less."""
  with largest_file(4096), pytest.raises(OSError) as caught:   # noqa: PT011 (the next line)
    files.save_text(tmp_path / 'x.txt', 'x' * 9999)
  assert files.disk_full(caught.value)
  told = str(files.disk_full_error(tmp_path / 'x.txt', 'nothing is left', caught.value))
  assert told.startswith(f'{tmp_path}/x.txt: a file is larger than this disk or limit allows')
  assert told.endswith('; nothing is left') and not list(tmp_path.iterdir())


# ---- Disk-backed arrays -----------------------------------------------------------------------


@pytest.mark.parametrize('large', [1, 2**20])
def test_stacked_equals_numpy_in_memory_and_on_the_disk(monkeypatch, large):
  monkeypatch.setattr(files, 'MEMMAP_ABOVE', large)
  items = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)
  found = files.stack_stream(iter(items), 5)
  np.testing.assert_array_equal(found, items)
  assert found.flags.writeable and found.dtype == np.uint8


def test_a_large_array_lies_in_a_file_without_a_name(monkeypatch, tmp_path):
  monkeypatch.setattr(files.tempfile, 'tempdir', str(tmp_path))
  monkeypatch.setattr(files, 'MEMMAP_ABOVE', 2**10)
  small, large = files.allocate((2**9,), np.uint8), files.allocate((2**11,), np.uint8)
  assert small.base is None and isinstance(large.base, np.memmap)
  large[:] = 7
  assert large.sum() == 7 * 2**11 and not list(tmp_path.iterdir())


def test_a_full_disk_is_an_error_and_no_signal(monkeypatch):
  def full(*_):
    raise OSError(28, 'No space left on device')
  monkeypatch.setattr(files.os, 'posix_fallocate', full, raising=False)
  monkeypatch.setattr(files, 'MEMMAP_ABOVE', 1)
  with pytest.raises(OSError, match='the disk is full .* set TMPDIR to a folder with more room'):
    files.allocate((4, 4), np.uint8)


@pytest.mark.parametrize(('change', 'said'), [
    (lambda x: x[:2], '2 items, not 3'), (lambda x: [*x, x[0]], 'item 3 of 3'),
    (lambda x: [x[0], x[1][:1], x[2]], 'item 1 of 3'),
    (lambda x: [x[0], x[1].astype(np.uint16), x[2]], 'uint16')])
def test_what_cannot_be_stacked_is_refused(change, said):
  with pytest.raises(ValueError, match=said):
    files.stack_stream(change(list(np.zeros((3, 4, 4), np.uint8))), 3)
