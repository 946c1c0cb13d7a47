"""Weights in repositories of the Hugging Face hub: `hf:OWNER/NAME[@REVISION]`.

A repository holds what a starter folder holds (run/starter.py). Files are asked for by their two
fixed names, so that no name in a repository decides where anything is written. Addresses, proxies,
tokens and the cache are those of huggingface_hub (extra `hf`): HF_ENDPOINT, HTTPS_PROXY, HF_HOME.
"""

from __future__ import annotations

import functools
import os
import pathlib
import re
from types import ModuleType

from i2vjax.core import files
from i2vjax.core.errors import UserError

PREFIX = 'hf:'
# The hub's own rule for names; no path is among them.
PART = r'([A-Za-z0-9][A-Za-z0-9_.-]{0,95})'
NAME = re.compile(f'hf:{PART}/{PART}(?:@([A-Za-z0-9_][A-Za-z0-9_./-]{{0,199}}))?')
NEEDED = ('config.json', 'weights.safetensors')
PUBLISHED = (*NEEDED, 'card.json', 'README.md', 'network.jax', 'network.onnx')
MAX_BYTES = 8 * 2**30   # of a config and weights: more is no network of ours


def is_address(workdir: object) -> bool:
  """True for what names a repository; a folder of such a name is ./hf:..."""
  return isinstance(workdir, str) and workdir.startswith(PREFIX)


def parse(address: str) -> tuple[str, str | None]:
  """('owner/name', revision or None) of hf:owner/name[@revision].

  Raises:
    UserError: written in another way, or with parts that lead elsewhere.
  """
  match = NAME.fullmatch(address)
  if not match or '..' in address or '//' in address:
    raise UserError(f'{address}: write hf:OWNER/NAME or hf:OWNER/NAME@REVISION, with letters, '
                    'digits, and ._- between them')
  return f'{match.group(1)}/{match.group(2)}', match.group(3)


def library() -> ModuleType:
  """huggingface_hub.

  Raises:
    UserError: the extra is not installed.
  """
  try:
    import huggingface_hub
    import huggingface_hub.constants
    import huggingface_hub.errors
  except ImportError as error:
    raise UserError("hf:OWNER/NAME needs huggingface_hub: pip install 'i2vjax[hf]'") from error
  return huggingface_hub


def endpoint() -> str | None:
  """The hub's address, of $HF_ENDPOINT as it is now; None: the usual one."""
  return os.environ.get('HF_ENDPOINT') or None


@functools.cache   # one process, one state of the repository
def locate(address: str) -> pathlib.Path:
  """The folder in the cache with the config and weights of a repository, downloaded if need be.

  Without a network the copy of an earlier call serves.

  Raises:
    UserError: no such repository, revision or file, or it is larger than a network can be.
    OSError: no connection, and no copy.
  """
  name, revision = parse(address)
  hub = library()
  api = hub.HfApi(endpoint=endpoint())
  try:
    commit = _checked_commit(api, name, revision, address)
    paths: list = [pathlib.Path(hub.hf_hub_download(name, file, revision=commit,
                                                    endpoint=endpoint())) for file in NEEDED]
  except _refusals(hub) as error:
    paths = [_cached(hub, name, file, revision) for file in NEEDED]
    if _is_answer(error) or None in paths:
      raise _explained(address, error) from error
  for path in paths:
    _check_inside(hub, path, address)
  folder = paths[0].parent
  if any(path.parent != folder for path in paths):
    raise UserError(f'{address}: its copies in the cache are of several revisions: go online once')
  return folder


def _checked_commit(api, name, revision, address):
  """The commit that a revision stands for, after a look at what it holds."""
  info = api.model_info(name, revision=revision, files_metadata=True)
  sizes = {item.rfilename: item.size or 0 for item in info.siblings or ()}
  missing = [file for file in NEEDED if file not in sizes]
  if missing:
    raise UserError(f'{address} has no {missing[0]}: it is no export of i2vjax '
                    '(made by: export --publish)')
  if sum(sizes[file] for file in NEEDED) > MAX_BYTES:
    raise UserError(f'{address}: its weights are larger than {MAX_BYTES >> 30} GiB')
  if not re.fullmatch(r'[0-9a-f]{40}', info.sha or ''):
    raise UserError(f'{address}: the hub names no commit for it')
  return info.sha


def _cached(hub, name, file, revision):
  path = hub.try_to_load_from_cache(name, file, revision=revision or 'main')
  return pathlib.Path(path) if isinstance(path, str) else None


def _refusals(hub):
  """What it raises where the hub answers no, or not at all: also the errors of its HTTP library."""
  return OSError, *hub.errors.HfHubHTTPError.__bases__


def _is_answer(error):
  """True where the hub said no; False where it could not be asked."""
  response = getattr(error, 'response', None)
  return response is not None and response.status_code < 500


def _explained(address, error):
  """An error of the hub as ours, in one line."""
  line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
  response = getattr(error, 'response', None)
  if response is not None and response.status_code in (401, 403, 404):
    return UserError(f'{address}: the hub has no such repository or revision, or does not show it '
                     f'to you (answer {response.status_code}); to private ones: hf auth login')
  return OSError(f'{address} could not be reached ({line}), and the cache has no copy of it')


def _check_inside(hub, path, address):
  """Refuse a copy that leads out of the hub's cache."""
  cache = pathlib.Path(hub.constants.HF_HUB_CACHE).resolve()
  if not path.resolve().is_relative_to(cache):
    raise UserError(f'{address}: {path} leads out of the cache {cache}; delete it')


# ---- Publish ------------------------------------------------------------------------------------


def check_published(address: str) -> str:
  """'owner/name' to publish to.

  Raises:
    UserError: not written so, or with a revision; the extra is not installed.
  """
  if not is_address(address):
    raise UserError(f'--publish {address}: write hf:OWNER/NAME')
  name, revision = parse(address)
  if revision:
    raise UserError(f'--publish {address}: a new revision is made; write hf:{name}')
  library()
  return name


def publish(folder: pathlib.Path, address: str, message: str) -> str:
  """Put the files of a folder into a repository, which is made if it is missing.

  Args:
    folder: with config.json and weights.safetensors; of the rest only PUBLISHED is taken.
    address: hf:OWNER/NAME.
    message: of the commit.

  Returns:
    hf:OWNER/NAME@COMMIT.

  Raises:
    UserError: the hub refuses it. OSError: no connection, or a disk that is full.
  """
  name, hub = check_published(address), library()
  api = hub.HfApi(endpoint=endpoint())
  try:
    api.create_repo(name, exist_ok=True)
    done = api.upload_folder(repo_id=name, folder_path=folder, commit_message=message,
                             allow_patterns=list(PUBLISHED))
  except hub.errors.HfHubHTTPError as error:
    status = getattr(error.response, 'status_code', '?')
    raise UserError(f'--publish {address}: the hub answers {status} '
                    f'({str(error).strip().splitlines()[0][:200]}). Log in with a token that may '
                    'write: hf auth login, or HF_TOKEN') from error
  except _refusals(hub) as error:
    if files.disk_full(error):
      raise
    raise OSError(f'--publish {address}: the hub could not be reached ({error}); the export itself '
                  'is done, the same command with --overwrite tries again') from error
  return f'{PREFIX}{name}@{done.oid}'
