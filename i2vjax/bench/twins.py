"""The same training steps in PyTorch, where a checkout has them.

PyTorch is imported only where a twin is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError

FOLDER = pathlib.Path(__file__).parents[2] / 'benchmarks'


def comparable(config: ConfigDict) -> ConfigDict:
  """The config without what the steps in PyTorch have not: pools of fakes, averages of weights."""
  config = config.copy_and_resolve_references()
  config.train.ema = 0.0
  if 'pool' in config.gan:
    config.gan.pool = 0
  return config


def step(config: ConfigDict) -> Callable[[], Any]:
  """One training step in PyTorch, on its GPU if it has one; it waits for the result.

  Raises:
    UserError: no PyTorch, no folder of steps, or none of this method.
  """
  steps = _module()
  import torch
  device = 'cuda' if torch.cuda.is_available() else 'cpu'
  torch.backends.cudnn.benchmark = True
  torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True   # as XLA does
  batch = {x: [torch.from_numpy(frame.transpose(0, 3, 1, 2).copy()).to(device)
               for frame in frames(config)] for x in 'ab'}
  try:
    with torch.device(device):
      nets, move = steps.make(config, batch)
  except ValueError as error:
    raise UserError(f'--with_torch: {error}') from error
  nets.to(device)

  def step():
    move()   # its terms are numbers on the host: it has waited
  return step


def frames(config: ConfigDict, count: int = 0) -> list[np.ndarray]:
  """Random frames of a window: [[B, H, W, 3] in [-1, 1]]; of `count` moments, 0: all."""
  rng, size = np.random.default_rng(0), config.data.crop_size
  height, width = size if isinstance(size, tuple | list) else (size, size)
  return [rng.uniform(-1, 1, (config.data.batch, height, width, 3)).astype(np.float32)
          for _ in range(count or config.data.frames)]


def _module():
  if importlib.util.find_spec('torch') is None:
    raise UserError("--with_torch: PyTorch is not here: pip install 'i2vjax[parity]'")
  if not (FOLDER / 'torch_steps.py').is_file():
    raise UserError(f'--with_torch: there is no {FOLDER}/torch_steps.py: the steps in PyTorch '
                    'belong to a checkout, not to the installed package')
  if str(FOLDER) not in sys.path:
    sys.path.append(str(FOLDER))
  return importlib.import_module('torch_steps')
