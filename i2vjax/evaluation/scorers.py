"""The judges of a test set: one for each kind of score, all with the same three verbs.

A judge sees every clip of every row of the table once. Its total is never changed in place.
"""

import dataclasses
import functools
from typing import Any

import numpy as np

from i2vjax import metrics
from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import class_names
from i2vjax.evaluation import external, scene_segmenter, scoring_networks
from i2vjax.metrics import clips, davis, edges, features, frechet, lpips, segmentation

NAMES = ('psnr', 'ssim', 'lpips', 'lpips_temporal', 'warping', 'flicker', 'fid', 'kid', 'iou',
         'apce', 'davis', 'ap')
ON_REQUEST = {   # what 'auto' leaves out
    'lpips_temporal': 'takes as long as LPIPS once more',
    'iou': 'trains a segmentation network on the street for up to a minute',
    'apce': 'looks for edges at 99 thresholds in every frame, on the host',
    'davis': 'takes frames for masks, as of data.task=segmentation',
}


@dataclasses.dataclass(frozen=True)
class Scorer:
  """One kind of score.

  Attributes:
    start: the total of an empty test set.
    add: (total, eval_clips.EvalClip, frames [T, H, W, C] uint8 or float in [-1, 1]) -> (total, {score:
      value of this clip}, {score: [T] or [T - 1]}).
    result: total -> {score: value}.
    facts: how it was done, for the protocol.
  """

  start: Any
  add: Any
  result: Any
  facts: dict = dataclasses.field(default_factory=dict)


def choose_scores(wanted, reasons):
  """(names to compute, {name: why not}).

  Args:
    wanted: `eval.metrics`: names with commas, all of which must be possible, and 'auto' for all
      that is possible and not in `ON_REQUEST`.
    reasons: {name: why it cannot be computed}.
  """
  asked = tuple(name.strip() for name in wanted.split(',') if name.strip())
  for name in asked:
    if name not in ('auto', *NAMES):
      raise UserError(f'eval.metrics: {name!r} is not known; there are auto or '
                       f'{", ".join(NAMES)}')
    if name in reasons:
      raise UserError(f'eval.metrics names {name}, which cannot be computed: {reasons[name]}')
  auto = 'auto' in asked
  names = tuple(name for name in NAMES if name in asked
                or auto and name not in reasons and name not in ON_REQUEST)
  hints = {name: f'{why}: ask for it by --config.eval.metrics=auto,{name}'
           for name, why in ON_REQUEST.items()} if auto else {}
  left = [name for name in NAMES if name not in names]
  return names, {name: reasons.get(name) or hints.get(name) or 'not asked for' for name in left}


def scorers_for(config, names, reference=None, estimator='', show=True):
  """The judges of these scores.

  Args:
    config: of the run, or a ConfigDict with `eval` alone.
    names: of `choose`.
    reference: () -> iterable of [T, H, W, C]: the real frames that FID and KID compare with.
    estimator: of the motion, '' where it is known: part of the score's name.
    show: progress of what must be trained first.
  """
  judges = [pixel_scorer(config.eval, names, estimator)]
  if 'lpips' in names or 'lpips_temporal' in names:
    judges.append(lpips_scorer(config, names))
  if 'fid' in names or 'kid' in names:
    judges.append(fid_kid_scorer(config, names, reference))
  if 'iou' in names and not config.eval.predictions:
    judges.append(miou_scorer(config, show))
  if 'apce' in names:
    judges.append(apce_scorer())
  if 'davis' in names:
    judges.append(davis_scorer())
  return judges


# ---- judges -----------------------------------------------------------------------------------


def pixel_scorer(settings, names, estimator=''):
  """PSNR and SSIM frame by frame, warping error and flicker clip by clip."""
  options = dict(names=names, psnr_cap=settings.psnr_cap, ssim_gray=settings.ssim_gray,
                 warp_kind=settings.warp_kind, batch=settings.batch, estimator=estimator)

  def add(total, material, frames):
    return clips.score(total, frames, material.target, material.shown, material.motion, **options)
  return Scorer(metrics.init(), add, lambda total: metrics.result(total) if total else {}, {
      'psnr_cap': settings.psnr_cap, 'ssim': 'luma' if settings.ssim_gray else 'per channel',
      'warp_kind': settings.warp_kind,
      'flow': (estimator or 'true motion of the source') if 'warping' in names else None})


def lpips_scorer(config, names):
  """LPIPS of aligned frames, frame by frame; between each frame and the next, clip by clip."""
  scorer = scoring_networks.load_lpips(config)
  call = lpips.program(scorer.nets, scorer.params, config.eval.batch)
  name, between = (f'{x}{scorer.suffix}' for x in ('lpips', 'lpips_temporal'))

  def add(total, material, frames):
    values, series = {}, {}
    if 'lpips' in names:
      total, series[name] = lpips.update(total, call, frames, material.target, name)
      values[name] = float(np.mean(series[name]))
    if 'lpips_temporal' in names and len(frames) > 1:
      series[between] = lpips.temporal(call, frames)
      values[between] = float(np.mean(series[between]))
      total = metrics.update(total, {between: values[between]})
    return total, values, series
  return Scorer(metrics.init(), add, lambda total: metrics.result(total) if total else {},
               {'lpips': describe(scorer)})


def fid_kid_scorer(config, names, reference):
  """FID and KID of all frames of a row against the reference frames."""
  settings, scorer = config.eval, scoring_networks.load_inception(config)
  call = features.program(scorer.nets['inception'], scorer.params['inception'], settings.fid_mode,
                          settings.batch)
  options = dict(degrees=tuple(settings.kid_degrees), subsets=settings.kid_subsets,
                 subset_size=settings.kid_subset_size, seed=settings.seed)
  facts = {'fid_mode': settings.fid_mode, 'inception': describe(scorer)}

  @functools.cache
  def real():
    look = call if scorer.suffix else features.kept(   # random weights are not worth keeping
        call, files.cache('features'), mode=settings.fid_mode, **scorer.files)
    return frechet.update(frechet.init(), np.concatenate([look(frames) for frames in reference()]))

  def add(total, material, frames):
    return frechet.update(total, call(frames)), {}, {}

  def result(total):
    facts.update(frechet.protocol(len(frechet.gather(total)), len(frechet.gather(real())),
                                  **options))
    return frechet.result(total, real(), names=names, suffix=scorer.suffix, **options)
  return Scorer(frechet.init(), add, result, facts)


def miou_scorer(config, show=True):
  """mIoU and kin: what a segmentation network of the street by day sees in the frames."""
  settings = config.eval
  params, info = scene_segmenter.train_or_load(config, show)
  options = dict(names=class_names.CITYSCAPES, classes=class_names.class_list(settings.classes),
                 small=class_names.SMALL, absent=settings.absent)

  def add(total, material, frames):
    found = scene_segmenter.predict(params, clips.eight_bits(frames))
    own = segmentation.update(
      segmentation.init(len(class_names.CITYSCAPES)), material.labels, found
    )
    values = segmentation.result(own, **options)
    return segmentation.merge(total, own), {
        name: values[name] for name in ('miou', 'fwiou', 'pixel_accuracy')}, {}
  return Scorer(segmentation.init(len(class_names.CITYSCAPES)), add,
               functools.partial(segmentation.result, **options),
               {'classes': settings.classes, 'absent_classes': settings.absent,
                'miou_of_true_frames': round(info['miou'], 4)})


def apce_scorer():
  """APCE: edges of the source found again."""
  last = {}   # rows take turns on a clip: the edges of its source are looked for once

  def source_edges(material, t):
    if last.get('of') is not material.shown:
      last.clear()
      last['of'] = material.shown
    if t not in last:   # packed: 99 maps of a frame are an eighth of their size
      last[t] = np.packbits(edges.edge_maps(material.shown[t]), axis=-1)
    width = material.shown.shape[2]
    return np.unpackbits(last[t], axis=-1, count=width).astype(bool)

  def add(total, material, frames):
    ratios = np.stack([edges.found_again(source_edges(material, t), edges.edge_maps(frame))
                       for t, frame in enumerate(clips.eight_bits(frames))])
    own = edges.update(edges.init(), ratios)
    values = edges.result(own) if own['count'].any() else {}
    return edges.merge(total, own), {k: v for k, v in values.items() if k == 'apce'}, {}
  return Scorer(edges.init(), add, edges.result)


def davis_scorer():
  """J, F and T of frames that are masks (white is foreground), mean over clips."""
  def add(total, material, frames):
    (mask, truth), = davis.objects(external.binary(frames), external.binary(material.target))
    values = davis.clip_values(mask, truth, with_t=len(mask) > 1)
    return metrics.update(total, values), values, {}
  return Scorer(metrics.init(), add, metrics.result)


def describe(scorer):
  """The files of a scorer in one line."""
  return ', '.join(f'{name}: {file}' for name, file in scorer.files.items())
