"""Parts of the HTML pages: skeleton, style, figures, inline pictures and films.

A page is one file with everything inside: it opens without a network.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping

import cv2
import numpy as np

STYLE = """
:root { color-scheme: light; --ink: #18181b; --faint: #71717a; --line: #e4e4e7; --mark: #0f766e; }
* { box-sizing: border-box; }
body { font: 15px/1.55 system-ui, sans-serif; color: var(--ink); background: #fafafa; margin: 0; }
main { max-width: 1120px; margin: 0 auto; padding: 40px 24px 80px; }
h1 { font-size: 26px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 44px 0 10px; }
h3 { font-size: 14px; margin: 22px 0 6px; font-weight: 600; }
.sub, .note, figcaption { color: var(--faint); font-size: 13px; }
.lead { font-size: 16px; max-width: 75ch; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 14px 18px;
  overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th { text-align: right; font-weight: 600; font-size: 13px; padding: 6px 10px; }
td { text-align: right; padding: 6px 10px; border-top: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td small { display: block; color: var(--faint); font-size: 12px; max-width: 44ch; }
tr.own td { font-weight: 650; color: var(--mark); }
.way { display: block; font-weight: 400; color: var(--faint); font-size: 12px; }
img, video { max-width: 100%; height: auto; display: block; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
.pair { display: flex; gap: 18px; align-items: flex-start; flex-wrap: wrap; }
figure { margin: 0; }
figcaption { width: 0; min-width: 100%; }   /* never wider than its picture */
"""


def escape(value) -> str:
  """Any value as text that HTML shows as it is."""
  return html.escape(str(value))


def skeleton(title: str, parts: Iterable[str], style: str = '') -> str:
  """A whole page.

  Args:
    title: of the browser's tab, escaped here.
    parts: HTML of the body, in order.
    style: CSS of this page besides `STYLE`.
  """
  return (f'<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport '
          f'content="width=device-width"><title>{escape(title)}</title>'
          f'<style>{STYLE}{style}</style><main>{"".join(parts)}</main></html>\n')


def card(content: str, kind: str = 'card') -> str:
  """HTML in a white box."""
  return f'<div class="{kind}">{content}</div>'


def note(heading: str, sentence: str) -> str:
  """A small line of text with a bold beginning, both escaped here."""
  return f'<p class=note><b>{escape(heading)}</b> {escape(sentence)}</p>'


def definitions(facts: Mapping) -> str:
  """{name: value} as a list, both escaped here."""
  rows = [f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>' for name, value in facts.items()]
  return f'<dl>{"".join(rows)}</dl>'


def heading_cell(heading: str, better: str = '') -> str:
  """The head of a column, with which way is better below it."""
  below = f'<span class=way>{escape(better)}</span>' if better else ''
  return f'<th>{escape(heading)}{below}</th>'


def figure(image: np.ndarray, caption: str) -> str:
  """A picture [H, W, 3] uint8 with its caption."""
  return (f'<figure><img src="{inline_png(image)}" width="{image.shape[1]}" '
          f'alt="{escape(caption)}"><figcaption>{escape(caption)}</figcaption></figure>')


def film(data: bytes, caption: str) -> str:
  """The bytes of an .mp4 file as a film with its caption."""
  return (f'<figure><video src="{inline("video/mp4", data)}" controls loop muted playsinline>'
          f'</video><figcaption>{escape(caption)}</figcaption></figure>')


def inline_png(image: np.ndarray) -> str:
  """[H, W, 3] uint8 as an address that holds the picture."""
  _, data = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))
  return inline('image/png', data.tobytes())


def inline(kind: str, data: bytes) -> str:
  """A file's bytes as an address that holds them; `kind` as in 'image/png'."""
  return f'data:{kind};base64,{base64.b64encode(data).decode()}'
