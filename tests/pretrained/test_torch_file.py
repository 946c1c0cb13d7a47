"""PyTorch files without PyTorch: tensors come back, nothing else gets in."""

import pickle
import pickletools

import numpy as np
import pytest
import torch_files as written
from safetensors.numpy import save_file

from i2vjax.pretrained import files, torch_file

ARRAYS = {'conv.weight': np.arange(24, dtype=np.float32).reshape(4, 3, 2),
          'conv.bias': np.array([1.5, -2], np.float16), 'steps': np.arange(3)}
NUMBERS = np.arange(12, dtype=np.float32)
WRITERS = pytest.mark.parametrize('write', [written.write_zip, written.write_plain])


def one(path, write, *args, **options):
  """Read a file whose only tensor `x` has these arguments and the storage NUMBERS."""
  pickled = written.state_dict({'x': written.tensor('0', 'float32', 12, *args, **options)})
  return torch_file.read(write(path, pickled, {'0': NUMBERS}))['x']


@WRITERS
def test_state_dict_comes_back_bit_for_bit(tmp_path, write):
  found = torch_file.read(written.save(tmp_path / 'x.pth', ARRAYS, write))
  assert list(found) == list(ARRAYS)
  for name, array in ARRAYS.items():
    assert found[name].dtype == array.dtype and found[name].flags.writeable
    np.testing.assert_array_equal(found[name], array)


@WRITERS
@pytest.mark.parametrize(('arguments', 'expected'), [
    ((0, (3, 4), (1, 3)), NUMBERS.reshape(4, 3).T),
    ((4, (2, 2), (4, 2)), NUMBERS.reshape(3, 4)[1:, ::2]),
    ((7, (), ()), NUMBERS[7]),
    ((2, (3, 2), (1, 0)), np.repeat(NUMBERS[2:5, None], 2, 1)),
    ((0, (0, 5), (5, 1)), np.zeros((0, 5)))])
def test_views_follow_offset_and_strides(tmp_path, write, arguments, expected):
  found = one(tmp_path / 'x.pth', write, *arguments)
  np.testing.assert_array_equal(found, expected)
  assert found.shape == expected.shape and found.flags.c_contiguous


def test_files_before_0_4_rebuild_by_the_older_name_and_view_storages(tmp_path):
  view = written.many(written.text('view'), written.integer(5), written.integer(6))
  pickled = written.state_dict({'x': written.tensor('0', 'float32', 12, 1, (2, 2), (2, 1),
                                                    '_rebuild_tensor', view)})
  path = written.write_plain(tmp_path / 'x.pth', pickled, {'0': NUMBERS})
  np.testing.assert_array_equal(torch_file.read(path)['x'], [[6, 7], [8, 9]])


def test_items_inside_the_call_of_an_ordered_dict_are_read(tmp_path):
  """Python 2 wrote OrderedDict([[name, value], ...]) as one call."""
  item = b'](' + written.text('x') + written.whole('0', NUMBERS) + b'e'
  pickled = b'\x80\x02' + written.ORDERED + b'](' + item + b'e\x85R.'
  path = written.write_plain(tmp_path / 'x.pth', pickled, {'0': NUMBERS})
  np.testing.assert_array_equal(torch_file.read(path)['x'], NUMBERS)


@WRITERS
def test_unwanted_tensors_are_checked_but_not_read(tmp_path, write, monkeypatch):
  path = written.save(tmp_path / 'x.pth', ARRAYS, write)
  read = []
  monkeypatch.setattr(torch_file, '_array', lambda name, *_: read.append(name))
  assert list(torch_file.read(path, lambda name: name == 'steps')) == read == ['steps']


@WRITERS
@pytest.mark.parametrize('arguments', [
    (9, (2, 2), (2, 1)), (0, (13,), (1,)), (-1, (2,), (1,)), (0, (4,), (-1,)), (0, (2, 2), (1,)),
    (0, (1 << 20, 1 << 20), (0, 0)), (12, (), ())])
def test_windows_outside_their_storage_are_refused(tmp_path, write, arguments):
  with pytest.raises(ValueError, match='x.pth is damaged.*tensor x'):
    one(tmp_path / 'x.pth', write, *arguments)


@WRITERS
def test_storages_shorter_than_promised_are_refused(tmp_path, write):
  pickled = written.state_dict({'x': written.tensor('0', 'float32', 99, 0, (99,), (1,))})
  with pytest.raises(ValueError, match='should have 99 numbers, there are 12'):
    torch_file.read(write(tmp_path / 'x.pth', pickled, {'0': NUMBERS}))


class Evil:
  def __reduce__(self):
    import os
    return os.system, ('touch PWNED',)


@WRITERS
@pytest.mark.parametrize('protocol', [2, 4])
def test_code_is_named_and_never_run(tmp_path, monkeypatch, write, protocol):
  monkeypatch.chdir(tmp_path)
  path = write(tmp_path / 'x.pth', pickle.dumps({'x': Evil()}, protocol), {})
  with pytest.raises(ValueError, match=r'asks for (posix|nt)\.system.*run code'):
    torch_file.read(path)
  assert not (tmp_path / 'PWNED').exists()


@pytest.mark.parametrize('instructions', [
    written.name('torch._utils', '_rebuild_tensor_v3'), written.name('builtins', 'eval'),
    written.name('torch.storage', 'UntypedStorage'), written.name('numpy', 'ndarray')])
def test_names_that_no_tensor_needs_are_refused(tmp_path, instructions):
  path = written.write_zip(tmp_path / 'x.pth', b'\x80\x02' + instructions + b')R.', {})
  with pytest.raises(ValueError, match=instructions.decode().split('\n')[1]):
    torch_file.read(path)


@pytest.mark.parametrize('code', ['i', 'o', '\x81', '\x92', '\x82', '\x8f', '\x97', 'P'])
def test_instructions_that_make_objects_are_refused(tmp_path, code):
  names = {info.code: info.name for info in pickletools.opcodes}
  body = b'(' + code.encode('latin-1') + b'os\nsystem\n' + b'.' * 9
  path = written.write_zip(tmp_path / 'x.pth', b'\x80\x02' + body, {})
  with pytest.raises(ValueError, match=f'instruction {names[code]}'):
    torch_file.read(path)


def test_calling_a_storage_or_a_dict_entry_is_damage(tmp_path):
  for body in (written.name('torch', 'FloatStorage') + b')R.', b'})R.', b'R.', b't.', b'h\x07.'):
    path = written.write_zip(tmp_path / 'x.pth', b'\x80\x02' + body, {})
    with pytest.raises(ValueError, match='damaged'):
      torch_file.read(path)


@pytest.mark.parametrize(('entry', 'said'), [
    (b'K\x05', "a int as entry 'epoch'"), (b'}', "a dict as entry 'epoch'"),
    (written.name('collections', 'OrderedDict'), 'collections.OrderedDict as entry')])
def test_entries_that_are_no_tensors_are_named(tmp_path, entry, said):
  path = written.write_zip(tmp_path / 'x.pth', written.state_dict({'epoch': entry}), {})
  with pytest.raises(ValueError, match=said):
    torch_file.read(path)


def test_a_pickled_module_is_refused_as_such(tmp_path):
  body = written.many(written.text('module'), written.text('models.Net'), written.text('x')) + b'Q.'
  path = written.write_zip(tmp_path / 'x.pth', b'\x80\x02' + body, {})
  with pytest.raises(ValueError, match='whole pickled module'):
    torch_file.read(path)


@pytest.mark.parametrize(('content', 'said'), [
    (b'', 'empty'), (b'<!DOCTYPE html><html>404', 'web page'),
    (b'version https://git-lfs.github.com/spec/v1', 'Git LFS'), (b'\x93NUMPY', 'begins like none'),
    (pickle.dumps([1, 2]), 'none of PyTorch')])
def test_other_files_are_named_for_what_they_are(tmp_path, content, said):
  (tmp_path / 'x.pth').write_bytes(content)
  with pytest.raises(ValueError, match=said):
    torch_file.read(tmp_path / 'x.pth')


@WRITERS
@pytest.mark.parametrize('share', [0.3, 0.9, 0.99])
def test_cut_off_files_say_so(tmp_path, write, share):
  path = written.save(tmp_path / 'x.pth', ARRAYS, write)
  content = path.read_bytes()
  path.write_bytes(content[:int(share * len(content))])
  with pytest.raises(ValueError, match='damaged or was cut off'):
    torch_file.read(path)


@WRITERS
@pytest.mark.filterwarnings('ignore:invalid escape')
def test_damage_anywhere_is_a_named_error_or_changes_numbers_only(tmp_path, write):
  path, rng = written.save(tmp_path / 'x.pth', ARRAYS, write), np.random.default_rng(0)
  content = path.read_bytes()
  for _ in range(300):
    bad = np.frombuffer(content, np.uint8).copy()
    bad[rng.integers(0, len(bad), 2)] = rng.integers(0, 256, 2)
    path.write_bytes(bad.tobytes())
    try:
      found = torch_file.read(path)
      assert all(array.nbytes <= len(content) for array in found.values())
    except ValueError as error:
      assert 'x.pth' in str(error)


@pytest.mark.parametrize(('members', 'said'), [
    ({'constants.pkl': b'x'}, 'TorchScript.*pt_inception'), ({'code/net.py': b'x'}, 'TorchScript')])
def test_torchscript_archives_are_refused_by_name(tmp_path, members, said):
  path = written.write_zip(tmp_path / 'x.pt', written.state_dict({}), {}, members)
  with pytest.raises(ValueError, match=said):
    torch_file.read(path)


def test_big_endian_files_are_refused(tmp_path):
  path = written.save(tmp_path / 'x.pth', ARRAYS, written.write_plain)
  path.write_bytes(path.read_bytes().replace(b'little_endian\x88', b'little_endian\x89'))
  with pytest.raises(ValueError, match='big-endian'):
    torch_file.read(path)


# ---- files.read: every kind by suffix ----


@pytest.mark.parametrize('suffix', ['.pth', '.pt', '.safetensors', '.npz'])
def test_every_suffix_gives_the_same_arrays(tmp_path, suffix):
  path = tmp_path / f'weights{suffix}'
  save = {'.safetensors': save_file, '.npz': lambda arrays, to: np.savez(to, **arrays)}
  save.get(suffix, lambda arrays, to: written.save(to, arrays))(ARRAYS, path)
  found = files.read(path, lambda name: name != 'steps')
  assert sorted(found) == ['conv.bias', 'conv.weight']
  np.testing.assert_array_equal(found['conv.weight'], ARRAYS['conv.weight'])


def test_bfloat16_of_safetensors_is_read(tmp_path):
  import ml_dtypes
  save_file({'x': np.ones(3, ml_dtypes.bfloat16)}, tmp_path / 'x.safetensors')
  assert files.read(tmp_path / 'x.safetensors')['x'].dtype == ml_dtypes.bfloat16


@pytest.mark.parametrize('suffix', ['.safetensors', '.npz', '.pth'])
def test_web_pages_are_recognized_under_every_suffix(tmp_path, suffix):
  path = tmp_path / f'weights{suffix}'
  path.write_bytes(b'<html>' + b'not found ' * 20)
  with pytest.raises(ValueError, match='web page'):
    files.read(path)


def test_unknown_suffix_and_missing_file_are_refused(tmp_path):
  (tmp_path / 'weights.h5').write_bytes(b'x')
  with pytest.raises(ValueError, match=r'\.safetensors'):
    files.read(tmp_path / 'weights.h5')
  with pytest.raises(FileNotFoundError, match='no such file'):
    files.read(tmp_path / 'weights.pth')
