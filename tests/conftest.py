"""Fixtures of all tests: compilation cache, footage, arguments of tiny runs."""

import gc
import os
import signal
import tempfile
import threading

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
CACHE = os.environ.setdefault('I2VJAX_TEST_CACHE',
                              os.path.join(tempfile.gettempdir(), 'i2vjax-test-cache'))
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', CACHE)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')
# Programs run once or twice here: a quarter of the suite's time went into making them fast.
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')
# Runs in this process and in others are compared bit for bit: all compute with as many threads.
os.environ.setdefault('NPROC', str(os.cpu_count()))

import jax
import pytest
from tiny_runs import TINY, make_footage


@pytest.fixture(scope='module', autouse=True)
def forget_compiled_programs():
  """After each file, so that a worker's memory does not grow with the number of files."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='session')
def footage(tmp_path_factory):
  """Unpaired little videos as folders of frames: gray in train_ir, color in train_vis."""
  return make_footage(tmp_path_factory.mktemp('footage'))


@pytest.fixture(scope='session')
def tiny(footage):
  """Command-line arguments that train `config` for seconds on `footage`."""
  from i2vjax.compare import experiments

  def arguments(config, workdir, *more):
    usual = ('--config.data.source=folders', f'--config.data.root={footage}', *TINY)
    return ['i2vjax', '--config', config, '--workdir', str(workdir),
            *experiments.with_changes(usual, more)]
  return arguments


@pytest.fixture
def no_thread_is_left():
  """A test leaves no thread behind, but for that of progress bars, which stays for good."""
  before = set(threading.enumerate())
  yield
  for thread in set(threading.enumerate()) - before:
    # Ctrl-C inside Thread.start can leave the entry of one that never began, or one that a pool
    # does not know and that is on its way out.
    if thread.is_alive() and thread.name != 'tqdm_monitor':
      thread.join(60)
      assert not thread.is_alive(), thread


@pytest.fixture
def ctrl_c():
  """Sends the main thread a real SIGINT, from any thread.

  Inside jax's callback of the garbage collector Python would forget it; commands send it again
  (cli/exits.py).
  """
  gc.disable()
  handler = signal.signal(signal.SIGINT, signal.default_int_handler)
  yield lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
  signal.signal(signal.SIGINT, handler)
  gc.enable()
