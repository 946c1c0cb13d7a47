"""The launch scripts, as far as they go without the machines they are for."""

import os
import pathlib
import shlex
import subprocess
import time

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


@pytest.mark.parametrize('arguments', [['--nodes'], ['--gpus', '--'], ['--cpus'],
                                       ['--hours', '--nodes', '2']])
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
  out = dry_run('slurm.sh', '--nodes', '4', '--gpus', '2', '--cpus', '6', '--', '--config',
                'configs/cptrans.py', '--workdir', 'a run')
  assert out.returncode == 0, out.stderr
  assert '#SBATCH --nodes=4\n' in out.stdout and '#SBATCH --ntasks-per-node=1' in out.stdout
  assert '#SBATCH --cpus-per-task=12\n' in out.stdout
  # Since Slurm 22.05 srun does not take that over by itself.
  assert ('export I2VJAX_LOCAL_DEVICES=2\nsrun --cpus-per-task=12 python -m i2vjax.main'
          in out.stdout)
  assert "a\\ run" in out.stdout
  job = tmp_path / 'job.sh'
  job.write_text(out.stdout)
  assert subprocess.run(['bash', '-n', job]).returncode == 0


def test_a_slurm_job_shows_bars_where_they_are_asked_for():
  assert 'i2vjax.main --show=false --config x' in dry_run('slurm.sh', '--', '--config', 'x').stdout
  asked = dry_run('slurm.sh', '--', '--config', 'x', '--show=true').stdout
  assert 'i2vjax.main --config x --show=true' in asked


def test_slurm_without_arguments_says_what_is_missing():
  out = dry_run('slurm.sh', '--nodes', '4')
  assert out.returncode == 2 and '--config' in out.stderr


POD = ('tpu_pod.sh', '--name', 'pod', '--zone', 'z')


def test_tpu_pod_copies_and_runs_on_every_host():
  out = dry_run(*POD, '--', '--config', 'configs/cptrans.py', '--workdir', '/mnt/run')
  assert out.returncode == 0, out.stderr
  pack, copy, run = out.stdout.strip().splitlines()
  assert pack.startswith('git archive') and 'scp' in copy and '--worker all' in copy
  assert '--recurse' not in copy and pack.split()[-2] in copy   # one file
  assert 'I2VJAX_TPU_POD=1' in run and '--worker all' in run and 'tar' in run


@pytest.mark.parametrize('arguments', [['--', '--config', 'x'], ['--stop']])
def test_tpu_pod_without_a_name_says_how_to_call_it(arguments):
  out = dry_run('tpu_pod.sh', *arguments)
  assert out.returncode == 2 and 'usage' in out.stderr and '--stop' in out.stderr


@pytest.mark.parametrize('workdir, said', [
    (['--workdir', 'gs://bucket/run'], 'gs://bucket/run is no folder: mount the bucket'),
    (['--workdir=runs/mine'], '--workdir runs/mine: give the whole path'),
    ([], '--workdir is missing: give the whole path')])
def test_a_run_folder_that_the_hosts_of_a_pod_do_not_share_is_refused(workdir, said):
  out = dry_run(*POD, '--', '--config', 'x', *workdir)
  assert out.returncode == 2 and said in out.stderr and not out.stdout


@pytest.fixture
def host(tmp_path):
  """Runs a command as a pod's host would, in a home folder with a checkout that only pretends."""
  checkout = tmp_path / 'checkout' / 'launch'
  checkout.mkdir(parents=True)
  (checkout / 'enter.sh').write_text('export PATH="$HOME/bin:$PATH"; echo "python $I2VJAX_PYTHON"')
  home = tmp_path / 'home'
  (home / 'bin').mkdir(parents=True)
  program = home / 'bin' / 'python'
  program.write_text('#!/bin/bash\ntrap "echo saved; exit 0" TERM\ntrap "" HUP\n'
                     'echo "$@" pod $I2VJAX_TPU_POD\n'
                     'for i in {1..200}; do [ -f "$HOME/done" ] && exit 3; sleep 0.05; done\n')
  program.chmod(0o755)
  subprocess.run(['tar', '-czf', home / 'i2vjax.tar.gz', '-C', checkout.parent, '.'], check=True)

  def start(line):
    return subprocess.Popen(['bash', '-c', shlex.split(line)[-1]], cwd=home,
                            env={**os.environ, 'HOME': str(home)}, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
  return home, start


def pod_line(*arguments, python='/opt/python3.12'):
  out = subprocess.run(['bash', ROOT / 'launch' / POD[0], '--dry-run', *POD[1:], *arguments],
                       text=True, capture_output=True, timeout=60,
                       env={**os.environ, 'I2VJAX_PYTHON': python})
  return out.stdout.strip().splitlines()[-1]


def test_a_run_on_a_pod_is_shown_and_its_exit_code_is_handed_on(host):
  home, start = host
  (home / 'done').touch()
  said, _ = (process := start(pod_line('--', '--workdir', '/mnt/a run'))).communicate(timeout=120)
  assert process.returncode == 3, said
  assert 'python /opt/python3.12\n' in said
  assert '-m i2vjax.main --workdir /mnt/a run pod 1\n' in said


def test_a_run_on_a_pod_outlives_the_connection_and_is_stopped_by_name(host):
  home, start = host
  first = start(pod_line('--', '--workdir', '/mnt/run'))
  log, number = home / 'i2vjax.log', home / 'i2vjax.pid'
  end = time.monotonic() + 60
  while time.monotonic() < end and not (
      log.exists() and 'pod 1' in log.read_text() and number.exists() and number.read_text()):
    time.sleep(0.02)
  first.kill()   # the connection is gone
  first.stdout.close()
  first.wait()
  second = start(pod_line('--', '--workdir', '/mnt/run'))
  assert 'a run is going on here' in second.communicate(timeout=120)[0] and second.returncode == 2
  stop = start(pod_line('--stop'))
  stop.communicate(timeout=120)
  assert stop.returncode == 0 and log.read_text().endswith('saved\n')
  assert start(pod_line('--stop')).communicate(timeout=120)[0] == 'no run is going on here\n'


def test_launch_holds_shell_scripts_alone():
  """Programs that measure are in benchmarks/, pictures in docs/."""
  assert {path.suffix for path in (ROOT / 'launch').rglob('*')} == {'.sh'}


def test_every_script_is_sound_bash():
  for script in [*(ROOT / 'launch').glob('*.sh'), ROOT / '.ci/run']:
    assert subprocess.run(['bash', '-n', script]).returncode == 0, script
