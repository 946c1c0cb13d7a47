"""Some steps of a method with small networks, on the devices this process finds.

  python tests/helpers/scaled_run.py METHOD STEPS

Prints JSON: devices, the terms of each step, sums of the parameters, and what the compiled step
sends between devices.
"""

import json
import sys

import jax
import numpy as np
import optax
from collectives import collectives
from method_tools import config_of, with_resnet

from i2vjax import methods, train
from i2vjax.core import parallel, start_up
from i2vjax.core.model import Model
from i2vjax.methods import base
from i2vjax.run import load, settle

BATCH, SIZE, RATE = 8, 16, 0.01


def small_config(name):
  """The demo of a method, with small networks, one batch of eight and no pool."""
  config = with_resnet(config_of(name, 'demo'))
  config.data.update(load_size=SIZE, crop_size=SIZE, batch=BATCH)
  config.gen.update(width=4, blocks=1)
  config.disc.width, config.gan.pool, config.train.ema = 4, 0, 0.0
  if 'nce' in config:
    config.nce.patches = 16
  return settle.settle(config)


def batch_of(config, step):
  """This process's part of the raw batch of a step."""
  (index, count), rng = parallel.process(), np.random.default_rng(step)
  share = BATCH // count
  batch = {}
  for side in 'ab':
    shape = BATCH, config.data.frames, SIZE, SIZE, config.data[f'channels_{side}']
    frames = rng.integers(0, 256, shape, np.uint8)
    batch |= {side: frames[index * share:(index + 1) * share],
              f'range_{side}': np.tile(np.float32([0, 255]), (share, 1))}
  return batch


def run(name, steps):
  """What is printed."""
  config = small_config(name)
  method = methods.get(name)
  # Plain descent: Adam would make moves of rounding, where a gradient is 0 by construction.
  model = Model(config, method.networks(config), dict.fromkeys(method.PLAYERS, optax.sgd(RATE)))
  assert not base.hook(method, 'batch_fields')(config), 'frames alone are made here'
  mapped = train.compile_step(method, model)
  state, terms = parallel.place(load.fresh_state(method, model)), []
  count = sum(x.size for x in jax.tree.leaves(state.params))
  text = mapped.lower(state, parallel.shard(batch_of(config, 0)), {}).compile().as_text()
  for step in range(steps):
    state, values = mapped(state, parallel.shard(batch_of(config, step)), {})
    terms.append({term: float(value) for term, value in values.items()})
  sums = {name: [float(np.sum(np.abs(x))) for x in jax.tree.leaves(parallel.to_host(params))]
          for name, params in state.params.items()}
  return {'devices': parallel.device_count(), 'processes': parallel.process()[1], 'terms': terms,
          'sums': sums, 'parameters': count, 'collectives': collectives(text)}


if __name__ == '__main__':
  jax.config.update('jax_cpu_enable_async_dispatch', False)
  start_up.initialize()
  print(json.dumps(run(sys.argv[1], int(sys.argv[2]))), flush=True)
