"""Tiny runs of real methods with random weights, made without compiling anything."""

import functools
import pathlib

import jax
import numpy as np

from i2vjax.methods import base
from i2vjax.run import config_files, load

ROOT = pathlib.Path(__file__).parents[2]
SMALL = {'width': 4, 'blocks': 1, 'hidden': 8, 'levels': 2}   # of `gen`, where it has them


def tiny(method, side=64, **gen):
  """A Run of the demo config of a method, its networks as small as they go."""
  config = config_files.read(f'{ROOT / "configs" / method}.py:demo')
  with config.unlocked():
    config.data.update(crop_size=side, load_size=side)
    config.critic.scales = 1   # more do not fit so small a frame
    config.gen.update({name: value for name, value in (SMALL | gen).items()
                       if name in config.gen or name in gen})
  module, model = load.assemble(config, training=False)
  shapes = jax.eval_shape(functools.partial(load.fresh_params, module, model))
  draw = np.random.default_rng(0)
  params = jax.tree.map(lambda x: (0.1 * draw.standard_normal(x.shape)).astype(x.dtype), shapes)
  return load.Run(module, model, params, base.hook(module, 'model_state')(config), 3)
