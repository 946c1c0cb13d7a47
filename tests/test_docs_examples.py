"""What pages of the documentation build as an example: a method, a source, a score."""

import importlib
import os
import pickle
import re
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest
from doc_pages import BLOCK, ROOT, checkout_of_toygan, code_of, text_of, write_files

from i2vjax import data, defaults, methods
from i2vjax.cli import parse
from i2vjax.core.errors import UserError
from i2vjax.data import sources
from i2vjax.data.loader.windows import WindowSource
from i2vjax.evaluation import score_table, scorers
from i2vjax.evaluation.report import text as report_text
from i2vjax.methods import base


@pytest.fixture
def toygan(tmp_path, monkeypatch):
  """A checkout of the three files of adding_a_method.md alone; `toygan` is one of the methods."""
  with checkout_of_toygan(tmp_path, monkeypatch):
    yield tmp_path


# ---- adding_a_method.md


def load_file(path):
  """The module in a file."""
  spec = importlib.util.spec_from_file_location(path.stem, path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def test_a_fourteenth_method_is_a_method_a_config_and_a_test(toygan):
  files = {str(path.relative_to(toygan)) for path in toygan.rglob('*') if path.is_file()}
  assert files == {'i2vjax/methods/toygan.py', 'configs/toygan.py', 'tests/methods/test_toygan.py'}
  assert 'toygan' in methods.names()
  method = methods.get('toygan')
  assert all(hasattr(method, name) for name in base.REQUIRED)
  for variant in ('', ':paper', ':demo'):   # as tests/test_configs.py asks of every config
    config = parse.parse(['i2vjax', '--config', f'{toygan}/configs/toygan.py{variant}'])[2]
    assert config.method == 'toygan' and config.variant == (variant[1:] or 'default')
    assert ('pool' in config.gan) == hasattr(method, 'device_state')
    trained = {name for names in method.PLAYERS.values() for name in names}
    assert trained == set(method.networks(config)) <= set(method.example_inputs(config))


TOY_TESTS = ('test_both_players_move_and_all_terms_are_logged',
             'test_a_weight_of_zero_takes_its_term_away',
             'test_trains_goes_on_and_translates')


def test_a_method_of_our_own_needs_no_headings_for_its_page(toygan, monkeypatch):
  """What a paper leaves open is not asked of it; its page says that nothing was measured."""
  monkeypatch.syspath_prepend(str(ROOT / 'docs' / 'site'))
  import method_pages
  method = text_of(toygan / 'i2vjax/methods/toygan.py')
  assert not method_pages.is_published(method)
  page = method_pages.page('toygan', method, text_of(toygan / 'configs/toygan.py'), [])
  assert 'leaves open' not in page and method_pages.NOT_MEASURED in page
  assert "':paper': on folders of real data" in page and '| ---' not in page


@pytest.mark.parametrize('name', TOY_TESTS)
def test_the_test_of_the_page_passes(toygan, tmp_path, name):
  """The last of them trains two steps by the command line, goes on, and translates two frames."""
  tests = load_file(toygan / 'tests/methods/test_toygan.py')
  assert {x for x in vars(tests) if x.startswith('test_')} == set(TOY_TESTS)
  function = getattr(tests, name)
  function(*([tmp_path] if function.__code__.co_argcount else []))


FOLDERS = ('.ci', '.github', 'benchmarks', 'configs', 'docs', 'i2vjax', 'launch', 'notebooks',
           'tests')
# Those that look at every method, or at what a page or a list says of all of them.
OF_ALL = ('tests/test_site.py', 'tests/test_docs.py',
          'tests/test_configs.py', 'tests/test_defaults.py', 'tests/test_imports.py',
          'tests/test_style.py', 'tests/benchmarks/test_equal_time.py',
          'tests/bench/test_targets.py::test_all_methods_have_a_case',
          'tests/methods/test_contract.py', 'tests/methods/test_unet_generators.py')
OF_EACH = ('tests/methods/test_toygan.py', 'tests/methods/test_two_devices.py',
           'tests/methods/test_accumulation.py', 'tests/run/test_averaging.py',
           'tests/interop/test_export_programs.py', 'tests/test_configs.py')


@pytest.mark.slow
@pytest.mark.parametrize(('files', 'chosen'), [
    (OF_ALL, ('-m', 'not slow')), (OF_EACH, ('-k', 'toygan'))], ids=['of all', 'of each'])
def test_the_files_and_the_row_of_the_page_are_all_that_a_method_needs(tmp_path, files, chosen):
  """In a copy of the repository with them, the tests that hold all methods pass."""
  tree = checkout_with_toygan(tmp_path / 'tree')
  environment = {**os.environ, 'PYTHONPATH': str(tree)}
  done = subprocess.run([sys.executable, '-m', 'pytest', '-p', 'no:cacheprovider', '-rf', *chosen,
                         *files], cwd=tree, env=environment, text=True, capture_output=True)
  assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def checkout_with_toygan(tree):
  """A copy of the repository's files with what adding_a_method.md adds."""
  tree.mkdir()
  for place in ROOT.iterdir():
    if place.is_file():
      shutil.copy(place, tree)
    elif place.name in FOLDERS:
      shutil.copytree(place, tree / place.name, ignore=shutil.ignore_patterns('__pycache__'))
  write_files('adding_a_method.md', tree)
  page, readme = text_of(tree / 'docs/adding_a_method.md'), text_of(tree / 'README.md')
  row, = re.findall(r'^\| .*`configs/toygan\.py` \|$', page, re.M)
  last = re.findall(r'^\| .*`configs/\w+\.py` \|$', readme, re.M)[-1]
  (tree / 'README.md').write_text(readme.replace(last, f'{last}\n{row}'), encoding='utf-8')
  return tree


# ---- adding_a_source.md


@pytest.fixture
def arrays(tmp_path, monkeypatch):
  """The module i2vjax.data.sources.arrays of adding_a_source.md."""
  (name, code), = code_of('adding_a_source.md').items()
  assert name == 'i2vjax/data/sources/arrays.py'
  (tmp_path / 'sources').mkdir()
  (tmp_path / 'sources/arrays.py').write_text(code)
  monkeypatch.setattr(sources, '__path__', [*sources.__path__, str(tmp_path / 'sources')])
  yield importlib.import_module('i2vjax.data.sources.arrays')
  sys.modules.pop('i2vjax.data.sources.arrays', None)
  if hasattr(sources, 'arrays'):
    delattr(sources, 'arrays')


def test_the_example_source_keeps_the_contract(arrays, tmp_path):
  folder = tmp_path / 'clips'
  folder.mkdir()
  rng = np.random.default_rng(0)
  clips = [rng.integers(0, 60000, (count, 20, 24)).astype(np.uint16) for count in (3, 4)]
  for k, clip in enumerate(clips):
    np.save(folder / f'clip{k}.npy', clip)
  settings = defaults.data()
  settings.train_a = str(folder)
  source = arrays.open_split(settings, 'train', 'a')
  assert arrays.open_split(settings, 'test', 'b') is None
  assert source.clips == [('clip0', 0, 3), ('clip1', 3, 4)] and len(source) == 7
  copy = pickle.loads(pickle.dumps(source))
  assert repr(copy) == repr(source)
  for i, frame in enumerate(np.concatenate(clips)):
    np.testing.assert_array_equal(source.read(i)['frame'], frame[..., None])
    np.testing.assert_array_equal(copy.read(i)['frame'], frame[..., None])
  assert source.where(4) == 'clip clip1, frame 1'
  windows = WindowSource(source, 2)
  assert len(windows) == 2 + 3
  assert windows[0]['frames'].shape == (2, 20, 24, 1)
  np.testing.assert_array_equal(windows[2]['frames'][..., 0], clips[1][:2])   # no window of both


def test_the_example_source_refuses_what_is_no_clip(arrays, tmp_path):
  with pytest.raises(UserError, match=r'no \.npy files'):
    arrays.ArrayFrames(tmp_path)
  np.save(tmp_path / 'x.npy', np.zeros((2, 3)))
  with pytest.raises(UserError, match=r'x\.npy: float64'):
    arrays.ArrayFrames(tmp_path)


def test_the_example_source_is_opened_by_its_name(arrays, tmp_path, monkeypatch):
  """A line in `SOURCES` is all: `open_source` finds the frames."""
  np.save(tmp_path / 'clip.npy', np.zeros((3, 20, 24), np.uint16))
  monkeypatch.setitem(data.SOURCES, 'arrays', arrays)
  settings = defaults.data()
  settings.update(source='arrays', train_a=str(tmp_path))
  assert len(data.open_source(settings, 'train', 'a')) == 3
  assert data.open_source(settings, 'test', 'b') is None


# ---- adding_a_score.md


@pytest.fixture
def colorfulness():
  """The module of adding_a_score.md, and what the page adds to three of our files."""
  files = code_of('adding_a_score.md')
  assert list(files) == ['i2vjax/metrics/colorfulness.py', 'i2vjax/evaluation/scorers.py']
  metric = types.ModuleType('colorfulness')
  exec(files['i2vjax/metrics/colorfulness.py'], vars(metric))
  with_it = types.SimpleNamespace(**vars(scorers), colorfulness=metric)
  exec(files['i2vjax/evaluation/scorers.py'], vars(with_it))
  names = {**vars(score_table), **vars(report_text), 'scorers': with_it}
  lines = [block for _, block in BLOCK.findall(text_of(ROOT / 'docs/adding_a_score.md'))
           if block.startswith('    ')]
  score, (column,) = eval(f'{{{lines[0]}}}', names), eval(f'({lines[1]})', names)
  return types.SimpleNamespace(metric=metric, scores=score, column=column)


def test_the_example_score_by_hand(colorfulness):
  """Gray: nothing; pure red: both opponents 255 and 127.5 everywhere."""
  red = np.zeros((2, 4, 3), np.uint8)
  assert colorfulness.metric.colorfulness(red + np.uint8(90)) == 0
  red[..., 0] = 255
  expected = 0.3 * np.hypot(255, 127.5)
  assert colorfulness.metric.colorfulness(red) == pytest.approx(expected)
  red[:, ::2] = 0   # half of it black: the spread is half the length, the mean too
  assert colorfulness.metric.colorfulness(red) == pytest.approx(1.3 * np.hypot(255, 127.5) / 2)


def test_the_example_score_is_computed_by_its_name(colorfulness, monkeypatch):
  monkeypatch.setattr(score_table, 'SCORES', {**score_table.SCORES, **colorfulness.scores})
  monkeypatch.setattr(score_table, 'NAMES', tuple(score_table.SCORES))
  monkeypatch.setattr(report_text, 'COLUMNS', (*report_text.COLUMNS, colorfulness.column))
  names, _ = score_table.choose_scores('colorfulness', {})
  config = defaults.get_config()
  *_, scorer = score_table.scorers_for(scorers.Request(config, names))
  total, values, series = scorer.add(scorer.start, None, np.zeros((3, 4, 4, 3), np.uint8))
  assert values == {'colorfulness': 0} and series['colorfulness'].shape == (3,)
  assert [column.key for column in report_text.columns([scorer.result(total)])] == list(names)
