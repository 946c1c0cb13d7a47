"""The documentation as a site: pages of methods, navigation, what is made of docstrings."""

import pathlib
import sys

import pytest

from i2vjax import methods
from i2vjax.cli import parse

ROOT = pathlib.Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / 'docs' / 'site'))

import docstrings  # noqa: E402
import method_pages  # noqa: E402
import pages  # noqa: E402
import reference_pages  # noqa: E402

METHODS = [name for name in methods.names() if (ROOT / 'configs' / f'{name}.py').exists()]
PUBLISHED = [name for name in METHODS if method_pages.is_published(
    (ROOT / f'i2vjax/methods/{name}.py').read_text())]   # by the first line of their files


@pytest.fixture(scope='module')
def made():
  return method_pages.pages(ROOT)


def section(text, heading):
  """Text below a heading of a page, up to the next."""
  return text.split(f'## {heading}\n')[1].split('\n## ')[0].strip()


def test_every_method_has_a_page_and_a_line_in_the_list(made):
  assert set(made) == {'methods/index.md', *(f'methods/{name}.md' for name in METHODS)}
  assert f' {len(PUBLISHED)} published methods' in made['methods/index.md']
  assert 'cptrans' in PUBLISHED and 'best' not in PUBLISHED
  for name in METHODS:
    assert f']({name}.md)' in made['methods/index.md']


@pytest.mark.parametrize('name', METHODS)
def test_a_page_has_all_its_parts(made, name, monkeypatch):
  """Idea, what is open, a table without gaps, figures with their command, commands that parse.

  A method of our own needs no more than the idea: docs/adding_a_method.md says so.
  """
  text = made[f'methods/{name}.md']
  assert len(section(text, 'Idea and equations')) > (300 if name in PUBLISHED else 0)
  assert ('## What the paper leaves open' in text) == (name in PUBLISHED)
  if name in PUBLISHED:
    assert section(text, 'What the paper leaves open').count('\n- ') >= 2
    rows = section(text, 'Paper, public code, and here').splitlines()
    assert len(rows) >= 6 and {row.count('|') for row in rows} == {5}
  expected = section(text, 'What to expect')
  if name in PUBLISHED or expected != method_pages.NOT_MEASURED:
    measured = any(word in expected for word in ('configs/', 'python benchmarks/'))
    assert '\n| ' in expected and measured, 'no measured row, or without its command'
  monkeypatch.chdir(ROOT)
  command = text.split('```bash\n')[1].splitlines()[0].split()
  assert parse.parse(['i2vjax', *command[3:]])[2].method == name


def test_the_fields_that_a_comparison_names_exist(made, monkeypatch):
  """What stands in backquotes with a dot in the tables and lists is a field of the config."""
  monkeypatch.chdir(ROOT)
  for name in PUBLISHED:
    config = parse.parse(['i2vjax', '--config', f'configs/{name}.py'])[2]
    for heading in ('What the paper leaves open', 'Paper, public code, and here'):
      for word in section(made[f'methods/{name}.md'], heading).split('`')[1::2]:
        block, dot, field = word.partition('=')[0].partition('.')
        if dot:
          assert block in config and field in config[block], f'{name}: {word}'


def test_a_first_line_says_whether_a_method_is_of_a_paper():
  for first, published in (('X (CVPR 2023): y.', True), ('X: y (ours).', True),
                           ('X (ours): y.', False), ('X (ours, an example): y.', False)):
    assert method_pages.is_published(f'"""{first}"""') == published, first


def test_what_is_set_in_keeps_its_lines():
  text = docstrings.markdown('A sum.\n\n  x = a\n    + b\n\nArgs:\n  a: 2 < 3.\n\nIf a * b < c.')
  assert text == ('A sum.\n\n\n```text\nx = a\n  + b\n```\n\nArgs:\n  a: 2 < 3.\n\n'
                  'If a \\* b &lt; c.')


def test_a_table_is_found_with_the_command_above_it():
  text = ('# Page\n\nBy `python -m\nx`:\n\n| | dB |\n|---|---|\n| CUT | 1 |\n\n## Next\n\n'
          '```bash\n# no heading\npython y\n```\n\n| | dB |\n|---|---|\n| CUT | 2 |\n'
          '| CUT2 | 3 |\n')
  first, second = method_pages.tables_of('page.md', text)
  assert first.chapter == first.heading == 'Page' and 'python -m x' in first.command
  assert second.heading == 'Next' and second.command.splitlines()[2] == 'python y'
  assert method_pages.is_about(' CUT ', 'cut', 'CUT and FastCUT')
  assert not method_pages.is_about(' CUT2 ', 'cut', 'CUT and FastCUT')
  assert not method_pages.is_about(' I2V-GAN without EXS', 'gan', 'GAN')


def test_each_page_is_in_the_navigation_once_and_a_new_one_too(tmp_path):
  for page in (ROOT / 'docs').glob('*.md'):
    (tmp_path / page.name).write_text('')
  (tmp_path / 'a_new_page.md').write_text('')
  names = [name for entry in pages.navigation(tmp_path) for part in entry.values() for name in part]
  assert len(names) == len(set(names))
  assert {page.name for page in tmp_path.glob('*.md')} <= set(names)
  assert {'index.md', 'methods/index.md', 'reference/index.md'} <= set(names)


def test_every_module_is_in_the_reference():
  named = {line.removeprefix('::: ') for text in reference_pages.pages(ROOT).values()
           for line in text.splitlines() if line.startswith('::: ')}
  files = {reference_pages.module(ROOT, path) for path in (ROOT / 'i2vjax').rglob('*.py')}
  assert named == files - {'i2vjax'}


def test_a_page_that_loads_from_elsewhere_is_noticed(tmp_path):
  (tmp_path / 'x.html').write_text('<a href="https://a.org">a</a><script src="site.js"></script>')
  assert not pages.foreign_parts(tmp_path)
  (tmp_path / 'y.html').write_text('<script async src="https://b.org/x.js"></script>')
  assert pages.foreign_parts(tmp_path) == ['https://b.org/x.js']
