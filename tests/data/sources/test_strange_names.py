"""Names and patterns that nobody should give, and folders of strange things."""

import os

import made_sets
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import files, notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import clip_splitting, folders, frame_numbers, strips


@pytest.mark.parametrize('names', [['3', '٣a'], ['a1', 'a٢'], ['²', '3'], ['1' * 200, '2' * 200],
                                   ['20240230_000000', '20240231_000000'], ['१.५', '१.६']])
def test_digits_of_other_scripts_are_letters_or_numbers(names):
  reading = frame_numbers.read_names(names)
  assert sorted(k for clip in reading.clips for k in clip) == list(range(len(names)))


@pytest.mark.parametrize(('size', 'count'), [((1, 2), 2), ((1, 3), 3), ((2, 6), 3), ((1, 1), 2)])
def test_pictures_of_a_few_pixels_are_judged(tmp_path, size, count):
  images.write_image(tmp_path / '1.png', np.arange(size[0] * size[1], dtype=np.uint8).reshape(size))
  assert strips.Auto(silent=True)([str(tmp_path / '1.png')]) in (1, 2, 3)
  if size[1] >= count:
    assert strips.look_whole([str(tmp_path / '1.png')], count) in (True, False)


@pytest.mark.parametrize(('pattern', 'message'), [
    (r'(', 'is no regular expression'), (r'a(/.*)1', 'leads out of a folder'),
    (r'(x)?\d', 'does not fit'), (r'\d', 'does not fit')])
def test_patterns_of_clips_are_refused(tmp_path, pattern, message):
  made_sets.put(tmp_path / 'in/a/b', ['1.png', '2.png'])
  data = defaults.data()
  data.update(clip_regex=pattern)
  with pytest.raises(UserError, match=f'data.clip_regex=.*{message}'):
    prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'out'), data, show=False)
  assert [path.name for path in tmp_path.iterdir()] == ['in']


def test_no_clip_is_written_elsewhere(tmp_path):
  """The pattern takes the slash along: the name is an absolute path."""
  with pytest.raises(UserError, match="names a clip '/b/'"):
    clip_splitting.split_clips('x', {'a/b': ['a/b/1.png']}, r'a(.*/)\d')


def test_a_folder_of_strange_things_names_the_first_that_is_no_picture(tmp_path):
  made_sets.put(tmp_path, ['1.png', '2.png'])
  os.mkfifo(tmp_path / '3.png')
  os.symlink('.', tmp_path / 'loop')
  frames = folders.open_place(defaults.data(), tmp_path)
  assert len(frames) == 3 and frames.read(1)['frame'].shape == made_sets.SHAPE
  with pytest.raises(FileNotFoundError, match='3.png'):
    frames.read(2)


@pytest.mark.parametrize('name', [b'a\nb', b'bad\xff', b'\x1b[2J', b'-x', b'[a]*'])
def test_frames_of_any_name_are_read_and_written(tmp_path, name):
  made_sets.put(tmp_path / os.fsdecode(name), [f'{os.fsdecode(name)}{k}.png' for k in (1, 2)])
  written = prepare.footage(str(tmp_path), str(tmp_path.parent / f'{tmp_path.name}-out'),
                            defaults.data(), show=False)
  assert list(written.values()) == [(1, 2)]


def test_a_home_of_nobody_is_a_name():
  assert str(files.expanded('~nobody-of-that-name/x')) == '~nobody-of-that-name/x'
  assert files.expanded('~/x') == files.expanded(os.path.expanduser('~')) / 'x'


def test_names_do_not_move_the_cursor(capsys):
  notes.say_once('a\x1b[2J\x07\r\x9bb\tc\nd é')
  assert capsys.readouterr().err == 'a\\x1b[2J\\x07\\r\\x9bb\tc\nd é\n'
