"""Frames: files, sources, annotations, transforms, the loader. `open_source` opens a split."""

from i2vjax.core.errors import UserError
from i2vjax.data.sources import locate
from i2vjax.data.transforms import preprocess, tasks

SOURCES = ('scenes', 'folders', 'tfds')
OTHER = {'a': 'b', 'b': 'a'}


def open_source(data, split, domain):
  """The frames of one split and domain.

  Args:
    data: config.data; `data.source` is one of `SOURCES`, `data.direction='b2a'` swaps the domains,
      `data.task`, where a method has it, makes one from the other (transforms/tasks.py).
    split: 'train' | 'test' | 'val'.
    domain: 'a' (the run's source) | 'b' (its target).

  Returns:
    A `source.FrameSource`, or None where the split has no such domain (no test frames of b, say).

  Raises:
    UserError: an unknown choice, or frames that do not fit; named.
  """
  if data.source not in SOURCES:
    raise UserError(f"data.source='{data.source}' is unknown: {', '.join(SOURCES)}")
  if data.direction not in ('a2b', 'b2a'):
    raise UserError(f"data.direction='{data.direction}' is unknown: a2b or b2a")

  def given(domain):
    domain = OTHER[domain] if data.direction == 'b2a' else domain
    found = _plain(data, split, domain)
    if found is not None and data.source == 'folders':
      found = preprocess.apply(found, data, split)
    return _annotated(found, data, domain) if found is not None and split == 'train' else found

  def missing(split, domain):
    return locate.missing(data, split, domain)
  return tasks.apply(data, split, domain, given, missing)


def _plain(data, split, domain):
  """The frames as the source has them. Imported when asked for: records bring a heavy library."""
  if data.source == 'scenes':
    from i2vjax.data import scenes as module
  elif data.source == 'folders':
    from i2vjax.data.sources import folders as module
  else:
    from i2vjax.data.sources import records as module
  return module.source(data, split, domain)


def _annotated(found, data, domain):
  """Training frames and the class and edge maps that `data` names, if any."""
  if data.get(f'labels_{domain}', '') or data.get('label_noise', ''):
    from i2vjax.data.annotations import class_maps
    found = class_maps.apply(found, data, domain)
  if data.get(f'edges_{domain}', ''):
    from i2vjax.data.annotations import edge_maps
    found = edge_maps.apply(found, data, domain)
  return found
