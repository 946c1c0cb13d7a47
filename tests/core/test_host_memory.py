"""core/host_memory.py: a step's temporaries are freed before the next takes its own."""

import ctypes
import os
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import pytest

from i2vjax.core import host_memory, parallel
from i2vjax.run import signals

SIZE = host_memory.LARGE


@pytest.fixture
def library():
  """glibc with the types of malloc and free."""
  found = host_memory._glibc('mallinfo2')
  if found is None:
    pytest.skip('no glibc: nothing is kept')
  found.malloc.restype, found.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
  found.free.argtypes = [ctypes.c_void_p]
  found.mallopt(-4, 0)               # as `keep` does: blocks of any size are counted alike
  yield found
  found.mallopt(-4, 65536)


def test_step_returns_when_another_thread_has_freed_its_temporaries(library):
  freed = []

  def step(x):
    block = library.malloc(SIZE)     # no page of it is touched

    def let_go():
      time.sleep(0.1)
      freed.append(True)
      library.free(block)
    threading.Thread(target=let_go).start()
    return x + 1
  run = host_memory.until_freed(step, SIZE)
  assert run(jnp.ones(())) == 2 and freed
  run(jnp.ones(()))
  assert len(freed) == 2


def test_what_is_never_freed_is_not_waited_for_forever(library, monkeypatch):
  blocks = []
  monkeypatch.setattr(host_memory, 'LONGEST_WAIT', 0.05)
  began = time.monotonic()
  host_memory.until_freed(lambda: blocks.append(library.malloc(SIZE)), SIZE)()
  assert 0.05 <= time.monotonic() - began < 10
  library.free(blocks[0])


def test_small_steps_and_other_systems_are_left_as_they_are(monkeypatch):
  step = object()
  assert host_memory.until_freed(step, host_memory.LARGE - 1) is step
  monkeypatch.setattr(host_memory, '_glibc', lambda function: None)
  assert host_memory.until_freed(step, host_memory.LARGE) is step
  host_memory.keep()
  host_memory.hand_back()


def test_a_compiled_step_is_wrapped_by_what_it_takes(monkeypatch):
  program = jax.jit(lambda x: jnp.sort(x[:, None] * x, 0)[1])
  ready = parallel.compiled(program, jnp.ones(512))
  assert parallel.one_by_one(ready) is ready               # 1 MB of temporaries
  monkeypatch.setattr(host_memory, 'LARGE', 2**18)
  assert parallel.one_by_one(ready) is not ready
  assert jnp.array_equal(parallel.one_by_one(ready)(jnp.ones(512)), jnp.ones(512))


COUNT_ARENAS = """
import ctypes, sys, threading, types
from i2vjax.cli import commands
flags = types.SimpleNamespace(coordinator=None, processes=None, process_id=None)
commands.refuse_addresses = lambda flag, command: None
commands.set_up(flags)
library = ctypes.CDLL(None)
held = threading.Barrier(9)

def take():
  bytes(1000)
  held.wait()
  held.wait()

for _ in range(8):
  threading.Thread(target=take).start()
held.wait()
library.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(library.fopen(sys.argv[1].encode(), b'w'))
library.malloc_info(0, file)
library.fclose(file)
held.wait()
"""


def test_every_thread_takes_from_the_one_arena_that_grows(library, tmp_path):
  """Another holds 64 MB at most, and a step larger than that would touch new pages every time."""
  facts = tmp_path / 'facts.xml'
  environment = os.environ | {signals.PARENT: str(os.getpid()), 'JAX_PLATFORMS': 'cpu'}
  subprocess.run([sys.executable, '-c', COUNT_ARENAS, str(facts)], env=environment, check=True)
  assert facts.read_text().count('<heap nr=') == 1
