"""The table of scores: what each needs, and which are computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from i2vjax.core.errors import UserError
from i2vjax.evaluation import scorers

NEEDS = {   # `plan.py` says for which test clips they are met
    'target': 'target frames aligned with the source',
    'source': 'the source frames',
    'pairs': 'clips of at least 2 frames',
    'two_frames': 'at least 2 frames in all',
    'real_frames': 'real frames of the target, aligned or not',
    'classes': 'true classes, and a network or files that say what is seen',
    'street': 'clips of a run, whose street a segmentation network can learn',
    'masks': 'targets that are masks',
    'boxes': 'files of true and of detected boxes',
    'lpips_size': 'frames large enough for LPIPS',
    'lpips_weights': 'the weight files of LPIPS',
    'inception_weights': 'the weight file of FID and KID',
}


class Score(NamedTuple):
  """A score that `eval.metrics` may name.

  Attributes:
    scorer: the function that makes its scorer; None: `external.py` reads it from files.
    needs: which of `NEEDS`; the first that is not met is the reason given.
    while_training: quick enough for `eval.every`.
    on_request: why 'auto' leaves it out, '' where it does not.
  """

  scorer: Callable[[scorers.Request], scorers.Scorer] | None
  needs: tuple[str, ...] = ()
  while_training: bool = False
  on_request: str = ''


TRAINS = 'trains a segmentation network on the street for up to a minute'
SCORES = {   # in the order of the table
    'psnr': Score(scorers.pixel_scorer, ('target',), while_training=True),
    'ssim': Score(scorers.pixel_scorer, ('target',), while_training=True),
    'lpips': Score(scorers.lpips_scorer, ('lpips_size', 'lpips_weights', 'target')),
    'lpips_temporal': Score(scorers.lpips_scorer, ('lpips_size', 'lpips_weights', 'pairs'),
                            on_request='takes as long as LPIPS once more'),
    'warping': Score(scorers.pixel_scorer, ('pairs', 'source'), while_training=True),
    'flicker': Score(scorers.pixel_scorer, ('pairs', 'source'), while_training=True),
    'sharpness': Score(scorers.sharpness_scorer, ('target',), while_training=True),
    'fid': Score(scorers.fid_kid_scorer, ('two_frames', 'real_frames', 'inception_weights')),
    'kid': Score(scorers.fid_kid_scorer, ('two_frames', 'real_frames', 'inception_weights')),
    'iou': Score(scorers.miou_scorer, ('classes',), on_request=TRAINS),
    'kid_street': Score(scorers.kid_street_scorer, ('street', 'two_frames', 'classes'),
                        on_request=TRAINS),
    'apce': Score(scorers.apce_scorer, ('source',),
                  on_request='looks for edges at 99 thresholds in every frame, on the host'),
    'davis': Score(scorers.davis_scorer, ('masks',),
                   on_request='takes frames for masks (data.task=segmentation)'),
    'ap': Score(None, ('boxes',)),
}
NAMES = tuple(SCORES)
OF_SEGMENTER = ('iou', 'kid_street')   # at hand where the package has the street's network


def reasons_against(missing: dict[str, str]) -> dict[str, str]:
  """{score: why it cannot be computed}.

  Args:
    missing: {one of `NEEDS`: why it is not met}.
  """
  assert missing.keys() <= NEEDS.keys(), missing
  reasons = {}
  for name, score in SCORES.items():
    unmet = [need for need in score.needs if need in missing]
    if unmet:
      reasons[name] = missing[unmet[0]]
  return reasons


def names_in(requested: str) -> tuple[str, ...]:
  """The names of `eval.metrics`, 'auto' among them; one that is not known is a UserError."""
  asked = tuple(name.strip() for name in requested.split(',') if name.strip())
  for name in asked:
    if name not in ('auto', *NAMES):
      raise UserError(f'eval.metrics: {name!r} is not known; there are auto or '
                      f'{", ".join(NAMES)}')
  return asked


def choose_scores(requested: str, reasons: dict[str, str],
                  at_hand: Sequence[str] = ()) -> tuple[tuple[str, ...], dict[str, str]]:
  """(names to compute, {name: why it is left out}).

  Args:
    requested: `eval.metrics`: names with commas, all of which must be possible, and 'auto' for all
      that is possible and not on request alone.
    reasons: {name: why it cannot be computed}.
    at_hand: names that 'auto' takes although they are on request: what they ask for is there.

  Raises:
    UserError: a name is unknown, or cannot be computed.
  """
  asked = names_in(requested)
  for name in asked:
    if name in reasons:
      raise UserError(f'eval.metrics names {name}, which cannot be computed: {reasons[name]}')
  names, skipped = [], {}
  for name, score in SCORES.items():
    possible, quick = name not in reasons, not score.on_request or name in at_hand
    if name in asked or ('auto' in asked and possible and quick):
      names.append(name)
    elif not possible:
      skipped[name] = reasons[name]
    elif 'auto' in asked:
      skipped[name] = f'{score.on_request}: ask for it by --config.eval.metrics=auto,{name}'
    else:
      skipped[name] = 'not asked for'
  return tuple(names), skipped


def scorers_for(request: scorers.Request) -> list[scorers.Scorer]:
  """The scorers that compute the scores of a request, each of them once."""
  makers = [scorers.pixel_scorer]   # always: every protocol has its settings
  for name in request.names:
    from_files = name == 'iou' and request.config.eval.predictions   # external.py reads them
    maker = SCORES[name].scorer
    if maker and maker not in makers and not from_files:
      makers.append(maker)
  return [maker(request) for maker in makers]
