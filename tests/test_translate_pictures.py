"""Translation of pictures: one, many of several sizes, damaged, into a film."""

import os
import shutil

import numpy as np
import pytest
import stub_runs as stubs
from little_clips import QUIET, footage, read_frames, write_frames

from i2vjax import translate as translator
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader


@pytest.fixture
def negative():
  return stubs.make(stubs.negative)


def test_stills_of_several_sizes_go_into_one_folder(tmp_path, negative):
  write_frames(tmp_path / 'in', [footage(1, 16, 16)[0], footage(1, 18, 30)[0]])
  translator.translate(negative, tmp_path / 'in', tmp_path / 'out', **QUIET)
  assert [x.shape for x in read_frames(tmp_path / 'out').values()] == [(16, 16, 3), (18, 30, 3)]


def test_one_picture_becomes_a_picture_or_a_folder(tmp_path, negative):
  frame = footage(1)
  source = write_frames(tmp_path / 'in', frame) / next((tmp_path / 'in').iterdir()).name
  done = translator.translate(negative, source, tmp_path / 'out.png', **QUIET)
  translator.translate(negative, source, tmp_path / 'out', **QUIET)
  assert done['frames'] == 1
  np.testing.assert_array_equal(images.read_image(tmp_path / 'out.png')[..., :1], 255 - frame[0])
  assert [path.name for path in (tmp_path / 'out').iterdir()] == [f'{source.stem}.png']
  with pytest.raises(FileExistsError, match='use --overwrite'):
    translator.translate(negative, source, tmp_path / 'out.png', **QUIET)
  with pytest.raises(UserError, match='written as PNG: name it day.png'):
    translator.translate(negative, source, tmp_path / 'day.jpg', **QUIET)
  with pytest.raises(UserError, match='is the input itself'):
    translator.translate(negative, source, source, overwrite=True, **QUIET)
  translator.translate(negative, source, tmp_path / 'out.png', overwrite=True, side_by_side=True,
                       **QUIET)
  height, width = frame.shape[1:3]
  assert images.read_image(tmp_path / 'out.png').shape[:2] == (height, 2 * width)
  with pytest.raises(UserError, match='beside=.*: a second video, where the output is a video'):
    translator.translate(negative, source, tmp_path / 'x.png', beside=tmp_path / 'y.mp4', **QUIET)


def test_a_damaged_picture_leaves_the_old_one_and_says_so(tmp_path, negative, monkeypatch):
  (tmp_path / 'home').mkdir()
  (tmp_path / 'home' / 'x.png').write_bytes(b'torn')
  (tmp_path / 'out.png').write_bytes(b'old')
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  for on_damage, message in (('stop', 'x.png'), ('skip', 'x could not be read: .*is not written')):
    with pytest.raises(UserError, match=message):
      translator.translate(negative, '~/x.png', tmp_path / 'out.png', overwrite=True,
                           on_damage=on_damage, **QUIET)
  assert (tmp_path / 'out.png').read_bytes() == b'old'


def test_of_many_sizes_a_few_are_told(capsys):
  say = translator.say_few()
  for line in 'abbacdeaf':
    say(line)
  assert capsys.readouterr().out.split('\n') == [
      'a', 'b', 'c', 'and so with frames of other sizes', '']


def test_stills_of_several_sizes_are_no_video(tmp_path, negative):
  write_frames(tmp_path / 'in', [footage(1, 16, 16)[0], footage(1, 18, 30)[0]])
  with pytest.raises(ValueError, match='002 comes out with 30x18 .* 001 with 16x16.*a folder'):
    translator.translate(negative, tmp_path / 'in', tmp_path / 'out.mkv', **QUIET)
  assert os.listdir(tmp_path) == ['in']


def test_two_pictures_of_one_name_are_refused(tmp_path, negative):
  source = write_frames(tmp_path / 'in', footage(2))
  shutil.copy(source / '001.png', source / '001.bmp.png')
  images.write_image(source / '001.bmp', footage(1)[0])
  with pytest.raises(ValueError, match='same name'):
    translator.translate(negative, source, tmp_path / 'out', **QUIET)


def test_pictures_become_a_video_of_the_rate_asked_for(tmp_path, negative, capsys):
  source = write_frames(tmp_path / 'in', footage(5))
  translator.translate(negative, source, tmp_path / 'a.mkv', rate=9, **QUIET)
  info = video_reader.video_info(tmp_path / 'a.mkv')
  assert (info.frames, info.rate) == (5, 9)
  assert info.seconds == pytest.approx(5 / 9, abs=0.002)
  assert '--rate' not in capsys.readouterr().err
  translator.translate(negative, source, tmp_path / 'b.mkv', **QUIET)
  assert 'b.mkv: 25 frames per second, as pictures do not say' in capsys.readouterr().err
