"""Kinds of films that FFmpeg may open, and their endings.

The one list of both: an ending says that a file is a film, its content says of which kind.
"""

import os
import pathlib

from i2vjax.data.io import cptv_files

# FFmpeg's name of each kind that is read: its endings, first the usual one. Lists of other files
# and addresses (hls, concat, dash, sdp) are no films, whatever their name.
KINDS = {
  'mov': ('.mp4', '.m4v', '.mov', '.qt', '.3gp', '.3g2', '.f4v', '.ismv', '.mj2'),
  'matroska': ('.mkv', '.webm', '.mk3d'),
  'avi': ('.avi', '.divx'),
  'mpeg': ('.mpg', '.mpeg', '.mpe', '.vob', '.vro', '.mod', '.tod'),
  'mpegts': ('.ts', '.mts', '.m2ts', '.m2t', '.trp', '.tp'),
  'mpegvideo': ('.m2v', '.m1v'),      # from here to mjpeg: without a container
  'm4v': ('.m4v',),
  'h264': ('.h264', '.264', '.h26l', '.avc'),
  'hevc': ('.hevc', '.265', '.h265'),
  'vvc': ('.vvc', '.266', '.h266'),
  'obu': ('.obu',), 'av1': ('.av1',), 'vc1': ('.vc1',), 'h263': ('.h263',),
  'mjpeg': ('.mjpeg', '.mjpg'), 'mpjpeg': (),
  'asf': ('.wmv', '.asf', '.dvr-ms'),
  'flv': ('.flv',), 'live_flv': (),
  'ogg': ('.ogv', '.ogm'),
  'mxf': ('.mxf',), 'gxf': ('.gxf',), 'nut': ('.nut',), 'ivf': ('.ivf',), 'dv': ('.dv',),
  'yuv4mpegpipe': ('.y4m',), 'rm': ('.rm', '.rmvb'), 'wtv': ('.wtv',), 'swf': ('.swf',),
}
FORMATS = ','.join(KINDS)
JPEG = b'\xff\xd8'             # how they begin
ENDINGS = (*dict.fromkeys(ending for endings in KINDS.values() for ending in endings),
           cptv_files.ENDING)     # of thermal cameras, read by a library of their own
# Films that nothing here reads: to leave them out of a folder would lose them
UNREAD = ('.r3d', '.braw', '.crm', '.dav', '.seq', '.csq', '.sfmov', '.ptw', '.bik', '.smk', '.flc',
          '.fli', '.nsv', '.mlv')


def is_video(path: str | os.PathLike) -> bool:
  """True if the name ends like a film that is read (any case) and is not hidden."""
  return _ends(path, ENDINGS)


def is_unread(path: str | os.PathLike) -> bool:
  """True if the name ends like a film of a kind that is not read."""
  return _ends(path, UNREAD)


def _ends(path, endings):
  path = pathlib.PurePath(path)
  return path.suffix.lower() in endings and not path.name.startswith('.')


def stated_format(path: str | os.PathLike) -> str | None:
  """FFmpeg's name of a kind that it does not know by content; None for all that it does.

  JPEG one behind the other: FFmpeg takes them for one picture, which is no film.
  """
  if not _ends(path, KINDS['mjpeg']):
    return None
  with open(path, 'rb') as file:
    return 'mjpeg' if file.read(2) == JPEG else None


def ending_of(container: str) -> str:
  """The usual ending of a kind, by FFmpeg's names of it, as in 'matroska,webm'."""
  own = [endings[0] for name in container.split(',') if (endings := KINDS.get(name))]
  return own[0] if own else '.mkv'     # any will do: content tells FFmpeg the kind
