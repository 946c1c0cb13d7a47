"""Makes the starter weights that the package brings, from a run.

  python benchmarks/make_starter.py --workdir RUN [--output i2vjax/starter] [--overwrite]

It takes the networks that translate alone, averaged where the run has averages, scores them as they
are stored, and writes how they came about into card.json and card.md.
"""

import argparse
import json
import pathlib

import jax
import numpy as np

from i2vjax import __version__, data, evaluate
from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.metrics import score_names
from i2vjax.run import averaging, folder, load, starter, translator

ABOUT = ('Made from synthetic footage only (the built-in street): it shows the machine. Your '
         'camera needs its own training.')
FILES = ('config.json', starter.WEIGHTS, 'card.json', 'card.md')
PLACES = ('pretrained_dir', 'data.cache_dir')   # of the machine it was trained on
COMPARED = 24   # frames


def make(workdir, output, checkpoint='latest', dtype='float16', report=None, overwrite=False,
         show=True, metrics='auto'):
  """Write a starter from a run.

  Args:
    workdir: run folder, trained on `data.source=scenes`.
    output: folder to be made; one that is there is replaced with `overwrite`, if it holds nothing
      but a starter.
    checkpoint: 'latest', 'best' or a step.
    dtype: of the stored weights.
    report: folder for the page of the scores; None: `report-starter` in the run folder.
    overwrite, show: as for `evaluate`.
    metrics: as `eval.metrics`, of the scores in the card.

  Returns:
    The content of card.json.

  Raises:
    UserError: trained on other footage; FileExistsError: the output or the report exists.
  """
  output = check_output(output, overwrite)
  report = evaluate.check_output(report or pathlib.Path(workdir, 'report-starter'), overwrite)
  run = load.load(str(workdir), checkpoint)
  if run.config.data.source != 'scenes':
    raise UserError(f'data.source={run.config.data.source}: a starter is made from the built-in '
                    'street, whose pictures belong to nobody else')
  output.parent.mkdir(parents=True, exist_ok=True)
  with output_paths.scratch(output.parent) as part:
    small = part / 'starter'
    starter.write(small, without_places(folder.read_config(workdir)), weights_of(run), dtype)
    stored = load.load(small)
    stored.config.eval.metrics = metrics
    scores = evaluate.evaluate(stored, report, overwrite, show)
    card = describe(stored, scores, dtype, difference(run, stored))
    files.save_json(small / 'card.json', card)
    files.save_text(small / 'card.md', page(card, metrics))
    files.put_in_place(small, output)
  return card


def check_output(output, overwrite):
  """The output folder; refused where something else would be lost."""
  output = pathlib.Path(output).absolute()
  files.sweep(output.parent)
  if output.exists():
    foreign = sorted({path.name for path in output.iterdir()} - set(FILES))
    if foreign or not overwrite:
      raise FileExistsError(f'{output} exists already: '
                            + (f'it holds {foreign[0]}, take another --output' if foreign else
                               'use --overwrite, or another --output'))
  return output


def weights_of(run):
  """starter.Weights of the trained networks that translate."""
  names = averaging.names(run.method)
  return starter.Weights({name: run.params[name] for name in names}, run.model_state, run.step,
                         run.weights)


def without_places(config):
  """The config without folders of the machine that trained."""
  config = config.copy_and_resolve_references()
  for name in PLACES:
    block, _, field = name.rpartition('.')
    holder = config[block] if block else config
    with holder.ignore_type():
      holder[field] = None
  return config


def difference(run, stored):
  """How far translated 8-bit frames of the first test clip move when the weights are rounded."""
  exact, rounded = (frames(one).astype(np.int16) for one in (run, stored))
  levels = np.abs(exact - rounded)
  return {'frames': len(levels), 'mean_levels': float(levels.mean()),
          'largest_levels': int(levels.max()), 'changed_share': float((levels > 0).mean())}


def frames(run):
  """uint8 [T, H, W, C]: the first test clip, translated."""
  config = run.config
  source = data.open_source(config.data, 'test', 'a')
  _, start, length = source.clips[0]
  items = [(t, source.read(start + t)['frame']) for t in range(min(length, COMPARED))]
  results = translator.translate_clip(translator.compile_chunk(run), items,
                                      config.data.thermal_range)
  return np.stack([result for _, _, result in results])


def describe(run, scores, dtype, rounding):
  """The content of card.json."""
  config = run.config
  counts = {name: sum(int(x.size) for x in jax.tree.leaves(tree))
            for name, tree in run.params.items()}
  return {'about': ABOUT, 'method': config.method, 'variant': config.variant, 'step': run.step,
          'weights': run.weights, 'seed': config.seed, 'began_at': config.train.init_from or None,
          'backbone': config.backbone, 'perceptual': config.perceptual,
          'networks': counts, 'dtype': dtype,
          'bytes': (run.workdir / starter.WEIGHTS).stat().st_size, 'rounding': rounding,
          'config': evaluate.config_hash(config), 'i2vjax': __version__,
          'protocol': scores['protocol'], 'scores': scores['rows'],
          'skipped': scores['skipped']}


def page(card, metrics):
  """card.md: the same for people."""
  networks = ', '.join(f'`{name}` ({count:,} parameters)'
                       for name, count in card['networks'].items())
  rows = card['scores']
  names = [name for name in rows['translated']
           if not score_names.is_count(name) and not score_names.describes_source(name)]
  kind = 'averages over training' if card['weights'] == 'ema' else 'of the last step'
  table = [f'| | {" | ".join(rows)} |', f'|---|{"---|" * len(rows)}']
  table += [f'| {name} | ' + ' | '.join(_number(row.get(name)) for row in rows.values()) + ' |'
            for name in names]
  rounding = card['rounding']
  return '\n'.join([
      '# Starter weights', '', card['about'], '',
      f'- method: {card["method"]}, variant {card["variant"]}, seed {card["seed"]}, '
      f'backbone {card["backbone"]}, perceptual {card["perceptual"]}; all fields: `config.json`',
      f'- trained: {card["step"]} steps, weights: {kind}, i2vjax {card["i2vjax"]}'
      + (f'; began at `{card["began_at"]}`' if card.get('began_at') else ''),
      f'- networks: {networks}, {card["dtype"]}, {card["bytes"]:,} bytes',
      f'- stored as {card["dtype"]}, translated frames move by '
      f'{rounding["mean_levels"]:.3g} of 255 gray levels on average, '
      f'{rounding["largest_levels"]} at most ({rounding["frames"]} frames)',
      '', f'Scores on {card["protocol"]["clips"]} test clips of the same street '
      f'(`evaluate --workdir starter --config.eval.metrics={metrics}`):', '', *table, ''])


def _number(value):
  return f'{value:.4g}' if isinstance(value, (int, float)) else ''


def main():
  """Parse the command line and write."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdir', required=True)
  parser.add_argument('--output', default=folder.STARTER_FOLDER, type=pathlib.Path)
  parser.add_argument('--checkpoint', default='latest')
  parser.add_argument('--dtype', default='float16', choices=starter.DTYPES)
  parser.add_argument('--report', type=pathlib.Path)
  parser.add_argument('--metrics', default='auto')
  parser.add_argument('--overwrite', action='store_true')
  options = parser.parse_args()
  card = make(options.workdir, options.output, options.checkpoint, options.dtype, options.report,
              options.overwrite, metrics=options.metrics)
  print(f'wrote {options.output}: {card["bytes"]:,} bytes of {card["method"]}, step '
        f'{card["step"]}; rounding: {json.dumps(card["rounding"])}')


if __name__ == '__main__':
  main()
