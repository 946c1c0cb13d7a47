"""MornGAN through all phases: stopped and resumed, and on two devices."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from i2vjax import main
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]
# An epoch is a step, so that phases begin with steps 2, 3, 4 and 8.
SMALL = ('--config.data.load_size=20', '--config.data.crop_size=16', '--config.gen.width=4',
         '--config.gen.blocks_enc=1', '--config.gen.blocks_dec=1', '--config.disc.width=4',
         '--config.disc.stages=2', '--config.seg.width=4', '--config.seg.sizes=(16,)',
         '--config.sga.grid=2', '--config.data.scenes.clips=3', '--config.mining.theta_fg=0.06',
         '--config.data.scenes.clip_length=4', '--config.data.prefetch=1', '--config.log.every=1',
         '--config.log.samples_every=0', '--show=false', '--config.data.label_noise=0.1')
pytestmark = pytest.mark.slow


def arguments(workdir, steps):
  return ['i2vjax', '--config', f'{ROOT}/configs/morngan.py:demo', '--workdir', str(workdir),
          *SMALL, f'--config.train.steps={steps}']


def log(workdir):
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  noisy = ('seconds_per_step', 'frames_per_second', 'input_wait')
  return [{k: v for k, v in json.loads(line).items() if k not in noisy} for line in lines]


def test_all_phases_and_a_stop_in_the_last_one_changes_nothing(tmp_path):
  assert main.main(arguments(tmp_path / 'straight', 10)) == 0
  lines = log(tmp_path / 'straight')
  assert [line['step'] for line in lines] == list(range(1, 11))
  first = {name: next(line['step'] for line in lines if name in line)
           for name in ('mono', 'ce_real_b', 'boundary', 'sr_l1', 'aca')}
  assert first == {'mono': 1, 'ce_real_b': 3, 'boundary': 4, 'sr_l1': 5, 'aca': 9}
  assert all(np.isfinite(value) for line in lines for value in line.values())
  assert lines[-1]['mined/all'] > 0
  with np.load(tmp_path / 'straight' / 'pairs.npz') as table:
    assert table['first'] == 8 and table['vector'].shape == (12, 6)
    straight = dict(table)
  for steps in (9, 10):
    assert main.main(arguments(tmp_path / 'stopped', steps)) == 0
  assert log(tmp_path / 'stopped') == lines
  whole, resumed = (load.load(tmp_path / name).params for name in ('straight', 'stopped'))
  jax.tree.map(np.testing.assert_array_equal, whole, resumed)
  with np.load(tmp_path / 'stopped' / 'pairs.npz') as table:
    for name, value in straight.items():
      np.testing.assert_array_equal(table[name], value)


def test_two_devices(tmp_path):
  env = {**os.environ, 'XLA_FLAGS': '--xla_force_host_platform_device_count=2'}
  done = subprocess.run([sys.executable, '-m', 'i2vjax.main', *arguments(tmp_path, 10)[1:]],
                        cwd=ROOT, env=env, text=True, capture_output=True, timeout=1500)
  assert done.returncode == 0, done.stderr[-2000:]
  assert '2 x cpu' in done.stdout + done.stderr
  lines = log(tmp_path)
  assert len(lines) == 10 and all(np.isfinite(v) for line in lines for v in line.values())
