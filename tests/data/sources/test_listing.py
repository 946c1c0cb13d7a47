"""What of a folder is read, and that nothing is left out without a word."""

import contextlib
import os

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data import open_source
from i2vjax.data.io import images, output_paths, video_reader
from i2vjax.data.sources import listing, locate, streams

FRAME = np.zeros((32, 32, 1), np.uint8)


@pytest.fixture(autouse=True)
def _say_again(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


def put(folder, *names):
  for name in names:
    images.write_image(folder / name, FRAME)
  return folder


def film(path, count=2):
  with video_reader.VideoWriter(path, 10) as writer:
    for k in range(count):
      writer.write(np.full((32, 32, 3), 20 * k, np.uint8))
  return path


def read(place):
  pictures, films = listing.find_files(place)
  return {folder: [os.path.basename(x) for x in files] for folder, files in pictures.items()}, films


def test_pictures_beside_videos_are_refused_with_both_kinds_and_globs(tmp_path):
  put(tmp_path, 'cover.png')
  film(tmp_path / 'x/1.mp4')
  with pytest.raises(ValueError, match=r'1 picture \(such as .*cover.png\) and 1 video') as error:
    read(tmp_path)
  for ending in ('png', 'mp4'):
    pattern = f'{tmp_path}/**/*.{ending}'
    assert f"'{pattern}'" in str(error.value)
    read(pattern)


@pytest.mark.parametrize('place', [
    'cam[1]', 'cam[[]1]', '*', '**', 'cam*', '*/', 'cam*/*', 'cam*/**', './cam*', 'cam[[]1]/x',
    '*/?', 'cam*/x*'])
def test_the_globs_that_name_one_kind_can_be_given_as_they_are(tmp_path, monkeypatch, place):
  monkeypatch.chdir(tmp_path)
  put(tmp_path / 'cam[1]/x', 'a.png', 'b.png')
  film(tmp_path / 'cam[1]/x/1.mp4')
  if 'cam' in place:
    put(tmp_path / 'other', 'c.png')
  with pytest.raises(ValueError, match=r'2 pictures .* and 1 video ') as error:
    read(place)
  of_pictures, of_videos = str(error.value).split("'")[1::2]
  assert not of_pictures.startswith('/')
  assert list(read(of_pictures)[0].values()) == [['a.png', 'b.png']]
  assert [os.path.basename(x) for x in read(of_videos)[1]] == ['1.mp4']


def test_globs_of_files_in_the_folder_of_today(tmp_path, monkeypatch):
  monkeypatch.chdir(put(tmp_path, 'a.png', 'b.png'))
  film('1.mp4')
  with pytest.raises(ValueError, match=r"by a glob, '\*.png' or '\*.mp4'"):
    read('*')
  assert read('*.png') == ({'': ['a.png', 'b.png']}, [])
  assert read('*.mp4') == ({}, ['1.mp4'])


@pytest.mark.parametrize(('place', 'names'), [
    ('*.png', ['1_ir.png', '1_vis.png']), ('cam[[]1]', ['cam[1]/1_ir.png', 'cam[1]/1_vis.png']),
    ('.', ['bird_ir.png', 'bird_vis.png']), ('.', ['ir_fir.png', 'vis_fir.png'])])
def test_the_glob_of_one_camera_can_be_given_as_it_is(tmp_path, monkeypatch, place, names):
  monkeypatch.chdir(tmp_path)
  put(tmp_path, *names)
  with pytest.raises(ValueError, match='two cameras') as error:
    read(place)
  pattern = str(error.value).split("'")[-2]
  assert not pattern.startswith('/')
  assert list(read(pattern)[0].values()) == [[os.path.basename(names[0])]]


def test_the_glob_of_one_of_two_equal_names_can_be_given_as_it_is(tmp_path):
  put(tmp_path / 'cam[1]', '1.png', '1.jpg')
  with pytest.raises(ValueError, match='would get the same name') as error:
    streams.open_streams(tmp_path / 'cam[1]')
  assert len(streams.open_streams(str(error.value).split('such as ')[1])) == 1


def test_folders_of_file_servers_and_systems_are_no_clips(tmp_path, capsys):
  put(tmp_path / 'in/clip', '1.png', '2.png', '._1.png')
  put(tmp_path / 'in/clip/@eaDir/1.png', 'SYNOPHOTO_THUMB_M.jpg')
  for name in ('.AppleDouble', '__MACOSX', '#recycle', '$RECYCLE.BIN', '@Recycle'):
    put(tmp_path / 'in' / name, '3.png')
  for name in ('Thumbs.db', '.DS_Store', 'desktop.ini', 'a.txt', 'b.txt', 'c.GIF'):
    (tmp_path / 'in' / name).write_text('x')
  assert read(tmp_path / 'in') == ({'clip': ['1.png', '2.png']}, [])
  said = capsys.readouterr().err
  assert '2 pictures; left out: 3 files of other kinds (2 .txt, 1 .gif), 4 hidden or system files' \
      in said
  assert '6 hidden or system folders' in said
  assert read(tmp_path / 'in/**/*.png')[0] == {'': ['1.png', '2.png']}
  assert 'left out' in capsys.readouterr().err


def test_a_folder_of_frames_alone_says_nothing(tmp_path, capsys):
  read(put(tmp_path, '1.png', '2.PNG'))
  assert capsys.readouterr().err == ''


def test_a_folder_that_cannot_be_listed_is_refused(tmp_path, monkeypatch):
  put(tmp_path / 'a', '1.png')
  put(tmp_path / 'locked', '1.png')
  scandir = os.scandir

  def refuse(path='.'):
    if str(path).endswith('locked'):
      raise PermissionError(13, 'Permission denied', str(path))
    return scandir(path)
  monkeypatch.setattr(os, 'scandir', refuse)
  with pytest.raises(PermissionError, match='locked cannot be listed .*would be missing'):
    read(tmp_path)
  monkeypatch.setattr(os, 'access', lambda path, _: not str(path).endswith('locked'))
  with pytest.raises(PermissionError, match='locked cannot be listed'):
    read(tmp_path / '*/*.png')


def test_capitals_of_endings_and_names_do_not_matter(tmp_path, capsys):
  put(tmp_path, 'img_2.PNG', 'IMG_10.png', 'Img_1.png')
  assert read(tmp_path)[0] == {'': ['Img_1.png', 'img_2.PNG', 'IMG_10.png']}
  assert read(tmp_path / '*.png')[0] == {'': ['Img_1.png', 'IMG_10.png']}
  assert '1 file whose ending has other capitals' in capsys.readouterr().err


@pytest.mark.parametrize(('left', 'right'), [
    ('a/b/ir', 'a/b/vis'), ('set00/V000/lwir', 'set00/V000/visible'), ('x/trainA', 'x/trainB'),
    ('all/train/A', 'all/train/B'), ('images_thermal_train/data', 'images_rgb_train/data'),
    ('Thermal', 'RGB')])
def test_two_cameras_at_any_depth_are_refused(tmp_path, left, right):
  for name in (left, right):
    put(tmp_path / name, '1.png')
  with pytest.raises(ValueError, match='look like two domains'):
    read(tmp_path)


def test_two_cameras_in_the_names_of_files_are_refused(tmp_path):
  put(tmp_path, 'DJI_1_thermal.png', 'DJI_1_rgb.png', 'DJI_2_thermal.png', 'DJI_2_rgb.png')
  with pytest.raises(ValueError, match=r"two\s+cameras.*/\*thermal\*'"):
    read(tmp_path)
  assert len(read(tmp_path / '*thermal*')[0]['']) == 2


def test_names_that_say_both_cameras_or_only_some_are_no_reason(tmp_path):
  put(tmp_path, 'rgb_thermal_1.png', 'color_2.png', 'frame_3.png')
  assert len(read(tmp_path)[0]['']) == 3
  assert locate.both_domains(['day/color', 'night/color']) is None


def test_broken_links_and_closed_files_are_damaged_frames(tmp_path, monkeypatch):
  put(tmp_path, '1.png', '3.png')
  (tmp_path / '2.png').symlink_to('nowhere.png')
  fromfile = np.fromfile

  def refuse(path, *rest):
    if str(path).endswith('3.png'):
      raise PermissionError(13, 'Permission denied')
    return fromfile(path, *rest)
  monkeypatch.setattr(images.np, 'fromfile', refuse)
  frames = [frame for _, frame, _ in streams.open_streams(tmp_path)[0].read('skip')]
  assert [isinstance(x, images.UnreadableFrame) for x in frames] == [False, True, True]
  assert 'a link to nothing (nowhere.png)' in str(frames[1])
  assert 'cannot be opened' in str(frames[2])


def test_videos_of_which_nothing_can_be_read_are_skipped_by_name(tmp_path, capsys):
  film(tmp_path / 'a.mp4')
  (tmp_path / 'b.mp4').write_bytes(b'x' * 99)
  (tmp_path / 'c.mp4').symlink_to('nowhere')
  assert len(streams.open_streams(tmp_path, on_damage='skip')) == 1
  said = capsys.readouterr().err
  assert 'b.mp4 cannot be opened' in said
  assert 'c.mp4 is a link to nothing' in said
  with pytest.raises(ValueError, match='b.mp4'):
    streams.open_streams(tmp_path)


@pytest.mark.parametrize(('pattern', 'output', 'refused'), [
    ('in', 'in/out', True), ('in', 'in/x.mp4', True), ('in', 'out', False), ('in/a', 'in', False),
    ('in/*', 'in/out', True), ('in/*.png', 'in/out', False), ('**/*.png', 'in/out', True),
    ('in/*/*.png', 'in/out', True), ('in/*.png', 'in/x.mp4', False)])
def test_an_output_that_would_be_read_as_input_is_refused(tmp_path, pattern, output, refused):
  put(tmp_path / 'in', '1.png')
  put(tmp_path / 'in/a', '1.png')
  places = tmp_path / pattern, tmp_path / output
  expected = (pytest.raises(ValueError, match='choose another --output') if refused
              else contextlib.nullcontext())
  with expected:
    output_paths.check_apart(*places, may_hold=True)


def test_outputs_of_a_run_stay_out_of_its_data(tmp_path):
  data = defaults.data()
  put(tmp_path / 'trainA', '1.png')
  for fields in ({'train_a': str(tmp_path / 'trainA')}, {'root': str(tmp_path)}):
    data.update(source='folders', **{'train_a': '', 'root': ''} | fields)
    with pytest.raises(ValueError, match='inside the input .*trainA: choose another --workdir'):
      locate.check_apart(data, tmp_path / 'trainA/run', '--workdir')
    locate.check_apart(data, tmp_path / 'run', '--workdir')


def test_unpacked_videos_stay_out_of_their_folder(tmp_path):
  film(tmp_path / 'in/x.mp4')
  data = defaults.data()
  data.update(source='folders', train_a=str(tmp_path / 'in'), cache_dir=str(tmp_path / 'in/cache'))
  with pytest.raises(ValueError, match='inside the input .*: choose another data.cache_dir'):
    open_source(data, 'train', 'a')


def test_clip_regex_of_one_domain(tmp_path):
  for place in ('a', 'b'):
    put(tmp_path / place, 'x1_1.png', 'x1_2.png', 'y1_3.png')
  data = defaults.data()
  data.update(source='folders', train_a=str(tmp_path / 'a'), train_b=str(tmp_path / 'b'),
              clip_regex=r'^(.)', clip_regex_b=r'(1)_')
  assert [len(open_source(data, 'train', x).clips) for x in 'ab'] == [2, 1]


def test_clips_of_one_name_are_refused_and_others_are_not():
  def found(name, count):
    return f'{count} clips {{of}} {name}'
  listing.check_clip_names([], found, '')
  listing.check_clip_names(['a', 'b/a', 'b'], found, '')
  with pytest.raises(UserError, match=r'^2 clips {of} b, and one would overwrite the other: why$'):
    listing.check_clip_names(['a', 'b', './b'], found, ': why')
