"""benchmarks/gpu_check.py: all of its parts with tiny networks, on what is here."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAM = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'gpu_check.py'


def run(folder, *arguments):
  return subprocess.run([sys.executable, PROGRAM, '--output', folder, *arguments], text=True,
                        capture_output=True, env={**os.environ, 'JAX_PLATFORMS': 'cpu'})


def test_parts_that_there_are_not_are_refused(tmp_path):
  done = run(tmp_path, '--only', 'micro,everything')
  assert done.returncode == 2 and 'everything: choose of micro' in done.stderr


def test_nothing_is_begun_without_time(tmp_path):
  done = run(tmp_path, '--dry', '--budget', '1')
  assert done.returncode == 0, done.stderr
  rows = json.loads((tmp_path / 'rows.json').read_text())
  assert [row['part'] for row in rows] == ['micro', 'compile', 'time', 'torch', 'methods', 'same']
  assert {row['skipped'] for row in rows} == {'no time left'}
  assert 'not well: 6' in (tmp_path / 'summary.md').read_text()


@pytest.mark.nightly
def test_all_parts_run_dry(tmp_path):
  """Without PyTorch where that is not installed: then that part alone says so."""
  done = run(tmp_path, '--dry', '--budget', '1800')
  assert done.returncode == 0, done.stderr
  rows = json.loads((tmp_path / 'rows.json').read_text())
  wrong = {row['part']: row['failed'] for row in rows if 'failed' in row}
  try:
    import torch  # noqa: F401
    assert not wrong, wrong
  except ImportError:
    assert list(wrong) == ['torch'] and 'PyTorch is not here' in wrong['torch']
  micro = [row for row in rows if row['part'] == 'micro']
  assert len(micro) == 6 and all(row['gap'] < 1e-3 and row['ours_s'] > 0 for row in micro)
  assert [row['equal'] for row in rows if row['part'] == 'same'] == [True]
  text = (tmp_path / 'summary.md').read_text()
  assert '| cut:demo --config.compute=float32 --rounds=10' in text
