"""The launch scripts, as far as they go without the machines they are for."""

import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[1]


def dry_run(script, *arguments):
  return subprocess.run(['bash', ROOT / 'launch' / script, '--dry-run', *arguments], text=True,
                        capture_output=True, timeout=60)


def test_gpu_host_passes_arguments_through():
  out = dry_run('gpu.sh', '--config', 'configs/cptrans.py', '--config.data.batch=8')
  assert out.returncode == 0, out.stderr
  assert out.stdout.strip() == ('python -m i2vjax.main --config configs/cptrans.py '
                                '--config.data.batch=8')


def test_a_gpu_host_quotes_and_takes_dry_run_anywhere():
  out = subprocess.run(['bash', ROOT / 'launch' / 'gpu.sh', '--workdir', 'a run', '--dry-run'],
                       text=True, capture_output=True, timeout=60)
  assert out.returncode == 0 and out.stdout == 'python -m i2vjax.main --workdir a\\ run\n'


@pytest.mark.parametrize('arguments', [['--nodes'], ['--gpus', '--'], ['--hours', '--nodes', '2']])
def test_slurm_options_without_a_value_are_named(arguments):
  out = dry_run('slurm.sh', *arguments)
  assert out.returncode == 2 and out.stderr.startswith(f'{arguments[0]} needs a value')


def test_setup_is_run_and_leaves_a_shell_that_sources_it_as_it_was():
  out = subprocess.run(['bash', '-c', 'set +e; source launch/setup.sh; echo "rc $? in $-"; false; '
                        'echo alive'], text=True, capture_output=True, timeout=60, cwd=ROOT)
  assert 'run it instead: bash launch/setup.sh' in out.stderr
  assert out.stdout == 'rc 2 in hBc\nalive\n'


def test_setup_says_how_to_enter_the_environment(tmp_path):
  venv = tmp_path / 'my venv'
  (venv / 'bin').mkdir(parents=True)
  (venv / 'bin/python').write_text('#!/bin/sh\n')   # there already, and pip finds nothing to do
  (venv / 'bin/python').chmod(0o755)
  out = subprocess.run(['bash', ROOT / 'launch/setup.sh'], text=True, capture_output=True,
                       timeout=60, env={**os.environ, 'I2VJAX_VENV': str(venv)})
  assert out.returncode == 0 and out.stdout.splitlines()[-1].endswith('my\\ venv/bin/activate')
  inside = 'set -euo pipefail; source launch/enter.sh; echo "$PATH"'
  out = subprocess.run(['bash', '-c', inside], text=True, capture_output=True, timeout=60, cwd=ROOT,
                       env={**os.environ, 'I2VJAX_VENV': str(venv)})
  assert out.stdout.startswith(f'{venv}/bin:') and len(out.stdout.splitlines()) == 1


def test_slurm_writes_a_job_of_one_process_a_host(tmp_path):
  out = dry_run('slurm.sh', '--nodes', '4', '--gpus', '2', '--', '--config', 'configs/cptrans.py',
                '--workdir', 'a run')
  assert out.returncode == 0, out.stderr
  assert '#SBATCH --nodes=4\n' in out.stdout and '#SBATCH --ntasks-per-node=1' in out.stdout
  assert 'export I2VJAX_LOCAL_DEVICES=2\nsrun python -m i2vjax.main' in out.stdout
  assert "a\\ run" in out.stdout
  job = tmp_path / 'job.sh'
  job.write_text(out.stdout)
  assert subprocess.run(['bash', '-n', job]).returncode == 0


def test_slurm_without_arguments_says_what_is_missing():
  out = dry_run('slurm.sh', '--nodes', '4')
  assert out.returncode == 2 and '--config' in out.stderr


def test_tpu_pod_copies_and_runs_on_every_host():
  out = dry_run('tpu_pod.sh', '--name', 'pod', '--zone', 'z', '--', '--config',
                'configs/cptrans.py')
  assert out.returncode == 0, out.stderr
  pack, copy, run = out.stdout.strip().splitlines()
  assert pack.startswith('git archive') and 'scp' in copy and '--worker all' in copy
  assert '--recurse' not in copy and pack.split()[-2] in copy   # one file
  assert 'I2VJAX_TPU_POD=1' in run and '--worker all' in run and 'tar' in run


def test_tpu_pod_without_a_name_says_how_to_call_it():
  out = dry_run('tpu_pod.sh', '--', '--config', 'x')
  assert out.returncode == 2 and 'usage' in out.stderr


def test_launch_holds_shell_scripts_alone():
  """Programs that measure are in benchmarks/, pictures in docs/."""
  assert {path.suffix for path in (ROOT / 'launch').rglob('*')} == {'.sh'}


def test_every_script_is_sound_bash():
  for script in [*(ROOT / 'launch').glob('*.sh'), ROOT / '.ci/run']:
    assert subprocess.run(['bash', '-n', script]).returncode == 0, script
