"""benchmarks/equal_time.py: shares of phases, places and ranks by hand, runs of several folders."""

import functools
import json
import math
import pathlib

import equal_time
import jax
import numpy as np
import pytest

from i2vjax.bench import cases
from i2vjax.compare import figures
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]

PERFECT = {'psnr': 30.0, 'ssim': 1.0, 'miou': 1.0, 'miou_small': 1.0, 'kid_street': 0.0,
           'warping_mse': 0.0, 'flicker_true_ratio': 1.0, 'sharpness_ratio': 1.0}


def test_a_phase_counts_by_its_epochs():
  """MornGAN's demo: ten epochs, of which 2, 1, 1, 4 and 2 are of its five phases."""
  def shares(name):
    return equal_time.shares_of_phases(cases.case(f'{ROOT}/configs/{name}.py:demo'))
  assert shares('morngan') == {1: 0.2, 3: 0.1, 4: 0.1, 5: 0.4, 9: 0.2}
  assert shares('cut') == {1: 1.0}


def test_places_are_shared_where_values_are_equal():
  assert equal_time.rankdata([3.0, 1.0, 2.0]).tolist() == [3, 1, 2]
  assert equal_time.rankdata([1.0, 5.0, 1.0]).tolist() == [1.5, 3, 1.5]


def test_each_score_is_ordered_as_the_report_says():
  distance = equal_time.distance
  assert distance('psnr', 20.0) < distance('psnr', 18.0)
  assert distance('kid_street', 0.1) < distance('kid_street', 0.2)
  assert distance('flicker_true_ratio', 2.0) == pytest.approx(distance('flicker_true_ratio', 0.5))
  assert distance('sharpness_ratio', 1.1) < distance('sharpness_ratio', 0.8)


def test_the_rank_is_the_mean_of_eight_places():
  rows = {'worse': {**PERFECT, 'psnr': 20.0, 'ssim': 0.5}, 'better': PERFECT}
  assert equal_time.ranks(rows) == {'worse': (2 + 2 + 6 * 1.5) / 8, 'better': (1 + 1 + 6 * 1.5) / 8}


def test_a_row_without_a_score_has_its_last_place_and_spoils_no_other():
  absent = {name: value for name, value in PERFECT.items() if name != 'miou_small'}
  rows = {'nan': {**PERFECT, 'miou_small': math.nan}, 'absent': absent, 'whole': PERFECT}
  assert equal_time.ranks(rows) == {'nan': (2.5 + 7 * 2) / 8, 'absent': (2.5 + 7 * 2) / 8,
                                    'whole': (1 + 7 * 2) / 8}


def test_a_score_that_a_table_lacks_or_holds_as_null_is_shown_as_none(tmp_path):
  scores = {name: value for name, value in PERFECT.items() if name != 'miou_small'}
  runs = [{'seed': 0, 'steps': 8, 'state': 'done', 'scores': {**scores, 'psnr': None}}]
  (tmp_path / 'table.json').write_text(json.dumps({'rows': [{'name': 'CUT', 'runs': runs}]}))
  last = equal_time.markdown(equal_time.together([tmp_path])).splitlines()[-1]
  assert last.startswith('| CUT | 1.0 | nan | 1.0000 | 1.0000 | nan |')


def test_seeds_of_other_numbers_of_steps_have_no_mean(tmp_path):
  """Times that were measured twice differ by less than 2 %; so do the kept runs."""
  def saved(name, steps):
    path = tmp_path / f'{name}.json'
    path.write_text(json.dumps({'CUT': {name: {'steps': steps, **PERFECT}}}))
    return path
  assert len(equal_time.together([saved('0', 2697), saved('1', 2650)])['CUT']) == 2
  with pytest.raises(ValueError, match=r'CUT: 100 of seed 0, 200 of seed 1\n'):
    equal_time.together([saved('0', 100), saved('1', 200)])
  assert equal_time.together([ROOT / 'benchmarks' / 'equal_time.json'])


def test_seeds_of_several_outputs_come_together(tmp_path):
  """A folder of `compare` and a file of --save; a run that is not done has no place."""
  folder, saved = tmp_path / 'equal', tmp_path / 'saved.json'
  folder.mkdir()
  runs = [{'seed': 1, 'steps': 8, 'state': 'done', 'scores': {**PERFECT, 'fwiou': 1.0}},
          {'seed': 2, 'steps': 8, 'state': 'not yet'}]
  (folder / 'table.json').write_text(json.dumps({'rows': [{'name': 'CUT', 'runs': runs}]}))
  saved.write_text(json.dumps({'CUT': {'0': {'steps': 8, **PERFECT, 'psnr': 20.0}}}))
  found = equal_time.together([saved, folder])
  assert found == {'CUT': {'0': {'steps': 8, **PERFECT, 'psnr': 20.0},
                           '1': {'steps': 8, **PERFECT}}}
  last = equal_time.markdown(found).splitlines()[-1]
  assert last.startswith('| CUT | 1.0 | 25.00 ± 7.07 |') and last.endswith('| 8 | 2 |')


def test_the_sheet_has_the_input_the_rows_by_rank_and_the_truth(tmp_path):
  """Each row's picture is of one gray level, so its place can be found again."""
  levels, rows = {'worse': 80, 'better': 160}, []
  for name, level in levels.items():
    report = tmp_path / name / 'report'
    report.mkdir(parents=True)
    pictures = {kind: [np.full((64, 64, 3), value, np.uint8)] for kind, value in
                (('source', 20), ('translated', level), ('target', 240))}
    np.savez(report / 'frames.npz', **figures.pack({'titles': ['a clip'], **pictures}))
    scores = {**PERFECT, 'psnr': 30.0 if name == 'better' else 20.0}
    rows.append({'name': name, 'runs': [
        {'seed': 0, 'steps': 8, 'state': 'done', 'workdir': str(tmp_path / name),
         'scores': scores}]})
  (tmp_path / 'table.json').write_text(json.dumps({'rows': rows}))
  sheet = equal_time.sheet([tmp_path])
  places = [np.argwhere((sheet == level).all(-1)).mean(0)[0] for level in (20, 160, 80, 240)]
  assert places == sorted(places)


@pytest.mark.parametrize('name', [*equal_time.CALLED.values(), 'best'])   # one's own need not
def test_every_row_can_be_had_at_128_pixels(name):
  config = cases.case(f'{ROOT}/configs/{name}.py:street').config
  assert config.data.crop_size == 128
  method, model = load.assemble(config)
  shapes = jax.eval_shape(functools.partial(load.fresh_params, method, model))
  assert shapes.keys() == method.networks(config).keys()
