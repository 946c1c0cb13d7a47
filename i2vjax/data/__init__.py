"""Where frames come from. `source(config.data, split, domain)` is all that the rest asks for."""

import importlib

from i2vjax.data import tasks

# Each offers source(data, split, domain). Loaded when asked for: some import heavy libraries.
SOURCES = {
    'scenes': 'i2vjax.data.scenes',
    'folders': 'i2vjax.data.folders',
    'tfds': 'i2vjax.data.tfds_source',
}
# Each offers apply(found, data, domain), for training frames where one of these fields is set.
MAPS = {
    'i2vjax.data.parsed': ('labels_{0}', 'label_noise'),
    'i2vjax.data.beside': ('edges_{0}',),
}
OTHER = {'a': 'b', 'b': 'a'}


def source(data, split, domain):
  """The frames of one split and domain.

  Args:
    data: config.data; `data.source` names the module, `data.direction='b2a'` swaps the domains,
      `data.task`, where a method has it, makes one from the other (tasks.py).
    split: 'train' | 'test' | 'val'.
    domain: 'a' (the run's source) | 'b' (its target).

  Returns:
    A FrameSource, or None where the split has no such domain (no test frames of b, say). It has
    `clips`, a list of (name, start, length); `len()`; `read(i)`, a dict with `frame` (uint8
    [H, W, 1 or 3] or uint16 [H, W, 1]) and, where known, `label` (uint8 [H, W]) and `boxes`;
    `has_flow`; a stable `repr`; and it can be pickled.
  """
  if data.source not in SOURCES:
    raise ValueError(f"data.source='{data.source}' is unknown: {', '.join(sorted(SOURCES))}")
  if data.direction not in ('a2b', 'b2a'):
    raise ValueError(f"data.direction='{data.direction}' is unknown: a2b or b2a")
  module = importlib.import_module(SOURCES[data.source])

  def given(domain):
    domain = OTHER[domain] if data.direction == 'b2a' else domain
    found = module.source(data, split, domain)
    if found is not None and data.source == 'folders':
      found = importlib.import_module('i2vjax.data.prepared').apply(found, data, split)
    return with_maps(found, data, domain) if found is not None and split == 'train' else found
  return tasks.apply(data, split, domain, given)


def with_maps(found, data, domain):
  """Training frames and the class and edge maps that lie beside them, where `data` names any."""
  for module, fields in MAPS.items():
    if any(data.get(field.format(domain), '') for field in fields):
      found = importlib.import_module(module).apply(found, data, domain)
  return found
