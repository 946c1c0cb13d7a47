"""The training step of a config as a program of shapes."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from ml_collections import ConfigDict

from i2vjax import methods, pretrained, train
from i2vjax.bench import cases
from i2vjax.core import backend, ops, parallel
from i2vjax.core.model import Model
from i2vjax.core.state import AXIS, State
from i2vjax.methods import base
from i2vjax.run import averaging, load, phases, schedules


@dataclasses.dataclass(frozen=True)
class Step:
  """A step that can be lowered.

  Attributes:
    method, model: of the config; `model.phase` is that of the epoch asked for.
    inputs: (state, raw batch, frozen parameters) as shapes, with a device axis where the step has
      one.
  """

  method: base.Method
  model: Model
  inputs: tuple[State, dict[str, Any], dict[str, Any]]

  def lower(self, mesh: Mesh | None = None) -> jax.stages.Lowered:
    """The step for the devices of `mesh`; None: for one device that is here."""
    mesh = mesh or parallel.mesh_of()
    state, batch, frozen = self.inputs
    each, everywhere = (NamedSharding(mesh, spec) for spec in (PartitionSpec(AXIS),
                                                               PartitionSpec()))
    device_state = placed(state.device_state, each)
    state = placed(state.replace(device_state={}), everywhere).replace(device_state=device_state)
    compiled = train.compile_step(self.method, self.model, mesh)
    return compiled.lower(state, placed(batch, each), placed(frozen, everywhere))


def placed(tree: Any, sharding: NamedSharding) -> Any:
  """The same shapes with a place on devices."""
  return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), tree)


def step_of(config: ConfigDict, devices: int = 1, epoch: int = 1) -> Step:
  """The step of a settled config.

  Args:
    config: `data.batch` is the batch of all devices together.
    devices: that share it.
    epoch: from 1, whose phase of training the step is of.
  """
  config = cases.with_epochs(config)
  method, model, frozen = abstract_model(config)
  optimizers = schedules.optimizers(config, method.PLAYERS, 100, devices)
  phase = phases.program_key(method, config, epoch - 1)
  model = model.replace(optimizers=optimizers, phase=phase)
  batch = batch_shapes(config, devices, base.hook(method, 'batch_fields')(config))
  return Step(method, model, (state_shapes(method, model, devices), batch, frozen))


def flops(config: ConfigDict, devices: int = 1, epoch: int = 1) -> float:
  """Operations of one device in a step, as XLA counts them before any optimization.

  Convolutions are in their plain form and nothing is recomputed, so that the definition is counted.
  The body of a loop counts once, however often it runs.
  """
  config = config.copy_and_resolve_references()
  config.remat, config.data.batch = False, max(config.data.batch // devices, 1)
  with backend.compiling_for('gpu'):   # whose form is the plain one
    lowered = step_of(config, epoch=epoch).lower()
  return float((lowered.cost_analysis() or {}).get('flops', math.nan))


def state_shapes(method: base.Method, model: Model, devices: int) -> State:
  """Shapes of the state of step 0."""
  without = model.config.copy_and_resolve_references()
  without.train.ema = 0.0   # averages begin as copies on the host, which cannot be traced
  state = jax.eval_shape(lambda: load.fresh_state(method, model.replace(config=without)))
  kept = averaging.names(method) if model.config.train.ema else []
  device_state = jax.tree.map(lambda x: jax.ShapeDtypeStruct((devices, *x.shape[1:]), x.dtype),
                              state.device_state)
  return state.replace(device_state=device_state,
                       ema={name: state.params[name] for name in kept})


def abstract_model(config: ConfigDict) -> tuple[base.Method, Model, dict[str, Any]]:
  """(method, model without optimizers and frozen parameters, shapes of those)."""
  method = methods.get(config.method)
  examples = method.example_inputs(config)
  networks, frozen = dict(method.networks(config)), {}
  for name, (module, weights) in base.hook(method, 'frozen_networks')(config).items():
    networks[name] = module
    frozen[name] = pretrained.shapes_of(weights, module, examples.get(name))
  return method, Model(config, networks), frozen


def batch_shapes(config: ConfigDict, devices: int, fields: tuple[str, ...]) -> dict[str, Any]:
  """Shapes of a raw batch [devices, b, ...] as the loader deals scenes of 8 bits.

  Args:
    fields: of the method's `batch_fields`.
  """
  data, (h, w) = config.data, ops.hw(config.data.crop_size)
  head = (devices, data.batch // devices)
  frames = {'labels': ((data.frames, h, w), np.uint8), 'edges': ((data.frames, h, w), np.uint8),
            'flow': ((data.frames - 1, h, w, 2), np.float32), 'index': ((), np.int32)}
  infrared = 'b' if data.direction == 'b2a' else 'a'
  shapes: dict[str, Any] = {}
  for side in 'ab':
    channels = 1 if side == infrared else 3
    shapes[side] = jax.ShapeDtypeStruct((*head, data.frames, h, w, channels), np.uint8)
    shapes[f'range_{side}'] = jax.ShapeDtypeStruct((*head, 2), np.float32)
    for field in fields:
      name = field.removesuffix(f'_{side}')
      if name not in frames:   # of the other domain
        continue
      shape, dtype = frames[name]
      for part in ('flow', 'flow_fwd') if name == 'flow' else (name,):
        shapes[f'{part}_{side}'] = jax.ShapeDtypeStruct((*head, *shape), dtype)
  return shapes


def count(tree: Any) -> int:
  """Numbers in a tree of arrays or shapes."""
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(tree))


def memory(compiled: jax.stages.Compiled) -> int:
  """Bytes that a program needs on a device, itself included; 0 where the backend does not say."""
  plan = compiled.memory_analysis()
  if plan is None:
    return 0
  return (plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes
          + plan.generated_code_size_in_bytes - plan.alias_size_in_bytes)
