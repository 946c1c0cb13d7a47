"""MkDocs hooks: navigation, pages made from the code, and links out of docs/.

A page that is put into docs/ is in the site without further ado: under a heading if SECTIONS names
it, else under MORE. A file of the repository that a page links to comes along.
"""

from __future__ import annotations

import pathlib
import posixpath
import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:   # what does not need MkDocs can be tested without it
  from mkdocs.config.defaults import MkDocsConfig
  from mkdocs.structure.files import Files
  from mkdocs.structure.pages import Page

ROOT = pathlib.Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / 'docs' / 'site'))   # hooks are loaded by their path

import method_pages  # noqa: E402
import reference_pages  # noqa: E402

MORE = 'Use'
SECTIONS = {
    'Start': ['index.md', 'faq.md', 'app.md', 'notebooks.md'],
    MORE: ['footage.md', 'formats.md', 'scores.md', 'python.md', 'export.md', 'scale.md',
           'reliability.md'],
    'Methods': [],
    'Results': ['results.md', 'best.md', 'papers.md', 'performance.md'],
    'Develop': ['architecture.md', 'adding_a_method.md', 'adding_a_source.md',
                'adding_a_score.md', 'libraries.md', 'CONTRIBUTING.md', 'CHANGELOG.md'],
    'Reference': [],
}
LINK = re.compile(r'(\]\()([^)\s#:]+)(#[^)\s]*)?(?=\))')


def made() -> dict[str, str]:
  """{page of the site: markdown} of all that is not a file in docs/."""
  return {**method_pages.pages(ROOT), **reference_pages.pages(ROOT)}


def site_path(path: str) -> str:
  """Where a file of the repository is in the site."""
  return 'index.md' if path == 'README.md' else path.removeprefix('docs/')


def brought(path: str, found: dict[str, pathlib.Path]) -> None:
  """Adds to `found` {file of the repository: path} a page outside docs/ and what it links to."""
  found[path] = ROOT / path
  if path.endswith('.md'):
    for _, name, _ in LINK.findall((ROOT / path).read_text(encoding='utf-8')):
      target = posixpath.normpath(posixpath.join(posixpath.dirname(path), name))
      outside = not target.startswith(('docs/', '..'))
      if outside and target not in found and (ROOT / target).is_file():
        brought(target, found)


def outside_pages() -> dict[str, pathlib.Path]:
  """{file of the repository: path} of README and all outside docs/ that pages link to."""
  found: dict[str, pathlib.Path] = {}
  for path in ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md']:
    brought(path, found)
  for page in sorted((ROOT / 'docs').glob('*.md')):
    inside: dict[str, pathlib.Path] = {}
    brought(f'docs/{page.name}', inside)
    found |= {name: path for name, path in inside.items() if not name.startswith('docs/')}
  return found


def navigation(docs: pathlib.Path = ROOT / 'docs') -> list[dict]:
  """The navigation: SECTIONS with the pages that exist, and all others."""
  there = {page.name for page in docs.glob('*.md')}
  there |= {site_path(name) for name in outside_pages() if name.endswith('.md')}
  named = {name for names in SECTIONS.values() for name in names}
  sections = {title: [name for name in names if name in there]
              for title, names in SECTIONS.items()}
  sections[MORE] += sorted(there - named)
  for name in made():
    sections['Methods' if name.startswith('methods/') else 'Reference'].append(name)
  return [{title: names} for title, names in sections.items()]


# ---- What MkDocs calls


def on_config(config: MkDocsConfig) -> MkDocsConfig:
  """Sets the navigation."""
  config.nav = navigation()
  return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
  """Adds the pages that are made, and what is outside of docs/."""
  from mkdocs.structure.files import File
  for name, text in made().items():
    files.append(File.generated(config, name, content=text))
  for name, path in outside_pages().items():
    files.append(File.generated(config, site_path(name), abs_src_path=str(path)))
  return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
  """Turns links between files of the repository into links between pages."""
  place = page.file.src_uri
  if place.startswith(('methods/', 'reference/')):
    return markdown
  path = 'README.md' if place == 'index.md' else (
    place if (ROOT / place).is_file() else f'docs/{place}')

  def turned(match: re.Match) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(path), match[2]))
    if not (ROOT / target).is_file():
      return match[0]
    there = posixpath.relpath(site_path(target), posixpath.dirname(place) or '.')
    return f'{match[1]}{there}{match[3] or ""}'
  markdown = LINK.sub(turned, markdown)
  return with_method_pages(markdown) if place == 'index.md' else markdown


def with_method_pages(markdown: str) -> str:
  """README with a link to the page of a method at the first config in each line of its table."""
  return re.sub(r'^(\|[^`\n]*)(`configs/(\w+)\.py`)', r'\1[\2](methods/\3.md)', markdown,
                flags=re.M)


def on_post_build(config: MkDocsConfig) -> None:
  """Refuses a site that would load a script, style, font or picture from elsewhere."""
  foreign = foreign_parts(pathlib.Path(config.site_dir))
  if foreign:
    raise ValueError(f'the site must work without a network, but loads {", ".join(foreign)}')


def foreign_parts(site: pathlib.Path) -> list[str]:
  """Addresses that pages of a built site load as they are shown; links do not count."""
  found = set()
  for page in site.rglob('*.html'):
    text = page.read_text(encoding='utf-8')
    found |= set(re.findall(r'<(?:script|img|iframe|source)[^>]*?\ssrc="?((?:https?:)?//[^"\s>]+)',
                            text))
    found |= set(re.findall(r'<link[^>]*?rel="?(?:stylesheet|preload|preconnect|icon)"?[^>]*?'
                            r'href="?((?:https?:)?//[^"\s>]+)', text))
  return sorted(found)
