"""Which scores can be computed of given frames, and from what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core.errors import UserError
from i2vjax.data import open_source
from i2vjax.data.loader import whole_clips
from i2vjax.data.source import FrameSource
from i2vjax.data.sources import alignment, folders
from i2vjax.data.transforms import resize, tasks, thermal
from i2vjax.evaluation import (
  eval_clips,
  external,
  motion_estimation,
  one_size,
  score_table,
  scorers,
  scoring_networks,
)
from i2vjax.evaluation.eval_clips import EvalClip
from i2vjax.evaluation.scene_segmenter import packaged
from i2vjax.metrics import lpips

STILLS = 'the clips are single frames'
REFERENCES = ('auto', 'test_b', 'train_b')   # of FID and KID; anything else is a place


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is scored, why other scores are not, and what with.

  Attributes:
    config: of the run; for frames of other programs, `eval` alone.
    names, skipped: see `score_table.choose_scores`.
    paired: target frames are aligned with the source.
    clips: () -> the test clips one by one, without motion that must be estimated.
    reference: () -> [T, H, W, C] frames, clip by clip: the real ones of FID and KID, or None.
    reference_name: where they come from.
    estimator: of the source's motion, '' where it is known.
  """

  config: ConfigDict
  names: tuple[str, ...]
  skipped: dict[str, str]
  paired: bool
  clips: Callable[[], Iterator[EvalClip]]
  reference: Callable[[], Iterable[np.ndarray]] | None
  reference_name: str = ''
  estimator: str = ''

  def build_scorers(self, show: bool = True) -> list[scorers.Scorer]:
    """The scorers of these scores; `show`: progress of what must be trained first."""
    return score_table.scorers_for(scorers.Request(
        self.config, self.names, self.reference, self.estimator, show))


def of_run(config: ConfigDict, quick: bool = False) -> Plan:
  """The scores that the test split of this config allows.

  Args:
    config: of the run.
    quick: only those that are computed while it trains.

  Raises:
    UserError: there are no test frames, or a score asked for by name cannot be computed.
  """
  a, b = open_source(config.data, 'test', 'a'), open_source(config.data, 'test', 'b')
  if a is None:
    raise UserError('no test frames of the source domain: give data.test_a')
  unaligned = alignment.mismatch(a, b)
  real = _reference(config, b)
  missing = _missing_of_run(config, a, unaligned)
  if not quick:   # what training computes needs no real frames: they are not looked for
    missing |= _missing_of_reference(real)
  reasons = score_table.reasons_against(missing)
  if quick:
    for name, score in score_table.SCORES.items():
      slow = not score.while_training or (name == 'warping' and not a.has_flow)
      if slow:
        reasons[name] = 'not while training'
  at_hand = score_table.OF_SEGMENTER if 'classes' not in missing and packaged(config) else ()
  names, skipped = score_table.choose_scores(
      'auto' if quick else config.eval.metrics, reasons, at_hand)
  true_motion = a.has_flow and config.eval.flow == 'auto'
  estimator = ''
  if 'warping' in names and not true_motion:
    estimator = motion_estimation.choose_estimator(config)

  def test_clips():
    return eval_clips.of_run(config, not unaligned, config.eval.quantize,
                             'warping' in names and not estimator, config.eval.max_clips)
  return Plan(config, names, skipped, not unaligned, test_clips, real.clips, real.name, estimator)


def of_folders(sources: dict[str, FrameSource], settings: ConfigDict,
               shapes: eval_clips.Shapes | None = None,
               pretrained_dir: str | None = None) -> Plan:
  """The scores that frames of other programs allow.

  Args:
    sources: {'result', and 'reference' and 'source' if they are there: frames}, aligned.
    settings: `config.eval`.
    shapes: `eval_clips.first_shapes` of these clips, where they are known already.
    pretrained_dir: folder of weight files that scores need; None: the usual ones.

  Raises:
    UserError: a score asked for by name cannot be computed, or none can.
  """
  config = ConfigDict({'eval': settings, 'pretrained_dir': pretrained_dir})
  shapes = shapes or eval_clips.first_shapes(sources, settings.max_clips)
  real = _reference_of_folders(config, sources)
  missing = _missing_of_folders(config, sources, shapes) | _missing_of_reference(real)
  reasons = score_table.reasons_against(missing)
  with_files = [name for name in external.PAIRS if name not in reasons]
  names, skipped = score_table.choose_scores(','.join([settings.metrics, *with_files]), reasons)
  if not names:
    lines = [f'{name}: {reason}' for name, reason in skipped.items()]
    raise UserError('nothing can be scored:\n  ' + '\n  '.join(lines))
  estimator = motion_estimation.choose_estimator(config) if 'warping' in names else ''

  def test_clips():
    return eval_clips.of_folders(sources, settings.max_clips, shapes)
  return Plan(config, names, skipped, 'reference' in sources, test_clips, real.clips, real.name,
              estimator)


# ---- what scores need -------------------------------------------------------------------------


def _missing_of_run(config, a, unaligned):
  """{need of a score: why it is not met} for the test split of a run.

  Args:
    a: the FrameSource of the test split. unaligned: why the domains are not aligned, or ''.
  """
  missing = {}
  if unaligned:
    missing['target'] = unaligned
  if _single_frames(a, config.eval):
    missing['pairs'] = STILLS
  record = a.read(0)
  if 'label' not in record or config.data.direction == 'b2a':
    missing['classes'] = ('needs labels of the test frames and a target seen by day (scenes has '
                          'both)')
  if tasks.task_of(config.data) != 'segmentation' or unaligned:
    missing['masks'] = unaligned or 'needs masks as target frames (data.task=segmentation)'
  missing['boxes'] = 'translate first, let a detector write a file, then evaluate --result'
  size = resize.test_size(record['frame'].shape[:2], config.data)
  return missing | _missing_of_networks(config, min(size), _count(a, config.eval.max_clips))


def _missing_of_folders(config, sources, shapes):
  """{need of a score: why it is not met} for frames of other programs."""
  result = sources['result']
  missing = {'street': 'needs the data of a run, on which a segmentation network learns the street'}
  if 'reference' not in sources:
    missing['target'] = missing['masks'] = ('needs the frames that should have come out '
                                            '(--reference)')
  for name, need in (('iou', 'classes'), ('ap', 'boxes')):
    reason = external.missing(name, config.eval)
    if reason:
      missing[need] = reason
  if 'source' not in sources:
    missing['source'] = 'needs the source frames beside the result (--source)'
  if _single_frames(result, config.eval):
    missing['pairs'] = STILLS
  height, width, _ = shapes['result'][0]
  return missing | _missing_of_networks(config, min(height, width),
                                        _count(result, config.eval.max_clips))


def _single_frames(source, settings):
  return max(clip.length for clip in source.clips[:settings.max_clips or None]) < 2


def _count(source, max_clips=0):
  """Number of the frames of all clips, or of the first so many."""
  return sum(clip.length for clip in source.clips[:max_clips or None])


def _missing_of_networks(config, side, count):
  """{need: why it is not met} of the scores that measure with networks.

  Args:
    side: the smaller side of the frames. count: number of frames.
  """
  missing = {'lpips_weights': scoring_networks.missing('lpips', config),
             'inception_weights': scoring_networks.missing('fid', config)}
  if side < lpips.SMALLEST:
    missing['lpips_size'] = f'needs frames of at least {lpips.SMALLEST} pixels'
  if count < 2:
    missing['two_frames'] = 'needs at least 2 frames'
  return {need: reason for need, reason in missing.items() if reason}


# ---- reference frames of FID and KID ----------------------------------------------------------


class Reference(NamedTuple):
  """Real frames that FID and KID compare with: name, () -> clips [T, H, W, C], () -> how many."""

  name: str
  clips: Callable[[], Iterable[np.ndarray]] | None
  count: Callable[[], int]


def _missing_of_reference(real):
  """{need of a score: why it is not met} by the real frames, which may be None."""
  count = real.count()
  if not count:
    return {'real_frames': 'needs real frames of the target: --reference (of a run data.test_b or '
                           'data.train_b), or any folder of them as --config.eval.fid_reference'}
  if count < 2:
    return {'real_frames': f'needs at least 2 real frames: {real.name} has {count}'}
  return {}


def _reference(config, test_b):
  """The Reference of a run; it counts 0 frames where no data of the target are named."""
  name = config.eval.fid_reference or 'auto'   # '': a place that was taken out to publish
  if name not in REFERENCES:
    return _reference_of_place(name)
  if name == 'test_b' and test_b is None:
    raise UserError('eval.fid_reference=test_b: there are no test frames of the target; give '
                    'data.test_b, or set --config.eval.fid_reference=train_b')
  split = 'test' if name == 'test_b' or (name == 'auto' and test_b is not None) else 'train'

  def count():   # films of training are unpacked for it, so not before it is asked
    real = test_b if split == 'test' else open_source(config.data, split, 'b')
    return 0 if real is None else _count(real)

  def clips_of_split():
    for clip in whole_clips.test_clips(config, 'b', split):
      yield eval_clips.as_saved(
          clip.frames, clip.value_range, config.data.channels_b, config.eval.quantize)
  return Reference(f'{split}_b', clips_of_split, count)


def _reference_of_folders(config, sources):
  """The Reference of frames of other programs; its clips are None where there are none."""
  name = config.eval.fid_reference or 'auto'
  if name not in REFERENCES:
    return _reference_of_place(name)
  if name != 'auto':
    raise UserError(f'eval.fid_reference={name}: frames of other programs have no data of a run; '
                    'name a folder, glob or video, or leave it away to take --reference')
  if 'reference' not in sources:
    return Reference('', None, lambda: 0)
  return _whole('--reference', sources['reference'])


def _reference_of_place(place):
  """The Reference of a folder, glob or video. Opened at once, to fail early."""
  try:
    return _whole(place, folders.open_place(defaults.data(), place))
  except FileNotFoundError as error:
    raise UserError(f'eval.fid_reference={place!r}: {error}; choose one of '
                    f'{", ".join(REFERENCES)}, or name a folder, glob or video') from error


def _whole(name, source):
  """The Reference of all frames of a source as they are, whatever `eval.max_clips` is."""
  def clips():   # sizes of stills are read where frames are, not for a plan
    for clip in one_size.by_size({name: source})[name].clips:
      yield thermal.to_display(eval_clips.read_clip(source, clip.start, clip.length))
  return Reference(name, clips, lambda: _count(source))
