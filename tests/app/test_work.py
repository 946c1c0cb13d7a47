"""An upload translated: what is handed out, what is said, what it scores."""

import threading
import time

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
def test_what_is_larger_than_what_was_learned_is_translated_smaller_and_it_is_said(
    run, visits, length):
  session = drop(visits, 'source', np.full((length, 64, 96, 1), 50, np.uint8))
  result = work.translate(run, session, told)
  note, = result.notes
  assert note.startswith('Translated at 48 × 32 pixels, about as large as what these weights')
  found = read(result.download) if length > 1 else np.asarray(Image.open(result.download))[None]
  assert found.shape == (length, 64, 96, 3) and np.abs(found.astype(int) - 205).max() < 4


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


CHANGES = {   # of one part, while it is translated
    'another of the same kind': lambda visits, part: drop(visits, part, noise(3, 3)),
    'another of another kind': lambda visits, part: drop(visits, part, noise(1)),
    'taken back': lambda visits, part: visits.drop('x', part)}


@pytest.mark.parametrize('links', [True, False])   # not every disk has them
@pytest.mark.parametrize('part', ['source', 'truth'])
@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES.keys())
def test_what_is_dropped_meanwhile_changes_no_result(run, visits, change, part, links, monkeypatch):
  """The scores are those of the files that were translated, and the visitor is told."""
  if not links:
    monkeypatch.setattr(work.os, 'link', no_link)
  frames = np.full((3, 16, 24, 1), 60, np.uint8)
  drop(visits, 'source', frames)
  session = drop(visits, 'truth', 255 - frames)
  alone = work.translate(run, session, told)
  result = work.translate(run, session, lambda done, _: change(visits, part) if done == 2 else None)
  assert result.scores == alone.scores and result.scores['translation']['psnr'] > 40
  assert alone.notes == [] and result.notes == [work.MEANWHILE]
  assert not (session.folder / work.HELD).exists()


def no_link(*_):
  raise OSError(1, 'Operation not permitted')


def test_an_upload_that_is_replaced_as_it_begins_is_told(run, visits, monkeypatch):
  session = drop(visits, 'source', noise(3))
  link = work.os.link
  monkeypatch.setattr(work.os, 'link', lambda *a: (visits.drop('x', 'source'), link(*a)))
  with pytest.raises(UserError, match='press Translate again'):
    work.translate(run, session, told)
  drop(visits, 'source', noise(3))
  monkeypatch.setattr(work.os, 'link', lambda *a: (visits.close('x'), link(*a)))
  with pytest.raises(work.Gone):
    work.translate(run, visits.of('x'), told)
  assert not any(visits.visitors.iterdir())


def test_a_result_stays_until_the_next_one_stands(run, visits):
  session = drop(visits, 'source', noise(3))
  first = work.translate(run, session, told)

  def fail(done, total):
    del done, total
    assert session.moments == first.moments and all(map(there, session.moments))
    raise UserError('no')
  with pytest.raises(UserError):
    work.translate(run, session, fail)
  assert session.moments == first.moments and all(map(there, session.moments))
  second = work.translate(run, session, told)
  assert session.moments == second.moments and not first.download.exists()
  assert [path.name for path in session.folder.glob('result*')] == [second.download.parent.name]


def there(pair):
  return pair[0].exists() and pair[1].exists()


def test_nothing_is_left_of_who_leaves_before_the_first_frame(run, visits):
  """The film is opened in a folder that is made again if it is gone."""
  session = drop(visits, 'source', noise(3))

  class Slow(api.Translator):
    def translate(self, path, output, watch, **_):
      del path
      visits.close('x')
      output.parent.mkdir(parents=True, exist_ok=True)
      output.write_bytes(b'film')
      watch(1, 3, noise(1)[0], noise(1)[0])
  with pytest.raises(work.Gone):
    work.translate(Slow(run.run), session, told)
  assert not session.folder.exists()


def test_the_end_waits_for_a_translation_that_still_writes(run, visits):
  session, begun = drop(visits, 'source', noise(3)), threading.Event()

  class Slow(api.Translator):
    def translate(self, path, output, watch, **_):
      begun.set()
      while path.exists():   # until all was deleted
        time.sleep(0.01)
      time.sleep(0.1)
      output.parent.mkdir(parents=True, exist_ok=True)
      watch(1, 3, noise(1)[0], noise(1)[0])

  def translate():
    with pytest.raises(work.Gone):
      work.translate(Slow(run.run), session, told)
  thread = threading.Thread(target=translate)
  thread.start()
  assert begun.wait(60)
  visits.close_all()
  thread.join()
  assert not visits.root.exists()


def test_who_waits_for_a_long_film_is_no_closed_page(run, visits, monkeypatch):
  clock = [0.]
  monkeypatch.setattr(sessions.time, 'monotonic', lambda: clock[0])
  session = drop(visits, 'source', noise(3))

  def an_hour_a_frame(done, total):
    del done, total
    clock[0] += 3600
    visits.of(f'new {clock[0]}')
  result = work.translate(run, session, an_hour_a_frame)
  assert result.download.exists() and session.open
