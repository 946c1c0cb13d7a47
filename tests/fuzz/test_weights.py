"""Weight files that somebody made to do harm, and damaged ones: refused by name, nothing runs.

Counts of larger campaigns: docs/reliability.md.
"""

import copyreg
import io
import json
import os
import pickle
import struct
import zipfile

import fuzz_archives
import fuzz_trap
import numpy as np
import pytest
import torch_files as written

from i2vjax.core import npz
from i2vjax.pretrained import fetch, files, registry, torch_file, torch_pickle

TEXT = written.text('RAN')
TRAP, QUIET = written.name('fuzz_trap', 'Trap'), written.name('fuzz_trap', 'QUIET')
SPRING = written.name('fuzz_trap', 'spring')
CODE = 240   # of an extension
# Pickles that run code where they are loaded, by the instruction that does it.
TRAPS = {
    'GLOBAL, REDUCE': b'\x80\x02' + SPRING + TEXT + b'\x85R.',
    'STACK_GLOBAL': b'\x80\x04' + written.text('fuzz_trap') + written.text('spring') + b'\x93)R.',
    'INST': b'(' + TEXT + b'ifuzz_trap\nspring\n.',
    'OBJ': b'(' + SPRING + TEXT + b'o.',
    'NEWOBJ': b'\x80\x02' + TRAP + b')\x81.',
    'NEWOBJ_EX': b'\x80\x04' + TRAP + b')}\x92.',
    'BUILD': b'\x80\x02' + QUIET + b'}b.',
    'EXT1': b'\x80\x02\x82' + bytes([CODE]) + b')R.',
    'EXT2': b'\x80\x02\x83' + struct.pack('<H', CODE) + b')R.',
    'EXT4': b'\x80\x02\x84' + struct.pack('<i', CODE) + b')R.',
    'APPEND': b'\x80\x02' + QUIET + TEXT + b'a.',
    'APPENDS': b'\x80\x02' + QUIET + b'(' + TEXT + b'e.',
    'SETITEM': b'\x80\x02' + QUIET + TEXT + TEXT + b's.',
    'SETITEMS': b'\x80\x02' + QUIET + b'(' + TEXT + TEXT + b'u.',
    'ADDITEMS': b'\x80\x04' + QUIET + b'(' + TEXT + b'\x90.'}
CALLS = {'PERSID': b'P1\n.', 'BINPERSID': TEXT + b'Q.',
         'getattr': b'\x80\x02' + written.name('builtins', 'getattr') + b')R.'}
NUMBERS = np.zeros(6, np.float32)


@pytest.fixture
def extension():
  copyreg.add_extension('fuzz_trap', 'spring', CODE)
  yield
  copyreg.remove_extension('fuzz_trap', 'spring', CODE)


@pytest.mark.parametrize('name', TRAPS)
def test_the_traps_are_real(tmp_path, monkeypatch, extension, name):
  monkeypatch.chdir(tmp_path)
  pickle.loads(TRAPS[name])
  assert os.listdir(tmp_path) == ['RAN']


@pytest.mark.parametrize('name', [*TRAPS, *CALLS])
@pytest.mark.parametrize('place', ['zip', 'plain', 'magic', 'version', 'facts', 'keys', 'entry'])
def test_no_instruction_of_a_pickle_runs_code(tmp_path, monkeypatch, extension, name, place):
  monkeypatch.chdir(tmp_path)
  code = (TRAPS | CALLS)[name]
  path = tmp_path / 'x.pth'
  if place == 'zip':
    written.write_zip(path, code, {})
  elif place == 'plain':
    written.write_plain(path, code, {})
  elif place == 'entry':
    written.write_zip(path, written.state_dict({'x': code[2 * (code[:1] == b'\x80'):-1]}), {})
  else:
    whole = written.state_dict({'x': written.whole('0', NUMBERS)})
    parts = {'magic': written.MAGIC, 'version': b'\x80\x02M\xe9\x03.',
             'facts': b'\x80\x02}' + written.text('little_endian') + b'\x88s.', 'object': whole,
             'keys': b'\x80\x02]' + written.text('0') + b'a.'}
    parts[place] = code if code[:1] == b'\x80' else b'\x80\x02' + code
    path.write_bytes(b''.join(parts.values()) + struct.pack('<q', 6) + NUMBERS.tobytes())
  word, text = fuzz_archives.outcome(lambda: files.read(path) and 'read', 'x.pth', tmp_path)
  assert word == 'refused' and os.listdir(tmp_path) == ['x.pth'], text


@pytest.mark.parametrize('suffix', ['.pkl', '.pickle', '.ckpt', '.npy', '.joblib'])
def test_other_pickles_are_not_even_opened(tmp_path, suffix):
  path = tmp_path / f'x{suffix}'
  path.write_bytes(TRAPS['GLOBAL, REDUCE'])
  with pytest.raises(ValueError, match='weights are read from .npz, .pt, .pth, .safetensors'):
    files.read(path)


# ---- Small files that would become large, or take long ----------------------------------------


def nested(depth):
  return b')' + b'\x85' * depth


BOMBS = {
    'a key nested so deep that hashing it ends Python': b'}' + nested(300000) + b'K\x01s.',
    'the same as a name': written.text('torch') + nested(300000) + b'\x93.',
    'the same in a storage': written.many(written.text('storage'), written.name(
        'torch', 'FloatStorage'), nested(100000), TEXT, b'K\x06') + b'Q.',
    'a list in itself': b']q\x00h\x00a.',
    'marks over a deep stack': b'N' * 300000 + b'(t' * 200000 + b'.',
    'dicts of one long list': b'](' + (b'](' + TEXT + b'K\x01e') * 20000 + b'eq\x000'
                              + (written.ORDERED + b'h\x00\x85R') * 20000 + b'.',
    'shapes of one long list': b'](' + b'K\x01' * 100000 + b'eq\x00' + written.name(
        'torch._utils', '_rebuild_tensor') + written.many(
            written.storage('0', 'float32', 6), b'K\x00', b'h\x00', b'h\x00') + b'R.',
    'more instructions than any network': b'N' * (torch_pickle.MOST_INSTRUCTIONS + 9) + b'.'}


@pytest.mark.parametrize('name', BOMBS)
def test_a_pickle_that_would_fill_memory_or_time_is_refused(tmp_path, name):
  path = tmp_path / 'x.pth'
  for write in (written.write_zip, written.write_plain):
    write(path, b'\x80\x04' + BOMBS[name], {'0': NUMBERS})
    word, text = fuzz_archives.outcome(lambda: files.read(path) and 'read', 'x.pth', tmp_path)
    assert word == 'refused', text


def test_numbers_that_many_tensors_repeat_are_counted_together(tmp_path):
  one = written.tensor('0', 'int64', 6, 0, (torch_file.MAX_EXPANDED,), (0,))
  entries = {f'x{k}': one for k in range(50)}
  path = written.write_zip(tmp_path / 'x.pth', written.state_dict(entries),
                           {'0': np.zeros(6, np.int64)})
  with pytest.raises(ValueError, match=r'x.pth is damaged .*\d bytes that would become 6710886400'):
    files.read(path)
  assert files.read(path, lambda name: name == 'x3')['x3'].sum() == 0


def test_a_storage_is_read_once_however_many_look_into_it(tmp_path, monkeypatch):
  entries = {f'x{k}': written.tensor('0', 'float32', 6, k, (1,), (1,)) for k in range(5)}
  path = written.write_zip(tmp_path / 'x.pth', written.state_dict(entries),
                           {'0': np.arange(6, dtype=np.float32)})
  read, original = [], zipfile.ZipFile.read
  monkeypatch.setattr(zipfile.ZipFile, 'read', lambda archive, info: read.append(info.filename)
                      or original(archive, info))
  assert [x.item() for x in files.read(path).values()] == [0, 1, 2, 3, 4]
  assert read.count('archive/data/0') == 1


def test_members_of_one_name_are_refused(tmp_path):
  for suffix, name in (('.pt', 'archive/data.pkl'), ('.npz', 'x.npy')):
    path = tmp_path / f'x{suffix}'
    with zipfile.ZipFile(path, 'w') as archive, pytest.warns(UserWarning, match='Duplicate'):
      for _ in range(2):
        archive.writestr(name, written.state_dict({}))
    with pytest.raises(ValueError, match=f'x{suffix} is not to be trusted'):
      files.read(path)


# ---- .npz ---------------------------------------------------------------------------------------


def npy(shape, kind='<f4', content=b''):
  buffer = io.BytesIO()
  np.lib.format.write_array_header_1_0(
      buffer, {'descr': kind, 'fortran_order': False, 'shape': shape})
  return buffer.getvalue() + content


@pytest.mark.parametrize(('member', 'said'), [
    (npy((10**12,)), 'should have'), (npy((2**62, 4)), 'should have'), (npy((-1,)), 'should have'),
    (npy((3,), '<f4', bytes(8)), r'should have \(3,\) numbers, and 8 bytes'),
    (npy((1,), '|O', TRAPS['GLOBAL, REDUCE']), 'objects are pickled, and could run code'),
    (npy((1,), [('a', '|O')], TRAPS['GLOBAL, REDUCE']), 'and no numbers'),
    (npy((), '<U250000000'), 'should have'), (TRAPS['GLOBAL, REDUCE'], 'no whole .npz'),
    (b'', 'no whole .npz')])
def test_a_header_that_lies_is_refused_before_its_array_is_made(tmp_path, member, said):
  path = tmp_path / 'x.npz'
  with zipfile.ZipFile(path, 'w') as archive:
    archive.writestr('y.npy', npy((2,), '<f4', bytes(8)))
    archive.writestr('x.npy', member)
  word, text = fuzz_archives.outcome(lambda: files.read(path) and 'read', 'x.npz', tmp_path)
  assert word == 'refused', text
  with pytest.raises(npz.Damaged, match=said):
    npz.read(path)


def test_a_zip_bomb_is_refused_and_zeros_are_not(tmp_path):
  path = tmp_path / 'x.npz'
  np.savez_compressed(path, x=np.zeros(npz.ALWAYS + 2**20, np.uint8))
  with pytest.raises(ValueError, match='x.npz is not to be trusted: .* bytes that would become'):
    files.read(path)
  np.savez_compressed(path, x=np.zeros(2**20, np.uint8))
  assert files.read(path)['x'].sum() == 0


def test_what_is_no_array_is_named(tmp_path):
  for name in ('../x', '/etc/x', 'a\nb'):
    path = tmp_path / 'x.npz'
    with zipfile.ZipFile(path, 'w') as archive:
      archive.writestr(name, b'x')
    with pytest.raises(npz.Damaged, match='which is no array'):
      npz.read(path)
    assert os.listdir(tmp_path) == ['x.npz']


# ---- .safetensors -------------------------------------------------------------------------------


@pytest.mark.parametrize('entry', [
    {'dtype': 'F32', 'shape': [2**40], 'data_offsets': [0, 2**42]},
    {'dtype': 'F32', 'shape': [4], 'data_offsets': [-8, 8]},
    {'dtype': 'F32', 'shape': [4], 'data_offsets': [8, 0]},
    {'dtype': 'F32', 'shape': [2**63, 2], 'data_offsets': [0, 16]},
    {'dtype': 'F8_E4M3', 'shape': [16], 'data_offsets': [0, 16]},
    {'dtype': 'F4', 'shape': [32], 'data_offsets': [0, 16]},
    {'dtype': 'I4', 'shape': [4], 'data_offsets': [0, 16]}])
def test_a_header_of_safetensors_that_lies_is_refused(tmp_path, entry):
  path = tmp_path / 'x.safetensors'
  text = json.dumps({'x': entry}).encode()
  path.write_bytes(struct.pack('<Q', len(text)) + text + bytes(16))
  word, text = fuzz_archives.outcome(lambda: files.read(path) and 'read', 'x.saf', tmp_path)
  assert word == 'refused', text


# ---- Hashes come first --------------------------------------------------------------------------


def test_a_byte_of_another_file_is_never_parsed(tmp_path, monkeypatch):
  from i2vjax import defaults
  monkeypatch.setattr(fetch.files, 'read', lambda *_, **__: pytest.fail('it was parsed'))
  config = defaults.get_config()
  config.pretrained_dir = str(tmp_path / 'weights')
  path = tmp_path / 'any.pth'
  path.write_bytes(TRAPS['GLOBAL, REDUCE'])
  with pytest.raises(ValueError, match='is not vgg19.*its SHA-256 begins with'):
    fetch.fetch('vgg19', config, file=path, show=False)
  item = registry.entry('vgg19')
  path = path.rename(tmp_path / item.file)
  with pytest.raises(ValueError, match='is not the published file'):
    registry.verify(item, path)


# ---- At random ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ['.pth', '.pt', '.safetensors', '.npz', '.npz, packed'])
@pytest.mark.parametrize('count', [100, pytest.param(1000, marks=pytest.mark.slow)])
def test_damaged_and_crafted_files_are_refused_by_name(tmp_path, name, count):
  said = []
  found = fuzz_archives.weights(name, tmp_path, count, say=said.append)
  good = {*fuzz_archives.GOOD}
  if not fuzz_archives.weight_files(tmp_path)[name][2]:
    good.add('other numbers')
  assert set(found) <= good and found['refused'] > count / 2, said or found


def test_the_watch_sees_what_it_is_there_for(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  inside = tmp_path / 'in'
  inside.mkdir()
  for read, word in (
      (lambda: pickle.loads(TRAPS['GLOBAL, REDUCE']), 'ran'),
      (lambda: (tmp_path / 'out').write_text('x'), 'wrote'),
      (lambda: (inside / 'x').write_text('x') and 'right', 'right'),
      (lambda: 1 / 0, 'traceback'), (lambda: int(b'x' * 9), 'traceback')):
    assert fuzz_archives.outcome(read, 'x', inside)[0] == word

  def endless():
    while True:
      pass
  assert fuzz_archives.outcome(endless, 'x', inside, 0.1)[0] == 'hang'
  assert fuzz_trap.QUIET is not None
