"""A trained run, or frames that any program wrote, as scores: one JSON file and one page."""

import dataclasses
import hashlib
import json
import pathlib

import jax
import numpy as np
import tqdm

from i2vjax import __version__, defaults
from i2vjax.core import files, parallel
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.data.sources import alignment, folders
from i2vjax.evaluation import baselines, external, motion_estimation
from i2vjax.evaluation import plan as planning
from i2vjax.evaluation.report import figures, html, text
from i2vjax.metrics import clips
from i2vjax.run import training_curves

FILES = ('scores.json', 'index.html')


# ---- the commands -----------------------------------------------------------------------------


def evaluate(run, output, overwrite=False, show=True):
  """Score a run on the test clips of its data, beside reference rows that say what scores mean.

  Args:
    run: load.Run.
    output: folder for `scores.json` and `index.html`.
    overwrite: replace those two files.
    show: a progress bar beside the table that is printed.

  Returns:
    The content of scores.json.

  Raises:
    ValueError: nothing to score, or a score asked for by name cannot be had.
    FileExistsError: the files exist. OSError: nothing can be written there.
  """
  output = check_output(output, overwrite)
  plan = planning.of_run(run.config)
  table = {'translated': baselines.translated(run), **baselines.reference(run, plan)}
  scores, sketches = judge(table, plan, show)
  scores['run'] = describe(run)
  scores['protocol'] |= {'data': run.config.data.source, 'direction': run.config.data.direction,
                         'split': 'test', 'weights': run.weights}
  curves = training_curves.read_curves(run.workdir / 'metrics.jsonl') if run.workdir else {}
  return _write(output, scores, sketches, curves)


def quick_scores(run):
  """{name: value} of the run's own row: what training logs every `eval.every` steps."""
  plan = planning.of_run(run.config, quick=True)
  scores, _ = judge({'translated': baselines.translated(run)}, plan, show=False, sketched=False)
  return {name: value for name, value in scores['rows']['translated'].items()
          if not name.startswith('num_') and not name.endswith('_source')}


def evaluate_folders(result, reference, source=None, output='report', settings=None, *,
                     overwrite=False, show=True):
  """Score frames that any program wrote: nothing is resized, 8-bit files are read as they are.

  Args:
    result: folder (sub-folders are clips), glob or video of translated frames.
    reference: the frames they should have been, matched by clip and frame name or number.
    source: the frames they were made from: adds flicker and warping error, and their own row.
    output: folder for `scores.json` and `index.html`.
    settings: `config.eval`; None: the defaults.

  Returns:
    The content of scores.json.

  Raises:
    ValueError: frames without a partner, different sizes, 16-bit results. FileNotFoundError.
  """
  output, settings = check_output(output, overwrite), settings or defaults.evaluation()
  places = {'result': result, 'reference': reference, 'source': source}
  found = {name: folders.open_place(defaults.data(), place)
           for name, place in places.items() if place}
  for name in found.keys() - {'result'}:
    alignment.check_frames(found['result'], found[name])
  plan = planning.of_folders(found, settings)
  table = {'translated': lambda material: material.raw}
  first = next(plan.materials())
  if first.shown is not None and first.shown.shape[:3] == first.target.shape[:3]:
    table['source'] = baselines.source
  table['constant'] = baselines.constant(plan.materials())
  scores, sketches = judge(table, plan, show)
  scores['rows']['translated'] |= external.scores(plan.names, settings, found['result'])
  scores['run'] = {'i2vjax': __version__, 'device': parallel.describe()} | {
      name: str(place) for name, place in places.items() if place}
  return _write(output, scores, sketches, {})


def check_output(output, overwrite):
  """The output folder, refused where an evaluation lies in it already or nothing can be written."""
  output = pathlib.Path(output)
  there = [name for name in FILES if (output / name).exists()]
  if there and not overwrite:
    raise FileExistsError(f'{output / there[0]} exists already: use --overwrite, or another '
                          '--output')
  output_paths.check_writable(output)
  return output


def _write(output, scores, sketches, curves):
  files.save_json(output / 'scores.json', scores)
  files.save_text(output / 'index.html', html.page(scores, sketches, curves))
  print(f'{text.table(scores)}\n{output / "index.html"}')
  return scores


# ---- judging ----------------------------------------------------------------------------------


def judge(table, plan, show=True, sketched=True):
  """Every judge looks at every row of every clip.

  Args:
    table: {label: Material -> frames}, 'translated' first.
    plan: planning.Plan.
    show: progress bars. sketched: keep what a page shows.

  Returns:
    (scores: {'protocol', 'rows', 'clips', 'worst', 'skipped'}, sketches for the page).
  """
  panel = plan.panel(show)
  motion_of = motion_estimation.motion_of(plan.config, plan.estimator) if plan.estimator else None
  totals, listed, sketches = {label: [one.start for one in panel] for label in table}, [], []
  for material in tqdm.tqdm(plan.materials(), desc='test clips', unit='clip', disable=not show):
    if motion_of:   # once, for all rows
      material = dataclasses.replace(material, motion=motion_of(material.shown))
    entry, translated = {'name': material.name, 'frames': len(material.raw), 'rows': {}}, None
    for label, row in table.items():
      made = row(material)
      totals[label], entry['rows'][label], series = _add(panel, totals[label], material, made)
      entry.setdefault('series', series)
      translated = made if translated is None else translated
    listed.append(entry)
    if sketched:
      sketches = figures.keep(sketches, figures.sketch(
          material.name, _pictures(material, translated), entry['series'],
          moving=len(sketches) < figures.SHOWN))
  if not listed:
    raise UserError('no test clips: nothing to score')
  results = {label: _results(panel, parts) for label, parts in totals.items()}
  height, width = translated.shape[1:3]
  return {'protocol': {'clips': len(listed), 'frames': sum(x['frames'] for x in listed),
                       'height': height, 'width': width, **protocol(plan, panel)},
          'rows': results, 'clips': listed, 'skipped': plan.skipped,
          'worst': [{'clip': name, 'frame': t} for sketch in sketches[:1]
                    for _, name, t, _ in sketch['worst']]}, sketches


def _add(panel, totals, material, frames):
  """(totals, {score of this clip}, {score: [T]}) of all judges."""
  values, series, after = {}, {}, []
  for one, total in zip(panel, totals, strict=True):
    total, found, curves = one.add(total, material, frames)
    after.append(total)
    values, series = values | found, series | curves
  return after, values, {name: np.asarray(items).tolist() for name, items in series.items()}


def _results(panel, totals):
  found = {}
  for one, total in zip(panel, totals, strict=True):
    found |= one.result(total)
  return found


def _pictures(material, translated):
  """The rows of the page: source, run, target."""
  kinds = {'source': material.shown, 'translated': translated, 'target': material.target}
  return {label: clips.eight_bits(frames)
          for label, frames in kinds.items() if frames is not None}


def protocol(plan, panel):
  """How the scores came about."""
  facts = {'pairing': 'by clip and frame' if plan.paired else 'unpaired',
           'eight_bits': plan.config.eval.quantize}
  for one in panel:
    facts |= one.facts
  if {'fid', 'kid'} & set(plan.names):
    facts['fid_reference'] = plan.reference_name
  return facts


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
