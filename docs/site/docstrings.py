"""Docstrings as Markdown: equations and lists that are set in keep their lines."""

import re

try:
  from griffe import Extension
except ImportError:   # the pages of methods need the functions alone
  Extension = object

SECTION = re.compile(r'(Args|Arguments|Attributes|Raises|Returns|Yields|Examples?):$')


def markdown(text: str) -> str:
  """Markdown of a docstring: what is set in by spaces becomes a block that keeps its lines.

  Sections that a parser of docstrings knows (Args, Returns, ...) stay as they are.
  """
  lines, out, block = text.splitlines(), [], []
  in_section = False

  def flush():
    while block and not block[-1].strip():
      block.pop()
    if block:
      margin = min(len(line) - len(line.lstrip()) for line in block if line.strip())
      out.extend(['', '```text', *(line[margin:] for line in block), '```', ''])
    block.clear()
  for line in lines:
    if line.strip() and not line.startswith(' '):
      flush()
      in_section = bool(SECTION.match(line))
      out.append(line if in_section else escaped(line))
    elif in_section:
      out.append(line)
    elif block or line.strip():
      block.append(line)
    else:
      out.append(line)
  flush()
  return '\n'.join(out)


def escaped(line: str) -> str:
  """A line whose < and * outside of backquotes are shown as they are."""
  parts = line.split('`')
  parts[::2] = [part.replace('<', '&lt;').replace('*', '\\*') for part in parts[::2]]
  return '`'.join(parts)


class KeepLines(Extension):
  """Griffe extension: every docstring through `markdown`."""

  def on_object(self, *, obj, **kwargs):
    """Called for each module, class, function and attribute."""
    if obj.docstring:
      obj.docstring.value = markdown(obj.docstring.value)
