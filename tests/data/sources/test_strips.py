"""Strips of frames side by side: told from wide frames, warned of, said once."""

import warnings

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import notes
from i2vjax.data import open_source
from i2vjax.data.io import images
from i2vjax.data.sources import strips

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
  monkeypatch.setattr(notes, '_said', set())


def scene(height, width):
  """A street: bright sky, dark ground, and smooth things of many sizes."""
  picture = np.linspace(200, 60, height)[:, None] + np.zeros(width)
  for size in (2, 4, 8, 16):
    coarse = RNG.normal(0, 40, (max(2, height * size // 32), max(2, width * size // 32)))
    rows = np.linspace(0, coarse.shape[0] - 1, height).astype(int)
    picture += np.apply_along_axis(
        lambda x: np.interp(np.linspace(0, len(x) - 1, width), range(len(x)), x), 1, coarse[rows])
  return np.clip(picture, 0, 255).astype(np.uint8)[..., None]


def moments(count, size=32):
  """`count` frames of a camera that moves by a pixel, side by side."""
  wide = scene(size, size + count)
  return np.concatenate([wide[:, k:k + size] for k in range(count)], axis=1)


def write(folder, *pictures):
  for k, picture in enumerate(pictures):
    images.write_image(folder / f'{k:03d}.png', picture)
  return str(folder)


def opened(split, domain, **fields):
  data = defaults.data()
  data.update(source='folders', frames_per_image='auto', **fields)
  return open_source(data, split, domain)


# ---- ROMA: t|t+1; IRVI and Recycle-GAN: t|t+1|t+2


@pytest.mark.parametrize('count', [2, 3])
def test_published_strips_are_cut_beside_single_test_frames(tmp_path, count, capsys):
  """Pictures that tell nothing (noise): the sizes decide."""
  for name in ('trainA', 'trainB'):
    write(tmp_path / name, *[RNG.integers(0, 255, (32, 32 * count, 1), np.uint8)] * 2)
  write(tmp_path / 'testA', scene(32, 32), scene(32, 32))
  for domain in 'ab':
    for direction, field in (('a2b', domain), ('b2a', {'a': 'b', 'b': 'a'}[domain])):
      frames = opened('train', field, root=str(tmp_path), direction=direction)
      assert [clip.length for clip in frames.clips] == [count, count]
      assert frames.read(0)['frame'].shape == (32, 32, 1)
  assert len(opened('test', 'a', root=str(tmp_path))) == 2
  said = capsys.readouterr().err.splitlines()
  assert len(said) == 2                       # each folder once, however often it was opened
  assert said[0] == (f'{tmp_path}/trainA: files of {32 * count}x32 pixels hold {count} frames side '
                     f'by side, as frames in {tmp_path}/testA have 32x32 '
                     f'(data.frames_per_image=1, 2 or 3 decides otherwise)')


@pytest.mark.parametrize('count', [2, 3])
def test_without_other_frames_the_picture_decides(tmp_path, count):
  place = write(tmp_path / 'strips', *(moments(count) for _ in range(3)))
  assert len(opened('train', 'a', train_a=place).clips) == 3
  place = write(tmp_path / 'streets', *(scene(32, 32 * count) for _ in range(3)))
  frames = opened('train', 'a', train_a=place)
  assert len(frames) == 3 and frames.read(0)['frame'].shape == (32, 32 * count, 1)


def test_a_wide_frame_is_not_cut_and_that_is_said(tmp_path, capsys):
  """Cityscapes is twice as wide as high, here beside thermal frames of another height."""
  place = write(tmp_path / 'cityscapes', *(scene(32, 64) for _ in range(5)))
  thermal = write(tmp_path / 'thermal', scene(20, 24))
  assert len(opened('train', 'b', train_a=thermal, train_b=place)) == 5
  assert 'pixels hold one frame, one wide view by its looks' in capsys.readouterr().err


def test_a_strip_of_frames_that_are_not_square_is_told_by_the_other_domain(tmp_path):
  place = write(tmp_path / 'a', moments(3)[:24])
  other = write(tmp_path / 'b', scene(24, 32))
  assert len(opened('train', 'a', train_a=place, train_b=other)) == 3
  assert len(opened('train', 'a', train_a=place)) == 1
  # a glob and the other domain as a glob
  assert len(opened('train', 'a', train_a=f'{place}/*.png', train_b=f'{other}/*.png')) == 3


def test_wide_test_frames_of_strips_are_single(tmp_path):
  """Strips of two wide frames: a test frame of 2:1 is one of them, and no strip itself."""
  train = write(tmp_path / 'a', np.concatenate([moments(2)] * 2, axis=1))
  test = write(tmp_path / 'test', moments(2))
  assert len(opened('train', 'a', train_a=train, test_a=test)) == 2
  assert len(opened('test', 'a', train_a=train, test_a=test)) == 1


@pytest.mark.parametrize('count', [2, 3])
def test_strips_read_as_single_frames_are_warned_of(tmp_path, count):
  place = write(tmp_path / 'strips', moments(count))
  with pytest.warns(UserWarning, match=f'looks like {count} frames side by side'):
    _as_single(place)
  place = write(tmp_path / 'streets', scene(32, 32 * count))
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    _as_single(place)


def _as_single(place):
  data = defaults.data()
  data.update(source='folders', train_a=place)
  return open_source(data, 'train', 'a')


def test_a_folder_that_is_not_there_tells_nothing(tmp_path):
  place = write(tmp_path / 'strips', moments(3))
  assert len(opened('train', 'a', train_a=place, test_a='irvi/traffic:test_a')) == 3


def test_a_wide_frame_beside_square_ones_of_its_height_is_no_strip(tmp_path):
  """512x256 of Cityscapes beside thermal frames of 256x256."""
  place = write(tmp_path / 'a', scene(32, 32))
  other = write(tmp_path / 'b', scene(32, 64), scene(32, 64))
  assert len(opened('train', 'b', train_a=place, train_b=other)) == 2


def test_where_two_numbers_fit_the_picture_decides(tmp_path):
  """Three square frames, as wide as two frames of the other domain."""
  place = write(tmp_path / 'a', moments(3))
  other = write(tmp_path / 'b', scene(32, 48))
  assert opened('train', 'a', train_a=place, train_b=other).clips[0].length == 3


def test_ordinary_shapes_say_nothing(tmp_path, capsys):
  assert strips.Auto()([write(tmp_path, scene(24, 32)) + '/000.png']) == 1
  assert capsys.readouterr().err == ''
