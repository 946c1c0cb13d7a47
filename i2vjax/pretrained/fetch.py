"""Known weight files onto this machine: the only code that opens a network connection.

A download is written as NAME.part, goes on where an earlier attempt stopped, and gets its name only
after its hash fits and it can be read. A local file is looked at where it lies, then copied.
"""

import http.client
import os
import pathlib
import re
import shutil
import urllib.error
import urllib.request

from tqdm import tqdm

from i2vjax.core.errors import UserError
from i2vjax.core.files import save_atomic
from i2vjax.pretrained import files, registry

PIECE = 1 << 20   # bytes at a time
SILENCE = 60      # seconds without a byte before the connection counts as broken
OWN_DISK = 'on a machine without a network, bring the file and use --file PATH'


def listing(config):
  """Text: every known file with its size, license, and where it is or that it is missing."""
  lines = [f'{"id":15}{"MB":>6}  {"present":9}license; file']
  for item in registry.ENTRIES.values():
    here = registry.find(item, config)
    lines.append(f'{item.id:15}{item.megabytes:6.3g}  {"yes" if here else "-":9}{item.license}; '
                 f'{here or item.file}')
  lines += ['get one:   python -m i2vjax.main fetch ID [--file PATH | --url URL]',
            'they lie in ' + ', '.join(map(str, registry.places(config)))]
  return '\n'.join(lines)


def fetch(weight_id, config, file=None, url=None, show=True):
  """Bring a weight file to its place.

  Args:
    weight_id: key of `registry.ENTRIES`.
    config: ConfigDict; the first of `registry.places` is where the file goes.
    file: local file to take instead of a download, under any name.
    url: another address than the known one.
    show: progress bar.

  Returns:
    pathlib.Path of the file, verified.

  Raises:
    ValueError: an unknown id, a file that is not the published one, or one that cannot be read.
    FileNotFoundError: `file` does not exist.
    OSError: no connection, an answer other than the file, or no space; what has come is kept.
  """
  item = registry.entry(weight_id)
  places = [folder / item.file for folder in registry.places(config)]
  here = next((path for path in places if path.is_file()), None)
  if here and not file:
    registry.verify(item, here)
    return here
  target = places[0]
  target.parent.mkdir(parents=True, exist_ok=True)
  if file:
    _take(item, pathlib.Path(file).expanduser(), target)
  else:
    part, origin = target.with_name(target.name + '.part'), url or item.url + item.file
    download(origin, part, show, f'python -m i2vjax.main fetch {weight_id}')
    _accept(item, part, target, origin)
  registry.verify(item, target)   # notes the hash of a file whose name has none
  return target


def _take(item, source, target):
  """Copy a local file to its place if it is the published one."""
  if not source.is_file():
    raise FileNotFoundError(f'--file {source}: no such file')
  _check(item, source, target.suffix, f'--file {source}')
  save_atomic(target, lambda temporary: shutil.copyfile(source, temporary))


def _check(item, path, suffix, origin):
  """Raises ValueError if a file cannot be read or is not the published one."""
  files.read(path, lambda name: False, suffix=suffix)
  digest, expected = registry.sha256(path), registry.published(item)
  if expected and not digest.startswith(expected):
    raise UserError(f'{origin} is not {item.file}: its SHA-256 begins with {digest[:8]}, not with '
                     f'{expected}')


def _accept(item, part, target, origin):
  """Give the part its name if it can be read and is the published file; else delete it."""
  try:
    _check(item, part, target.suffix, origin)
  except ValueError as error:
    part.unlink()
    raise UserError(f'{error}. What came was deleted') from error
  os.replace(part, target)


# ---- download ----------------------------------------------------------------------------------


def download(url, part, show, command):
  """Get `url` into `part`, going on from the bytes that are there.

  Proxies are those of the environment (`https_proxy`, `no_proxy`).

  Args:
    url: http or https address.
    part: pathlib.Path of the unfinished file.
    show: progress bar.
    command: what to type again; for messages.

  Raises:
    ValueError: not an address of that kind.
    OSError: says what went wrong, how much has come, and what to do.
  """
  if not url.startswith(('https://', 'http://')):
    raise UserError(f'--url {url}: addresses begin with https:// or http://; for a local file use '
                     '--file')
  have = part.stat().st_size if part.exists() else 0
  try:
    with _connect(url, have) as answer:
      total = _receive(answer, part, have, show)
  except KeyboardInterrupt as stop:
    raise KeyboardInterrupt(f'{_so_far(part)}. Start again to go on:\n  {command}') from stop
  except urllib.error.HTTPError as error:
    if error.code == 416:   # nothing lies beyond what we have: whole, or of another file
      return
    raise OSError(f'{url} answers {error.code} {error.reason}. Try another address with --url; or, '
                  f'{OWN_DISK}') from error
  except (OSError, ValueError, http.client.HTTPException) as error:
    reason = getattr(error, 'reason', error)
    raise OSError(f'{url} could not be fetched ({reason}); {_so_far(part)}. Start again to go on:\n'
                  f'  {command}\nor, {OWN_DISK}') from error
  if total is not None and part.stat().st_size < total:
    raise OSError(f'{url} broke off: {_so_far(part)} of {total}. Start again to go on:\n'
                  f'  {command}')


def _connect(url, have):
  headers = {'User-Agent': 'i2vjax', **({'Range': f'bytes={have}-'} if have else {})}
  opener = urllib.request.build_opener()   # reads the proxies now, urlopen's once and for all
  return opener.open(urllib.request.Request(url, headers=headers), timeout=SILENCE)


def _so_far(part):
  return f'{part.stat().st_size if part.exists() else 0} bytes have come'


def _receive(answer, part, have, show):
  """Write the answer behind the bytes that are there. Returns the whole length, None if unknown."""
  span = re.match(r'bytes (\d+)-\d+/(\d+|\*)', answer.headers.get('Content-Range', ''))
  start = int(span.group(1)) if answer.status == 206 and span else 0
  if start not in (0, have):
    raise UserError(f'asked for bytes from {have}, got them from {start}')
  length = answer.headers.get('Content-Length')
  total = start + int(length) if length else None
  bar = tqdm(total=total, initial=start, unit='B', unit_scale=True, desc=part.stem,
             disable=not show)
  with bar, open(part, 'r+b' if start else 'wb') as file:
    file.seek(start)
    while piece := answer.read(PIECE):
      file.write(piece)
      bar.update(len(piece))
  return total
