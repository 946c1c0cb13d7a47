"""The launch scripts, as far as they go without the machines they are for."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).parents[1]


def dry_run(script, *arguments):
  return subprocess.run(['bash', ROOT / 'launch' / script, '--dry-run', *arguments], text=True,
                        capture_output=True, timeout=60)


def test_gpu_host_passes_arguments_through():
  out = dry_run('gpu.sh', '--config', 'configs/cptrans.py', '--config.data.batch=8')
  assert out.returncode == 0, out.stderr
  assert out.stdout.strip() == ('python -m i2vjax.main --config configs/cptrans.py '
                                '--config.data.batch=8')


def test_slurm_writes_a_job_of_one_process_a_host(tmp_path):
  out = dry_run('slurm.sh', '--nodes', '4', '--gpus', '2', '--', '--config', 'configs/cptrans.py',
                '--workdir', 'a run')
  assert out.returncode == 0, out.stderr
  assert '#SBATCH --nodes=4\n' in out.stdout and '#SBATCH --ntasks-per-node=1' in out.stdout
  assert 'srun python -m i2vjax.main' in out.stdout and "a\\ run" in out.stdout
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
  copy, run = out.stdout.strip().splitlines()
  assert 'scp' in copy and '--worker all' in copy
  assert 'I2VJAX_TPU_POD=1' in run and '--worker all' in run


def test_tpu_pod_without_a_name_says_how_to_call_it():
  out = dry_run('tpu_pod.sh', '--', '--config', 'x')
  assert out.returncode == 2 and 'usage' in out.stderr


def test_every_script_is_sound_bash():
  for script in (ROOT / 'launch').glob('*.sh'):
    assert subprocess.run(['bash', '-n', script]).returncode == 0, script
