"""What training cannot do without: frames of both domains, and the maps that a method reads."""

from i2vjax import data as sources
from i2vjax.core.errors import UserError
from i2vjax.data.loader import windows
from i2vjax.data.sources import locate

MAPS = {   # what a folder of them holds
    'labels': '8-bit PNGs of the same names holding class ids (255: no class)',
    'edges': '8-bit gray PNGs of the same names, 255 where an edge is',
}


def require_source(data, split, domain):
  """`data.open_source`; ValueError, with the field to set, where nothing was given."""
  found = sources.open_source(data, split, domain)
  if found is None:
    raise UserError(locate.missing(data, split, _given(data, domain)))
  return found


def require_maps(frames, extras, data, domain):
  """Refuse training frames without the maps that a method asks for, after a look at the first.

  Args:
    frames: FrameSource. extras: names of `windows.FIELDS` and others.
    data: config.data. domain: 'a' | 'b', of the run.
  """
  wanted = {name: field for name, field in windows.FIELDS.items() if name in extras}
  record = frames.read(frames.clips[0][1]) if wanted else {}
  for name, field in wanted.items():
    if field not in record:
      raise UserError(f'{frames!r} has no {name}, which this method needs: name a folder of them, '
                       f'--config.data.{name}_{_given(data, domain)}=FOLDER, '
                       f'{MAPS[name]}')


def _given(data, domain):
  """The domain as the fields of `data` count, which are named after the files."""
  return sources.OTHER[domain] if data.direction == 'b2a' else domain
