"""A trained run, or frames that any program wrote, as scores: one JSON file and one page."""

import dataclasses
import hashlib
import json
import pathlib
from typing import Any

import jax
import numpy as np
import tqdm

from i2vjax import (
    __version__,
    checkpoint,
    defaults,
    methods,
    metrics,
    ops,
    parallel,
    report,
    sheets,
    translate,
)
from i2vjax.data import pairs
from i2vjax.data import source as data_source
from i2vjax.data.scenes import ceiling
from i2vjax.metrics import clips

FILES = ('scores.json', 'index.html')
NO_FLOW = ('needs the true motion of the source, which this data does not have (data.source=scenes '
           'has it)')


@dataclasses.dataclass(frozen=True)
class Plan:
  """Which scores are computed, why others are not, and whether frames have their true partner."""

  names: tuple
  skipped: dict
  settings: Any
  paired: bool


# ---- the commands -----------------------------------------------------------------------------


def evaluate(run, output, overwrite=False, show=True):
  """Score a run on the test clips of its data, beside reference rows that say what scores mean.

  Args:
    run: checkpoint.Run.
    output: folder for `scores.json` and `index.html`.
    overwrite: replace those two files.
    show: a progress bar beside the table that is printed.

  Returns:
    The content of scores.json.

  Raises:
    ValueError: nothing to score, or a score asked for by name cannot be had.
    FileExistsError: the files exist.
  """
  output = _free(output, overwrite)
  plan = plan_run(run.config)
  rows = {'translated': translated_row(run, plan.settings), **reference_rows(run, plan)}
  scores, sketches = judge(rows, lambda: materials(run.config, plan), plan, show)
  scores['run'] = describe(run)
  scores['protocol'] |= {'data': run.config.data.source, 'direction': run.config.data.direction,
                         'split': 'test'}
  curves = sheets.read_curves(run.workdir / 'metrics.jsonl') if run.workdir else {}
  return _write(output, scores, sketches, curves)


def quick_scores(run):
  """{name: value} of the run's own row: what training logs every `eval.every` steps."""
  plan = plan_run(run.config)
  rows = {'translated': translated_row(run, plan.settings)}
  scores, _ = judge(rows, lambda: materials(run.config, plan), plan, show=False)
  return {name: value for name, value in scores['rows']['translated'].items()
          if not name.startswith('num_') and not name.endswith('_source')}


def evaluate_folders(result, reference, source=None, output='report', settings=None, *,
                     overwrite=False, show=True):
  """Score frames that any program wrote: nothing is resized, 8-bit files are read as they are.

  Args:
    result: folder (sub-folders are clips), glob or video of translated frames.
    reference: the frames they should have been, matched by clip and frame name or number.
    source: the frames they were made from: adds flicker against the source, and their own row.
    output: folder for `scores.json` and `index.html`.
    settings: `config.eval`; None: the defaults.

  Returns:
    The content of scores.json.

  Raises:
    ValueError: frames without a partner, different sizes, 16-bit results. FileNotFoundError.
  """
  output, settings = _free(output, overwrite), settings or defaults.evaluation()
  places = {'result': result, 'reference': reference, 'source': source}
  found = {name: pairs.frames_of(defaults.data(), place)
           for name, place in places.items() if place}
  for name in found.keys() - {'result'}:
    pairs.check_frames(found['result'], found[name])
  reasons = {'warping': NO_FLOW}
  if 'source' not in found:
    reasons['flicker'] = 'needs the source frames beside the result (--source)'
  plan = Plan(*clips.choose(settings.metrics, reasons), settings, True)

  def clips_of():
    return pairs.folder_materials(found, settings.max_clips)
  rows = {'translated': lambda material: material.raw}
  first = next(clips_of())
  if first.shown is not None and first.shown.shape[:3] == first.target.shape[:3]:
    rows['source'] = source_frames
  rows['constant'] = constant_row(clips_of())
  scores, sketches = judge(rows, clips_of, plan, show)
  scores['run'] = {'i2vjax': __version__, 'device': parallel.describe()} | {
      name: str(place) for name, place in places.items() if place}
  return _write(output, scores, sketches, {})


def _free(output, overwrite):
  """The output folder, refused where an evaluation lies in it already."""
  output = pathlib.Path(output)
  there = [name for name in FILES if (output / name).exists()]
  if there and not overwrite:
    raise FileExistsError(f'{output / there[0]} exists already: use --overwrite, or another '
                          '--output')
  return output


def _write(output, scores, sketches, curves):
  sheets.save_json(output / 'scores.json', scores)
  sheets.save_text(output / 'index.html', report.page(scores, sketches, curves))
  print(f'{report.table(scores)}\n{output / "index.html"}')
  return scores


# ---- what can be scored -----------------------------------------------------------------------


def plan_run(config):
  """What the test split of this config allows."""
  a, b = (data_source(config.data, 'test', domain) for domain in 'ab')
  if a is None:
    raise ValueError('no test frames of the source domain: give data.test_a')
  unmatched = pairs.mismatch(a, b)
  reasons = dict.fromkeys(clips.PAIRED, unmatched) if unmatched else {}
  if not a.has_flow:
    reasons['warping'] = NO_FLOW
  if max(length for _, _, length in a.clips) < 2:
    reasons |= dict.fromkeys(clips.UNPAIRED, 'the test clips are single frames')
  return Plan(*clips.choose(config.eval.metrics, reasons), config.eval, not unmatched)


def materials(config, plan):
  """The test clips of a run, one `pairs.Material` at a time."""
  return pairs.materials(config, plan.paired, plan.settings.quantize, 'warping' in plan.names,
                         plan.settings.max_clips)


# ---- rows of the table ------------------------------------------------------------------------


def translated_row(run, settings):
  """Material -> frames of the run."""
  call = translate.program(run, settings.quantize)

  def row(material):
    items = ((None, frame) for frame in material.raw)
    done = translate.clip(call, items, None, settings.batch, material.limits)
    return np.stack([result for _, _, result in done])
  return row


def reference_rows(run, plan):
  """{label: Material -> frames}: what the scores of the run have to be read against.

  source: the input itself. constant: the single colour with the highest mean PSNR on these very
  targets (it has seen the answers). untrained: the same networks with fresh weights. ceiling, on
  scenes: the true class of each pixel in the mean training colour of that class.
  """
  config, settings = run.config, plan.settings
  fresh = dataclasses.replace(
      run, params=checkpoint.fresh_params(config, run.method, run.nets),
      extra=methods.optional(run.method, 'extra', config, default={}), step=0)
  rows = {'source': lambda m: pairs.as_saved(m.raw, m.limits, config.data.channels_b,
                                             settings.quantize),
          'untrained': translated_row(fresh, settings)}
  if plan.paired:
    rows['constant'] = constant_row(materials(config, plan))
  if plan.paired and config.data.source == 'scenes' and config.data.direction == 'a2b':
    rows['ceiling'] = class_row(config.data)
  return rows


def source_frames(material):
  """The source in the channels of the target."""
  channels = material.target.shape[-1]
  return np.rint(ops.match_channels(material.shown, channels)).astype(np.uint8)


def constant_row(judged):
  """Material -> frames of the one colour with the best mean PSNR on the targets of `judged`."""
  found = [clips.moments(material.target) for material in judged]
  colour = clips.best_colour(*(np.concatenate(x) for x in zip(*found, strict=True)))
  value = np.rint(colour * 255).astype(np.uint8)

  def row(material):
    return np.broadcast_to(value, material.target.shape).copy()
  return row


def class_row(data):
  """Material -> frames of `scenes` whose pixels have the mean training colour of their class."""
  colours = ceiling.class_colour_ceiling(data, test_frames=1)['colours']
  colours = np.rint(colours).astype(np.uint8)

  def row(material):
    frames = colours[material.labels]
    return np.rint(ops.match_channels(frames, material.target.shape[-1])).astype(np.uint8)
  return row


def judge(rows, clips_of, plan, show=True):
  """Score every row on every clip.

  Args:
    rows: {label: Material -> frames}, 'translated' first.
    clips_of: () -> iterable of Material.

  Returns:
    (scores: {'protocol', 'rows', 'clips', 'worst', 'skipped'}, sketches for the page).
  """
  settings = plan.settings
  options = dict(names=plan.names, psnr_cap=settings.psnr_cap, ssim_gray=settings.ssim_gray,
                 warp_kind=settings.warp_kind, batch=settings.batch)
  totals, listed, sketches = {label: metrics.init() for label in rows}, [], []
  for material in tqdm.tqdm(clips_of(), desc='test clips', unit='clip', disable=not show):
    entry, made = {'name': material.name, 'frames': len(material.raw), 'rows': {}}, {}
    for label, row in rows.items():
      made[label] = row(material)
      totals[label], entry['rows'][label], series = clips.score(
          totals[label], made[label], material.target, material.shown, material.motion, **options)
      entry.setdefault('series', series)
    listed.append(entry)
    sketches = report.keep(sketches, report.sketch(
        material.name, _pictures(material, made), entry['series']))
  if not listed:
    raise ValueError('no test clips: nothing to score')
  height, width = made['translated'].shape[1:3]
  return {'protocol': {'clips': len(listed), 'frames': sum(x['frames'] for x in listed),
                       'height': height, 'width': width, **protocol(plan)},
          'rows': {label: metrics.result(total) if total else {}
                   for label, total in totals.items()},
          'clips': listed, 'skipped': plan.skipped,
          'worst': [{'clip': name, 'frame': t} for _, name, t, _ in sketches[0]['worst']]}, sketches


def _pictures(material, made):
  """The rows of the page: source, run, target."""
  kinds = {'source': material.shown, 'translated': made['translated'], 'target': material.target}
  return {label: (clips.unit(frames) * 255).round().astype(np.uint8)
          for label, frames in kinds.items() if frames is not None}


def protocol(plan):
  """How the scores came about."""
  settings = plan.settings
  return {'pairing': 'by clip and frame' if plan.paired else 'unpaired',
          'eight_bits': settings.quantize, 'psnr_cap': settings.psnr_cap,
          'ssim': 'luma' if settings.ssim_gray else 'per channel', 'warp_kind': settings.warp_kind,
          'flow': 'true motion of the source' if 'warping' in plan.names else None}


def describe(run):
  """What was evaluated, on what."""
  config = run.config
  return {'method': config.method, 'variant': config.variant, 'step': int(run.step),
          'workdir': run.workdir.name if run.workdir else None, 'backbone': config.backbone,
          'perceptual': config.perceptual, 'seed': config.seed, 'config': config_hash(config),
          'device': parallel.describe(), 'jax': jax.__version__, 'i2vjax': __version__}


def config_hash(config):
  """12 hexadecimal digits that tell configs apart."""
  text = json.dumps(json.loads(config.to_json_best_effort()), sort_keys=True)
  return hashlib.sha256(text.encode()).hexdigest()[:12]
