"""What is shipped: the content of source distribution and wheel, and the wheel far from here."""

import os
import pathlib
import shutil
import site
import subprocess
import sys
import tarfile
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PAGES = ('README.md', 'CHANGELOG.md', 'CITATION.cff', 'CONTRIBUTING.md')
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def built(tmp_path_factory):
  """Folder with `source`, a copy of what is built, and dist/ as `python -m build` makes it.

  Built of a copy: a build leaves folders behind, and takes what an earlier one left. The wheel is
  made of the source distribution, so that one must be whole.
  """
  folder = tmp_path_factory.mktemp('package')
  for name in ('i2vjax', 'configs', 'tests'):
    shutil.copytree(ROOT / name, folder / 'source' / name,
                    ignore=shutil.ignore_patterns('__pycache__'))
  for name in ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'LICENSE', *PAGES):
    shutil.copy(ROOT / name, folder / 'source' / name)
  # The setuptools that is here: a build in isolation would download another.
  subprocess.run([sys.executable, '-m', 'build', '--no-isolation', '--outdir', 'dist', 'source'],
                 cwd=folder, check=True, stdout=subprocess.DEVNULL)
  return folder


@pytest.fixture(scope='module')
def wheel(built):
  path, = built.glob('dist/*.whl')
  return path


@pytest.fixture(scope='module')
def shipped(built):
  """Files of the package that run time needs, by their path in the wheel."""
  source = built / 'source'
  found = {str(path.relative_to(source)) for path in (source / 'i2vjax').rglob('*.py')}
  found |= {f'i2vjax/configs/{path.name}' for path in (source / 'configs').glob('*.py')}
  for folder in ('i2vjax/starter', 'i2vjax/bench/gpus', 'i2vjax/evaluation/segmenters'):
    found |= {str(path.relative_to(source)) for path in (source / folder).glob('*')}
  assert len([name for name in found if name.startswith('i2vjax/configs/')]) >= 13
  assert len([name for name in found if name.startswith('i2vjax/starter/')]) >= 4
  return found | {'i2vjax/py.typed'}


def test_the_wheel_holds_all_that_is_read_at_run_time_and_nothing_else(wheel, shipped):
  archive = zipfile.ZipFile(wheel)
  names = set(archive.namelist())
  facts = {name.partition('/')[2] for name in names if name.startswith('i2vjax-')}
  assert {name for name in names if not name.startswith('i2vjax-')} == shipped
  assert facts == {'METADATA', 'RECORD', 'WHEEL', 'entry_points.txt', 'top_level.txt',
                   'licenses/LICENSE'}
  text = {name.partition('/')[2]: archive.read(name).decode() for name in names
          if name.endswith(('METADATA', 'entry_points.txt', 'top_level.txt'))}
  assert text['top_level.txt'].split() == ['i2vjax']
  assert 'i2vjax = i2vjax.main:run' in text['entry_points.txt']
  assert 'License-Expression: Apache-2.0' in text['METADATA']
  assert wheel.stat().st_size < 30e6


def test_the_source_distribution_builds_by_itself_and_has_no_half_of_the_tests(built, shipped):
  path, = built.glob('dist/*.tar.gz')
  with tarfile.open(path) as archive:
    names = {name.partition('/')[2] for name in archive.getnames() if not
             archive.getmember(name).isdir()}
  assert {name.replace('i2vjax/configs', 'configs') for name in shipped} <= names
  others = {name for name in names if not name.startswith(('i2vjax/', 'i2vjax.egg-info/'))}
  assert others - {f'configs/{config.name}' for config in (ROOT / 'configs').glob('*.py')} == {
      'LICENSE', 'MANIFEST.in', 'PKG-INFO', 'pyproject.toml', 'setup.cfg', 'setup.py', *PAGES}


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
