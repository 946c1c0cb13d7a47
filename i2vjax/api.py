"""What `import i2vjax` offers, as docs/python.md shows it."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from i2vjax import defaults, evaluate, fields, methods
from i2vjax import train as training
from i2vjax import translate as translation
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.run import config_files, direction, preparation
from i2vjax.run import folder as run_folder
from i2vjax.run import load as runs

Path = str | os.PathLike[str]
Changes = Mapping[str, Any]   # {'data.batch': 2}, as --config.data.batch=2 on the command line


@dataclasses.dataclass(frozen=True)
class Translator:
  """A trained run: it translates footage, and is scored.

  Attributes:
    run: its method, networks and parameters.
  """

  run: runs.Run

  def __repr__(self) -> str:
    return f'Translator({self.run.config.method}, step {self.run.step}, {self.run.workdir})'

  @property
  def config(self) -> ConfigDict:
    """The run's config."""
    return self.run.config

  @property
  def step(self) -> int:
    """Steps that were trained."""
    return self.run.step

  @property
  def is_starter(self) -> bool:
    """True for the weights that come with the package."""
    return self.run.workdir == run_folder.STARTER_FOLDER

  def full_size_at(self, height: int, width: int) -> tuple[int, int] | None:
    """(height, width) at which `translate(..., full_size=True)` shows frames to the networks.

    None where it leaves frames of this size as they are, or refuses them
    (`preparation.for_translation`).
    """
    try:
      prepare = preparation.for_translation(self.config.data, full_size=True)
    except UserError:
      return None
    size = prepare.result((height, width)) if prepare else None
    return None if size == (height, width) else size

  def translate(self, frames: Path | np.ndarray, output: Path | None = None, *,
                show: bool = False, **options: Any) -> np.ndarray | dict[str, Any]:
    """Translate one clip into memory, or footage of any length into a file or folder.

    Args:
      frames: video file, folder of frames, glob or picture; or an array, uint8 or (thermal)
        uint16, [T, H, W] or [T, H, W, C] with 1 or 3 channels, RGB.
      output: None, or a video file, a folder or (of a picture) a .png, written in constant memory.
      show: progress bar.
      options: of `translate.translate_to_array` without an output, else of `translate.translate`,
        such as `side_by_side`, `fuse`, `full_size`, `chunk`, `watch` (called with each frame), and
        `overwrite`, `on_damage`, `lossless`, `rate`, `beside` (a second film, with the source
        beside it).

    Returns:
      Without an output the frames, uint8 [T, H, W, C]; else {'frames': written, 'clips', 'skipped',
      'seconds', ...}.

    Raises:
      UserError, OSError: see those functions.
    """
    if output is None:
      return translation.translate_to_array(self.run, frames, show=show, **options)
    return translation.translate(self.run, frames, output, show=show, **options)

  def scores(self, output: Path | None = None, *, overwrite: bool = False,
             show: bool = False) -> dict[str, Any]:
    """Score the run on the test clips of its data, beside reference rows.

    Args:
      output: None, or a folder for `scores.json` and `index.html`; then the table is printed too.
      overwrite: replace those files. show: progress bar.

    Returns:
      The content of scores.json: `scores['rows']['translated']['psnr']`, ..., with the protocol,
      the scores of each clip, and why others were left out.

    Raises:
      UserError, OSError: see `evaluate.evaluate`.
    """
    if output is None:
      return evaluate.scores_of_run(self.run, show)[0]
    return evaluate.evaluate(self.run, pathlib.Path(output), overwrite, show)


def load(workdir: Path = run_folder.STARTER, checkpoint: str | int = 'latest', *,
         weights: str = 'auto', network: str | None = None,
         changes: Changes | None = None) -> Translator:
  """A trained run.

  Args:
    workdir: run folder; 'starter': the weights that come with the package; 'hf:OWNER/NAME': those
      of a repository on the Hugging Face hub (extra `hf`).
    checkpoint: 'latest', 'best' or a step.
    weights: 'ema', 'raw' or 'auto', see `run.load.load`.
    network: 'gen_ba': the other way, where the method learned both.
    changes: of the run's config, such as {'data.source': 'folders', 'data.test_a': 'thermal/'} to
      score it on other footage.

  Raises:
    FileNotFoundError, UserError: no run, no such checkpoint, a change of the networks.
  """
  shapes = sorted(name for name in changes or () if fields.shapes_networks(name))
  stored = config_files.change(run_folder.read_config(_as_named(workdir)), changes or {})
  if shapes:
    raise UserError(f'{", ".join(shapes)}: networks stay as they were trained, leave that away')
  run = runs.load(_as_named(workdir), checkpoint, stored, weights)
  return Translator(direction.in_direction(run, network))


def config(name: str, changes: Changes | None = None) -> ConfigDict:
  """A config with its values changed.

  Args:
    name: 'cptrans:demo', or FILE.py[:VARIANT].
    changes: {'train.steps': 2}.

  Raises:
    UserError: no such config, variant or field, with the nearest name.
  """
  return config_files.change(config_files.read(name), changes or {})


def train(config: str | ConfigDict, workdir: Path, *, changes: Changes | None = None,
          show: bool = True) -> Translator:
  """Train, or go on where the run folder stands; Ctrl-C saves and returns what there is.

  Args:
    config: its name or file, see `config`, or a ConfigDict.
    workdir: run folder, made if missing.
    changes: {'train.steps': 2}.
    show: progress bar, and the terms of the loss.

  Returns:
    The run as it stands: `step` says how far.

  Raises:
    UserError, FileNotFoundError, NonFinite: see `train.train`.
  """
  run_folder.refuse_read_only(
      workdir, f"to begin at its weights set changes={{'train.init_from': {workdir!r}}}")
  settings = config_files.read(config) if isinstance(config, str) else config
  settings = config_files.change(settings, changes or {})
  training.train(settings, pathlib.Path(workdir), show, evaluate.score_fn(settings))
  return load(pathlib.Path(workdir))


def add_methods(folder: Path) -> list[str]:
  """Methods of your own beside those of the package, for this process: FOLDER/NAME.py each.

  Returns:
    The names of all methods (docs/adding_a_method.md says what a file of one holds).

  Raises:
    UserError: no such folder, or a method in it has the name of one that is there.
  """
  place = pathlib.Path(folder).resolve()
  if not place.is_dir():
    raise UserError(f'{folder} is no folder: name the one that holds NAME.py of a method')
  before = set(methods.names())
  if str(place) in methods.__path__:
    return sorted(before)
  taken = sorted(path.stem for path in place.glob('*.py') if path.stem in before)
  if taken:
    raise UserError(f'{place / taken[0]}.py: there is a method of that name: rename the file')
  methods.__path__.append(str(place))
  return methods.names()


def score(result: Path, reference: Path | None = None, source: Path | None = None, *,
          metrics: str = 'auto', output: Path | None = None, overwrite: bool = False,
          show: bool = False) -> dict[str, Any]:
  """Score frames that any program made.

  Args:
    result: video, folder of frames or glob. reference: what it should have been, frame by frame;
      None: only the scores that need none. source: what it was made from.
    metrics: names separated by commas, such as 'psnr,ssim'; 'auto': all that can be computed.
    output: None, or a folder for `scores.json` and `index.html`; then the table is printed too.
    overwrite: replace those files. show: progress bar.

  Returns:
    The content of scores.json: `scores['rows']['translated']['psnr']`, ...

  Raises:
    UserError, OSError: see `evaluate.evaluate_folders`.
  """
  settings = defaults.evaluation()
  settings.metrics = metrics
  truth, before = (None if place is None else str(place) for place in (reference, source))
  if output is None:
    return evaluate.scores_of_folders(str(result), truth, before, settings, show)[0]
  return evaluate.evaluate_folders(str(result), truth, before, pathlib.Path(output), settings,
                                   overwrite=overwrite, show=show)


def facts(file: Path) -> dict[str, Any]:
  """What a film or a picture says of itself; only films that do not say their length are decoded.

  Its content decides; where that begins like a picture, an ending of films (.mjpg) makes it a film.

  Returns:
    {'kind': 'film' or 'picture', 'width', 'height': as shown, 'frames', 'seconds', 'rate': per
    second, 'codec', 'ending': the usual one of its kind}. A picture is one frame of 0 seconds.

  Raises:
    UserError: nothing that can be read as a film or as one frame. OSError: no such file.
  """
  if os.path.isdir(file):
    raise UserError(f'{file} is a folder: name one of the films or pictures in it')
  ending = '' if video_reader.is_video(file) or not os.path.isfile(file) else images.ending_of(file)
  if ending or images.is_image(file):
    height, width = images.single_size(file)
    return {'kind': 'picture', 'width': width, 'height': height, 'frames': 1, 'seconds': 0.0,
            'rate': 0.0, 'codec': ending[1:], 'ending': ending}
  info = video_reader.video_info(file)
  return {'kind': 'film', 'width': info.width, 'height': info.height, 'frames': info.frames,
          'seconds': info.seconds, 'rate': float(info.rate), 'codec': info.codec,
          'ending': info.ending}


def _as_named(workdir):
  """The word 'starter' and addresses as they are, everything else a path."""
  return workdir if run_folder.is_read_only(workdir) else pathlib.Path(workdir)
