"""Score a run, or frames of any program: JSON and HTML."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
from collections.abc import Callable

import jax
import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax import __version__, defaults
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.data.sources import alignment, folders
from i2vjax.evaluation import (
  baselines,
  epoch_curves,
  eval_clips,
  external,
  motion_estimation,
  one_size,
  plan,
  score_table,
)
from i2vjax.evaluation.report import figures, html, text
from i2vjax.metrics import clips, score_names
from i2vjax.run import bounds, load, training_curves

FILES = ('scores.json', 'index.html')


# ---- the commands -----------------------------------------------------------------------------


def evaluate(run: load.Run, output: str | pathlib.Path, overwrite: bool = False,
             show: bool = True) -> dict:
  """Score a run on the test clips of its data, beside reference rows that say what scores mean.

  Args:
    run: the run.
    output: folder for `scores.json` and `index.html`.
    overwrite: replace those two files.
    show: a progress bar beside the table that is printed.

  Returns:
    The content of scores.json.

  Raises:
    UserError: nothing to score, or a score asked for by name cannot be computed.
    FileExistsError: the files exist. OSError: nothing can be written there.
  """
  output = check_output(output, overwrite)
  scores, previews = scores_of_run(run, show)
  curves = training_curves.read_curves(run.workdir / 'metrics.jsonl') if run.workdir else {}
  return _write(output, scores, previews, curves)


def scores_of_run(run: load.Run, show: bool = True) -> tuple[dict, list[dict]]:
  """What `evaluate` writes: (content of scores.json, previews of the clips for the page).

  Args and raised errors: see `evaluate`.
  """
  scoring_plan = plan.of_run(run.config)
  rows = {'translated': baselines.translated(run), **baselines.reference_rows(run, scoring_plan)}
  scores, previews = score_rows(rows, scoring_plan, show)
  found, left_out = epoch_curves.curves(
      run, scoring_plan, scores['rows']['translated'],
      lambda rows, plan: score_rows(rows, plan, show, False)[0]['rows']['translated'])
  scores['curves'] |= found
  scores['skipped'] = scores['skipped'] | left_out
  scores['run'] = describe(run)
  scores['protocol'] |= {'data': run.config.data.source, 'direction': run.config.data.direction,
                         'split': 'test', 'weights': run.weights}
  return scores, previews


def score_fn(config: ConfigDict) -> Callable[[load.Run], dict[str, float]] | None:
  """What a training of this config is scored by while it goes on: `quick_scores`, or nothing.

  Raises:
    UserError: `eval.metrics` names a score that is not known: told before hours of training.
  """
  score_table.names_in(config.eval.metrics)
  return quick_scores if config.eval.every else None


def quick_scores(run: load.Run) -> dict[str, float]:
  """{name: value} of the run's own row: what training logs every `eval.every` steps."""
  scoring_plan = plan.of_run(run.config, quick=True)
  rows = {'translated': baselines.translated(run)}
  scores, _ = score_rows(rows, scoring_plan, show=False, with_previews=False)
  return {name: value for name, value in scores['rows']['translated'].items()
          if not score_names.is_count(name) and not score_names.describes_source(name)}


def evaluate_folders(result: str, reference: str | None = None, source: str | None = None,
                     output: str | pathlib.Path = 'report', settings: ConfigDict | None = None, *,
                     overwrite: bool = False, show: bool = True,
                     pretrained_dir: str | None = None, data: ConfigDict | None = None) -> dict:
  """Score frames that any program wrote: nothing is resized, 8-bit files are read as they are.

  Args:
    result: folder (sub-folders are clips), glob or video of translated frames.
    reference: the frames they should have been, matched by clip and frame name or number. Without
      it (nobody filmed the night by day) scores that need none are computed: flicker, warping error
      and APCE of the source, FID and KID against `eval.fid_reference`, classes and boxes in files.
    source: the frames they were made from: adds flicker and warping error, and their own row.
    output: folder for `scores.json` and `index.html`.
    settings: `config.eval`; None: the defaults.
    overwrite, show: see `evaluate`.
    pretrained_dir: folder of weight files that scores need; None: the usual ones.
    data: `config.data`, which says by `clip_regex` and `max_gap` how folders are cut into clips;
      None: the defaults.

  Returns:
    The content of scores.json.

  Raises:
    UserError: frames without a partner, different sizes, 16-bit results, a setting that cannot be
      meant, nothing to score.
    FileNotFoundError: a place does not exist. FileExistsError, OSError: see `evaluate`.
  """
  output = check_output(output, overwrite)
  scores, previews = scores_of_folders(result, reference, source, settings, show, pretrained_dir,
                                       data)
  return _write(output, scores, previews, {})


def scores_of_folders(result: str, reference: str | None = None, source: str | None = None,
                      settings: ConfigDict | None = None, show: bool = True,
                      pretrained_dir: str | None = None,
                      data: ConfigDict | None = None) -> tuple[dict, list[dict]]:
  """What `evaluate_folders` writes: (content of scores.json, previews of the clips for the page).

  Args and raised errors: see `evaluate_folders`.
  """
  settings = settings or defaults.evaluation()
  bounds.check_values(ConfigDict({'eval': settings}))
  places = {'result': result, 'reference': reference, 'source': source}
  places = {name: place for name, place in places.items() if place}
  data = data or defaults.data()
  sources = {name: folders.open_place(data, place) for name, place in places.items()}
  for name in sources.keys() - {'result'}:
    alignment.check_frames(sources['result'], sources[name])
  whole, sources = sources, one_size.by_size(sources, settings.max_clips)
  shapes = eval_clips.first_shapes(sources, settings.max_clips)   # once, for all who ask
  scoring_plan = plan.of_folders(sources, settings, shapes, pretrained_dir)
  rows = {'translated': lambda clip: clip.result}
  other_size = _other_size(sources, shapes)
  if 'source' in sources and not other_size:
    rows['source'] = baselines.source
  if scoring_plan.paired:
    rows['constant'] = baselines.constant(scoring_plan.clips())
  # Files first: a mistake in one of them must not cost the scores of hours of frames.
  values, facts = external.scores(scoring_plan.names, settings, whole['result'])
  scores, previews = score_rows(rows, scoring_plan, show)
  scores['rows']['translated'] |= values
  if other_size:
    facts['source_row'] = other_size
  scores['protocol'] |= facts
  for name, fact in facts.items():
    print(f'{name.replace("_", " ")}: {fact}')
  scores['run'] = {'i2vjax': __version__, 'device': parallel.describe()}
  scores['run'] |= {name: str(place) for name, place in places.items()}
  return scores, previews


def _other_size(sources, shapes):
  """Why the source cannot be a row: its size in the first such clip; '' where all have one size."""
  if 'source' not in sources:
    return ''
  for clip, shape, wanted in zip(sources['source'].clips, shapes['source'], shapes['result'],
                                 strict=False):   # of the clips that are scored
    if shape[:2] != wanted[:2]:
      return (f'left out: clip {clip.name} has {shape[1]}x{shape[0]} pixels in the source, '
              f'{wanted[1]}x{wanted[0]} in the result')
  return ''


def check_output(output: str | pathlib.Path, overwrite: bool) -> pathlib.Path:
  """The output folder.

  Raises:
    FileExistsError: it holds an evaluation already. OSError: nothing can be written there.
    UserError: it ends like a file.
  """
  output = pathlib.Path(output)
  output_paths.check_folder_name(output)
  existing = [name for name in FILES if (output / name).exists()]
  if existing and not overwrite and not output_paths.goes_on(output, ''):
    raise FileExistsError(f'{output / existing[0]} exists already: use --overwrite, or another '
                          '--output')
  output_paths.check_writable(output)
  return output


def _write(output, scores, previews, curves):
  page = html.page(scores, previews, curves)
  try:
    with output_paths.unfinished(output, ''):
      files.save_json(output / 'scores.json', scores)
      files.save_text(output / 'index.html', page)
  except OSError as error:
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'no half-written file is left', error) from error
  print(f'{text.table(scores)}\n{output / "index.html"}')
  return scores


# ---- scoring ----------------------------------------------------------------------------------


def score_rows(rows: dict[str, baselines.Row], scoring_plan: plan.Plan, show: bool = True,
               with_previews: bool = True) -> tuple[dict, list[dict]]:
  """Every scorer sees every row of every clip, one clip at a time in memory.

  Args:
    rows: {label: EvalClip -> frames}, 'translated' first.
    scoring_plan: which scores, of which clips.
    show: progress bars. with_previews: keep what a page shows of the clips.

  Returns:
    (scores: {'protocol', 'rows', 'clips', 'worst', 'skipped', 'curves'}, previews of the clips).

  Raises:
    UserError: there are no test clips.
  """
  scorers = scoring_plan.build_scorers(show)
  start = [scorer.start for scorer in scorers]
  totals, nonfinite = dict.fromkeys(rows, start), dict.fromkeys(rows, 0)
  estimate_motion = None
  if scoring_plan.estimator:
    estimate_motion = motion_estimation.motion_estimator(scoring_plan.config,
                                                         scoring_plan.estimator)
  entries, previews = [], []
  for clip in tqdm.tqdm(scoring_plan.clips(), desc='test clips', unit='clip', disable=not show):
    if estimate_motion:   # once, for all rows
      clip = dataclasses.replace(clip, motion=estimate_motion(clip.shown))
    entry, translated = {'name': clip.name, 'frames': clip.length, 'rows': {}}, None
    for label, row in rows.items():
      frames = row(clip)
      nonfinite[label] += _count_nonfinite(frames)
      totals[label], entry['rows'][label], series = _add_clip(scorers, totals[label], clip, frames)
      if translated is None:   # the first row; curves and pictures are of it alone
        translated, entry['series'] = frames, series
    entries.append(entry)
    if with_previews:
      preview = figures.clip_preview(clip.name, _pictures(clip, translated), entry['series'],
                                     moving=len(previews) < figures.SHOWN)
      previews = figures.add_preview(previews, preview)
  if not entries:
    raise UserError('no test clips: nothing to score')
  results = {label: _results(scorers, parts) for label, parts in totals.items()}
  for label, count in nonfinite.items():
    if count:   # scores of pictures see black or white, and count nothing
      results[label].setdefault('num_nonfinite', float(count))
  height, width = translated.shape[1:3]
  # After the results: FID and KID know their numbers of frames only then.
  facts = {'clips': len(entries), 'frames': sum(entry['frames'] for entry in entries),
           'height': height, 'width': width, **protocol(scoring_plan, scorers)}
  return {'protocol': facts, 'rows': results, 'clips': entries, 'skipped': scoring_plan.skipped,
          'worst': _worst_frames(previews), 'curves': _curves(scorers, totals)}, previews


def _add_clip(scorers, totals, clip, frames):
  """(totals, {score of this clip}, {score: [T]}) of all scorers."""
  values, series, new_totals = {}, {}, []
  for scorer, total in zip(scorers, totals, strict=True):
    total, values_of_scorer, series_of_scorer = scorer.add(total, clip, frames)
    new_totals.append(total)
    values |= values_of_scorer
    series |= series_of_scorer
  return new_totals, values, {name: np.asarray(items).tolist() for name, items in series.items()}


def _count_nonfinite(frames):
  """How many of the frames [T, H, W, C] hold NaN or infinity."""
  return (0 if frames.dtype == np.uint8
          else sum(not np.isfinite(frame).all() for frame in frames))


def _results(scorers, totals):
  """{score: value} of a row; what several scorers count is added up."""
  values = {}
  for scorer, total in zip(scorers, totals, strict=True):
    for name, value in scorer.result(total).items():
      values[name] = value + (values.get(name, 0.0) if score_names.is_count(name) else 0.0)
  return values


def _curves(scorers, totals):
  """{score: {'axis': text, 'at': [N], 'rows': {label: [N] values}}}."""
  curves = {}
  for label, parts in totals.items():
    for scorer, total in zip(scorers, parts, strict=True):
      for name, (axis, at, y) in scorer.curves(total).items():
        curve = curves.setdefault(name, {'axis': axis, 'at': list(at), 'rows': {}})
        curve['rows'][label] = list(y)
  return curves


def _pictures(clip, translated):
  """The rows of the page: source, run, target, as far as they exist."""
  kinds = {'source': clip.shown, 'translated': translated, 'target': clip.target}
  return {label: clips.eight_bits(frames)
          for label, frames in kinds.items() if frames is not None}


def _worst_frames(previews):
  """Where the worst frames are; the first preview holds those of all clips."""
  if not previews:
    return []
  return [{'clip': name, 'frame': t} for _, name, t, _ in previews[0]['worst']]


def protocol(scoring_plan: plan.Plan, scorers: list) -> dict:
  """How the scores came about."""
  facts = {'pairing': 'by clip and frame' if scoring_plan.paired else 'unpaired',
           'eight_bits': scoring_plan.config.eval.quantize}
  for scorer in scorers:
    facts |= scorer.facts
  if {'fid', 'kid'} & set(scoring_plan.names):
    facts['fid_reference'] = scoring_plan.reference_name
  if scoring_plan.config.eval.paper_scale:
    facts['paper_scale'] = 'FID / 100 is shown too; KID as it is, since no factor is known'
  return facts


def describe(run: load.Run) -> dict:
  """What was evaluated, on what."""
  config = run.config
  return {'method': config.method, 'variant': config.variant, 'step': int(run.step),
          'workdir': run.workdir.name if run.workdir else None, 'backbone': config.backbone,
          'perceptual': config.perceptual, 'seed': config.seed, 'config': config_hash(config),
          'device': parallel.describe(), 'jax': jax.__version__, 'i2vjax': __version__}


def config_hash(config: ConfigDict) -> str:
  """12 hexadecimal digits that identify a config."""
  fields = json.dumps(json.loads(config.to_json_best_effort()), sort_keys=True)
  return hashlib.sha256(fields.encode()).hexdigest()[:12]
