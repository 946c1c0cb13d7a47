"""Optical flow of test clips, estimated where the true motion is unknown."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from i2vjax import pretrained
from i2vjax.core import files, precision
from i2vjax.core.model import Model
from i2vjax.flow import estimate
from i2vjax.metrics import warping
from i2vjax.pretrained import registry

ESTIMATORS = ('raft_large', 'raft_small')   # before TV-L1, where their files are here


def choose_estimator(config: ml_collections.ConfigDict) -> str:
  """Name of the flow estimator for the warping error: `eval.flow`, or the best that is here."""
  name = config.eval.flow
  if name != 'auto':
    estimate.parse_name(name)   # raises where the name is unknown
    return name
  for estimator in ESTIMATORS:
    if registry.find(registry.entry(estimator), config):
      return estimator
  return 'tvl1'


def motion_estimator(config: ml_collections.ConfigDict, name: str) -> Callable:
  """A function: uint8 source frames [T, H, W, C] -> (flow [T-1, H, W, 2], visible [T-1, H, W]).

  Forward flow by the estimator `name`, visible where the backward flow agrees and no motion ends
  (metrics/warping.py). Infrared pairs are stretched to the whole range first (flow/estimate.py).
  A single frame gives None.
  """
  settings = ml_collections.FrozenConfigDict(dict(
      flow=dict(name=name, iters=20, levels=5, warps=5, inner=30, stretch=True, weights=''),
      data=dict(direction='a2b')))
  frozen = estimate.frozen_networks(settings)
  model = Model(settings, {part: module for part, (module, _) in frozen.items()})
  params = {part: pretrained.load(weights, module, None, config)
            for part, (module, weights) in frozen.items()}
  batch = config.eval.batch

  @jax.jit
  @precision.exact
  def flow_and_visibility(params, now, after):
    now, after = estimate.stretch_contrast(settings, 'a', now, after)
    estimator = model.replace(frozen=params)
    forward = estimate.estimate(estimator, now, after)
    backward = estimate.estimate(estimator, after, now)
    return forward, warping.valid_mask(forward, backward)[..., 0]

  def call(frames):
    length = len(frames) - 1
    if not length:
      return None
    flow = files.allocate((length, *frames.shape[1:3], 2), np.float32)
    visible = files.allocate((length, *frames.shape[1:3]), np.float32)
    for start in range(0, length, batch):
      # The last batch is filled up by repeating the last pair, so that one program serves all.
      index = np.minimum(np.arange(start, start + batch), length - 1)
      parts = flow_and_visibility(params, _to_float(frames[index]), _to_float(frames[index + 1]))
      flow[start:start + batch] = np.asarray(parts[0])[:length - start]
      visible[start:start + batch] = np.asarray(parts[1])[:length - start]
    return flow, visible
  return call


def _to_float(frames):
  return jnp.asarray(frames, jnp.float32) / 127.5 - 1
