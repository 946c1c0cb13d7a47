"""The documentation: its links, its commands, and the code that its pages show."""

import functools
import importlib
import pickle
import re
import shlex
import sys
import types

import numpy as np
import pytest
from doc_pages import BLOCK, PAGES, ROOT, command_lines, package_commands, text_of

from i2vjax import data, defaults, methods
from i2vjax.cli import flags, parse
from i2vjax.compare import experiments
from i2vjax.core.errors import UserError
from i2vjax.data import sources
from i2vjax.data.loader.windows import WindowSource
from i2vjax.evaluation import scorers
from i2vjax.evaluation.report import text as report_text
from i2vjax.methods import base

pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)

FILE_BLOCK = re.compile(r'^\*\*`([^`\n]+)`\*\*\n\n```python\n(.*?)^```$', re.M | re.S)
LINK = re.compile(r'\]\(([^)\s]+)\)')
PATH = re.compile(r'(?<![\w./$~-])((?:i2vjax|configs|benchmarks|tests|docs|launch|notebooks|\.ci)'
                  r'/[\w./-]*\w)')
SHORT_PATH = re.compile(r'`((?:methods|losses|networks|flow|data|run|core|cli|metrics|evaluation'
                        r'|compare|pretrained|interop)/[\w/]*(?:\.py)?)`')
MADE = ('configs/METHOD.py', 'i2vjax/methods/toygan.py', 'configs/toygan.py',
        'tests/methods/test_toygan.py', 'i2vjax/data/sources/arrays.py',
        'i2vjax/metrics/colorfulness.py')   # examples on the pages


def code_of(page):
  """{path: code} of the files that a page shows whole."""
  return dict(FILE_BLOCK.findall(text_of(ROOT / 'docs' / page)))


def rows_of(arguments):
  """Arguments of each run that a `compare` command would train."""
  common = [text for text in arguments if text.startswith('--config.')]
  configs = (flags.flag_value(arguments, 'configs') or '').split(',')
  rows = [value for flag, value in zip(arguments, arguments[1:], strict=False) if flag == '--row']
  for text in [*filter(None, configs), *rows]:
    words = shlex.split(text.partition('=')[2]) if text in rows else [text]
    yield [f'--config={words[0]}', *experiments.with_changes(common, words[1:])]


# ---- Links, paths, commands


@pages
def test_relative_links_lead_to_files(page):
  for target in LINK.findall(text_of(page)):
    if not re.match(r'https?:|mailto:', target):
      name, _, heading = target.partition('#')
      place = page.parent / name if name else page
      assert place.exists(), f'{page.name}: {target}'
      if heading and place.suffix == '.md':
        assert heading in headings(place), f'{page.name}: {target}'


def headings(page):
  """Anchors of a page's headings, as GitHub makes them."""
  titles = re.findall(r'^#+ (.+)$', text_of(page), re.M)
  return {re.sub(r'[^\w\- ]', '', title.lower()).replace(' ', '-') for title in titles}


@pages
def test_paths_that_a_page_names_exist(page):
  if page.name == 'CHANGELOG.md':   # names what was before
    return
  text = text_of(page)
  for name in PATH.findall(text):
    assert name.startswith(MADE) or (ROOT / name).exists(), f'{page.name}: {name}'
  for name in SHORT_PATH.findall(text):
    assert (ROOT / 'i2vjax' / name).exists(), f'{page.name}: {name}'


@pages
def test_commands_parse(page, toygan, monkeypatch):
  """Every command that names a config: its flags and its fields exist. Nothing is run."""
  monkeypatch.chdir(ROOT)
  for arguments in package_commands(page):
    for row in rows_of(arguments) if arguments[0] == 'compare' else [arguments]:
      if flags.flag_value(row, 'config'):
        parse.parse(['i2vjax', *(at_example(word, toygan) for word in row)])
    if arguments[0] == 'compare':
      parse.parse(['i2vjax', *arguments])


def at_example(word, folder):
  """A word of a command with the path of an example config that the page itself shows."""
  return word.replace('configs/toygan.py', str(folder / 'configs/toygan.py'))


@pages
def test_variants_that_a_page_names_exist(page, toygan, monkeypatch):
  monkeypatch.chdir(ROOT)
  for name in set(re.findall(r'configs/[a-z0-9_]+\.py:[a-z0-9_-]*[a-z0-9]', text_of(page))):
    parse.parse(['i2vjax', '--config', at_example(name, toygan)])


@pages
def test_flags_of_benchmarks_exist(page):
  """Each flag that a page gives to a program of benchmarks/ stands in that program."""
  for line in command_lines(page):
    words = shlex.split(line, comments=True)
    if words[:1] == ['python'] and words[1].startswith('benchmarks/'):
      program = text_of(ROOT / words[1])
      for word in words[2:]:
        if word.startswith('--') and not word.startswith('--config.'):
          flag = word[2:].partition('=')[0]
          assert re.search(rf'\b{flag}\b', program), f'{page.name}: {words[1]} {word}'


@functools.cache
def all_configs():
  """The configs of all methods, and the fields that a command without one has."""
  return [parse.parse(['i2vjax', '--config', str(path)])[2]
          for path in sorted((ROOT / 'configs').glob('*.py'))] + [defaults.get_config()]


@pages
def test_fields_that_a_page_names_exist(page):
  """Every --config.FIELD anywhere on a page is a field of some config."""
  if page.name == 'CHANGELOG.md':
    return
  named = set(re.findall(r'--config\.([a-z_0-9]+(?:\.[a-z_0-9]+)*)', text_of(page)))
  for field in sorted(named):
    assert any(has_field(config, field) for config in all_configs()), f'{page.name}: {field}'


def has_field(config, field):
  """True if a config has a field 'block.name'."""
  for part in field.split('.'):
    if not hasattr(config, 'keys') or part not in config:
      return False
    config = config[part]
  return True


def test_flags_in_the_table_of_commands_exist():
  """README names flags beside its commands: each is one of the command line's."""
  values = flags.flags.FlagValues()
  flags.define_flags(values)
  table = text_of(ROOT / 'README.md').split('## Commands')[1].split('\n## ')[0]
  named = set(re.findall(r'`(?:[a-z ]*)--([a-z_]+)', table)) - {'config'}
  assert named and named <= set(values), named - set(values)


def test_what_the_paper_of_cptrans_leaves_open_is_told():
  """Among it the second structure term: Eq. 11 has one of weight 6, the config two."""
  _, _, rest = (ROOT / 'docs/results.md').read_text().partition('### What the paper leaves open')
  section, _, _ = rest.partition('\n## ')
  for word in ('co.lambda_inc', 'ctn.gamma', 'Eq. 11', 'weights.cs_global', 'weights.cs_local=0'):
    assert word in section, word


def test_readme_is_short_and_lists_every_method():
  text = text_of(ROOT / 'README.md')
  assert len(text.splitlines()) <= 150
  for name in methods.names():
    assert f'configs/{name}.py' in text, name


# ---- adding_a_method.md


@pytest.fixture
def toygan(tmp_path, monkeypatch):
  """A checkout of the three files of adding_a_method.md alone; `toygan` is one of the methods."""
  for name, code in code_of('adding_a_method.md').items():
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(code)
  monkeypatch.setattr(methods, '__path__', [*methods.__path__, str(tmp_path / 'i2vjax/methods')])
  yield tmp_path
  sys.modules.pop('i2vjax.methods.toygan', None)
  if hasattr(methods, 'toygan'):
    delattr(methods, 'toygan')
  importlib.invalidate_caches()


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


@pytest.mark.parametrize('name', TOY_TESTS)
def test_the_test_of_the_page_passes(toygan, tmp_path, name):
  """The last of them trains two steps by the command line, goes on, and translates two frames."""
  tests = load_file(toygan / 'tests/methods/test_toygan.py')
  assert {x for x in vars(tests) if x.startswith('test_')} == set(TOY_TESTS)
  function = getattr(tests, name)
  function(*([tmp_path] if function.__code__.co_argcount else []))


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
  """The module of adding_a_score.md, and what the page adds to scorers.py and text.py."""
  files = code_of('adding_a_score.md')
  assert list(files) == ['i2vjax/metrics/colorfulness.py', 'i2vjax/evaluation/scorers.py']
  metric = types.ModuleType('colorfulness')
  exec(files['i2vjax/metrics/colorfulness.py'], vars(metric))
  names = {**vars(scorers), **vars(report_text), 'colorfulness': metric}
  exec(files['i2vjax/evaluation/scorers.py'], names)
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
  monkeypatch.setattr(scorers, 'SCORES', {**scorers.SCORES, **colorfulness.scores})
  monkeypatch.setattr(scorers, 'NAMES', tuple(scorers.SCORES))
  monkeypatch.setattr(report_text, 'COLUMNS', (*report_text.COLUMNS, colorfulness.column))
  names, _ = scorers.choose_scores('colorfulness', {})
  config = defaults.get_config()
  *_, scorer = scorers.scorers_for(scorers.Request(config, names))
  total, values, series = scorer.add(scorer.start, None, np.zeros((3, 4, 4, 3), np.uint8))
  assert values == {'colorfulness': 0} and series['colorfulness'].shape == (3,)
  assert [column.key for column in report_text.columns([scorer.result(total)])] == list(names)
