"""NVIDIA drivers, and the build of JAX that each runs.

The standard library alone: this file runs by itself too, before anything is installed, and prints
the extras to install with the right build among them (launch/setup.sh, the notebooks):

  python i2vjax/core/nvidia.py [EXTRAS]      'test' becomes 'test,cuda12', 'test,cuda13' or 'test'
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import os
import pathlib
import re
import subprocess
import sys


@dataclasses.dataclass(frozen=True)
class Build:
  """A build of JAX for NVIDIA GPUs.

  Attributes:
    extra: of `jax` and of `i2vjax`: cuda12, cuda13.
    driver: the oldest driver that runs it, its first number.
    capability: the least compute capability of a GPU.
  """

  extra: str
  driver: int
  capability: float

  @property
  def packages(self) -> tuple[str, str]:
    """The two packages that bring it, in the version of `jaxlib`."""
    return f'jax-{self.extra}-plugin', f'jax-{self.extra}-pjrt'


# The one table of drivers, newest build first: JAX's installation page, "NVIDIA GPU".
BUILDS = (Build('cuda13', 580, 7.5), Build('cuda12', 525, 5.2))
ANY = 'cuda'   # the extra that leaves the choice to the driver
KERNEL_MODULE = pathlib.Path('/proc/driver/nvidia/version')


class NoBuild(Exception):
  """No build of JAX runs on this driver or GPU; says why, and what to do."""


@dataclasses.dataclass(frozen=True)
class Gpu:
  """What the driver says.

  Attributes:
    driver: its version, such as 550.54.15.
    name: of the first GPU, '' where only the kernel module was found.
    capability: the least of all GPUs; None: unknown.
  """

  driver: str
  name: str = ''
  capability: float | None = None

  def __str__(self) -> str:
    name = self.name or 'an NVIDIA GPU'
    of = '' if self.capability is None else f' (compute capability {self.capability})'
    return f'{name}{of}, driver {self.driver}'


# ---- what is here ------------------------------------------------------------------------------


def find_gpu(kernel_module: pathlib.Path = KERNEL_MODULE) -> Gpu | None:
  """The GPUs of this machine as nvidia-smi tells, else as the kernel's module does; or None."""
  rows = _ask('driver_version', 'compute_cap', 'name')
  if rows:
    numbers = [float(row[1]) for row in rows if re.fullmatch(r'[\d.]+', row[1])]
    return Gpu(rows[0][0], rows[0][2], min(numbers, default=None))
  rows = _ask('driver_version', 'name')   # drivers before 510 do not know compute_cap
  if rows:
    return Gpu(*rows[0])
  try:
    found = re.search(r'Kernel Module.*?\s(\d+\.[\d.]+)', kernel_module.read_text())
  except OSError:
    return None
  return Gpu(found[1]) if found else None


def _ask(*fields):
  """Rows of nvidia-smi with these fields; [] where it is missing, fails or finds none."""
  command = ['nvidia-smi', f'--query-gpu={",".join(fields)}', '--format=csv,noheader']
  try:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
  except (OSError, subprocess.TimeoutExpired):
    return []
  rows = [[x.strip() for x in line.split(',')] for line in done.stdout.splitlines()]
  good = [row for row in rows if len(row) == len(fields) and re.match(r'\d+\.', row[0])]
  return good if done.returncode == 0 else []


def installed() -> dict[str, str]:
  """{package: version} of JAX and its builds for NVIDIA GPUs, as far as they are here."""
  versions = {}
  for name in ('jax', 'jaxlib', *(name for build in BUILDS for name in build.packages)):
    try:
      versions[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions


def cpu_is_chosen() -> str:
  """The setting by which the user keeps JAX from the GPU, such as JAX_PLATFORMS=cpu; or ''."""
  if os.environ.get('JAX_PLATFORMS') == 'cpu':
    return 'JAX_PLATFORMS=cpu'
  visible = os.environ.get('CUDA_VISIBLE_DEVICES')
  return f'CUDA_VISIBLE_DEVICES={visible}' if visible in ('', '-1') else ''


# ---- what fits ---------------------------------------------------------------------------------


def choose(gpu: Gpu, packages: dict[str, str]) -> Build:
  """The build for a GPU: the one that is here if it runs, else the newest that does.

  Args:
    gpu: from `find_gpu`. packages: from `installed`.

  Raises:
    NoBuild: the driver or the GPU is too old for all.
  """
  driver, oldest = int(gpu.driver.split('.')[0]), BUILDS[-1]
  if driver < oldest.driver:
    raise NoBuild(f'{gpu}: JAX needs driver {oldest.driver} or newer. Update the driver, or go on '
                  'without the GPU: export JAX_PLATFORMS=cpu')
  if gpu.capability is not None and gpu.capability < oldest.capability:
    raise NoBuild(f'{gpu}: JAX needs compute capability {oldest.capability} or more. Go on without '
                  'the GPU: export JAX_PLATFORMS=cpu')
  fitting = [build for build in BUILDS if driver >= build.driver
             and (gpu.capability is None or gpu.capability >= build.capability)]
  here = [build for build in fitting if build.packages[0] in packages]
  return (here or fitting)[0]


def why_unseen(gpu: Gpu, packages: dict[str, str]) -> tuple[str, str]:
  """Why JAX does not see a GPU that is there.

  Args: see `choose`.

  Returns:
    (the reason, the command or setting that mends it).
  """
  try:
    build = choose(gpu, packages)
  except NoBuild as error:
    reason, _, remedy = str(error).partition('. ')
    return reason, remedy
  plugin, jaxlib = packages.get(build.packages[0]), packages.get('jaxlib', '')
  others = [name for other in BUILDS if other is not build for name in other.packages
            if name in packages]
  install = f'pip install "jax[{build.extra}]=={packages.get("jax", jaxlib)}"'
  if others:
    install = f'pip uninstall -y {" ".join(others)} && {install}'
    reason = (f'{others[0]} needs another driver or GPU' if plugin is None else
              f'{build.packages[0]} and {others[0]} shut each other out')
    return reason, install
  if plugin is None:
    return 'this JAX is built for CPUs', install
  if plugin != jaxlib:
    return f'{build.packages[0]} {plugin} is not used by jaxlib {jaxlib}', install
  if os.environ.get('LD_LIBRARY_PATH'):
    return 'LD_LIBRARY_PATH may lead to other CUDA libraries than its own', 'unset LD_LIBRARY_PATH'
  return (f'{build.packages[0]} {plugin} fits, but does not start',
          "JAX_PLATFORMS=cuda python -c 'import jax; jax.numpy.ones(1)'   # says why")


def extras(asked: str, gpu: Gpu | None, packages: dict[str, str]) -> str:
  """The extras to install: those asked for, and the build of JAX for the GPU that is here.

  Args:
    asked: separated by commas; with 'cuda12', 'cuda13' or 'tpu' among them they stay as they are.
    gpu: None: none here, then 'cuda' stays. packages: see `choose`.

  Raises:
    NoBuild: see `choose`.
  """
  names = [name for name in asked.split(',') if name]
  if gpu is None or {'tpu', *(build.extra for build in BUILDS)} & set(names):
    return ','.join(names)
  return ','.join([*(name for name in names if name != ANY), choose(gpu, packages).extra])


def main(arguments: list[str]) -> int:
  """Print the extras to install; what was found goes to the standard error."""
  asked = arguments[0] if arguments else ''
  chosen = cpu_is_chosen()
  gpu = find_gpu() if sys.platform == 'linux' and not chosen else None
  try:
    wanted = extras(asked, gpu, installed())
  except NoBuild as error:
    print(f'error: {error}', file=sys.stderr)
    return 2
  if gpu:
    print(f'found {gpu}: installing [{wanted}]', file=sys.stderr)
  elif chosen:
    print(f'for CPUs, since {chosen}', file=sys.stderr)
  print(wanted)
  return 0


if __name__ == '__main__':
  sys.exit(main(sys.argv[1:]))
