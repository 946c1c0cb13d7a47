"""Speed of exported programs beside translation here, on this machine.

  python benchmarks/export_speed.py [--workdir starter] [--size 256] [--seconds 10] [--batch 1]

Exports to a temporary folder, and prints frames per second and the largest difference of each form.
"""

import argparse
import json
import pathlib
import tempfile
import time

import jax
import numpy as np

from i2vjax.interop import card, comparison, export, export_jax, export_onnx, portable
from i2vjax.run import load


def measure(workdir, size, seconds, batch, formats):
  """[{'name', 'frames_per_second', 'largest_difference', 'megabytes'}, ...]."""
  run = load.load(workdir)
  with tempfile.TemporaryDirectory() as place:
    folder = export.export(run, None, pathlib.Path(place) / 'net', formats=formats)
    facts = json.loads((folder / card.FILE).read_text())['formats']
    calls = {'i2vjax': ours(run)} | {name: CALLS[name](folder) for name in formats}
    program = portable.program(run)
    specs = program.specs((batch, size, size, program.channels))
    arrays = [comparison.noise(specs[0].shape[:3], program.channels)[0],
              *(np.zeros(spec.shape, spec.dtype) for spec in specs[1:])]
    return [{'name': name, 'frames_per_second': batch * rate(call, arrays, seconds),
             'largest_difference': facts.get(name, {}).get('largest_difference', 0.0),
             'megabytes': facts.get(name, {}).get('bytes', 0) / 1e6}
            for name, call in calls.items()]


def ours(run):
  """One frame by the run's own method, in the form for this device."""
  def translate(frames, *carried):
    carry, out = run.method.translate(run.model, run.params, run.model_state, None,
                                      frames[:, None])
    return out[:, 0], *jax.tree.leaves(carry)
  return jax.jit(translate)


def of_jax(folder):
  """The file of jax.export."""
  data = bytearray((folder / export_jax.FILE).read_bytes())
  return jax.jit(jax.export.deserialize(data).call)


def of_onnx(folder):
  """The ONNX file, by onnxruntime on CPU."""
  import onnxruntime
  session = onnxruntime.InferenceSession(str(folder / export_onnx.FILE),
                                         providers=['CPUExecutionProvider'])
  names = [item.name for item in session.get_inputs()]
  return lambda *arrays: session.run(None, dict(zip(names, arrays, strict=True)))


CALLS = {'jax': of_jax, 'onnx': of_onnx}


def rate(call, arrays, seconds):
  """Calls per second, after one that compiles."""
  jax.block_until_ready(call(*arrays))
  count, begin = 0, time.perf_counter()
  while time.perf_counter() - begin < seconds or not count:
    jax.block_until_ready(call(*arrays))
    count += 1
  return count / (time.perf_counter() - begin)


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdir', default='starter')
  parser.add_argument('--size', type=int, default=256)
  parser.add_argument('--seconds', type=float, default=10.0)
  parser.add_argument('--batch', type=int, default=1)
  parser.add_argument('--formats', default='jax,onnx')
  options = parser.parse_args()
  for row in measure(options.workdir, options.size, options.seconds, options.batch,
                     options.formats.split(',')):
    print(f'{row["name"]:8}{row["frames_per_second"]:8.2f} frames/s   differs by '
          f'{row["largest_difference"]:.2g}   {row["megabytes"]:.1f} MB')


if __name__ == '__main__':
  main()
