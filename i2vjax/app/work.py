"""One upload translated, and scored where the truth is known."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pathlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from i2vjax import api
from i2vjax.app.sessions import Session
from i2vjax.app.uploads import Upload
from i2vjax.core.errors import UserError

MOMENTS = 48             # frames of a film that can be compared by the slider, evenly spread
METRICS = {'psnr': 'PSNR (dB)', 'ssim': 'SSIM'}   # of both more is better
ROWS = {'translated': 'translation', 'source': 'input as it is'}

HELD = 'held'            # folder of the uploads that are being translated
MEANWHILE = ('The files above changed meanwhile: this is of those that were there when the '
             'translation began.')

Progress = Callable[[int, int | None], Any]


class Gone(Exception):
  """The visitor closed the page: nobody waits for this any more."""


@dataclasses.dataclass
class Result:
  """What a visitor is shown.

  Attributes:
    download: the translation: a PNG file, or a film.
    beside: None, or the film with the input beside its translation.
    moments: [(input, translation)], pictures of the same frame.
    scores: {row: {metric: value}}; {} without truth.
    notes: lines for the visitor.
  """

  download: pathlib.Path
  beside: pathlib.Path | None
  moments: list[tuple[pathlib.Path, pathlib.Path]]
  scores: dict[str, dict[str, float]]
  notes: list[str]


def translate(run: api.Translator, session: Session, tell: Progress) -> Result:
  """Translate the session's uploads as they are now, whatever is dropped meanwhile.

  The session's last result is deleted once this one stands.

  Args:
    run: the run. session: with a 'source', and perhaps a 'truth'.
    tell: called with (frames so far, of how many or None).

  Raises:
    UserError: nothing was uploaded, or it cannot be translated. Gone: the visitor left.
  """
  with session.busy, _cleaned(session), _held(session, files := session.files.copy()) as held:
    folder = pathlib.Path(tempfile.mkdtemp(prefix='result-', dir=session.folder))
    try:
      result = _result(run, session, held, Moments(folder, session, held['source'], tell))
      if session.files != files:
        result.notes.append(MEANWHILE)
    except BaseException:
      shutil.rmtree(folder, ignore_errors=True)
      raise
    old, session.result, session.moments = session.result, folder, result.moments
  if old is not None:
    shutil.rmtree(old, ignore_errors=True)
  return result


def _result(run, session, held, keep):
  source = held['source']
  try:
    size = run.full_size_at(source.height, source.width)
    result = (_film if source.film else _picture)(run, source, keep.folder, keep, size is not None)
  except UserError as error:
    raise UserError(_without_paths(str(error), session)) from error
  if size:
    result.notes.append(f'Translated at {size[1]} × {size[0]} pixels, about as large as what these '
                        'weights have learned, and made as large as the input again, along its '
                        'edges.')
  if 'truth' in held:
    _add_scores(result, session, source, held['truth'])
  return result


@contextlib.contextmanager
def _held(session: Session, files: dict[str, Upload]) -> Iterator[dict[str, Upload]]:
  """The uploads under names of their own, until the end: others may take their places meanwhile.

  Links, which take no space; copies where a disk has none.
  """
  place = session.folder / HELD
  if 'source' not in files:
    raise UserError('Drop an infrared film or picture first.')
  try:
    try:
      held = {part: _hold(upload, place / part) for part, upload in files.items()}
    except FileNotFoundError as error:
      if not session.open:
        raise Gone from error
      raise UserError('Another file takes the place of this one just now: press Translate again '
                      'once the page says what it is.') from error
    yield held
  finally:
    shutil.rmtree(place, ignore_errors=True)


def _hold(upload, place):
  place.mkdir(parents=True)
  held = place / upload.path.name
  try:
    os.link(upload.path, held)
  except FileNotFoundError:
    raise
  except (OSError, NotImplementedError):
    shutil.copyfile(upload.path, held)
  return dataclasses.replace(upload, path=held)


@contextlib.contextmanager
def _cleaned(session):
  """Delete what was written after the visitor left, when the session was deleted already."""
  try:
    yield
  finally:
    if not session.open:
      shutil.rmtree(session.folder, ignore_errors=True)


class Moments:
  """Keeps pictures of frames as they are translated, tells how far it is, stops for nobody."""

  def __init__(self, folder: pathlib.Path, session: Session, source: Upload, tell: Progress):
    self.folder, self.session, self.source, self.tell = folder, session, source, tell
    count = min(MOMENTS, source.frames)
    self.wanted = set(np.linspace(1, source.frames, count).round().astype(int).tolist())
    self.kept: list[tuple[pathlib.Path, pathlib.Path]] = []

  def __call__(self, done: int, total: int | None, source: np.ndarray,
               translation: np.ndarray) -> None:
    self.tell(done, total)
    self.session.used = time.monotonic()   # who waits for a long film is no closed page
    if not self.session.open:
      raise Gone
    if done in self.wanted:
      end = f'{done:05d}-{self.session.token}.{"jpg" if self.source.film else "png"}'
      before, after = self.folder / f'input-{end}', self.folder / f'translation-{end}'
      picture(source).save(before, quality=92)
      picture(translation).save(after, quality=92)
      self.kept.append((before, after))


def picture(frame: np.ndarray) -> Image.Image:
  """uint8 [H, W, 1 or 3] as a picture of three colors."""
  return Image.fromarray(np.broadcast_to(frame, (*frame.shape[:2], 3)))


def _film(run, source, folder, keep, full_size):
  download = folder / f'translated-{keep.session.token}.mp4'
  beside = folder / f'beside-{keep.session.token}.mp4'
  done = run.translate(source.path, download, beside=beside, watch=keep, on_damage='skip',
                       full_size=full_size)
  notes = [f'{done["skipped"]} damaged frames were skipped.'] if done['skipped'] else []
  return Result(download, beside, keep.kept, {}, notes)


def _picture(run, source, folder, keep, full_size):
  frames = run.translate(source.path.parent, watch=keep, full_size=full_size)
  download = folder / f'translated-{keep.session.token}.png'
  picture(frames[0]).save(download)
  (folder / 'alone').mkdir()   # as `api.score` reads it: a folder, the name of the input
  shutil.copyfile(download, folder / 'alone' / 'frame.png')
  return Result(download, None, keep.kept, {}, [])


def _add_scores(result, session, source, truth):
  """Scores of the file that can be downloaded; why there are none is a note."""
  if truth.film != source.film:
    result.notes.append('No scores: of a film the truth is a film, of a picture a picture.')
    return
  if truth.frames != source.frames:
    result.notes.append(f'No scores: your film has {source.frames} frames, the true one '
                        f'{truth.frames}.')
    return
  places = [result.download, truth.path, source.path]
  if not source.film:
    places = [result.download.parent / 'alone', truth.path.parent, source.path.parent]
  try:
    rows = api.score(*places, metrics=','.join(METRICS))['rows']
  except UserError as error:
    result.notes.append(f'No scores: {_without_paths(str(error), session)}')
    return
  result.scores.update({label: {name: rows[row][name] for name in METRICS}
                        for row, label in ROWS.items() if row in rows})


def _without_paths(text, session):
  """A message without folders of the server."""
  for folder in (session.folder / HELD, session.folder):
    text = text.replace(f'{folder}/', '')
  return text.replace(str(session.folder), 'the upload')
