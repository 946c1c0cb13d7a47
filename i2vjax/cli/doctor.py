"""What this machine has, and remedies for what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.metadata
import pathlib
import shutil
import sys
from collections.abc import Callable, Iterator

from ml_collections import ConfigDict
from packaging import requirements

from i2vjax.core import files, nvidia
from i2vjax.core.errors import UserError

PACKAGES = ('i2vjax', 'jax', 'jaxlib', 'flax', 'optax', 'orbax-checkpoint', 'grain', 'av')
LITTLE_MEMORY = LITTLE_DISK = 2 * 2**30   # bytes: a demo trains in less, hardly anything else does
ENCODERS = {'libx264': 'H.264, .mp4', 'ffv1': 'lossless, .mkv'}


@dataclasses.dataclass(frozen=True)
class Fact:
  """One line.

  Attributes:
    name: what it is about. value: what was found.
    remedy: what to do, '' where nothing is to be done.
    wrong: True where something does not work as it is; False: a remedy is only on offer.
  """

  name: str
  value: str
  remedy: str = ''
  wrong: bool = False

  def __str__(self) -> str:
    mark = f'\n{"":18}WRONG, do: ' if self.wrong else ': ' if self.remedy else ''
    return f'{self.name:18}{self.value}{mark}{self.remedy}'


def facts(config: ConfigDict, cache_dir: Callable[[], str]) -> Iterator[Fact]:
  """All that is known of this machine, line by line.

  Args:
    config: whose fields name weight files.
    cache_dir: gives the folder of compiled programs; may raise UserError.
  """
  yield from versions()
  yield Fact('python', sys.version.split()[0])
  yield from devices()
  yield from room()
  yield from codecs()
  yield from folders(cache_dir, config)
  yield from parts()
  yield from weights(config)


def versions() -> Iterator[Fact]:
  """Packages, and those that are not of the version that i2vjax asks for."""
  wanted = {}
  for text in importlib.metadata.requires('i2vjax') or ():
    need = requirements.Requirement(text)
    if need.marker is None or need.marker.evaluate({'extra': ''}):
      wanted[need.name] = need.specifier
  for name in dict.fromkeys([*PACKAGES, *wanted]):
    try:
      found = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      yield Fact(name, 'not here', f'pip install "{name}{wanted.get(name, "")}"', wrong=True)
      continue
    if name in wanted and not wanted[name].contains(found, prereleases=True):
      yield Fact(name, found, f'pip install "{name}{wanted[name]}"', wrong=True)
    elif name in PACKAGES:
      yield Fact(name, found)


def devices() -> Iterator[Fact]:
  """What JAX computes on, and the GPU of this machine, which it should see."""
  import jax

  from i2vjax.core import parallel
  try:
    seen, backend = parallel.describe(), jax.default_backend()
  except RuntimeError as error:   # JAX_PLATFORMS=cuda where there is none
    seen, backend = str(error).strip().splitlines()[0], 'none'
  gpu, packages, chosen = nvidia.find_gpu(), nvidia.installed(), nvidia.cpu_is_chosen()
  if backend == 'none' and gpu is None:
    yield Fact('devices', seen, 'unset JAX_PLATFORMS', wrong=True)
  else:
    yield Fact('devices', seen)
  yield Fact('backend', backend)
  builds = [f'{name} {version}' for name, version in packages.items() if name.endswith('-plugin')]
  yield Fact('built for', ', '.join(builds) or 'no NVIDIA GPU')
  if gpu is None:
    yield Fact('NVIDIA GPU', 'none, or no driver: nvidia-smi finds none')
  elif backend == 'gpu':
    yield Fact('NVIDIA GPU', f'{gpu}: JAX sees it')
  elif chosen:
    yield Fact('NVIDIA GPU', f'{gpu}: not used, since {chosen}')
  else:
    reason, remedy = nvidia.why_unseen(gpu, packages)
    yield Fact('NVIDIA GPU', f'{gpu}: JAX does not see it: {reason}', remedy, wrong=True)


def room() -> Iterator[Fact]:
  """Memory and disk."""
  memory = free_memory()
  if memory:
    yield Fact('memory', f'{memory / 2**30:.1f} GiB free', '' if memory >= LITTLE_MEMORY else
               'close other programs, or make --config.data.batch and crop_size smaller')
  disk = shutil.disk_usage('.').free
  yield Fact('disk', f'{disk / 2**30:.1f} GiB free in {pathlib.Path.cwd()}',
             '' if disk >= LITTLE_DISK else 'free some, or name a --workdir on another disk')


def free_memory(meminfo: str = '/proc/meminfo') -> int:
  """Bytes that programs can still have; 0: not known here."""
  try:
    lines = pathlib.Path(meminfo).read_text().splitlines()
  except OSError:
    return 0
  return next((int(line.split()[1]) * 1024 for line in lines
               if line.startswith('MemAvailable:')), 0)


def codecs() -> Iterator[Fact]:
  """What videos are written with; decoders for the rest come with them."""
  import av
  library = '.'.join(map(str, av.library_versions['libavcodec']))
  for name, use in ENCODERS.items():
    try:
      av.Codec(name, 'w')
    except ValueError:
      yield Fact(name, f'not in libavcodec {library} ({use})',
                 'pip install --force-reinstall --only-binary av av   # PyPI\'s own has it',
                 wrong=True)
    else:
      yield Fact(name, f'libavcodec {library} ({use})')


def folders(cache_dir: Callable[[], str], config: ConfigDict) -> Iterator[Fact]:
  """The starter, and where weight files, unpacked videos and compiled programs are kept."""
  from i2vjax.data.sources import video_cache
  from i2vjax.pretrained import registry
  from i2vjax.run import folder
  place = folder.STARTER_FOLDER
  if place.is_dir():
    yield Fact('starter', str(place))
  else:
    yield Fact('starter', f'not in {place}', 'install i2vjax again', wrong=True)
  with contextlib.suppress(UserError):   # without a home: compiled programs say so
    yield Fact('weight files', str(registry.search_folders(config)[0]))
    yield Fact('unpacked videos', str(video_cache.cache_dir(config.data)))
  try:
    yield Fact('compiled programs', str(files.make_cache(cache_dir())))
  except (OSError, UserError) as error:
    reason, _, remedy = str(error).rpartition(': ')
    yield Fact('compiled programs', f'not kept: {reason or error}',
               remedy or 'set JAX_COMPILATION_CACHE_DIR')


def parts() -> Iterator[Fact]:
  """Methods, and the extras that this machine has not."""
  from i2vjax import methods
  yield Fact('methods', ', '.join(methods.names()))
  try:
    yield Fact('app', f'gradio {importlib.metadata.version("gradio")}')
  except importlib.metadata.PackageNotFoundError:
    yield Fact('app', 'not here', 'pip install "i2vjax[app]"')


def weights(config: ConfigDict) -> Iterator[Fact]:
  """Weight files, and the config field that asks for each."""
  from i2vjax.pretrained import registry
  for entry in registry.ENTRIES.values():
    found = registry.find(entry, config)
    yield Fact(entry.id, f'{entry.field:14}{found or "not here"}',
               '' if found else f'python -m i2vjax.main fetch {entry.id}   # '
                                f'{entry.megabytes:g} MB')


def report(config: ConfigDict, cache_dir: Callable[[], str], brief: bool = False) -> int:
  """Print the facts; returns how many are wrong.

  Args:
    config, cache_dir: see `facts`.
    brief: only the device, and what is wrong.
  """
  wrong = 0
  for fact in facts(config, cache_dir):
    wrong += fact.wrong
    if fact.wrong or not brief or fact.name == 'devices':
      print(fact, flush=True)
  if wrong:
    print(f'{wrong} of it {"is" if wrong == 1 else "are"} wrong', file=sys.stderr)
  return wrong
