"""The training loop: resumes exactly, stops on request, refuses non-finite numbers."""

import contextlib
import io
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

from i2vjax import main
from i2vjax.compare import experiments
from i2vjax.run import checkpoint, load
from i2vjax.run import folder as run_folder
from i2vjax.run.signals import StopOnSignal

ROOT = pathlib.Path(__file__).parents[1]
CYCLEGAN = str(ROOT / 'configs' / 'cyclegan.py') + ':demo'
CONSTANT = '--config.optim.schedule=constant'


def changed(arguments, *more):
  return list(experiments.with_changes(arguments, more))


def final_params(workdir):
  return load.load(workdir).params


def log(workdir):
  lines = (pathlib.Path(workdir) / 'metrics.jsonl').read_text().splitlines()
  noisy = ('seconds_per_step', 'frames_per_second', 'input_wait')
  return [{k: v for k, v in json.loads(line).items() if k not in noisy} for line in lines]


def assert_same_run(left, right):
  jax.tree.map(np.testing.assert_array_equal, final_params(left), final_params(right))
  assert log(left) == log(right)


@pytest.fixture(scope='module')
def straight(tiny, tmp_path_factory):
  """Six steps of CycleGAN in one go; what it printed is in said.txt."""
  workdir = tmp_path_factory.mktemp('straight')
  with contextlib.redirect_stdout(io.StringIO()) as said:
    assert main.main(tiny(CYCLEGAN, workdir, CONSTANT, '--config.train.steps=6')) == 0
  (workdir / 'said.txt').write_text(said.getvalue())
  return workdir


def test_a_run_says_how_long_it_took_to_begin(straight):
  said = (straight / 'said.txt').read_text()
  assert re.search(r'step compiled in \d+ s\n.*first step done \d+ s after the start', said, re.S)


def test_run_folder_holds_what_a_reader_looks_for(straight):
  names = {path.name for path in straight.iterdir()}
  assert {'config.json', 'metrics.jsonl', 'parameters.txt', 'samples', 'checkpoints'} <= names
  assert (straight / 'samples' / '0000006.png').stat().st_size > 500
  assert [line['step'] for line in log(straight)] == [1, 2, 3, 4, 5, 6]
  assert {'adversarial', 'cycle', 'identity', 'disc_a', 'disc_b', 'lr'} <= set(log(straight)[0])


def test_three_and_three_steps_equal_six_bit_for_bit(straight, tiny, tmp_path, caplog):
  """The log's equal terms of steps 4 to 6 say that the next batches were equal too.

  An epoch has one step here: the checkpoints of epochs 2 and 5 are kept besides the newest."""
  for steps in (3, 6):
    assert main.main(tiny(CYCLEGAN, tmp_path, CONSTANT, f'--config.train.steps={steps}',
                          '--config.train.keep=1', '--config.eval.epochs=2,5,9')) == 0
  assert_same_run(tmp_path, straight)
  assert run_folder.steps_in(tmp_path) == {2, 5, 6}
  assert 'this run ends before epoch 9' in caplog.text


def launch(arguments):
  return subprocess.Popen([sys.executable, '-m', 'i2vjax.main', *arguments[1:]], cwd=ROOT,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def wait_for(condition, process, seconds=120):
  end = time.monotonic() + seconds
  while not condition():
    assert process.poll() is None, process.communicate()[0]
    assert time.monotonic() < end, 'it took too long'
    time.sleep(0.02)


def logged(workdir):
  path = workdir / 'metrics.jsonl'
  return len(path.read_text().splitlines()) if path.exists() else 0


def test_sigterm_saves_says_how_to_go_on_and_the_rest_is_the_same(straight, tiny, tmp_path):
  arguments = tiny(CYCLEGAN, tmp_path, CONSTANT, '--config.train.steps=100000')
  process = launch(arguments)
  wait_for(lambda: logged(tmp_path) >= 2, process)
  process.send_signal(signal.SIGTERM)
  said, _ = process.communicate(timeout=60)
  assert process.returncode == 0, said
  assert 'stopped at step' in said and '--config.train.steps=100000' in said
  stopped = log(tmp_path)
  assert stopped[:6] == log(straight)[:len(stopped)]
  assert load.load(tmp_path).step == len(stopped)


def test_kill_in_the_middle_of_saving_loses_nothing(straight, tiny, tmp_path):
  arguments = tiny(CYCLEGAN, tmp_path, CONSTANT, '--config.train.checkpoint_steps=1')
  process = launch([*arguments, '--config.train.steps=100000'])
  folder = tmp_path / 'checkpoints'
  wait_for(lambda: folder.is_dir() and any('tmp' in p.name for p in folder.iterdir())
           and logged(tmp_path) >= 2, process)
  process.kill()
  process.communicate()
  kept = [int(p.name) for p in folder.iterdir() if p.name.isdigit()]
  total = max([6, *[step + 1 for step in kept]])
  assert main.main([*arguments, f'--config.train.steps={total}']) == 0
  assert log(tmp_path)[:6] == log(straight)
  assert [line['step'] for line in log(tmp_path)] == list(range(1, total + 1))


def test_two_ctrl_c_end_at_once():
  with StopOnSignal() as stop, pytest.raises(KeyboardInterrupt):
    os.kill(os.getpid(), signal.SIGINT)
    assert stop.asked
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(1)


def test_a_second_sigterm_does_not_cost_the_checkpoint():
  with StopOnSignal() as stop:
    for _ in range(2):
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(0.01)
    assert stop.asked


def test_a_lost_terminal_saves_and_printing_does_not_fail(tmp_path):
  """A child on a pseudo-terminal that is closed under it: its writes would fail from then on."""
  code = ('import fcntl, pathlib, sys, termios, time\n'
          'from i2vjax.run.signals import StopOnSignal\n'
          'fcntl.ioctl(1, termios.TIOCSCTTY, 0)\n'
          'with StopOnSignal() as stop:\n'
          '  print("ready", flush=True)\n'
          '  while not stop.asked: time.sleep(0.01)\n'
          '  print("a line of the log", flush=True)\n'
          '  pathlib.Path(sys.argv[1]).write_text("saved")\n')
  terminal, end = pty.openpty()
  child = subprocess.Popen([sys.executable, '-c', code, str(tmp_path / 'saved')], stdin=end,
                           stdout=end, stderr=end, start_new_session=True)
  os.close(end)
  assert b'ready' in os.read(terminal, 100)
  os.close(terminal)
  assert child.wait(timeout=30) == 0
  assert (tmp_path / 'saved').read_text() == 'saved'


def test_a_run_under_nohup_goes_on_without_its_terminal():
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    with StopOnSignal() as stop:
      os.kill(os.getpid(), signal.SIGHUP)
      time.sleep(0.01)
      assert not stop.asked
  finally:
    signal.signal(signal.SIGHUP, before)


def test_not_a_number_stops_with_step_and_term_and_keeps_the_last_good(tiny, tmp_path, capsys):
  once = tiny(CYCLEGAN, tmp_path, CONSTANT, '--config.train.steps=1')
  assert main.main(once) == 0
  assert main.main(changed(once, '--config.train.steps=9', '--config.optim.lr=1e30')) == 3
  said = capsys.readouterr().err
  assert 'is not finite' in said and 'Checkpoint 1 is the last in' in said
  assert sorted(checkpoint.manager(tmp_path).all_steps()) == [1]
  # As advised.
  assert main.main(changed(once, '--config.train.steps=2', '--config.optim.lr=1e-5')) == 0


def test_a_damaged_frame_costs_no_step_and_the_rest_is_the_same(straight, tiny, footage, tmp_path,
                                                                capsys):
  root, workdir = shutil.copytree(footage, tmp_path / 'footage'), tmp_path / 'run'
  frame = root / 'train_ir' / 'clip1' / '0003.png'   # not of the first steps with this seed
  whole = frame.read_bytes()
  frame.write_bytes(whole[:len(whole) // 2])
  command = tiny(CYCLEGAN, workdir, CONSTANT, '--config.train.steps=6',
                 f'--config.data.root={root}')
  assert main.main(command) == 2
  said = capsys.readouterr().err
  step = int(re.search(rf'0003.png cannot .*[^.]\. Checkpoint (\d) is saved in {workdir}', said)[1])
  assert 0 < step < 6 and checkpoint.manager(workdir).all_steps() == [step]
  frame.write_bytes(whole)
  assert main.main(command) == 0
  assert_same_run(straight, workdir)


def test_scores_that_cannot_be_measured_cost_no_step(tiny, tmp_path, capsys, monkeypatch):
  def fail(*_):
    raise OSError('x.png cannot be read.')
  monkeypatch.setattr(sys.modules['i2vjax.train'], 'score', fail)
  assert main.main(tiny(CYCLEGAN, tmp_path, CONSTANT, '--config.train.steps=6',
                        '--config.eval.every=2')) == 2
  assert 'x.png cannot be read. Checkpoint 2 is saved in' in capsys.readouterr().err
  assert checkpoint.manager(tmp_path).all_steps() == [2]


def test_a_checkpoint_that_cannot_be_read_is_named_with_the_others(straight, tmp_path):
  run = shutil.copytree(straight, tmp_path / 'run')
  shutil.copytree(run / 'checkpoints' / '6', run / 'checkpoints' / '5')
  for data in (run / 'checkpoints' / '6' / 'params').rglob('*'):
    if data.is_file():
      data.write_bytes(data.read_bytes()[:3])
  with pytest.raises(ValueError, match=r'checkpoint 6 of .* others for --checkpoint: 5$'):
    load.load(run)


def test_another_seed_in_the_same_folder_is_refused(straight, tiny, capsys):
  assert main.main(tiny(CYCLEGAN, straight, CONSTANT, '--config.seed=7')) == 2
  assert 'seed: 0 -> 7' in capsys.readouterr().err


def test_same_command_on_a_finished_run_does_nothing_more(straight, tiny):
  before = log(straight)
  assert main.main(tiny(CYCLEGAN, straight, CONSTANT, '--config.train.steps=6')) == 0
  assert log(straight) == before


def test_one_frame_too_few_is_refused_with_both_numbers(tiny, tmp_path, capsys):
  assert main.main(tiny(CYCLEGAN, tmp_path, '--config.data.frames=9')) == 2
  assert 'needs 9 consecutive frames' in capsys.readouterr().err
  assert not (tmp_path / 'config.json').exists(), 'the mistake would bind the folder'


def test_scores_while_training_name_the_best(tiny, footage, tmp_path):
  scored = tiny(CYCLEGAN, tmp_path, CONSTANT, '--config.train.steps=3', '--config.eval.every=1',
                '--config.train.keep=1')
  assert main.main(scored) == 0
  lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  psnr = {line['step']: line['eval/psnr'] for line in lines if 'eval/psnr' in line}
  assert sorted(psnr) == [1, 2, 3]
  assert load.load(tmp_path, 'best').step == max(psnr, key=psnr.get)
