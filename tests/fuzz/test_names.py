"""Names from files, lists and records: none leaves the output folder, pages show them as text."""

import os

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.cli import errors
from i2vjax.compare import figures as compare_figures
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, output_paths, result_writers
from i2vjax.data.prepare import prepare
from i2vjax.evaluation.report import figures, html_parts, text
from i2vjax.run import contact_sheet, training_curves

FRAME = np.zeros((8, 8, 1), np.uint8)
HARMLESS = ['-rf', 'a\nb', 'CON', 'nul.png', '...', 'x y', '~', '$HOME', 'ü', 'a' * 200, '.hidden']
EVIL = ['../x', '../../etc/x', '/etc/x', 'a/../../x', '..', 'x\0y', '../out2/x']


@pytest.mark.parametrize('name', EVIL)
def test_names_that_lead_out_are_refused(tmp_path, name):
  with pytest.raises(UserError, match='would lead out of .*out'):
    output_paths.inside(tmp_path / 'out', name)
  with pytest.raises(UserError, match='would lead out'):
    result_writers.write_folder(tmp_path / 'out', [('good', FRAME, None),
                                                   (f'{name}/y', FRAME, None)])
  assert {path.name for path in tmp_path.rglob('*')} <= {'out', 'good.png'}


@pytest.mark.parametrize('name', HARMLESS)
def test_other_names_stay_in_the_folder(tmp_path, name):
  result_writers.write_folder(tmp_path / 'out', [(f'{name}/y', FRAME, None), (name, FRAME, None)])
  found = sorted(os.listdir(tmp_path / 'out'))
  assert found == sorted([name, f'{name}.png']) and os.listdir(tmp_path) == ['out']


def test_a_clip_that_a_pattern_calls_by_the_folder_above_is_refused(tmp_path):
  for name in ('x..-1.png', 'xa-2.png'):   # a single clip has no folder of its own
    images.write_image(tmp_path / 'in' / name, FRAME)
  data = defaults.data()
  data.clip_regex = 'x(.*)-'
  with pytest.raises(UserError, match="'..'.*leads out of a folder"):
    prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'out'), data, domain='a', show=False)
  assert os.listdir(tmp_path) == ['in']


@pytest.mark.parametrize('pattern', ['(', 'x*', '(a)?'])
def test_patterns_that_name_no_clip_are_refused(tmp_path, pattern):
  images.write_image(tmp_path / 'in' / 'b1.png', FRAME)
  data = defaults.data()
  data.clip_regex = pattern
  with pytest.raises(UserError, match='data.clip_regex='):
    prepare.footage(str(tmp_path / 'in'), str(tmp_path / 'out'), data, show=False)


# ---- Pages, tables, plots -----------------------------------------------------------------------

STRANGE = ['<script>alert(1)</script>', 'a|b', 'a\nb', '$x^{$', '_under', '\udcff', '"\'&',
           'x' * 999, '\x1b[31m', '']


@pytest.mark.filterwarnings('ignore:Glyph')
@pytest.mark.parametrize('name', STRANGE)
def test_any_name_is_shown_as_text(name):
  page = html_parts.skeleton(name, [
      html_parts.note(name, name), html_parts.definitions({name: name}),
      html_parts.heading_cell(name, name),
      html_parts.figure(np.zeros((2, 2, 3), np.uint8), name)])
  assert '<script' not in page and "alert(1)</" not in page
  cell = text.markdown(name)
  assert '\n' not in cell and '<' not in cell and '|' not in cell.replace('\\|', '')
  assert contact_sheet.contact_sheet({name: [FRAME]}, columns=[name]).shape[1] < 1500
  name = name.encode('utf-8', 'replace').decode()
  column = text.COLUMNS[0]._replace(heading=name)
  lines = {name: ([1, 2], np.ones((2, 2)))}
  assert compare_figures.plot_panels([(column, name, lines)], [name]).shape[2] == 3
  curve = {'axis': name, 'at': [1, 2], 'rows': {name: [1.0, None]}}
  assert figures.plot_curve(curve, name).shape[2] == 3
  assert training_curves.plot_curves({name: ([1, 2], [0.0, float('nan')])}).shape[2] == 3


def test_a_message_moves_no_cursor():
  said, _ = errors.explain(UserError('a\x1b[2Jb\r\udcff\nü\tc'))
  assert said == 'error: a\\x1b[2Jb\\r\\udcff\nü\tc'


def test_a_log_of_nonsense_has_no_curves(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  path.write_bytes(b'{"step": 1, "a": 2}\n{"step": 2, "a": 1e999}\n[1]\n{"a": 3}\n{"step": "x"}\n'
                   b'{"step": 3, "a": {}}\n\xff\xff\n' + b'[' * 99999 + b'\n{"step": 4, "a"')
  assert training_curves.read_curves(path) == {'a': ([1], [2.0])}
  assert training_curves.terms({f't{k}': ([1], [1.0]) for k in range(999)})[-1]
  assert len(training_curves.terms({f't{k}': ([1], [1.0]) for k in range(999)})) == \
      training_curves.MOST_PANELS
