"""Scorers, one for each kind of score.

To add a score to `evaluate` (docs/adding_a_score.md has an example):

1. Write the measure as pure functions of arrays in `metrics/`, with a test in tests/metrics/.
2. Write a scorer here: a function `NAME_scorer(request) -> Scorer`.
3. Enter it in `SCORES` of score_table.py, with what it needs of the test clips. Now
   `--config.eval.metrics=NAME` computes it, and it is in scores.json. (Only a need that no other
   score has takes a line in `plan.py`, which says where it is met.)
4. Give each value that people should see a row in `report/text.py: COLUMNS`: heading, digits,
   which way is better, one sentence. Tables, pages and `compare` show it by that.
5. Test the scorer in tests/evaluation/test_scorers.py.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from ml_collections import ConfigDict

from i2vjax import metrics
from i2vjax.core import class_names, files
from i2vjax.evaluation import external, scene_segmenter, scoring_networks
from i2vjax.metrics import (
  clips,
  davis,
  edges,
  fid_kid,
  inception_features,
  lpips,
  score_names,
  segmentation,
  sharpness,
)


@dataclasses.dataclass(frozen=True)
class Scorer:
  """Computes one kind of score. It sees every clip of every row of the table once.

  Attributes:
    start: the total of an empty test set; totals are never changed in place.
    add: (total, eval_clips.EvalClip, frames [T, H, W, C] uint8 or float in [-1, 1]) -> (total,
      {score: value of this clip}, {score: [T] or [T - 1]}).
    result: total -> {score: value}.
    facts: how it was done, for the protocol.
    curves: total -> {score: `Curve`} of scores that are means over a curve worth looking at.
  """

  start: Any
  add: Callable
  result: Callable
  facts: dict = dataclasses.field(default_factory=dict)
  curves: Callable = lambda total: {}


class Curve(NamedTuple):
  """A score along an axis: values `y` [N] at `at` [N]; `axis` says what that is."""

  axis: str
  at: Sequence[float]
  y: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Request:
  """What a scorer is made from.

  Attributes:
    config: of the run, or a ConfigDict with `eval` alone.
    names: scores to compute; a scorer of several leaves out the others.
    reference: () -> iterable of [T, H, W, C]: the real frames that FID and KID compare with.
    estimator: of the motion, '' where it is the truth: part of the score's name.
    show: progress of what must be trained first.
  """

  config: ConfigDict
  names: Sequence[str] = ()
  reference: Callable[[], Iterable[np.ndarray]] | None = None
  estimator: str = ''
  show: bool = True


def pixel_scorer(request: Request) -> Scorer:
  """PSNR and SSIM frame by frame, warping error and flicker clip by clip."""
  settings, estimator = request.config.eval, request.estimator

  def add(total, clip, frames):
    return clips.score(
        total, frames, clip.target, clip.shown, clip.motion, names=request.names,
        psnr_cap=settings.psnr_cap, ssim_gray=settings.ssim_gray, warp_kind=settings.warp_kind,
        batch=settings.batch, estimator=estimator)
  flow = estimator or 'true motion of the source'
  return Scorer(metrics.init(), add, _result_or_nothing, {
      'psnr_cap': settings.psnr_cap, 'ssim': 'luma' if settings.ssim_gray else 'per channel',
      'warp_kind': settings.warp_kind, 'flow': flow if 'warping' in request.names else None})


def lpips_scorer(request: Request) -> Scorer:
  """LPIPS of aligned frames, frame by frame; between each frame and the next, clip by clip."""
  networks = scoring_networks.load_lpips(request.config)
  call = lpips.program(networks.nets, networks.params, request.config.eval.batch)
  to_target = score_names.make('lpips', random=networks.random)
  to_next = score_names.make('lpips_temporal', random=networks.random)

  def add(total, clip, frames):
    values, series = {}, {}
    if 'lpips' in request.names:
      total, series[to_target] = lpips.update(total, call, frames, clip.target, to_target)
      values[to_target] = float(np.mean(series[to_target]))
    if 'lpips_temporal' in request.names and len(frames) > 1:
      series[to_next] = lpips.temporal(call, frames)
      values[to_next] = float(np.mean(series[to_next]))
      total = metrics.update(total, {to_next: values[to_next]})
    return total, values, series
  return Scorer(metrics.init(), add, _result_or_nothing,
                {'lpips': scoring_networks.describe(networks)})


def _result_or_nothing(total):
  """The means, {} where no clip had a value (single frames have no warping error)."""
  return metrics.result(total) if total else {}


def fid_kid_scorer(request: Request) -> Scorer:
  """FID and KID of all frames of a row against the reference frames."""
  settings, networks = request.config.eval, scoring_networks.load_inception(request.config)
  call = inception_features.program(
      networks.nets['inception'], networks.params['inception'], settings.fid_mode, settings.batch)
  options = dict(degrees=tuple(settings.kid_degrees), subsets=settings.kid_subsets,
                 subset_size=settings.kid_subset_size, seed=settings.seed)
  facts = {'fid_mode': settings.fid_mode, 'inception': scoring_networks.describe(networks)}

  @functools.cache   # all rows are compared with the same frames
  def reference_set():
    extract = call
    if not networks.random:   # features of random networks are not worth a file
      extract = inception_features.cached(
          call, files.make_cache(files.cache('features')), mode=settings.fid_mode, **networks.files)
    parts = [extract(frames) for frames in request.reference()]
    return fid_kid.update(fid_kid.init(), np.concatenate(parts))

  def add(total, clip, frames):
    return fid_kid.update(total, call(frames)), {}, {}

  def result(total):
    count, reference_count = len(fid_kid.gather(total)), len(fid_kid.gather(reference_set()))
    facts.update(fid_kid.protocol(count, reference_count, **options))
    return fid_kid.result(total, reference_set(), names=request.names, random=networks.random,
                          **options)
  return Scorer(fid_kid.init(), add, result, facts)


def miou_scorer(request: Request) -> Scorer:
  """mIoU, fwIoU and pixel accuracy of what a segmentation network finds in the frames."""
  settings = request.config.eval
  params, info = scene_segmenter.train_or_load(request.config, request.show)
  count = len(class_names.CITYSCAPES)
  result = functools.partial(
      segmentation.result, names=class_names.CITYSCAPES, small=class_names.SMALL,
      classes=class_names.class_list(settings.classes), absent=settings.absent)

  def add(total, clip, frames):
    predicted = scene_segmenter.predict(params, clips.eight_bits(frames))
    of_clip = segmentation.update(segmentation.init(count), clip.labels, predicted)
    values = result(of_clip)
    shown = {name: values[name] for name in ('miou', 'fwiou', 'pixel_accuracy')}
    return segmentation.merge(total, of_clip), shown, {}
  return Scorer(segmentation.init(count), add, result, {
      'classes': settings.classes, 'absent_classes': settings.absent,
      'miou_of_true_frames': round(info['miou'], 4),
      'segmenter': 'of the package' if info['packaged'] else 'trained on this machine'})


def sharpness_scorer(request: Request) -> Scorer:
  """Mean gradient of the frames, divided by that of the true frames of the same clips."""
  del request
  cache = {}   # rows take turns on a clip: its true frames are measured once

  def mean_gradients(frames):
    return [sharpness.mean_gradient(frame / 255) for frame in clips.eight_bits(frames)]

  def add(total, clip, frames):
    if cache.get('of') is not clip.target:
      cache.update(of=clip.target, values=mean_gradients(clip.target))
    of_frames, of_target = mean_gradients(frames), cache['values']
    sums = {'sharpness': float(np.sum(of_frames)), 'sharpness_of_target': float(np.sum(of_target))}
    ratio = sums['sharpness'] / sums['sharpness_of_target'] if any(of_target) else float('nan')
    total = {name: total.get(name, 0.0) + value for name, value in sums.items()}
    return total, {'sharpness_ratio': ratio}, {'sharpness': np.array(of_frames)}

  def result(total):
    truth = total.get('sharpness_of_target')
    return {'sharpness_ratio': total['sharpness'] / truth} if truth else {}
  return Scorer({}, add, result)


def kid_street_scorer(request: Request) -> Scorer:
  """KID in the features of the network that scores the classes of the street."""
  settings = request.config.eval
  params, _ = scene_segmenter.train_or_load(request.config, request.show)
  facts = {
      'kid_street': 'features of the segmentation network of the street, pooled on a 4 x 4 grid'}

  @functools.cache   # all rows are compared with the same frames
  def reference_set():
    parts = [scene_segmenter.describe_frames(params, clips.eight_bits(frames))
             for frames in request.reference()]
    return np.concatenate(parts)

  def add(total, clip, frames):
    del clip
    described = scene_segmenter.describe_frames(params, clips.eight_bits(frames))
    return fid_kid.update(total, described), {}, {}

  def result(total):
    x, y = fid_kid.gather(total), fid_kid.gather(reference_set())
    # A demo's street has fewer frames than KID's usual subsets: told here, not as a warning.
    facts['kid_street_subset_size'] = min(settings.kid_subset_size, len(x), len(y))
    values = fid_kid.kid(x, y, degrees=(3,), subsets=settings.kid_subsets, seed=settings.seed,
                         subset_size=facts['kid_street_subset_size'])
    return {'kid_street': values['kid_mean'], 'kid_street_std': values['kid_std']}
  return Scorer(fid_kid.init(), add, result, facts)


def apce_scorer(request: Request) -> Scorer:
  """APCE: the share of the source's edges that the frames have too."""
  del request
  cache = {}   # rows take turns on a clip: the edges of its source are looked for once

  def source_edges(clip, t):
    if cache.get('of') is not clip.shown:
      cache.clear()
      cache['of'] = clip.shown
    if t not in cache:   # packed: 99 maps of a frame are an eighth of their size
      cache[t] = np.packbits(edges.edge_maps(clip.shown[t]), axis=-1)
    width = clip.shown.shape[2]
    return np.unpackbits(cache[t], axis=-1, count=width).astype(bool)

  def add(total, clip, frames):
    ratios = [edges.share_of_edges_kept(source_edges(clip, t), edges.edge_maps(frame))
              for t, frame in enumerate(clips.eight_bits(frames))]
    of_clip = edges.update(edges.init(), np.stack(ratios))
    values = {}
    if of_clip['count'].any():   # else the clip's source has no edge
      values['apce'] = edges.result(of_clip)['apce']
    return edges.merge(total, of_clip), values, {}

  def curves(total):
    return {'apce': Curve('threshold', edges.THRESHOLDS, edges.by_threshold(total))}
  return Scorer(edges.init(), add, edges.result, curves=curves)


def davis_scorer(request: Request) -> Scorer:
  """J, F and T of frames that are masks (white is foreground), mean over clips."""
  del request

  def add(total, clip, frames):
    masks = external.binary_masks(frames), external.binary_masks(clip.target)
    (mask, truth), = davis.objects(*masks)
    values = davis.clip_values(mask, truth, with_t=len(mask) > 1)
    return metrics.update(total, values), values, {}
  return Scorer(metrics.init(), add, metrics.result)
