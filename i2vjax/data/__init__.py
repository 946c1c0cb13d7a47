"""Frames: sources, annotations, transforms, the loader. `open_source` opens a split."""

from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data import scenes
from i2vjax.data.annotations import class_maps, edge_maps
from i2vjax.data.source import FrameSource
from i2vjax.data.sources import clip_splitting, folders, locate, records
from i2vjax.data.transforms import preprocess, rendering, tasks

# `data.source` -> module with open_split(data, split, domain).
SOURCES = {'scenes': scenes, 'folders': folders, 'tfds': records}
OTHER = {'a': 'b', 'b': 'a'}


def open_source(data: ConfigDict, split: str, domain: str) -> FrameSource | None:
  """The frames of one split and domain.

  Args:
    data: config.data; `data.source` is one of `SOURCES`, `data.direction='b2a'` swaps the domains,
      `data.task`, where a method has it, makes one from the other (transforms/tasks.py).
    split: 'train' | 'test' | 'val'.
    domain: 'a' (the run's source) | 'b' (its target).

  Returns:
    A FrameSource, or None where the split has no such domain (no test frames of b, say).

  Raises:
    UserError: an unknown choice, or frames that do not fit; named.
  """
  if data.source not in SOURCES:
    raise UserError(f"data.source='{data.source}' is unknown: {', '.join(SOURCES)}")
  if data.direction not in ('a2b', 'b2a'):
    raise UserError(f"data.direction='{data.direction}' is unknown: a2b or b2a")
  _refuse_unread(data)

  def open_domain(domain):
    return _open_field(data, split, field_domain(data, domain))

  def missing(split, domain):
    return locate.missing(data, split, domain)
  return tasks.apply(data, split, domain, open_domain, missing)


def _refuse_unread(data):
  """Places and sizes of files that a source has no use for would be passed over in silence."""
  for name in ('resize', 'crop'):
    if data.source != 'folders' and (value := data.prepare[name]):
      raise UserError(f'data.prepare.{name}={value}: that is for files in folders, and data.source '
                      f'is {data.source}; add --config.data.source=folders, or leave it away')
  for name in ('root', 'name', *locate.PLACES):
    if data.source == 'scenes' and data.get(name):
      raise UserError(f'data.{name}={data[name]}: data.source is scenes, the built-in street, '
                      'which reads no files; add --config.data.source=folders (or tfds), or leave '
                      f'data.{name} away')


def field_domain(data: ConfigDict, domain: str) -> str:
  """The letter in the fields of `data` (`train_a`, `labels_b`) for a domain of the run."""
  return OTHER[domain] if data.direction == 'b2a' else domain


def _open_field(data, split, domain):
  """The frames of `data.<split>_<domain>`, preprocessed; in training with their annotations."""
  if data.source == 'folders':
    data = clip_splitting.of_domain(data, domain)
  source = SOURCES[data.source].open_split(data, split, domain)
  if source is None:
    return None
  if domain == 'a':
    source = rendering.apply(source, data)
  if data.source == 'folders':
    source = preprocess.apply(source, data, split)
  if split == 'train':
    source = class_maps.apply(source, data, domain)
    source = edge_maps.apply(source, data, domain)
  return source
