"""The pages of the documentation, and the commands on them."""

import contextlib
import importlib
import pathlib
import re
import shlex
import sys

from i2vjax import methods

ROOT = pathlib.Path(__file__).parents[2]
PAGES = [ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md')]
PAGES += sorted((ROOT / 'docs').glob('*.md'))
BLOCK = re.compile(r'^```(\w*)\n(.*?)^```$', re.M | re.S)
FILE_BLOCK = re.compile(r'^\*\*`([^`\n]+)`\*\*\n\n```python\n(.*?)^```$', re.M | re.S)


def text_of(page):
  return page.read_text(encoding='utf-8')


def bash_blocks(page):
  """The lines of each bash block of a page, joined where a backslash ends a line."""
  for language, block in BLOCK.findall(text_of(page)):
    if language == 'bash':   # a space before the backslash, or the line goes on within a word
      yield re.sub(r'\\\n\s*', '', block).splitlines()


def inline_commands(page):
  """The commands in a page's running text and tables."""
  prose = BLOCK.sub('', text_of(page)).replace('\n', ' ')
  return re.findall(r'`((?:python|i2vjax) [^`]+)`', prose)


def command_lines(page):
  """The command lines of a page's bash blocks, running text and tables."""
  for lines in bash_blocks(page):
    yield from lines
  yield from inline_commands(page)


def package_arguments(line):
  """Arguments of a `python -m i2vjax.main` or `i2vjax`; None of another line or an abridged one."""
  words = shlex.split(line, comments=True)
  words = ['python', '-m', 'i2vjax.main', *words[1:]] if words[:1] == ['i2vjax'] else words
  for end in ('|', '&&', ';', '>'):   # what follows is the shell's
    words = words[:words.index(end)] if end in words else words
  if words[:3] == ['python', '-m', 'i2vjax.main'] and '...' not in words and len(words) > 3:
    return words[3:]
  return None


def package_commands(page):
  """Arguments of every command of the package on a page, variables of a shell left out."""
  return [arguments for line in command_lines(page)
          if (arguments := package_arguments(line)) is not None]


# ---- Files that a page shows


def code_of(page):
  """{path: code} of the files that a page of docs/ shows whole."""
  return dict(FILE_BLOCK.findall(text_of(ROOT / 'docs' / page)))


def write_files(page, folder):
  """The files that a page shows whole, at their places below a folder."""
  for name, code in code_of(page).items():
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(code, encoding='utf-8')


@contextlib.contextmanager
def checkout_of_toygan(folder, monkeypatch):
  """The three files of adding_a_method.md in `folder`; within, `toygan` is one of the methods."""
  write_files('adding_a_method.md', folder)
  monkeypatch.setattr(methods, '__path__', [*methods.__path__, str(folder / 'i2vjax/methods')])
  try:
    yield
  finally:
    sys.modules.pop('i2vjax.methods.toygan', None)
    if hasattr(methods, 'toygan'):
      delattr(methods, 'toygan')
    importlib.invalidate_caches()
