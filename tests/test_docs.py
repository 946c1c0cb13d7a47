"""The documentation: its links, its commands, and what its pages name."""

import functools
import re
import shlex

import pytest
from doc_pages import PAGES, ROOT, checkout_of_toygan, command_lines, package_commands, text_of

from i2vjax import defaults, methods
from i2vjax.cli import flags, parse
from i2vjax.compare import experiments

pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)

LINK = re.compile(r'\]\(([^)\s]+)\)')
PATH = re.compile(r'(?<![\w./$~-])((?:i2vjax|configs|benchmarks|tests|docs|launch|notebooks|\.ci)'
                  r'/[\w./-]*\w)')
SHORT_PATH = re.compile(r'`((?:methods|losses|networks|flow|data|run|core|cli|metrics|evaluation'
                        r'|compare|pretrained|interop)/[\w/]*(?:\.py)?)`')
MADE = ('configs/METHOD.py', 'i2vjax/methods/toygan.py', 'configs/toygan.py',
        'tests/methods/test_toygan.py', 'i2vjax/data/sources/arrays.py',
        'i2vjax/metrics/colorfulness.py')   # examples on the pages


def rows_of(arguments):
  """Arguments of each run that a `compare` command would train."""
  common = [text for text in arguments if text.startswith('--config.')]
  configs = (flags.flag_value(arguments, 'configs') or '').split(',')
  rows = [value for flag, value in zip(arguments, arguments[1:], strict=False) if flag == '--row']
  for text in [*filter(None, configs), *rows]:
    words = shlex.split(text.partition('=')[2]) if text in rows else [text]
    yield [f'--config={words[0]}', *experiments.with_changes(common, words[1:])]


@pytest.fixture
def toygan(tmp_path, monkeypatch):
  """A checkout of the three files of adding_a_method.md alone; `toygan` is one of the methods."""
  with checkout_of_toygan(tmp_path, monkeypatch):
    yield tmp_path


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
  assert len(text.splitlines()) <= 136 + len(methods.names())   # each has a row
  for name in methods.names():
    assert f'configs/{name}.py' in text, name
