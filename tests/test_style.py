"""Rules that a reader relies on: first lines, and words that are no English."""

import ast
import pathlib
import re

ROOT = pathlib.Path(__file__).parents[1]
FILES = [path for folder in ('i2vjax', 'configs', 'benchmarks')
         for path in sorted((ROOT / folder).rglob('*.py'))]
RIDDLES = re.compile(r'by wish|and kin\b|as of `|in words(?!\.items)|told, not refused|'
                     'stands in for')
BRITISH = re.compile('colour|grey|optimis[ei]|normalis[ei]|initialis[ei]|centre|neighbour', re.I)


def test_first_lines_say_what_a_file_is_in_at_most_12_words():
  long = []
  for path in FILES:
    first = (ast.get_docstring(ast.parse(path.read_text())) or '').split('\n')[0]
    if not 1 <= len(first.split()) <= 12:
      long.append(f'{path.relative_to(ROOT)}: {first!r}')
  assert not long, '\n'.join(long)


def test_no_riddles_and_one_spelling():
  """Old spellings stand in one table alone, which reads earlier run folders."""
  lines = [f'{path.relative_to(ROOT)}:{number}: {line.strip()}'
           for path in FILES for number, line in enumerate(path.read_text().splitlines(), 1)
           if (RIDDLES.search(line) or BRITISH.search(line)) and 'OLD_' not in line]
  assert not lines, '\n'.join(lines)
