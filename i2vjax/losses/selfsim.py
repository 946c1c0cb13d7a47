"""Self-similarity maps and their spatially-correlative loss (LSeSim).

A row of a map holds the similarities of one place of a feature map to the others. Translation may
change all features of an image; which of them are similar is its layout, which must stay (Zheng et
al., CVPR 2021; numbers of the public code).

n queried places, K places each is compared with.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import optax

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.losses import descriptor, similarity

MODES = ('cos', 'l1')
TANH_SCALE = 10.0   # divides products of features before their tanh


def places(key: jax.Array, features: Sequence[jax.Array], count: int) -> list[jax.Array]:
  """Query places of each layer, the same for all images of a step.

  Args:
    key: PRNG key.
    features: [[B, h_l, w_l, C_l] for each layer l].
    count: places per layer, on smaller maps all; -1: all.

  Returns:
    [[n_l] int32, row by row on the layer's map].
  """
  sizes = [f.shape[1] * f.shape[2] for f in features]
  return [jnp.arange(size) if count < 0 else similarity.random_ids(key, size, count)
          for key, size in zip(jax.random.split(key, len(sizes)), sizes, strict=True)]


def similarity_map(features: jax.Array, ids: jax.Array, side: int = 64,
                   unit: bool = False) -> jax.Array:
  """Similarities of places `ids` to the places around them, or to all where the map is small.

  Features are centered over the image. s = tanh(<q, k> / (10 C)), or <q, k> of unit vectors.

  Args:
    features: [B, h, w, C].
    ids: [n] query places.
    side: keys are those of a side x side window around the query, shifted inwards at the border; on
      maps that are not larger than it in both directions they are the whole map.
    unit: normalize features to unit length.

  Returns:
    [B, n, K] float32, K = side^2 or h w. The products with the whole map, one matrix product of n x
    h w, are computed in both cases; a window selects from them.
  """
  B, h, w, C = features.shape
  f = features.astype(jnp.float32).reshape(B, h * w, C)
  f = descriptor.center(f) if unit else (f - jnp.mean(f, axis=1, keepdims=True)) / jnp.sqrt(C)
  s = similarity.products(f[:, ids], f)
  if side < h and side < w:
    s = s[:, jnp.arange(len(ids))[:, None], ops.window_places(ids, (h, w), side)]
  return s if unit else jnp.tanh(s / TANH_SCALE)


def strongest(source: jax.Array, target: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Both rows with zeros where the target's value is not in the largest quarter of its row.

  The floor(K / 4) + 1 largest stay (more only if equal). The choice is a constant.

  Args:
    source, target: [B, n, K].

  Returns:
    (source, target).
  """
  count = target.shape[-1] // 4 + 1
  threshold = jax.lax.top_k(jax.lax.stop_gradient(target), count)[0][..., -1:]
  keep = target >= threshold
  return jnp.where(keep, source, 0), jnp.where(keep, target, 0)


def difference(source: jax.Array, target: jax.Array, mode: str = 'cos',
               unit: bool = False) -> jax.Array:
  """Difference of the self-similarity maps of two images.

  'cos': 1 - cosine of the rows. 'l1': differences of the rows times K / floor(K / 4). Of each value
  x the loss is |x| with `unit`, else its smooth form, x^2 / 2 below 1 and |x| - 1/2 above (the
  public code decides it by `unit` too).

  Args:
    source: [B, n, K], a constant.
    target: [B, n, K], of the translation.
    mode: one of `MODES`.
    unit: as in `similarity_map`.

  Returns:
    Scalar: mean over images and rows.

  Raises:
    UserError: the mode is not known.
  """
  if mode not in MODES:
    raise UserError(f'lsesim.loss_mode={mode!r}: choose one of {", ".join(MODES)}')
  K = target.shape[-1]
  source, target = strongest(jax.lax.stop_gradient(source), target)
  if mode == 'cos':
    gap = 1 - similarity.row_cosine(source, target)
  else:
    gap = (source - target) * (K / (K // 4))
  return jnp.mean(jnp.abs(gap) if unit else optax.huber_loss(gap))


def contrast(source: jax.Array, target: jax.Array, other: jax.Array,
             temperature: float = 0.07) -> jax.Array:
  """Cross-entropy of finding the target's row of the same place for a row of the source.

  Negatives are the target's other rows, and products of both images' rows with those of an
  unrelated image: logits [s_i t_j | s_i o_j | t_i o_j] / temperature over j, the positive s_i t_i.
  Gradients reach all three: the loss trains the heads that compute the features.

  Args:
    source, target, other: [B, n, K], same places of the three images.
    temperature: divides the logits.

  Returns:
    Scalar: mean over images and rows.
  """
  s, t, o = _unit(source), _unit(target), _unit(other)
  pairs = ((s, t), (s, o), (t, o))
  logits = jnp.concatenate([similarity.products(*pair) for pair in pairs], axis=-1) / temperature
  positive = jnp.diagonal(logits[..., :s.shape[1]], axis1=-2, axis2=-1)
  return jnp.mean(jax.nn.logsumexp(logits, axis=-1) - positive)


def _unit(x):
  """Rows of unit length."""
  return x * jax.lax.rsqrt(jnp.sum(jnp.square(x), axis=-1, keepdims=True) + similarity.EPS)
