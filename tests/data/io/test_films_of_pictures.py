"""Films whose frames are pictures as cameras write them: with Exif, torn, one behind the other."""

import io
import warnings

import numpy as np
import pytest
from made_films import RATE, frames, jpegs, of_pictures, picture
from PIL import Image, ImageOps

from i2vjax import defaults
from i2vjax.data.io import images, video_reader
from i2vjax.data.prepare import prepare
from i2vjax.data.sources import streams
from i2vjax.data.sources.videos import VideoFrames


def exif(orientation):
  """Exif of a camera; orientation: 1 to 8, None: it does not say."""
  tags = Image.Exif()
  tags[271] = 'a camera'
  if orientation:
    tags[274] = orientation
  return tags


def as_shown(content):
  """A picture turned as its Exif says, by Pillow."""
  return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(content)))).astype(int)


@pytest.mark.parametrize('ending', ['avi', 'mkv', 'mov'])
@pytest.mark.parametrize('orientation', [None, *range(1, 9)])
def test_jpeg_with_exif_is_read_and_turned(tmp_path, orientation, ending):
  content = jpegs(2, exif=exif(orientation))
  path = of_pictures(tmp_path / f'x.{ending}', content)
  for frame, data in zip(frames(path, damaged='stop'), content, strict=True):
    assert frame.shape == as_shown(data).shape
    assert np.abs(frame - as_shown(data)).mean() < 6       # turned wrongly: 37 and more
  info = video_reader.video_info(path)
  assert (info.height, info.width) == as_shown(content[0]).shape[:2]
  np.testing.assert_array_equal(VideoFrames([path]).read(1)['frame'], frames(path)[1])


@pytest.mark.parametrize('orientation', [None, 2, 7])
def test_png_with_exif_is_read_and_turned(tmp_path, orientation):
  file = io.BytesIO()
  Image.fromarray(picture(3)).save(file, 'PNG', exif=exif(orientation))
  path = of_pictures(tmp_path / 'x.mov', [file.getvalue()] * 2, 'png', 'rgb24')
  for frame in frames(path, damaged='stop'):
    np.testing.assert_array_equal(frame, as_shown(file.getvalue()))


@pytest.mark.parametrize('ending', ['mjpeg', 'MJPG'])
@pytest.mark.parametrize('tags', [b'', b'Exif\0\0' + b''.join(jpegs(1))])
def test_jpeg_one_behind_the_other_are_a_film(tmp_path, ending, tags):
  """`cat *.jpg`, also of pictures that hold a preview."""
  content, path = jpegs(5, exif=tags), tmp_path / f'x.{ending}'
  path.write_bytes(b''.join(content))
  read = frames(path, damaged='stop')
  assert len(read) == video_reader.video_info(path).frames == len(VideoFrames([path])) == 5
  for frame, data in zip(read, content, strict=True):
    assert np.abs(frame - as_shown(data)).mean() < 6


@pytest.mark.parametrize('ending', ['avi', 'mkv', 'mjpeg'])
@pytest.mark.parametrize('place', [0, 3, 7])
def test_a_torn_jpeg_is_a_damaged_frame(tmp_path, ending, place):
  """FFmpeg makes up its rest."""
  content = jpegs(8)
  content[place] = content[place][:-60]     # of its coded pixels
  path = tmp_path / f'x.{ending}'
  if ending == 'mjpeg':
    path.write_bytes(b''.join(content))
  else:
    of_pictures(path, content)
  with pytest.raises(video_reader.UnreadableVideo, match=rf'frame {place} .* a JPEG without'):
    frames(path, damaged='stop')
  with pytest.warns(UserWarning, match=rf'frame {place} .from 0. cannot be decoded'):
    left = frames(path, damaged='skip')
  for frame, data in zip(left, content[:place] + content[place + 1:], strict=True):
    assert np.abs(frame - as_shown(data)).mean() < 6


def test_a_film_that_ends_inside_a_jpeg_trains_on_what_it_has(tmp_path):
  content, path = jpegs(4), tmp_path / 'x.mjpeg'
  path.write_bytes(b''.join(content)[:-60])
  with pytest.warns(UserWarning, match='frame 3 .from 0. cannot be decoded'):
    assert len(frames(path)) == 3


@pytest.mark.parametrize('end', [b'', b'\0' * 5, b'\xff\xd9' + b'\0' * 9, b'\xff\xd9\xff\xff\x20'])
def test_cameras_that_write_no_end_or_fill_up_behind_it_are_read(tmp_path, end):
  content = [data[:-2] + end for data in jpegs(4)]
  path = of_pictures(tmp_path / 'x.avi', content)
  with warnings.catch_warnings():
    warnings.simplefilter('error')
    assert len(frames(path, damaged='stop')) == 4


LOST = {'a picture without pixels': b'\xff\xd8\xff\xd9', 'torn': jpegs(4)[3][:-60]}


@pytest.mark.filterwarnings('ignore:.*cannot be decoded')
@pytest.mark.parametrize('ending', ['avi', 'mkv'])
@pytest.mark.parametrize('content', LOST.values(), ids=LOST)
@pytest.mark.parametrize('deinterlace', [False, True])
def test_a_frame_that_is_skipped_keeps_its_number_and_time(tmp_path, capsys, ending, content,
                                                           deinterlace):
  """Matroska states times of frames that cannot be decoded, AVI does not."""
  good = jpegs(8)
  path = of_pictures(tmp_path / f'x.{ending}', [*good[:3], content, *good[4:7], content])
  clip, = streams.open_streams(path, deinterlace)
  labels, read, seconds = zip(*clip.read('skip'), strict=True)
  assert labels == tuple(f'{k:06d}' for k in range(1, 9))
  np.testing.assert_allclose(seconds, np.arange(8) / RATE, atol=0.001)
  assert [k for k, x in enumerate(read) if isinstance(x, images.UnreadableFrame)] == [3, 7]
  assert (clip.info.frames, clip.info.rate) == (8, RATE)
  prepare.footage(str(path), str(tmp_path / 'out'), defaults.data(), show=False, on_damage='skip',
                  deinterlace=deinterlace)
  assert [int(x.stem) for x in sorted((tmp_path / 'out').iterdir())] == [0, 1, 2, 4, 5, 6]
  assert 'x.' + ending + ': 2 of 8 frames are left out' in capsys.readouterr().err
