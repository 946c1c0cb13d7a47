"""Every table of five papers as commands, beside the papers' own figures.

  python benchmarks/papers.py                   names of the tables
  python benchmarks/papers.py cptrans-1         its commands, one a line
  python benchmarks/papers.py --page docs/papers.md    writes that page

The tables stand in `benchmarks/paper_tables.py`. The page is made of them, and the tests plan and
run these very commands on small made-up copies of the published sets, so that page, tests and
commands cannot differ.
"""

import argparse
import dataclasses
import pathlib
import textwrap

ENTRY = 'python -m i2vjax.main'
HEAD = """\
# The tables of the papers

Every table, ablation and curve of five papers, with the command that repeats it given the data, the
paper's own figures where we have them, and what cannot be had. Made by `python benchmarks/papers.py
--page docs/papers.md` of `benchmarks/paper_tables.py`; `python benchmarks/papers.py cptrans-1`
prints the commands of one table.

None of these tables was repeated by us at full size: the data must be applied for, and a table is
days on a GPU. What our tests do is plan every command on this page and run it for a few steps, from
`prepare` to the table, on small made-up copies of the published sets. Measured results on the
built-in street: [results.md](results.md). Papers print FID as reported here divided by 100, as far
as anybody could find out; the KID of CPTrans has a polynomial of degree 21. Where a paper leaves
something open, or differs from its public code, the config of the row says what we took and why.

A table refuses, before anything is trained, rows that are not trained with as much of the budget
(`--budget epochs`), rows on other data, and whatever `train` or `evaluate` would refuse later:
missing frames, maps, weight files. Under it stands what all rows have in common. One seed is what
the papers have; `--seeds 0,1,2` adds the spread.

## Once for all

Weight files (`fetch` verifies them; each command says before it trains which ones it lacks):

```bash
{fetch}
```

Records of the published sets, from the folders they were unpacked to (`prepare --help`; each
message says what it looked for and where the set can be had):

```bash
{prepare}
```
"""


@dataclasses.dataclass(frozen=True)
class Command:
  """A command line, perhaps repeated.

  Attributes:
    text: as a shell has it, without line breaks; '$data' or '$run' stands for each of `values`.
    variable: 'data' or 'run', '' where it is not repeated.
    values: what it is repeated for.
    before: what is done by hand or by another program before it, '' for nothing.
  """

  text: str
  variable: str = ''
  values: tuple[str, ...] = ()
  before: str = ''

  def lines(self) -> list[str]:
    """The command for each value."""
    if not self.variable:
      return [self.text]
    return [self.text.replace(f'${self.variable}', value) for value in self.values]


@dataclasses.dataclass(frozen=True)
class Table:
  """A table, ablation or curve of a paper.

  Attributes:
    key: its name here. paper, title: what it is.
    data: names of `DATASETS` that it needs.
    commands: in order; () where it cannot be repeated.
    scores: what `printed` holds, as in 'FID / KID'.
    printed: {column: {row: figures of the paper}}.
    notes: sentences on what is ours, and what cannot be had and why.
  """

  key: str
  paper: str
  title: str
  data: tuple[str, ...] = ()
  commands: tuple[Command, ...] = ()
  scores: str = ''
  printed: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
  notes: tuple[str, ...] = ()


def compare(output: str, rows: dict[str, str], *options: str, data: tuple[str, ...] = (),
            source: str = 'tfds') -> Command:
  """A Command of `compare`: rows {name: 'FILE:VARIANT --config...'}, for each of `data`."""
  options = (*options, f'--config.data.source={source}')
  if data:
    output, options = f'{output}/$data', (*options, '--config.data.name=$data')
  given = ' '.join([*options, *(f"--row '{name}={text}'" for name, text in rows.items())])
  text = f'{ENTRY} compare --output {output} --seeds 0 {given}'
  return Command(text, 'data' if data else '', data)


# ---- the page ---------------------------------------------------------------------------------


def shell(text: str) -> str:
  """A command over several lines, a row of `compare` on each."""
  head, *rows = text.split(' --row ')
  lines = textwrap.wrap(head, 110, break_long_words=False, break_on_hyphens=False)
  return ' \\\n  '.join([*lines, *(f'--row {row}' for row in rows)])


def paragraph(text: str) -> str:
  """A paragraph in lines of at most 118 characters."""
  return '\n'.join(textwrap.wrap(text, 118, break_on_hyphens=False, break_long_words=False)) + '\n'


def block(command: Command) -> str:
  """A command as a block of the page."""
  code = shell(command.text)
  if command.variable:
    code = f'for {command.variable} in {" ".join(command.values)}; do\n{code}\ndone'
  lead = f'{paragraph(command.before)}\n' if command.before else ''
  return f'{lead}```bash\n{code}\n```\n'


def printed(table: Table) -> str:
  """The paper's own figures as Markdown, rows by columns."""
  columns = list(table.printed)
  names = list(dict.fromkeys(row for rows in table.printed.values() for row in rows))
  lines = [f'| {table.scores}, as printed | {" | ".join(columns)} |',
           '|---' * (len(columns) + 1) + '|']
  for name in names:
    cells = [table.printed[column].get(name, '') for column in columns]
    lines.append(f'| {name} | {" | ".join(cells)} |')
  return '\n'.join(lines) + '\n'


def section(table: Table) -> str:
  """A table's part of the page."""
  parts = [f'### {table.title} (`{table.key}`)\n']
  if table.data:
    parts.append(f'Data: {", ".join(f"`{name}`" for name in table.data)}.\n')
  parts += [block(command) for command in table.commands]
  parts += [printed(table)] if table.printed else []
  parts += [paragraph(note) for note in table.notes]
  return '\n'.join(parts)


def page() -> str:
  """All of docs/papers.md."""
  from paper_tables import DATASETS, MISSING, TABLES, WEIGHTS
  fetch = '\n'.join(f'{ENTRY} fetch {name}' for name in WEIGHTS)
  prepare = '\n'.join(prepare_line(name) for name in DATASETS)
  parts = [HEAD.format(fetch=fetch, prepare=prepare)]
  for paper in dict.fromkeys(table.paper for table in TABLES):
    parts.append(f'## {paper}\n')
    parts += [section(table) for table in TABLES if table.paper == paper]
  rows = [f'| {what} | {why} |' for what, why in MISSING.items()]
  parts.append('## What cannot be had\n\n| what | why |\n|---|---|\n' + '\n'.join(rows) + '\n')
  return '\n'.join(parts)


def prepare_line(name: str) -> str:
  """The command that makes records of a set."""
  from paper_tables import DATASETS
  return f'{ENTRY} prepare --dataset {name} --manual_dir {DATASETS[name]}'


def main(arguments=None):
  """Print names or commands, or write the page."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('table', nargs='?', default='', help='print the commands of this table')
  parser.add_argument('--page', type=pathlib.Path, help='write the page to this file')
  options = parser.parse_args(arguments)
  from paper_tables import TABLES
  tables = {table.key: table for table in TABLES}
  if options.page:
    options.page.write_text(page(), encoding='utf-8')
  elif not options.table:
    print('\n'.join(f'{key:20}{table.paper}: {table.title}' for key, table in tables.items()))
  elif options.table not in tables:
    raise SystemExit(f'{options.table}: no such table. There are {", ".join(tables)}')
  else:
    table = tables[options.table]
    for line in [*map(prepare_line, table.data), *(x for c in table.commands for x in c.lines())]:
      print(line)


if __name__ == '__main__':
  main()
