"""Pages of the reference: one for each part of the package, all of its modules on it."""

import ast
import pathlib


def pages(root: pathlib.Path) -> dict[str, str]:
  """{page: markdown}; the docstrings themselves are filled in by mkdocstrings."""
  parts = parts_of(root / 'i2vjax')
  table = ['# Reference', '', 'Made from the docstrings. What is meant for others to call from '
           'their own programs is [`i2vjax.api`](api.md), described in [From Python](../python.md);'
           ' all else may change between versions.', '', '| part | is |', '|---|---|']
  made = {}
  for name, paths in parts.items():
    first = (ast.get_docstring(ast.parse(paths[0].read_text(encoding='utf-8'))) or '').split('\n')
    table.append(f'| [`i2vjax.{name}`]({name}.md) | {first[0].replace("|", "/")} |')
    made[f'reference/{name}.md'] = '\n'.join(
        [f'# `i2vjax.{name}`', '', *(f'::: {module(root, path)}\n' for path in paths)])
  return {'reference/index.md': '\n'.join(table) + '\n', **made}


def parts_of(package: pathlib.Path) -> dict[str, list[pathlib.Path]]:
  """{part: its files, that with the docstring of the whole first}; folders in folders are parts."""
  parts = {'api': [package / 'api.py']}
  for path in sorted(package.rglob('*.py')):
    above = path.parent.relative_to(package).parts
    if path.name == '__init__.py' and not above:
      continue
    parts.setdefault('.'.join(above) or path.stem, []).append(path)
  return {name: list(dict.fromkeys(paths)) for name, paths in parts.items()}


def module(root: pathlib.Path, path: pathlib.Path) -> str:
  """Dotted name of a file."""
  names = path.relative_to(root).with_suffix('').parts
  return '.'.join(names[:-1] if names[-1] == '__init__' else names)
