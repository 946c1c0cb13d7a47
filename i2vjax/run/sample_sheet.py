"""Sample sheets of a training run: fixed windows through its networks."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import ops, parallel, precision
from i2vjax.core.model import Model
from i2vjax.core.state import State, name_key
from i2vjax.data.loader import batches
from i2vjax.methods import base
from i2vjax.run import contact_sheet


class SampleSheets:
  """Writer of samples/STEP.png.

  At the first sheet the windows are read and one program is compiled for all sheets of the run; run
  op by op, a sheet compiles a program for each operation and shape.
  """

  def __init__(self, method: base.Method, model: Model, workdir: pathlib.Path,
               on_device: Callable[[base.Batch, ConfigDict], base.Batch]) -> None:
    """What is shown.

    Args:
      method, model: what is trained; frozen parameters are on the devices.
      workdir: run folder.
      on_device: (raw batch, config) -> batch, as in the compiled step.
    """
    self.method, self.model, self.workdir = method, model.replace(optimizers={}), workdir
    self._on_device = on_device
    self._names: list[str] = []
    self._windows: base.Batch | None = None
    self._drawn = jax.jit(self._draw)

  def write(self, state: State, step: int) -> None:
    """The sheet of `step`; averages of weights where they are kept."""
    sheet = contact_sheet.contact_sheet(self.rows(state))
    folder = self.workdir / 'samples'
    folder.mkdir(exist_ok=True)
    contact_sheet.save_png(folder / f'{step:07d}.png', sheet)

  def rows(self, state: State) -> dict[str, np.ndarray]:
    """Rows of the sheet from top to bottom: {name: [n, H, W, 3] uint8}."""
    config = self.model.config
    if self._windows is None:
      self._windows = batches.sample_windows(
          config, config.log.samples, 'train',
          fields=base.hook(self.method, 'batch_fields')(config))
    networks = ({**state.params, **state.ema}, state.model_state, self.model.frozen)
    images = self._drawn(parallel.on_first(networks), self._windows)
    return dict(zip(self._names, jax.device_get(images), strict=True))

  def _draw(self, networks, raw):
    """Pictures of all rows; their names and order, which JAX would sort, are kept aside."""
    params, model_state, frozen = networks
    config, model = self.model.config, self.model.replace(frozen=frozen)
    key = name_key(jax.random.key(config.seed), 'samples')
    with precision.of(config):
      rows = rows_of(self.method, model, params, model_state, self._on_device(raw, config), key)
    self._names = list(rows)
    return [ops.to_uint8(images) for images in rows.values()]


def rows_of(method: base.Method, model: Model, params: base.Params, model_state: Any,
            batch: base.Batch, key: jax.Array) -> Mapping[str, jax.Array]:
  """The method's own rows, or input, translation and a target frame: {name: [n, H, W, 3]}."""
  rows_of_method = base.hook(method, 'sample_rows')
  if rows_of_method:
    return rows_of_method(model, params, model_state, batch, key)
  _, fake = method.translate(model, params, model_state, None, batch['a'])
  rows = {'a': batch['a'], 'a to b': fake, 'b': batch['b']}
  return {name: ops.match_channels(frames[:, 0], 3) for name, frames in rows.items()}
