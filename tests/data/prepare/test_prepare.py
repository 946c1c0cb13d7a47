"""Footage into folders of frames: which clips, which split, which bytes."""

import cv2
import numpy as np
import pytest

from i2vjax import defaults, main
from i2vjax.data import open_source
from i2vjax.data.io import images, output_paths, video_reader
from i2vjax.data.prepare import prepare
from i2vjax.data.transforms import preprocess

SHAPE = (8, 12, 1)


def put(folder, names, first=0, shape=SHAPE, dtype=np.uint8):
  for k, name in enumerate(names):
    images.write_image(folder / name, np.full(shape, first + k, dtype))


def clips(folder, count, length=2):
  for k in range(count):
    put(folder / f'clip{k}', [f'{t}.png' for t in range(length)], 10 * k)
  return folder


def noise(*seeds):
  """Frames of 8x8 side by side, one for each seed."""
  return np.concatenate([np.random.default_rng(x).integers(0, 255, (8, 8, 1), np.uint8)
                         for x in seeds], axis=1)


def footage(tmp_path, source='in', fields=None, **options):
  data = defaults.data()
  data.update(fields or {})
  return prepare.footage(tmp_path / source, tmp_path / 'out', data, show=False, **options)


def tree(folder):
  return sorted(str(x.relative_to(folder)) for x in folder.rglob('*') if x.is_file())


def levels(folder):
  return [int(images.read_image(x).flat[0]) for x in sorted(folder.iterdir())]


# ---- what becomes frames ------------------------------------------------------------------------


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_a_video_becomes_a_folder_of_its_frames(tmp_path, dtype):
  ramp = np.arange(96, dtype=dtype).reshape(SHAPE) * (200 if dtype == np.uint16 else 1)
  with video_reader.VideoWriter(tmp_path / 'in.mkv') as film:
    for k in range(3):
      film.write(ramp + dtype(k))
  assert footage(tmp_path, 'in.mkv') == {str(tmp_path / 'out'): (1, 3)}
  assert tree(tmp_path / 'out') == ['000000.png', '000001.png', '000002.png']
  np.testing.assert_array_equal(images.read_image(tmp_path / 'out/000002.png'), ramp + dtype(2))


def test_a_folder_of_videos_becomes_a_folder_of_clips(tmp_path):
  for name in 'xy':
    with video_reader.VideoWriter(tmp_path / f'in/{name}.mkv') as film:
      film.write(np.zeros(SHAPE, np.uint8))
  footage(tmp_path)
  assert tree(tmp_path / 'out') == ['x/000000.png', 'y/000000.png']


def test_videos_of_one_name_in_folders_of_one_name_are_all_written(tmp_path):
  for k, day in enumerate(('mon', 'tue')):
    with video_reader.VideoWriter(tmp_path / f'in/{day}/ir/video.mkv') as film:
      for _ in range(2):
        film.write(np.full((16, 16, 1), 100 * k, np.uint8))
  assert footage(tmp_path) == {str(tmp_path / 'out'): (2, 4)}
  assert tree(tmp_path / 'out') == [f'{day}_ir_video.mkv/00000{k}.png' for day in ('mon', 'tue')
                                    for k in range(2)]


@pytest.mark.parametrize(('names', 'same'), [
    (['x/a_1.png', 'x/a_2.png', 'x/b_1.png', 'x/b_2.png', 'x_000/1.png'], 'x_000'),
    (['1.png', '2.png', '9.png', '001/1.png'], '001'),
    (['1.png', '2.png', 'in/1.png'], 'in')])
def test_two_clips_of_one_name_are_refused(tmp_path, names, same):
  put(tmp_path / 'in', names)
  with pytest.raises(ValueError, match=f'2 clips of the name {same}, and one would overwrite'):
    footage(tmp_path)
  assert not (tmp_path / 'out').exists()


def test_frames_of_one_name_in_one_clip_are_all_written(tmp_path):
  for k, day in enumerate(('mon', 'tue')):
    put(tmp_path / 'in' / day, ['ir_a.png', 'ir_b.png'], 10 * k)
  footage(tmp_path, fields={'clip_regex': '(ir)'})
  assert tree(tmp_path / 'out') == [f'00000{k}.png' for k in range(4)]
  assert levels(tmp_path / 'out') == [0, 1, 10, 11]


def test_a_tiff_of_several_pages_becomes_a_clip(tmp_path):
  pages = [np.full((8, 12), 7000 + k, np.uint16) for k in range(3)]
  cv2.imwritemulti(str(tmp_path / 'in.tif'), pages)
  with pytest.raises(ValueError, match=r'in.tif holds 3 pages.*prepare --input'):
    images.read_image(tmp_path / 'in.tif')
  footage(tmp_path, 'in.tif')
  assert levels(tmp_path / 'out') == [7000, 7001, 7002]


def test_frames_that_need_no_change_are_copied_byte_for_byte(tmp_path):
  put(tmp_path / 'in/c', ['7.jpg', '8.jpg'], 50, (8, 12, 3))
  footage(tmp_path)
  assert tree(tmp_path / 'out') == ['7.jpg', '8.jpg']
  assert (tmp_path / 'out/7.jpg').read_bytes() == (tmp_path / 'in/c/7.jpg').read_bytes()


def test_a_size_resizes_and_keeps_16_bits(tmp_path):
  put(tmp_path / 'in', ['a1.tif', 'a2.tif'], 30000, dtype=np.uint16)
  footage(tmp_path, size=preprocess.read_size('6x4'))
  back = images.read_image(tmp_path / 'out/a1.png')
  assert (back.shape, back.dtype, int(back[0, 0, 0])) == ((4, 6, 1), np.uint16, 30000)


def test_strips_become_clips(tmp_path):
  for k in range(2):
    images.write_image(tmp_path / f'in/{k}.png', noise(3 * k, 3 * k + 1, 3 * k + 2))
  assert footage(tmp_path, fields={'frames_per_image': '3'}) == {str(tmp_path / 'out'): (2, 6)}
  assert tree(tmp_path / 'out')[:3] == ['0/000000.png', '0/000001.png', '0/000002.png']
  np.testing.assert_array_equal(images.read_image(tmp_path / 'out/1/000001.png'), noise(4))


def test_a_folder_of_strips_that_is_one_clip_gives_its_name(tmp_path):
  for name, seeds in zip('01', ((1, 2, 3), (3, 4, 5)), strict=True):
    images.write_image(tmp_path / f'in/x/{name}.png', noise(*seeds))
    images.write_image(tmp_path / f'in/y/{name}.png', noise(*(10 * k for k in seeds)))
  footage(tmp_path, fields={'frames_per_image': 'auto'})
  assert {x.rsplit('/', 1)[0] for x in tree(tmp_path / 'out')} == {'x', 'y'}
  assert len(tree(tmp_path / 'out')) == 10


def test_strips_that_share_frames_become_one_clip(tmp_path):
  for name, seeds in zip('0123', ((1, 2, 3), (2, 3, 4), (4, 5, 6), (8, 9, 10)), strict=True):
    images.write_image(tmp_path / f'in/{name}.png', noise(*seeds))
  assert footage(tmp_path, fields={'frames_per_image': 'auto'})[str(tmp_path / 'out')] == (2, 9)
  for k in range(6):
    back = images.read_image(tmp_path / f'out/0/{k:06d}.png')
    np.testing.assert_array_equal(back, noise(k + 1))


# ---- train and test -----------------------------------------------------------------------------


def test_a_share_of_the_clips_goes_to_test_and_is_read_as_the_root(tmp_path):
  clips(tmp_path / 'in', 5)
  for domain in 'ab':
    done = footage(tmp_path, domain=domain, test_share=0.4)
    assert list(done.values()) == [(3, 6), (2, 4)]
  data = defaults.data()
  data.update(source='folders', root=str(tmp_path / 'out'))
  result = {x: [clip[0] for clip in open_source(data, *x).clips]
           for x in (('train', 'a'), ('test', 'a'), ('train', 'b'), ('test', 'b'))}
  assert result['test', 'a'] == result['test', 'b'] == ['clip1', 'clip3']   # pairs stay pairs
  assert result['train', 'a'] == ['clip0', 'clip2', 'clip4']


def test_clips_are_never_shared_by_frame(tmp_path):
  clips(tmp_path / 'in', 7, length=3)
  footage(tmp_path, test_share=0.3)
  sides = [{x.split('/')[0] for x in tree(tmp_path / 'out' / side)} for side in ('train', 'test')]
  assert sides[0] | sides[1] == {f'clip{k}' for k in range(7)} and not sides[0] & sides[1]
  assert len(tree(tmp_path / 'out')) == 21


def test_clips_for_testing_can_be_named(tmp_path):
  clips(tmp_path / 'in', 3)
  footage(tmp_path, test_clips=['clip2'])
  assert tree(tmp_path / 'out/test') == ['clip2/0.png', 'clip2/1.png']
  with pytest.raises(ValueError, match='there is no clip clip9, but clip0, clip1, clip2'):
    footage(tmp_path, test_clips=['clip9'])


def test_other_footage_can_be_all_for_testing(tmp_path):
  clips(tmp_path / 'in', 1)
  footage(tmp_path, domain='a', test_share=1)
  assert tree(tmp_path / 'out') == ['testA/clip0/0.png', 'testA/clip0/1.png']


@pytest.mark.parametrize('kind', ['one clip', 'strips'])
def test_one_recording_is_not_split(tmp_path, kind):
  if kind == 'one clip':
    clips(tmp_path / 'in', 1, length=9)
  else:
    for k in range(3):
      images.write_image(tmp_path / f'in/{k}.png', noise(3 * k, 3 * k + 1, 3 * k + 2))
  with pytest.raises(ValueError, match='one recording.*never by frames.*clip_regex'):
    footage(tmp_path, fields={'frames_per_image': 'auto'}, test_share=0.2)
  assert not (tmp_path / 'out').exists()


def test_strips_of_one_folder_stay_together(tmp_path):
  for k, folder in enumerate('xyx'):
    images.write_image(tmp_path / f'in/{folder}/{k}.png', noise(3 * k, 3 * k + 1, 3 * k + 2))
  footage(tmp_path, fields={'frames_per_image': '3'}, test_share=0.5)
  assert {x.split('/')[1] for x in tree(tmp_path / 'out') if x.startswith('train')} in (
      {'x'}, {'y'})


# ---- what goes wrong ----------------------------------------------------------------------------


def test_nothing_is_overwritten_unless_asked(tmp_path):
  clips(tmp_path / 'in', 2)
  put(tmp_path / 'out/trainA', ['mine.png'])
  with pytest.raises(FileExistsError, match=r'out/trainA exists already: use --overwrite'):
    footage(tmp_path, domain='a')
  footage(tmp_path, domain='b')
  footage(tmp_path, domain='a', overwrite=True)
  assert sorted(x.name for x in (tmp_path / 'out').iterdir()) == ['trainA', 'trainB']
  assert 'trainA/mine.png' not in tree(tmp_path / 'out')


@pytest.mark.parametrize(('input', 'output', 'said'), [
    ('in', 'in', 'is the input itself'), ('link', 'in', 'is the input itself'),
    ('in', '.', 'holds the input'), ('in', 'in/clip0', 'is inside the input'),
    ('in/*/*.png', 'in', 'holds the input'),
])
def test_the_input_is_never_replaced(tmp_path, input, output, said):
  clips(tmp_path / 'in', 2)
  (tmp_path / 'link').symlink_to(tmp_path / 'in')
  before = tree(tmp_path)
  with pytest.raises(ValueError, match=said):
    prepare.footage(str(tmp_path / input), tmp_path / output, defaults.data(), overwrite=True,
                    show=False)
  assert tree(tmp_path) == before


def test_other_files_are_never_replaced(tmp_path):
  clips(tmp_path / 'in', 2)
  put(tmp_path / 'out/clip0', ['mine.png'])
  (tmp_path / 'out/clip0/notes.txt').write_text('mine')
  with pytest.raises(FileExistsError, match=r'clip0/notes\.txt was not written by this command'):
    footage(tmp_path, overwrite=True)
  (tmp_path / 'out/clip0/notes.txt').unlink()
  footage(tmp_path, overwrite=True)
  assert 'out/clip0/mine.png' not in tree(tmp_path)


def test_a_place_that_cannot_be_written_is_told_first(tmp_path, monkeypatch):
  (tmp_path / 'file').write_text('x')
  with pytest.raises(OSError, match='file is a file: nothing can be written to .*file/deep'):
    output_paths.check_writable(tmp_path / 'file/deep')
  with pytest.raises(OSError, match='file is a file: name a folder'):
    output_paths.check_writable(tmp_path / 'file')

  def read_only(*_, **__):
    raise OSError(30, 'Read-only file system')
  monkeypatch.setattr(output_paths.pathlib.Path, 'write_bytes', read_only)
  with pytest.raises(OSError, match='nothing can be written to .*deeper: Read-only file system'):
    output_paths.check_writable(tmp_path / 'new/deeper')
  assert [x.name for x in tmp_path.iterdir()] == ['file']


def test_a_stopped_run_leaves_nothing_and_keeps_what_was_there(tmp_path, monkeypatch):
  clips(tmp_path / 'in', 2)
  put(tmp_path / 'out/trainA', ['mine.png'])

  def stop(*_):
    raise KeyboardInterrupt
  monkeypatch.setattr(prepare.shutil, 'copyfile', stop)
  for options in (dict(domain='a', overwrite=True), dict(overwrite=True)):
    with pytest.raises(KeyboardInterrupt):
      footage(tmp_path, **options)
  assert tree(tmp_path) == ['in/clip0/0.png', 'in/clip0/1.png', 'in/clip1/0.png', 'in/clip1/1.png',
                            'out/trainA/mine.png']


def test_a_scratch_folder_takes_away_what_it_made(tmp_path):
  with pytest.raises(KeyboardInterrupt), output_paths.scratch(tmp_path / 'a/b') as part:
    (part / 'x').write_text('x')
    raise KeyboardInterrupt
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('bad', ['1', '2'])
def test_a_damaged_picture_is_named_or_left_out(tmp_path, bad):
  put(tmp_path / 'in', ['1.png', '2.png', '3.png'])
  (tmp_path / f'in/{bad}.png').write_bytes(b'x')
  with pytest.raises(ValueError, match=rf'{bad}\.png cannot be decoded.*--on_damage=skip'):
    footage(tmp_path)
  footage(tmp_path, on_damage='skip')
  assert tree(tmp_path / 'out') == [f'{k}.png' for k in '123' if k != bad]


def test_a_damaged_video_names_its_frame_and_what_to_do(tmp_path):
  path = tmp_path / 'in.mkv'
  with video_reader.VideoWriter(path) as film:
    for k in range(6):
      film.write(np.random.default_rng(k).integers(0, 255, (48, 64, 1), np.uint8))
  data = bytearray(path.read_bytes())
  data[len(data) // 2:len(data) // 2 + 40] = bytes(40)
  path.write_bytes(bytes(data))
  with pytest.raises(ValueError, match=r'in\.mkv: frame \d .*--on_damage=skip'):
    footage(tmp_path, 'in.mkv')
  with pytest.warns(UserWarning, match=r'in\.mkv: frame \d'):
    footage(tmp_path, 'in.mkv', on_damage='skip')
  assert len(tree(tmp_path / 'out')) == 5


def test_mixed_sizes_and_kinds_name_both_pictures(tmp_path):
  put(tmp_path / 'in', ['1.png'])
  put(tmp_path / 'in', ['2.png'], shape=(8, 10, 1))
  with pytest.raises(ValueError, match=r'2\.png: 10x8 pixels, but .*1\.png has 12x8'):
    footage(tmp_path)
  put(tmp_path / 'in', ['2.png'], dtype=np.uint16)
  with pytest.raises(ValueError, match=r'2\.png holds uint16 values, but .*1\.png uint8'):
    footage(tmp_path)


@pytest.mark.parametrize('width', [25, 21])
def test_a_strip_of_the_wrong_width_is_named(tmp_path, width):
  put(tmp_path / 'in', ['1.png'], shape=(8, 24, 1))
  put(tmp_path / 'in', ['2.png'], shape=(8, width, 1))
  with pytest.raises(ValueError, match=r'2\.png'):
    footage(tmp_path, fields={'frames_per_image': '3'})


@pytest.mark.parametrize(('arguments', 'said'), [
    (['--input', 'nowhere.mp4', '--output', 'x'], 'nowhere.mp4: no such folder or file'),
    (['--output', 'x'], '--input is missing'),
    (['--dataset', 'irvi/traffic'], '--manual_dir is missing'),
    (['--dataset', 'irvi/traffic', '--manual_dir', 'nowhere', '--data_dir', 'x'], 'traffic'),
    (['--input', '.', '--output', 'x', '--size', '20'], '--size=20: write WIDTHxHEIGHT'),
    (['--input', '.', '--output', 'x', '--domain', 'c'], '--domain=c: a (infrared)'),
    (['--input', 'in', '--output', 'x', '--test_share', '2'], '--test_share=2: a share'),
    (['--input', 'in', '--output', 'x', '--test_share', '.5', '--test_clips', 'a'], 'give one'),
])
def test_mistakes_are_told_in_one_line(arguments, said, tmp_path, monkeypatch, capsys):
  monkeypatch.chdir(tmp_path)
  put(tmp_path / 'in', ['1.png'])
  assert main.main(['i2vjax', 'prepare', *arguments]) == 2
  error = capsys.readouterr().err
  assert said in error and 'Traceback' not in error
  assert sorted(x.name for x in tmp_path.iterdir()) == ['in']


def test_the_command_makes_records_and_tells_how_to_train_on_them(tmp_path, capsys):
  for name in ('trainA', 'trainB'):
    put(tmp_path / 'in' / name, ['1.png', '2.png'])
  assert main.main(['i2vjax', 'prepare', '--dataset=frames_folder/mine', '--manual_dir',
                    str(tmp_path / 'in'), '--data_dir', str(tmp_path / 'out'), '--show=false']) == 0
  said = capsys.readouterr().out
  assert '2 frames in train_a, 2 frames in train_b' in said
  assert f'--config.data.root={tmp_path}/out --config.data.name=frames_folder/mine' in said


def test_the_command_cuts_strips_and_asks_about_what_looks_like_them(tmp_path, capsys):
  images.write_image(tmp_path / 'in/1.png', noise(1, 2, 3))
  command = ['i2vjax', 'prepare', '--input', str(tmp_path / 'in'), '--output']
  with pytest.warns(UserWarning, match='looks like 3 frames side by side.*frames_per_image=auto'):
    assert main.main([*command, str(tmp_path / 'whole')]) == 0
  assert main.main([*command, str(tmp_path / 'cut'), '--config.data.frames_per_image=3']) == 0
  assert len(tree(tmp_path / 'whole')) == 1 and len(tree(tmp_path / 'cut')) == 3


def test_the_command_makes_frames(tmp_path, capsys):
  clips(tmp_path / 'in', 2)
  assert main.main(['i2vjax', 'prepare', '--input', str(tmp_path / 'in'), '--output',
                    str(tmp_path / 'out'), '--test_clips=clip1', '--show=false']) == 0
  assert f'1 clips, 2 frames: {tmp_path}/out/test' in capsys.readouterr().out
