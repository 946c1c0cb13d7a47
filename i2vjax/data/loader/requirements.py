"""Checks before training: frames of both domains, and maps a method reads."""

from collections.abc import Iterable

from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data import field_domain, open_source
from i2vjax.data.loader import windows
from i2vjax.data.source import FrameSource
from i2vjax.data.sources import locate

MAPS = {   # what the pictures in a folder of maps are
    'labels': '8-bit PNGs of the same names holding class ids (255: no class)',
    'edges': '8-bit gray PNGs of the same names, 255 where an edge is',
}


def require_source(data: ConfigDict, split: str, domain: str) -> FrameSource:
  """`data.open_source`; UserError, with the field to set, where there are no such frames."""
  source = open_source(data, split, domain)
  if source is None:
    raise UserError(locate.missing(data, split, field_domain(data, domain)))
  return source


def require_maps(frames: FrameSource, fields: Iterable[str], data: ConfigDict,
                 domain: str) -> None:
  """Refuse training frames without the maps that a method reads, judging by the first frame.

  Args:
    frames: FrameSource. fields: names of `windows.FIELDS` and others.
    data: config.data. domain: 'a' | 'b', of the run.
  """
  required = {name: field for name, field in windows.FIELDS.items() if name in fields}
  record = frames.read(frames.clips[0].start) if required else {}
  for name, field in required.items():
    if field not in record:
      raise UserError(f'{frames!r} has no {name}, which this method needs: name a folder of them, '
                       f'--config.data.{name}_{field_domain(data, domain)}=FOLDER, '
                       f'{MAPS[name]}')
