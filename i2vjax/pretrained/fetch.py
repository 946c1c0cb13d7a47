"""Known weight files from their addresses, a mirror, or a local file.

A download is written as NAME.part, continues where an earlier attempt stopped if the server still
has the same file, and gets its name only after its hash fits and it can be read. A local file is
checked in its place, then copied.
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
from i2vjax.core.files import save_atomic, save_text
from i2vjax.pretrained import files, registry

CHUNK_BYTES = 1 << 20
TIMEOUT = 60   # seconds without a byte before the connection counts as broken
GREATEST = 2     # a file this many times as large as the known one is not received to its end
MIRROR = 'I2VJAX_MIRROR'   # environment variable: a folder with the files
OFFLINE_HINT = 'on a machine without a network, bring the file and use --file PATH'


def listing(config):
  """Text: every known file with its size, license, and where it is or that it is missing."""
  lines = [f'{"id":15}{"MB":>6}  {"SHA-256":10}{"present":9}license; file']
  for item in registry.ENTRIES.values():
    path = registry.find(item, config)
    digest = registry.published(item) or 'first use'
    lines.append(f'{item.id:15}{item.megabytes:6.3g}  {digest:10}{"yes" if path else "-":9}'
                 f'{item.license}; {path or item.file}')
  lines += ['get one:   python -m i2vjax.main fetch ID [--file PATH | --url URL | --mirror DIR]',
            'searched:  ' + ', '.join(map(str, registry.search_folders(config)))]
  return '\n'.join(lines)


def fetch(weight_id, config, file=None, url=None, show=True, mirror=None):
  """Download a weight file, or copy a local one, into the folder for weights.

  Args:
    weight_id: key of `registry.ENTRIES`.
    config: ConfigDict; the first of `registry.search_folders` is where the file goes.
    file: local file to take instead of a download, under any name.
    url: an address to use instead of the known one.
    show: progress bar.
    mirror: folder that has the files under their names, instead of a download; None: that of
      $I2VJAX_MIRROR, if it is set.

  Returns:
    pathlib.Path of the file, verified.

  Raises:
    UserError: an unknown id, a file that is not the published one, or one that cannot be read.
    FileNotFoundError: `file` does not exist, or the mirror does not have it.
    OSError: no connection, an answer other than the file, or no space; the received part is kept.
  """
  item, mirror = registry.entry(weight_id), mirror or os.environ.get(MIRROR)
  candidates = [folder / item.file for folder in registry.search_folders(config)]
  present = next((path for path in candidates if path.is_file()), None)
  if present and not file:
    registry.verify(item, present)
    return present
  target = candidates[0]
  target.parent.mkdir(parents=True, exist_ok=True)
  if file:
    _copy(item, pathlib.Path(file).expanduser(), target, f'--file {file}')
  elif mirror and not url:
    source = pathlib.Path(mirror).expanduser() / item.file
    _copy(item, source, target, f'{source} of the mirror ({MIRROR} or --mirror)')
  else:
    part, origin = target.with_name(target.name + '.part'), url or item.url + item.file
    download(origin, part, show, f'python -m i2vjax.main fetch {weight_id}',
             GREATEST * item.megabytes * 1e6 + CHUNK_BYTES)
    _accept(item, part, target, origin)
  registry.verify(item, target)   # stores the hash of a file whose name has none
  return target


def _copy(item, source, target, name):
  """Copy a local file to `target` if it is the published one."""
  if not source.is_file():
    raise FileNotFoundError(f'{name}: no such file')
  _check(item, source, target.suffix, name)
  save_atomic(target, lambda temporary: shutil.copyfile(source, temporary))


def _check(item, path, suffix, origin):
  """Refuse a file that is not the published one, before a byte of it is read; or is damaged."""
  digest, expected = registry.sha256(path), registry.published(item)
  if expected and not digest.startswith(expected):
    raise UserError(f'{origin} is not {item.file}: its SHA-256 begins with {digest[:8]}, not with '
                    f'{expected} ({files.guess(path)})')
  files.read(path, lambda name: False, suffix=suffix)


def _accept(item, part, target, origin):
  """Rename the part if it can be read and is the published file; else delete it."""
  try:
    _check(item, part, target.suffix, origin)
  except UserError as error:
    _forget(part)
    raise UserError(f'{error}. What came was deleted') from error
  os.replace(part, target)
  _forget(part)


# ---- download ----------------------------------------------------------------------------------


def download(url, part, show, command, most=float('inf')):
  """Download `url` into `part`, continuing after the bytes that it has.

  It continues only with the same file: the server's mark of its version (ETag, Last-Modified) is
  kept beside the part, and sent back as If-Range. Proxies are those of the environment
  (`https_proxy`, `no_proxy`, in small or capital letters).

  Args:
    url: http or https address.
    part: pathlib.Path of the unfinished file.
    show: progress bar.
    command: the command that continues the download, for messages.
    most: bytes; of a longer answer nothing is kept.

  Raises:
    UserError: not an address of that kind, or a longer answer.
    OSError: says what went wrong, how much was received, and what to do.
  """
  if not url.startswith(('https://', 'http://')):
    raise UserError(f'--url {url}: addresses begin with https:// or http://; for a local file use '
                     '--file')
  have = part.stat().st_size if part.exists() else 0
  try:
    with _connect(url, have, _mark(part)) as answer:
      total = _receive(answer, part, have, show, most)
  except KeyboardInterrupt as stop:
    raise KeyboardInterrupt(f'{_so_far(part)}. Start again to go on:\n  {command}') from stop
  except urllib.error.HTTPError as error:
    if error.code == 416:   # no bytes after ours: the part is whole, or of another file
      return
    raise OSError(f'{url} answers {error.code} {error.reason}. Try another address with --url; or, '
                  f'{OFFLINE_HINT}') from error
  except UserError as error:
    _forget(part)
    raise UserError(f'{url}: {error}. What came was deleted') from error
  except (OSError, ValueError, http.client.HTTPException) as error:
    reason = getattr(error, 'reason', error)
    raise OSError(f'{url} could not be fetched ({reason}); {_so_far(part)}. Start again to go on:\n'
                  f'  {command}\nor, {OFFLINE_HINT}') from error
  if total is not None and part.stat().st_size < total:
    raise OSError(f'{url} broke off: {_so_far(part)} of {total}. Start again to go on:\n'
                  f'  {command}')


def _connect(url, have, mark):
  headers = {'User-Agent': 'i2vjax', 'Accept-Encoding': 'identity'}
  if have:
    headers |= {'Range': f'bytes={have}-'} | ({'If-Range': mark} if mark else {})
  # Reads the proxies now; urlopen reads them only once per process.
  opener = urllib.request.build_opener()
  return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT)


def _mark_file(part):
  return part.with_name(part.name + '.mark')


def _mark(part):
  """The server's mark of the version that the part is of, or ''."""
  file = _mark_file(part)
  return file.read_text() if file.is_file() and part.is_file() else ''


def _remember(part, headers):
  """Keep the mark of a version beside the part; a weak one says nothing about bytes."""
  mark = headers.get('ETag') or ''
  mark = headers.get('Last-Modified') or '' if mark.startswith('W/') or not mark else mark
  if mark:
    save_text(_mark_file(part), mark)
  else:
    _mark_file(part).unlink(missing_ok=True)


def _forget(part):
  """Delete an unfinished download."""
  part.unlink(missing_ok=True)
  _mark_file(part).unlink(missing_ok=True)


def _so_far(part):
  return f'{part.stat().st_size if part.exists() else 0} bytes have come'


def _receive(answer, part, have, show, most):
  """Append the answer to the bytes of `part`. Returns the whole length, None if unknown."""
  span = re.match(r'bytes (\d+)-\d+/(\d+|\*)', answer.headers.get('Content-Range', ''))
  start = int(span.group(1)) if answer.status == 206 and span else 0
  if start not in (0, have):
    raise ValueError(f'asked for bytes from {have}, got them from {start}')
  length = answer.headers.get('Content-Length')
  total = start + int(length) if length else None
  _check_length(total or 0, most)
  bar = tqdm(total=total, initial=start, unit='B', unit_scale=True, desc=part.stem,
             disable=not show)
  with bar, open(part, 'r+b' if start else 'wb') as file:
    if not start:
      _remember(part, answer.headers)
    file.seek(start)
    while chunk := answer.read(CHUNK_BYTES):
      file.write(chunk)
      _check_length(file.tell(), most)
      bar.update(len(chunk))
  return total


def _check_length(length, most):
  if length > most:
    raise UserError(f'it is longer than {most / 1e6:.0f} MB, which the file is not')
