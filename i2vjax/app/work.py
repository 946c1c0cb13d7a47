"""One upload translated, and scored where the truth is known."""

from __future__ import annotations

import dataclasses
import pathlib
import shutil
from collections.abc import Callable
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
  """Translate the session's upload; what it was given before is deleted.

  Args:
    run: the run. session: with a 'source', and perhaps a 'truth'.
    tell: called with (frames so far, of how many or None).

  Raises:
    UserError: nothing was uploaded, or it cannot be translated. Gone: the visitor left.
  """
  source, truth = session.files.get('source'), session.files.get('truth')
  if source is None:
    raise UserError('Drop an infrared film or picture first.')
  folder = session.folder / 'result'
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir()
  keep = Moments(folder, session, source, tell)
  try:
    result = (_film if source.film else _picture)(run, source, folder, keep)
  except UserError as error:
    raise UserError(_without_paths(str(error), session)) from error
  if truth is not None:
    _add_scores(result, session, source, truth)
  return result


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


def _film(run, source, folder, keep):
  download = folder / f'translated-{keep.session.token}.mp4'
  beside = folder / f'beside-{keep.session.token}.mp4'
  done = run.translate(source.path, download, beside=beside, watch=keep, on_damage='skip')
  notes = [f'{done["skipped"]} damaged frames were skipped.'] if done['skipped'] else []
  return Result(download, beside, keep.kept, {}, notes)


def _picture(run, source, folder, keep):
  frames = run.translate(source.path.parent, watch=keep)
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
  return text.replace(f'{session.folder}/', '').replace(str(session.folder), 'the upload')
