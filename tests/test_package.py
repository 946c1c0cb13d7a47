"""The wheel: what is in it, and that it works outside of the repository."""

import os
import pathlib
import shutil
import site
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """Built of a copy: a build leaves folders behind, and takes what an earlier one left."""
  folder = tmp_path_factory.mktemp('package')
  for name in ('i2vjax', 'configs'):
    shutil.copytree(ROOT / name, folder / 'source' / name,
                    ignore=shutil.ignore_patterns('__pycache__'))
  for name in ('pyproject.toml', 'setup.py', 'README.md', 'LICENSE'):
    shutil.copy(ROOT / name, folder / 'source' / name)
  # The setuptools that is here: a build in isolation would download another.
  subprocess.run([sys.executable, '-m', 'pip', 'wheel', '--quiet', '--no-deps',
                  '--no-build-isolation', '--wheel-dir', '.', './source'], cwd=folder, check=True)
  path, = folder.glob('*.whl')
  return path


def test_it_holds_all_that_is_read_at_run_time(wheel):
  names = set(zipfile.ZipFile(wheel).namelist())
  source = wheel.parent / 'source'
  wanted = {str(path.relative_to(source)) for path in (source / 'i2vjax').rglob('*.py')}
  wanted |= {f'i2vjax/configs/{path.name}' for path in (source / 'configs').glob('*.py')}
  wanted |= {str(path.relative_to(source)) for path in (source / 'i2vjax/starter').glob('*')}
  wanted |= {str(path.relative_to(source)) for path in (source / 'i2vjax/bench/gpus').glob('*')}
  wanted |= {'i2vjax/py.typed'}
  assert len([name for name in wanted if name.startswith('i2vjax/configs/')]) >= 13
  others = {name for name in names if not name.startswith('i2vjax-')}   # i2vjax-VERSION.dist-info
  assert others == wanted
  assert wheel.stat().st_size < 30e6


def test_it_trains_and_translates_from_an_empty_environment(wheel, tmp_path):
  """In a fresh environment; its dependencies are those of this one, to save the download."""
  subprocess.run([sys.executable, '-m', 'venv', tmp_path / 'env'], check=True)
  python = tmp_path / 'env' / 'bin' / 'python'
  subprocess.run([python, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index', wheel],
                 check=True)
  packages, = (tmp_path / 'env' / 'lib').glob('python*/site-packages')
  (packages / 'dependencies.pth').write_text('\n'.join(site.getsitepackages()))
  place = tmp_path / 'elsewhere'
  place.mkdir()

  def command(*arguments):
    return subprocess.run([python, *arguments], cwd=place, check=True, text=True, timeout=600,
                          stdout=subprocess.PIPE,
                          env={k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}).stdout
  assert str(packages) in command('-c', 'import i2vjax; print(i2vjax.__file__)')
  tiny = ['--config.data.load_size=36', '--config.data.crop_size=32', '--config.gen.width=4',
          '--config.gen.blocks=1', '--config.disc.width=4', '--config.critic.scales=1',
          '--config.data.scenes.clips=2', '--config.data.scenes.test_clips=1',
          '--config.data.scenes.clip_length=4', '--config.log.samples_every=0',
          '--config.eval.every=0', '--show=false']
  for steps, name in (1, 'cyclegan:demo'), (2, 'configs/cyclegan.py:demo'):   # the second goes on
    said = command('-m', 'i2vjax.main', '--config', name, '--workdir', 'run',
                   f'--config.train.steps={steps}', *tiny)
    assert f'trained {steps} steps in run' in said
  command('-c', 'import numpy as np, i2vjax; '
                'i2vjax.load("run").translate(np.zeros((2, 32, 32), np.uint8), "night.mp4")')
  command('-m', 'i2vjax.main', 'translate', '--workdir', 'run', '--input', 'night.mp4',
          '--output', 'day.mp4', '--show=false')
  assert (place / 'day.mp4').stat().st_size > 500
