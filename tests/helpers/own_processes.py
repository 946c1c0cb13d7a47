"""Programs in processes of their own, with simulated devices, that print their result as JSON."""

import json
import os
import pathlib
import socket
import subprocess
import sys

ROOT = pathlib.Path(__file__).parents[2]


def start(program, *arguments, devices=1, **environment):
  """Begin a program on so many simulated devices."""
  path = f'{ROOT}{os.pathsep}{ROOT / "tests" / "helpers"}'
  env = {**os.environ, 'JAX_PLATFORMS': 'cpu', 'PYTHONPATH': path,
         'XLA_FLAGS': f'--xla_force_host_platform_device_count={devices}', **environment}
  return subprocess.Popen([sys.executable, program, *map(str, arguments)], env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(process, patience):
  """What it printed last; it must end well within `patience` seconds."""
  out, err = process.communicate(timeout=patience)
  assert process.returncode == 0, err[-3000:]
  return json.loads(out.strip().splitlines()[-1])


def start_together(count, program, *arguments, devices=1):
  """Begin so many processes of one run on loopback, each with so many devices."""
  with socket.socket() as free:
    free.bind(('localhost', 0))
    port = free.getsockname()[1]
  where = dict(I2VJAX_COORDINATOR=f'localhost:{port}', I2VJAX_PROCESSES=str(count))
  return [start(program, *arguments, devices=devices, I2VJAX_PROCESS_ID=str(k), **where)
          for k in range(count)]
