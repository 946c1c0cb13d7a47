"""Motion of test clips that is not known, estimated for the warping error."""


import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from i2vjax import pretrained
from i2vjax.core import files
from i2vjax.core.model import Model
from i2vjax.flow import estimate
from i2vjax.metrics import warping
from i2vjax.pretrained import registry

ESTIMATORS = ('raft_large', 'raft_small')   # before TV-L1, where their files are here


# ---- motion that is not known -----------------------------------------------------------------


def estimator_of(config):
  """Name of what estimates motion for the warping error: `eval.flow`, or the best that is here."""
  name = config.eval.flow
  if name != 'auto':
    estimate.parse_name(name)
    return name
  known = [name for name in ESTIMATORS if registry.find(registry.entry(name), config)]
  return known[0] if known else 'tvl1'


def motion_of(config, name):
  """uint8 frames [T, H, W, C] of the source -> (flow [T-1, H, W, 2], visible [T-1, H, W]).

  Forward flow by the estimator `name`, visible where the backward flow agrees and no motion ends
  (metrics/warping.py). Infrared pairs are stretched to the whole range first (flow/estimate.py).
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
  def both(params, now, after):
    now, after = estimate.stretch_contrast(settings, 'a', now, after)
    estimator = model.replace(frozen=params)
    forward = estimate.estimate(estimator, now, after)
    backward = estimate.estimate(estimator, after, now)
    return forward, warping.valid_mask(forward, backward)[..., 0]

  def call(frames):
    length = len(frames) - 1
    if not length:
      return None
    found = [files.allocate((length, *frames.shape[1:3], *last), np.float32) for last in ((2,), ())]
    for start in range(0, length, batch):
      index = np.minimum(np.arange(start, start + batch), length - 1)
      now, after = (jnp.asarray(frames[k], jnp.float32) / 127.5 - 1 for k in (index, index + 1))
      for whole, part in zip(found, both(params, now, after), strict=True):
        whole[start:start + batch] = np.asarray(part)[:length - start]
    return tuple(found)
  return call
