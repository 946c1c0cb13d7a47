"""How a command ends: a Ctrl-C is never lost, and nothing is torn by a second one."""

import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def python(code, **options):
  return subprocess.run([sys.executable, '-c', code], cwd=ROOT, text=True, capture_output=True,
                        timeout=90, **options)


def test_a_ctrl_c_inside_the_garbage_collector_is_sent_again():
  """jax has such a callback; before, the interrupt was printed there and the command went on."""
  done = python(
      'import gc, os, signal, sys, time\n'
      'from i2vjax.cli import exits\n'
      'sys.unraisablehook = exits.repeat_interrupt\n'
      'signal.signal(signal.SIGINT, signal.default_int_handler)\n'
      'def hit(phase, info):\n'
      '  if phase == "start":\n'
      '    gc.callbacks.remove(hit)\n'
      '    os.kill(os.getpid(), signal.SIGINT)\n'
      '    for _ in range(1000): pass\n'
      'try:\n'
      '  gc.callbacks.append(hit)\n'
      '  gc.collect()\n'
      '  print("it was lost for now", flush=True)\n'
      '  time.sleep(100)\n'
      '  print("it was lost for good")\n'
      'except KeyboardInterrupt:\n'
      '  print("it came again")\n')
  assert done.stdout.split('\n')[-2] == 'it came again', done.stdout + done.stderr


def test_other_errors_that_nobody_can_catch_are_shown_as_ever():
  done = python('import sys\n'
                'from i2vjax.cli import exits\n'
                'sys.unraisablehook = exits.repeat_interrupt\n'
                'class Careless:\n'
                '  def __del__(self): raise ValueError("in a destructor")\n'
                'x = Careless(); del x\n')
  assert 'ValueError: in a destructor' in done.stderr and done.returncode == 0


def test_signals_on_the_way_out_change_nothing_and_what_is_registered_is_done():
  done = python('import atexit, os, signal\n'
                'from i2vjax.cli import exits\n'
                'def last():\n'
                '  for number in exits.ENDING: os.kill(os.getpid(), number)\n'
                '  print("all was done", flush=True)\n'
                'atexit.register(last)\n'
                'exits.leave(int(os.environ["CODE"]))\n', env={**os.environ, 'CODE': '2'})
  assert (done.returncode, done.stdout) == (2, 'all was done\n')


def test_threads_that_never_end_do_not_hold_a_command_that_failed():
  done = python('import threading\n'
                'from i2vjax.cli import exits\n'
                'threading.Thread(target=threading.Event().wait).start()\n'
                'print("said")\n'
                'exits.leave(130)\n')
  assert (done.returncode, done.stdout) == (130, 'said\n')


def test_sigterm_before_the_loop_ends_a_training_in_order(tmp_path):
  """It comes while the config is read: as early as a command can be hit."""
  config = tmp_path / 'slow.py'
  config.write_text('import os, signal, time\n'
                    'def get_config(variant=None):\n'
                    f'  os.kill(os.getpid(), {int(signal.SIGTERM)})\n'
                    '  time.sleep(60)\n')
  done = subprocess.run([sys.executable, '-m', 'i2vjax.main', '--config', str(config)], cwd=ROOT,
                        text=True, capture_output=True, timeout=120)
  assert done.returncode == 130
  assert done.stderr.strip() == 'stopped: no half-written file is left'
