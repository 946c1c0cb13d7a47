"""An upload translated: what is handed out, what is said, what it scores."""

import numpy as np
import pytest
import stub_runs as stubs
from PIL import Image

from i2vjax import api
from i2vjax.app import sessions, uploads, work
from i2vjax.core.errors import UserError
from i2vjax.data.io import video_reader


@pytest.fixture(scope='module')
def run():
  return api.Translator(stubs.make(stubs.negative))


@pytest.fixture
def visits(tmp_path):
  return sessions.Sessions(tmp_path / 'root', uploads.Limits())


def drop(visits, part, frames, name='x', rate=10):
  """Upload [T, H, W, C] as a lossless film, one frame as a picture."""
  path = visits.uploads / f'{name}-{part}.mkv'
  if len(frames) == 1:
    Image.fromarray(frames[0].squeeze()).save(path, 'PNG')
  else:
    with video_reader.VideoWriter(path, rate) as writer:
      for frame in frames:
        writer.write(frame)
  visits.take(name, part, str(path))
  return visits.of(name)


def noise(length, channels=1):
  return np.random.default_rng(0).integers(0, 256, (length, 16, 24, channels), np.uint8)


def read(path):
  return np.stack([frame for frame, _ in video_reader.read_video(path)])


def told(*_):
  """Where nobody asks how far it is."""


def test_a_film_comes_with_a_film_beside_and_moments(run, visits):
  levels, calls = np.arange(0, 250, 5, dtype=np.uint8), []
  frames = np.broadcast_to(levels[:, None, None, None], (50, 16, 24, 1))
  session = drop(visits, 'source', frames)
  result = work.translate(run, session, lambda *told: calls.append(told))
  assert calls == [(k, 50) for k in range(1, 51)]
  translated, beside = read(result.download), read(result.beside)
  assert translated.shape == (50, 16, 24, 3) and beside.shape == (50, 16, 48, 3)
  assert np.abs(translated.astype(int) - (255 - frames)).max() <= 4    # H.264
  assert np.abs(beside[:, :, :24].astype(int) - frames).max() <= 4
  assert len(result.moments) == work.MOMENTS and result.scores == {} and result.notes == []
  before, after = (np.asarray(Image.open(path)).astype(int) for path in result.moments[-1])
  assert np.abs(before - frames[-1]).max() <= 3 and np.abs(after - (255 - frames[-1])).max() <= 3
  names = [path.name for pair in result.moments for path in pair]
  assert len(set(names)) == len(names) and all(session.token in name for name in names)


def test_a_picture_comes_out_as_png(run, visits):
  frames = noise(1)
  session = drop(visits, 'source', frames)
  for _ in range(2):   # and again
    result = work.translate(run, session, told)
    assert result.beside is None and len(result.moments) == 1
    np.testing.assert_array_equal(np.asarray(Image.open(result.download)),
                                  255 - np.repeat(frames[0], 3, axis=-1))


def test_a_picture_of_16_bits_keeps_its_size(run, visits):
  path = visits.uploads / 'thermal'
  Image.fromarray(np.arange(16 * 24, dtype=np.uint16).reshape(16, 24) * 99).save(path, 'PNG')
  visits.take('x', 'source', str(path))
  result = work.translate(run, visits.of('x'), told)
  assert np.asarray(Image.open(result.download)).shape == (16, 24, 3)
  dark, bright = np.asarray(Image.open(result.moments[0][0]))[[0, -1], [0, -1], 0]
  assert dark < 20 and bright > 235   # its own range is stretched


@pytest.mark.parametrize('length', [1, 3])
def test_a_truth_gives_scores_of_what_is_handed_out(run, visits, length):
  frames = noise(length)
  drop(visits, 'source', frames)
  session = drop(visits, 'truth', 255 - np.repeat(frames, 3, axis=-1))
  result = work.translate(run, session, told)
  assert list(result.scores) == ['translation', 'input as it is'], result.notes
  translation, source = result.scores.values()
  assert set(translation) == {'psnr', 'ssim'} and translation['psnr'] > source['psnr']
  assert (translation['psnr'] == 100) == (length == 1)   # PNG keeps every value, H.264 does not


def test_a_truth_that_does_not_fit_is_said_without_a_path(run, visits):
  drop(visits, 'source', noise(3))
  session = drop(visits, 'truth', noise(2, 3))
  result = work.translate(run, session, told)
  assert result.scores == {} and 'has 3 frames, the true one 2' in result.notes[0]
  drop(visits, 'truth', noise(3, 3)[:, :8])
  result = work.translate(run, session, told)
  assert result.scores == {} and 'No scores: ' in result.notes[0]
  assert str(visits.root) not in result.notes[0]
  drop(visits, 'truth', noise(1, 3))
  assert 'of a film the truth is a film' in work.translate(run, session, told).notes[0]


def test_without_an_upload_it_says_what_to_do(run, visits):
  with pytest.raises(UserError, match='Drop an infrared film'):
    work.translate(run, visits.of('x'), told)


def test_nobody_waits_for_it_any_more(run, visits):
  session = drop(visits, 'source', noise(3))

  def leave(done, total):
    del done, total
    visits.close('x')
  with pytest.raises(work.Gone):
    work.translate(run, session, leave)
  assert not session.folder.exists()
