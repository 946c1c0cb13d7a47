"""LPIPS: perceptual distance of two frames in features of a frozen network.

Zhang, Isola, Efros, Shechtman, Wang, CVPR 2018; version 0.1 of the authors' heads.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import metrics
from i2vjax.core import ops, precision
from i2vjax.core.errors import UserError

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)   # ImageNet's, for [-1, 1]
SMALLEST = 64   # pixels: AlexNet's last maps are 3x3 there (ours)
TINY = 1e-10


@precision.exact
def distance(nets: dict, params: dict, frames: jax.Array, targets: jax.Array) -> jax.Array:
  """LPIPS of each pair of frames.

  Sum over features of the spatial mean of w . (u - v)^2, u and v the features divided by their
  length over the channels, w the head of that feature. Identical frames give 0, with gradient 0.

  Args:
    nets: {'backbone': frames -> {name: feature}, 'heads': weighted sums over channels}.
    params: {'backbone', 'heads'}: their parameters.
    frames, targets: [N, H, W, 3 or 1] in [-1, 1], H and W at least 64.

  Returns:
    [N] float32.

  Raises:
    UserError: frames of different shapes, or too small.
  """
  metrics.same_shape(frames, targets, least=SMALLEST)
  both = ops.match_channels(jnp.concatenate([frames, targets]), 3).astype(jnp.float32)
  both = (both - np.asarray(SHIFT, np.float32)) / np.asarray(SCALE, np.float32)
  features = nets['backbone'].apply({'params': params['backbone']}, both)
  squares = [jnp.square(jnp.subtract(*jnp.split(directions(x), 2))) for x in features.values()]
  maps = nets['heads'].apply({'params': params['heads']}, *squares)
  return sum(jnp.mean(x, axis=(1, 2)) for x in maps)


def directions(features: jax.Array) -> jax.Array:
  """Features [B, h, w, C] divided by their length over C; where all are 0 they stay 0."""
  square = jnp.sum(jnp.square(features), axis=-1, keepdims=True)
  length = jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1)), 0)
  return features / (length + TINY)


@functools.partial(jax.jit, static_argnames=('backbone', 'heads'))
def _values(backbone, heads, params, frames, targets):
  return distance({'backbone': backbone, 'heads': heads}, params, frames, targets)


def program(nets: dict, params: dict, batch: int = 16) -> Callable:
  """A function that compares two clips frame by frame.

  Args:
    nets, params: see `distance`.
    batch: pairs at a time; one shape is compiled, the last batch is filled up and cut.

  Returns:
    frames, targets, both [T, H, W, C] uint8 or float in [-1, 1] -> [T] float32 on the host. A pair
    that holds NaN or infinity gives NaN.
  """
  params = jax.tree.map(jnp.asarray, params)

  def call(frames, targets):
    frames, targets = np.asarray(frames), np.asarray(targets)
    metrics.same_shape(frames, targets, least=SMALLEST)
    parts = [np.zeros(0, np.float32)]
    for start in range(0, len(frames), batch):
      index = np.minimum(np.arange(start, start + batch), len(frames) - 1)
      values = np.asarray(_values(nets['backbone'], nets['heads'], params,
                                  signed(frames[index]), signed(targets[index])))
      parts.append(values[:len(frames) - start])
    finite = np.isfinite(frames).all(axis=(1, 2, 3)) & np.isfinite(targets).all(axis=(1, 2, 3))
    return np.where(finite, np.concatenate(parts), np.float32(np.nan))
  return call


def signed(frames: np.ndarray) -> np.ndarray:
  """[N, H, W, C] uint8, or float in [-1, 1], as float32 in [-1, 1], clipped."""
  if frames.dtype == np.uint8:
    return frames.astype(np.float32) / 127.5 - 1
  return np.clip(frames, -1, 1).astype(np.float32)


def update(total: dict, call: Callable, frames: np.ndarray, targets: np.ndarray,
           name: str = 'lpips') -> tuple[dict, np.ndarray]:
  """Add a clip to a running total (`metrics.update`).

  Args:
    total: from `metrics.init` or an earlier update.
    call: from `program`.
    frames, targets: [T, H, W, C], aligned.
    name: of the score (`score_names`), which marks random weights.

  Returns:
    (total, [T] values).
  """
  values = call(frames, targets)
  return metrics.update(total, {name: values}), values


def temporal(call: Callable, frames: np.ndarray) -> np.ndarray:
  """LPIPS between each frame and the next, [T - 1]: what flickers, moves or changes in a clip.

  Read it beside the same of the source or target: a frozen clip has 0. Fewer than two frames are
  refused.
  """
  if len(frames) < 2:
    raise UserError('LPIPS between frames needs at least 2 frames')
  return call(frames[1:], frames[:-1])
