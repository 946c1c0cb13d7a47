"""Drivers that are made up: which build of JAX they get, and what is said where none works."""

import os
import pathlib
import subprocess
import sys

import pytest

from i2vjax.core import nvidia

ROOT = pathlib.Path(__file__).parents[2]
JAX = {'jax': '0.10.2', 'jaxlib': '0.10.2'}
PLUGIN_12 = {'jax-cuda12-plugin': '0.10.2', 'jax-cuda12-pjrt': '0.10.2'}
PLUGIN_13 = {'jax-cuda13-plugin': '0.10.2', 'jax-cuda13-pjrt': '0.10.2'}
T4 = nvidia.Gpu('550.54.15', 'Tesla T4', 7.5)
V100 = nvidia.Gpu('580.82.07', 'Tesla V100', 7.0)
H200 = nvidia.Gpu('580.82.07', 'NVIDIA H200', 9.0)
OLD = nvidia.Gpu('470.57.02', 'Tesla T4', 7.5)
KEPLER = nvidia.Gpu('525.60.13', 'Tesla K80', 3.7)
UNKNOWN = nvidia.Gpu('590.10')


@pytest.fixture
def smi(tmp_path, monkeypatch):
  """Puts an nvidia-smi before all others that prints a text, or fails where it is None."""
  monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
  monkeypatch.delenv('JAX_PLATFORMS', raising=False)
  monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)

  def write(text, knows_capability=True):
    program = tmp_path / 'nvidia-smi'
    refuse = '' if knows_capability else (
        'case "$1" in *compute_cap*) echo "Field compute_cap is not valid"; exit 2;; esac\n')
    end = f'cat <<EOF\n{text}\nEOF\n' if text is not None else 'echo "no driver"; exit 9\n'
    program.write_text('#!/bin/sh\n' + refuse + end)
    program.chmod(0o755)
  return write


# ---- what is here


def test_the_least_capability_of_all_gpus_counts(smi):
  smi('550.54.15, 9.0, NVIDIA H100\n550.54.15, 7.5, Tesla T4')
  assert nvidia.find_gpu() == nvidia.Gpu('550.54.15', 'NVIDIA H100', 7.5)


def test_an_old_nvidia_smi_does_not_know_the_capability(smi):
  smi('470.57.02, Tesla T4', knows_capability=False)
  assert nvidia.find_gpu() == nvidia.Gpu('470.57.02', 'Tesla T4')


@pytest.mark.parametrize('module', [
    'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024',
    'NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build  (dvs)'])
def test_the_kernel_module_speaks_where_nvidia_smi_does_not(smi, tmp_path, module):
  smi(None)
  (tmp_path / 'version').write_text(module + '\nGCC version:  gcc version 12.2.0\n')
  assert nvidia.find_gpu(tmp_path / 'version') == nvidia.Gpu('550.54.15')
  assert nvidia.find_gpu(tmp_path / 'missing') is None


@pytest.mark.parametrize('said', ['No devices were found', '', '[N/A], [N/A], [N/A]'])
def test_other_words_of_nvidia_smi_are_no_gpu(smi, tmp_path, said):
  smi(said)
  assert nvidia.find_gpu(tmp_path / 'missing') is None


def test_installed_builds_are_read_from_their_metadata(tmp_path, monkeypatch):
  folder = tmp_path / 'jax_cuda12_plugin-0.7.2.dist-info'
  folder.mkdir()
  (folder / 'METADATA').write_text('Metadata-Version: 2.1\nName: jax-cuda12-plugin\n'
                                   'Version: 0.7.2\n')
  monkeypatch.syspath_prepend(tmp_path)
  packages = nvidia.installed()
  assert packages['jax-cuda12-plugin'] == '0.7.2' and 'jax' in packages


# ---- what fits


@pytest.mark.parametrize(('gpu', 'packages', 'extra'), [
    (T4, JAX, 'cuda12'), (T4, {}, 'cuda12'), (H200, JAX, 'cuda13'), (UNKNOWN, JAX, 'cuda13'),
    (V100, JAX, 'cuda12'),                            # CUDA 13 has left such GPUs
    (H200, JAX | PLUGIN_12, 'cuda12'),                # what is there and runs is kept
    (T4, JAX | PLUGIN_13, 'cuda12'), (H200, JAX | PLUGIN_12 | PLUGIN_13, 'cuda13')])
def test_the_build_of_a_driver(gpu, packages, extra):
  assert nvidia.choose(gpu, packages).extra == extra


@pytest.mark.parametrize(('gpu', 'said'), [
    (OLD, 'driver 470.57.02: JAX needs driver 525 or newer. Update the driver'),
    (KEPLER, 'JAX needs compute capability 5.2 or more')])
def test_what_is_too_old_for_all_is_told(gpu, said):
  with pytest.raises(nvidia.NoBuild, match=said) as caught:
    nvidia.choose(gpu, JAX)
  assert 'JAX_PLATFORMS=cpu' in str(caught.value)


@pytest.mark.parametrize(('gpu', 'packages', 'why', 'remedy'), [
    (T4, JAX, 'built for CPUs', 'pip install "jax[cuda12]==0.10.2"'),
    (H200, JAX | PLUGIN_12 | {'jax-cuda12-plugin': '0.7.2'}, 'plugin 0.7.2 is not used by jaxlib',
     'pip install "jax[cuda12]==0.10.2"'),            # Colab's own, after an upgrade of jax alone
    (T4, JAX | PLUGIN_13, 'jax-cuda13-plugin needs another driver',
     'pip uninstall -y jax-cuda13-plugin jax-cuda13-pjrt && pip install "jax[cuda12]==0.10.2"'),
    (H200, JAX | PLUGIN_12 | PLUGIN_13, 'shut each other out',
     'pip uninstall -y jax-cuda12-plugin jax-cuda12-pjrt'),
    (OLD, JAX, 'needs driver 525', 'Update the driver')])
def test_why_a_gpu_is_not_seen(gpu, packages, why, remedy, monkeypatch):
  monkeypatch.delenv('LD_LIBRARY_PATH', raising=False)
  reason, command = nvidia.why_unseen(gpu, packages)
  assert why in reason and remedy in command


def test_other_libraries_are_suspected_where_all_fits(monkeypatch):
  monkeypatch.setenv('LD_LIBRARY_PATH', '/usr/local/cuda/lib64')
  assert nvidia.why_unseen(H200, JAX | PLUGIN_13)[1] == 'unset LD_LIBRARY_PATH'
  monkeypatch.delenv('LD_LIBRARY_PATH')
  assert 'JAX_PLATFORMS=cuda' in nvidia.why_unseen(H200, JAX | PLUGIN_13)[1]


@pytest.mark.parametrize(('asked', 'gpu', 'wanted'), [
    ('test', T4, 'test,cuda12'), ('', H200, 'cuda13'), ('cuda', T4, 'cuda12'),
    ('cuda', None, 'cuda'), ('test,app', None, 'test,app'), ('cuda13', T4, 'cuda13'),
    ('tpu', T4, 'tpu'), ('', None, '')])
def test_extras_get_the_build_of_the_driver(asked, gpu, wanted):
  assert nvidia.extras(asked, gpu, JAX) == wanted


# ---- by itself, in setup.sh, in doctor


def alone(*arguments):
  """The file run by itself, as before anything is installed."""
  return subprocess.run([sys.executable, '-P', ROOT / 'i2vjax/core/nvidia.py', *arguments],
                        text=True, capture_output=True, timeout=120)


def test_it_runs_by_itself(smi):
  smi('550.54.15, 7.5, Tesla T4')
  done = alone('test')
  assert (done.returncode, done.stdout) == (0, 'test,cuda12\n'), done.stderr
  assert 'Tesla T4' in done.stderr


def test_it_ends_with_the_remedy_where_nothing_runs(smi):
  smi('470.57.02, 7.5, Tesla T4')
  done = alone('test')
  assert done.returncode == 2 and 'Update the driver' in done.stderr and not done.stdout


@pytest.mark.parametrize('name, value', [('JAX_PLATFORMS', 'cpu'), ('CUDA_VISIBLE_DEVICES', '')])
def test_who_chose_the_cpu_gets_it(smi, monkeypatch, name, value):
  smi('470.57.02, 7.5, Tesla T4')
  monkeypatch.setenv(name, value)
  assert alone('test').stdout == 'test\n'


def run_setup(tmp_path, doctor_ends_with):
  """launch/setup.sh in an environment whose python notes what it is asked to do."""
  venv = tmp_path / 'venv'
  (venv / 'bin').mkdir(parents=True)
  python = venv / 'bin/python'
  python.write_text(f'#!/bin/sh\ncase "$*" in\n*nvidia.py*) exec {sys.executable} "$@";;\n'
                    f'*doctor*) echo looked; exit {doctor_ends_with};;\n'
                    f'*) echo "$*" >> {tmp_path}/asked;;\nesac\n')
  python.chmod(0o755)
  done = subprocess.run(['bash', ROOT / 'launch/setup.sh', 'test'], text=True, capture_output=True,
                        timeout=120, env={**os.environ, 'I2VJAX_VENV': str(venv)})
  return done, (tmp_path / 'asked').read_text() if (tmp_path / 'asked').exists() else ''


def test_setup_installs_the_build_of_the_driver(smi, tmp_path):
  smi('550.54.15, 7.5, Tesla T4')
  done, asked = run_setup(tmp_path, 0)
  assert done.returncode == 0 and asked.strip().endswith('[test,cuda12]'), done.stderr
  assert 'looked' in done.stderr and 'ready' in done.stdout


def test_setup_stops_where_jax_does_not_see_the_gpu(smi, tmp_path):
  smi('550.54.15, 7.5, Tesla T4')
  done, _ = run_setup(tmp_path, 2)
  assert done.returncode == 2 and 'ready' not in done.stdout
  assert not list((tmp_path / 'venv').glob('.i2vjax-*'))   # the next call tries again


def test_setup_stops_before_it_installs_what_cannot_run(smi, tmp_path):
  smi('470.57.02, 7.5, Tesla T4')
  done, asked = run_setup(tmp_path, 0)
  assert done.returncode == 2 and 'Update the driver' in done.stderr and not asked


def test_both_extras_exist():
  text = (ROOT / 'pyproject.toml').read_text()
  for build in nvidia.BUILDS:
    assert f'{build.extra} = ["jax[{build.extra}]' in text
