"""Which scores can be had of given frames, and what they are computed from."""

import dataclasses
from typing import Any

import ml_collections

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.data import open_source as data_source
from i2vjax.data.loader import whole_clips
from i2vjax.data.sources import alignment, folders
from i2vjax.data.transforms import tasks, thermal
from i2vjax.evaluation import eval_clips, external, motion_estimation, scorers, scoring_networks
from i2vjax.metrics import clips, lpips

QUICK = clips.NAMES   # while training
ALIGNED, IN_TIME, POOLED = (*clips.PAIRED, 'lpips'), clips.UNPAIRED, ('fid', 'kid')
STILLS = 'the clips are single frames'
REFERENCES = ('auto', 'test_b', 'train_b')


@dataclasses.dataclass(frozen=True)
class Plan:
  """What is scored, why other scores are not, and what with.

  Attributes:
    config: of the run; for frames of other programs, `eval` alone.
    names, skipped: of `scorers.choose_scores`.
    paired: target frames are aligned with the source.
    materials: () -> the test clips, one `eval_clips.EvalClip` at a time, without motion that must be
      estimated.
    reference: () -> [T, H, W, C] frames, clip by clip: the real ones of FID and KID.
    reference_name: where they come from.
    estimator: of the source's motion, '' where it is known.
  """

  config: Any
  names: tuple
  skipped: dict
  paired: bool
  materials: Any
  reference: Any
  reference_name: str = ''
  estimator: str = ''

  def panel(self, show=True):
    """The judges of these scores."""
    return scorers.scorers_for(self.config, self.names, self.reference, self.estimator, show)


def of_run(config, quick=False):
  """What the test split of this config allows; `quick`: what can be had while it trains."""
  a, b = (data_source(config.data, 'test', domain) for domain in 'ab')
  if a is None:
    raise UserError('no test frames of the source domain: give data.test_a')
  unmatched = alignment.mismatch(a, b)
  reasons = dict.fromkeys(ALIGNED, unmatched) if unmatched else {}
  if max(length for _, _, length in a.clips) < 2:
    reasons |= dict.fromkeys((*IN_TIME, 'lpips_temporal'), STILLS)
  if 'label' not in a.read(0) or config.data.direction == 'b2a':
    reasons['iou'] = 'needs labels of the test frames and a target seen by day (scenes has both)'
  if tasks.task_of(config.data) != 'segmentation' or unmatched:
    reasons['davis'] = unmatched or 'needs masks as target frames (data.task=segmentation)'
  reasons['ap'] = 'translate first, let a detector write a file, then evaluate --result'
  least = min(ops.hw(config.data.crop_size))
  reasons |= _files(config, least, len(a))
  reference_name, reference = _reference(config, b)
  if quick:
    motion = () if a.has_flow else ('warping',)
    reasons |= dict.fromkeys((*(set(scorers.NAMES) - set(QUICK)), *motion), 'not while training')
  wanted = 'auto' if quick else config.eval.metrics
  names, skipped = scorers.choose_scores(wanted, reasons)
  known = a.has_flow and config.eval.flow == 'auto'
  estimator = '' if known or 'warping' not in names else motion_estimation.estimator_of(config)

  def materials():
    return eval_clips.of_run(config, not unmatched, config.eval.quantize,
                           'warping' in names and not estimator, config.eval.max_clips)
  return Plan(config, names, skipped, not unmatched, materials, reference, reference_name,
              estimator)


def of_folders(found, settings):
  """What frames of other programs allow.

  Args:
    found: {'result', 'reference', 'source' if given: FrameSource}, aligned.
    settings: `config.eval`.
  """
  config, first = ml_collections.ConfigDict({'eval': settings}), found['result'].read(0)['frame']
  reasons = {name: why for name in external.PAIRS if (why := external.missing(name, settings))}
  if 'source' not in found:
    reasons |= dict.fromkeys((*IN_TIME, 'apce'),
                             'needs the source frames beside the result (--source)')
  if max(length for _, _, length in found['result'].clips) < 2:
    reasons |= dict.fromkeys((*IN_TIME, 'lpips_temporal'), STILLS)
  reasons |= _files(config, min(first.shape[:2]), len(found['result']))
  given = [name for name in external.PAIRS if name not in reasons]
  names, skipped = scorers.choose_scores(','.join([settings.metrics, *given]), reasons)
  estimator = motion_estimation.estimator_of(config) if 'warping' in names else ''

  def materials():
    return eval_clips.of_folders(found, settings.max_clips)

  def reference():
    return (material.target for material in materials())
  return Plan(config, names, skipped, True, materials, reference, '--reference', estimator)


def _files(config, least, count):
  """{score: why not} of the scores that measure with networks.

  Args:
    least: smaller side of the frames. count: of the frames.
  """
  reasons = {name: scoring_networks.missing(name, config) for name in ('lpips', *POOLED)}
  if least < lpips.SMALLEST:
    reasons['lpips'] = f'needs frames of at least {lpips.SMALLEST} pixels'
  reasons['lpips_temporal'] = reasons['lpips']
  if count < 2:
    reasons |= dict.fromkeys(POOLED, 'needs at least 2 frames')
  return {name: why for name, why in reasons.items() if why}


def _reference(config, test_b):
  """(name, () -> clips [T, H, W, C]) of the real frames that FID and KID compare with."""
  wanted = config.eval.fid_reference
  if wanted not in REFERENCES:
    return wanted, _given(wanted)
  if wanted == 'test_b' and test_b is None:
    raise UserError('eval.fid_reference=test_b: there are no test frames of the target; give '
                     'data.test_b, or set --config.eval.fid_reference=train_b')
  split = 'test' if wanted == 'test_b' or (wanted == 'auto' and test_b is not None) else 'train'

  def clips_of_split():
    for clip in whole_clips.test_clips(config, 'b', split):
      yield eval_clips.as_saved(
        clip.frames, clip.value_range, config.data.channels_b, config.eval.quantize
      )

  return f'{split}_b', clips_of_split


def _given(place):
  """() -> clips of a folder, glob or video, as they are. Opened at once, so that it is there."""
  try:
    found = folders.open_place(defaults.data(), place)
  except FileNotFoundError as error:
    raise UserError(f'eval.fid_reference={place!r}: {error}; choose one of '
                     f'{", ".join(REFERENCES)}, or name a folder, glob or video') from error
  return lambda: (thermal.to_display(eval_clips.read_clip(found, start, length))
                  for _, start, length in found.clips)
