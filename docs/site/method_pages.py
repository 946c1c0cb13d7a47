"""Pages of the methods, each made from its method file, its config and the measured tables.

A method's docstring has the idea with its equations, then `Left open by the paper:` with a list.
Its config's docstring has commands, a table `Paper, public code, here:` and `Expect:`. Figures are
those that stand on the pages in PLACES, with the command above their table. A method of our own
(`is_published`) has no paper, hence neither list nor comparison, and may be measured later.
"""

import ast
import pathlib
import re
from typing import NamedTuple

import docstrings

LEFT_OPEN = 'Left open by the paper:'
COMPARED = 'Paper, public code, here:'
LINKED = re.compile(r'(docs/(\w+\.md))')
BESIDE = ('best single color', 'the input itself', 'mean color per class (ceiling)')
PLACES = ('results.md', 'performance.md', 'best.md')
NOT_MEASURED = 'Nothing of it has been measured yet.'


class Table(NamedTuple):
  """A table of measurements: where it stands, what gave it, its lines."""

  page: str
  chapter: str
  heading: str
  command: str
  lines: list[str]


def pages(root: pathlib.Path) -> dict[str, str]:
  """{page: markdown}, a page each and one that lists them."""
  tables = [table for name in PLACES if (root / 'docs' / name).exists()
            for table in tables_of(name, (root / 'docs' / name).read_text(encoding='utf-8'))]
  made, rows, published, ours = {}, [], 0, []
  for config in sorted((root / 'configs').glob('*.py')):
    method = (root / 'i2vjax' / 'methods' / config.name).read_text(encoding='utf-8')
    name, text = config.stem, page(config.stem, method, config.read_text(encoding='utf-8'), tables)
    first = docstring(method).split('\n')[0]
    if is_published(method):
      published += 1
    else:
      ours.append(title(first))
    rows.append((year(method), f'| [{title(first)}]({name}.md) | {year(method)} | '
                               f'{first.partition(": ")[2].rstrip(".")} | `configs/{name}.py` |'))
    made[f'methods/{name}.md'] = text
  index = ['# Methods', '', f'One trainer, {published} published methods, and of our own '
           f'{", ".join(ours)}. Which to take? What has been measured side by side is in [the '
           'table of all methods](../results.md#all-unpaired-methods-side-by-side); CPTrans is '
           'what this package was written for, and the weights inside it were trained by best. '
           'GTC alone needs frames of both cameras that show the same; MornGAN needs class maps '
           'of the daylight frames.', '',
           '| method | year | in a line | config |', '|---|---|---|---|',
           *(row for _, row in sorted(rows, reverse=True))]
  return {'methods/index.md': '\n'.join(index) + '\n', **made}


def docstring(source: str) -> str:
  """The docstring of a module."""
  return ast.get_docstring(ast.parse(source)) or ''


def year(source: str) -> int:
  """YEAR of a method file."""
  return int(re.search(r'^YEAR = (\d+)', source, re.M)[1])


def is_published(source: str) -> bool:
  """True of a method file whose first line does not say `NAME (ours...`: it is of a paper."""
  return not re.match(r'[^:(]*\(ours\b', docstring(source))


def title(first_line: str) -> str:
  """'CUT and FastCUT' of 'CUT and FastCUT (ECCV 2020): one-sided ...'."""
  return re.split(r' \(|:|,', first_line)[0]


def split_off(text: str, heading: str) -> tuple[str, str]:
  """(a docstring without a section, the section's lines without their margin)."""
  before, found, rest = text.partition(f'{heading}\n')
  if not found:
    return text, ''
  lines = rest.split('\n')
  end = next((i for i, line in enumerate(lines) if line and not line.startswith(' ')), len(lines))
  section = '\n'.join(line.removeprefix('  ') for line in lines[:end]).strip('\n')
  return before + '\n'.join(lines[end:]), section


def page(name: str, method: str, config: str, tables: list[Table]) -> str:
  """Markdown of one method's page."""
  idea, left_open = split_off(docstring(method), LEFT_OPEN)
  first, _, idea = idea.partition('\n')
  about, compared = split_off(docstring(config), COMPARED)
  about, expected = about_and_expected(about)
  variants = variants_of(config)
  paper = ['## What the paper leaves open', '', listed(left_open), ''] if left_open else []
  if compared:
    paper += ['## Paper, public code, and here', '', compared_table(compared), '']
  parts = [
      f'# {title(first)}', '', f'*{docstrings.escaped(first)}*', '',
      *commands(name), '',
      '## Idea and equations', '', docstrings.markdown(idea.strip('\n')), '',
      *paper,
      '## What to expect', '', *expectations(name, title(first), expected, tables), '',
      '## Variants', '', '```text', variants, '```', '',
      f'??? note "The whole config, configs/{name}.py: every number with its source"', '',
      *(f'    {line}' for line in ['```python', *config.rstrip().splitlines(), '```']), '',
      docstrings.markdown(about), '',
      f'Functions and losses one by one: [i2vjax.methods.{name}](../reference/methods.md'
      f'#i2vjax.methods.{name}).', '']
  return '\n'.join(parts)


def commands(name: str) -> list[str]:
  """A block with the commands that try a method on the built-in street."""
  task = ':demo-color' if name == 'gtc' else ':demo'   # GTC is supervised
  return ['```bash',
          f'python -m i2vjax.main --config configs/{name}.py{task} --workdir runs/{name}',
          f'python -m i2vjax.main evaluate --workdir runs/{name}', '```']


def about_and_expected(text: str) -> tuple[str, str]:
  """(a config's docstring less its first line, its commands and `Expect:`; that paragraph)."""
  paragraphs = text.split('\n\n')[1:]
  expected = [text for text in paragraphs if text.startswith('Expect:')]
  rest = [text for text in paragraphs
          if text not in expected and not text.startswith('python -m')]
  return '\n\n'.join(rest), '\n\n'.join(
      text.removeprefix('Expect:').strip() for text in expected)


def variants_of(config: str) -> str:
  """What `get_config` says of its variants."""
  for node in ast.parse(config).body:
    if isinstance(node, ast.FunctionDef) and node.name == 'get_config':
      text = ast.get_docstring(node) or ''
      return text.partition('\n')[2].strip('\n') or text   # all of it where it is a line
  raise ValueError('a config without get_config')


def listed(text: str) -> str:
  """A docstring's list, whose items may go on in a further line, as Markdown."""
  return '\n'.join(docstrings.escaped(line) if line.startswith('- ') else
                   f'  {docstrings.escaped(line.strip())}' for line in text.splitlines())


def compared_table(text: str) -> str:
  """The lines `what | paper | code | here` as a table; a line that is set in goes on."""
  rows: list[str] = []
  for line in text.splitlines():
    if line.startswith(' '):
      rows[-1] += f' {line.strip()}'
    else:
      rows.append(line)
  cells = [[docstrings.escaped(cell.strip()) for cell in row.split('|')] for row in rows]
  return '\n'.join(['| | paper | public code | here |', '|---|---|---|---|',
                    *(f'| {" | ".join(row)} |' for row in cells)])


# ---- Figures


def tables_of(page_name: str, text: str) -> list[Table]:
  """All tables of a page, each with the command that stands nearest above it."""
  found, chapter, heading, command = [], '', '', ''
  for kind, lines in chunks(text):
    if kind == 'heading':
      heading, command = lines[0].lstrip('# '), ''
      chapter = chapter if lines[0].startswith('###') else heading
    elif kind == 'bash':
      command = '\n'.join(lines)
    elif kind == 'table':
      found.append(Table(page_name, chapter, heading, command, lines))
    elif kind == 'text':
      inline = re.findall(r'`((?:time )?(?:python|bash) [^`]+)`', '\n'.join(lines))
      if inline:
        command = '\n'.join(['```bash', *(' '.join(line.split()) for line in inline), '```'])
  return found


def chunks(text: str) -> list[tuple[str, list[str]]]:
  """[(heading, table, text, or the language of a fenced block; its lines)]."""
  out: list[tuple[str, list[str]]] = []
  fence, before = '', ''
  for line in text.splitlines():
    if fence or line.startswith('```'):
      kind = fence or line.strip('`') or 'plain'
      if fence and line.startswith('```'):
        out[-1][1].append(line)
        fence, before = '', ''
        continue
      fence = kind
    else:
      kind = ('heading' if line.startswith('#') else 'table' if line.startswith('|') else
              'text' if line.strip() else '')
    if kind and kind == before and kind != 'heading':
      out[-1][1].append(line)
    elif kind:
      out.append((kind, [line]))
    before = kind
  return out


def expectations(name: str, called: str, expected: str, tables: list[Table]) -> list[str]:
  """Lines: what the config says, and the rows of measured tables that are about the method."""
  out = []
  for table in tables:
    rows = [line for line in table.lines[2:] if is_about(line.split('|')[1], name, called)]
    of_this = (name, called.lower(), f'the demo of {called.lower()}')
    if {table.chapter.lower(), table.heading.lower()} & set(of_this):   # with all its rows
      rows = table.lines[2:]
    elif rows:
      rows += [line for line in table.lines[2:] if line.split('|')[1].strip() in BESIDE]
    if rows:
      anchor = re.sub(r'[^\w\- ]', '', table.heading.lower()).replace(' ', '-')
      out += [f'[{table.heading}](../{table.page}#{anchor}):', '', *table.lines[:2], *rows, '']
      if table.command:
        out += ['??? note "The command of this table"', '',
                *(f'    {line}' for line in table.command.split('\n')), '']
  if not (expected or out):
    return [NOT_MEASURED]
  return [LINKED.sub(r'[\1](../\2)', expected), '', 'Tables under "Earlier measurements" are of '
          'methods [as they were](../results.md#earlier-measurements).', '', *out]


def is_about(cell: str, name: str, called: str) -> bool:
  """True if the first cell of a row names the method."""
  cell = cell.strip().strip('`*').lower()
  return cell not in BESIDE and any(re.match(rf'{re.escape(word)}(?![\w-])', cell)
             for word in {called.lower(), called.lower().split(' and ')[0], name})
