"""Warping error: how much consecutive frames differ once motion is removed.

Flow and mask come from the source video (or the truth) once, and are then applied to the translated
video: a method cannot win by blurring its own motion. Conventions as in `ops.warp`: flow in pixels,
[..., 0] to the right, [..., 1] down, frame_t(p) = frame_{t+1}(p + forward_t(p)).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import metrics
from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.flow import visibility

KINDS = ('mse', 'euclidean')


def valid_mask(forward: jax.Array, backward: jax.Array | None = None,
               visible: jax.Array | None = None, *, boundaries: bool | None = None) -> jax.Array:
  """Where two frames may be compared.

  Args:
    forward: [N, H, W, 2] flow t -> t+1; entries that are not finite mark pixels without flow.
    backward: [N, H, W, 2] flow t+1 -> t: adds the occlusion test.
    visible: [N, H, W] or [N, H, W, 1], known visibility of each pixel in the next frame. It is
      exact, so it replaces both tests that only estimate it (ours).
    boundaries: also leave out motion boundaries; None: exactly where there is no `visible`.

  Returns:
    [N, H, W, 1] float32, 1 = compare.
  """
  finite = jnp.all(jnp.isfinite(forward), axis=-1, keepdims=True)
  forward = jnp.where(finite, forward, 0)
  mask = finite
  if visible is not None:
    mask &= visible.reshape(mask.shape) > 0
  elif backward is not None:
    defined = jnp.all(jnp.isfinite(backward), axis=-1, keepdims=True)
    mask &= ~visibility.occlusion(forward, jnp.where(defined, backward, 0))
    mask &= ops.warp(defined.astype(jnp.float32), forward) > 0.999
  if boundaries or (boundaries is None and visible is None):
    mask &= ~visibility.motion_boundary(forward)
  return mask.astype(jnp.float32)


@jax.jit
def seen_again(forward: jax.Array, backward: jax.Array) -> jax.Array:
  """Where a true flow, known both ways, leads to a point that the next frame shows.

  `valid_mask` of both flows, and the target inside the frame (ours: estimated flow cannot be
  trusted there either, but the public code tests only estimates, and does not ask). A perfect
  video has no error there.

  Args:
    forward, backward: [N, H, W, 2], NaN where not known.

  Returns:
    [N, H, W] float32, 1 or 0.
  """
  known = jnp.where(jnp.isfinite(forward), forward, 0)
  return (valid_mask(forward, backward) * visibility.inside(known))[..., 0]


def pair_errors(frames: jax.Array, following: jax.Array, forward: jax.Array, mask: jax.Array,
                kind: str = 'mse') -> jax.Array:
  """Error of each pair of consecutive frames.

  'mse': sum_p M sum_c (warped - frame)^2 / (C sum_p M), as in the public code of Lai et al., ECCV
  2018, and the only reading under which the published figures of STC-V2V are possible;
  'euclidean': mean over valid pixels of the color distance sqrt(sum_c d_c^2), as STC-V2V's text.

  Args:
    frames, following: [N, H, W, C] in [0, 1], frame t and frame t+1.
    forward: [N, H, W, 2].
    mask: [N, H, W, 1], 1 = compare.

  Returns:
    [N]; 0 where nothing may be compared.
  """
  if kind not in KINDS:
    raise UserError(f'eval.warp_kind={kind!r}: choose one of {", ".join(KINDS)}')
  metrics.same_shape(frames, following)
  forward = jnp.where(jnp.isfinite(forward), forward, 0)
  square = (ops.warp(following, forward) - frames) ** 2
  if kind == 'mse':
    error = jnp.mean(square, axis=-1, keepdims=True)
  else:
    error = jnp.sqrt(jnp.sum(square, axis=-1, keepdims=True))
  area = jnp.sum(mask, axis=(1, 2, 3))
  return jnp.sum(mask * error, axis=(1, 2, 3)) / jnp.maximum(area, 1)


_pair_errors = jax.jit(pair_errors, static_argnames='kind')


def clip_error(frames: jax.Array, forward: jax.Array, mask: jax.Array, *, kind: str = 'mse',
               batch: int = 16) -> dict:
  """Warping error of one clip: the mean over its pairs.

  Args:
    frames: [T, H, W, C] in [0, 1].
    forward: [T-1, H, W, 2]; mask: [T-1, H, W, 1].
    batch: pairs per call on the device; the last call is filled up, so that one program serves all.

  Returns:
    {f'warping_{kind}': mean, 'num_empty_pairs': pairs without a pixel to compare (they count 0),
    'pairs': [T-1] values}.
  """
  length = len(frames) - 1
  if length < 1:
    raise UserError('the warping error needs a clip of at least 2 frames')
  if len(forward) != length or len(mask) != length:
    raise UserError(f'{length + 1} frames have {length} pairs, but there are {len(forward)} flow '
                     f'fields and {len(mask)} masks')
  values = []
  for start in range(0, length, batch):
    index = np.minimum(np.arange(start, start + batch), length - 1)
    values.append(_pair_errors(frames[index], frames[index + 1], forward[index], mask[index], kind))
  pairs = np.concatenate(values)[:length].astype(np.float64)
  empty = int(np.sum(np.sum(np.asarray(mask), axis=(1, 2, 3)) == 0))
  return {f'warping_{kind}': float(pairs.mean()), 'num_empty_pairs': empty, 'pairs': pairs}


def resize_flow(flow: jax.Array, visible: jax.Array,
                size: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
  """Flow and visibility at another frame size.

  Args:
    flow: [N, H, W, 2]; visible: [N, H, W] (any type, > 0 = visible).
    size: (height, width).

  Returns:
    (flow [N, *size, 2] with its vectors scaled, visible [N, *size] float32, 1 only where every
    pixel that was averaged is visible). Untouched if the size is the same.
  """
  flow = jnp.asarray(flow, jnp.float32)
  visible = (jnp.asarray(visible) > 0).astype(jnp.float32)
  height, width = flow.shape[1:3]
  if (height, width) == tuple(size):
    return flow, visible
  scale = jnp.asarray([size[1] / width, size[0] / height], jnp.float32)
  smooth = functools.partial(jax.image.resize, method='linear', antialias=True)
  finite = jnp.all(jnp.isfinite(flow), axis=-1)
  visible = smooth(visible * finite, (len(flow), *size))
  flow = smooth(jnp.where(finite[..., None], flow, 0), (len(flow), *size, 2)) * scale
  return flow, (visible > 0.999).astype(jnp.float32)
