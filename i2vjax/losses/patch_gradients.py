"""Per-patch critic gradients as content weights: content-aware optimization (CPTrans, CVPR 2023).

A critic scores N patches of one image. The gradient of one patch's loss, compared with the mean
gradient, tells whether the patch is one of many similar ones (sky, road) or a rare one (a person,
a sign). Rare patches get more weight.

theta the critic's parameters; s_i the logit of patch i; l_i its loss; v_i = d s_i / d theta;
V = sum_j |d l_j / d s_j| v_j, the gradient of the mean loss up to a factor.
`patch_gradients_fast.py` computes the same numbers in cheaper ways.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError

TINY = 1e-12      # a gradient below this has no direction
ORDERS = ('lowest', 'lowest_abs')


def slopes(logits: jax.Array, label: float, mode: str | None) -> tuple[jax.Array, jax.Array]:
  """d l / d s of every patch, as a direction over the critic's channels and an amplitude.

  grad l_i = amplitude_i * v_i with v_i = sum_c direction_ic * grad s_ic. A patch's cosine does not
  depend on its own amplitude, so a saturated critic (p near 0 or 1) does no harm.

  Args:
    logits: [N, C] of one image.
    label: 1.0 for real, 0.0 for fake.
    mode: 'vanilla' or 'nonsaturating' l = -log p or -log(1 - p); 'lsgan' l = (s - label)^2; None
      l = s, the plain mean of the logits.

  Returns:
    (direction [N, C], amplitude [N]); a common factor of the amplitudes is left out.
  """
  if mode not in ('vanilla', 'nonsaturating', 'lsgan', None):
    raise UserError(f'gan.mode={mode!r}: patches have no slope by it')
  if mode in ('vanilla', 'nonsaturating'):
    # |d l / d s| = 1 - p or p, as logarithms so that nothing underflows. The sign is the same for
    # all patches and cancels in the cosine.
    size = jax.nn.log_sigmoid((1 - 2 * label) * logits)
    largest = jnp.max(size, axis=-1)
    return jnp.exp(size - largest[:, None]), jnp.exp(largest - jnp.max(largest))
  slope = logits - label if mode == 'lsgan' else jnp.ones_like(logits)
  amplitude = jnp.max(jnp.abs(slope), axis=-1)
  zero = amplitude < TINY
  direction = jnp.where(zero[:, None], 0, slope / jnp.where(zero, 1, amplitude)[:, None])
  return direction, amplitude


def mean_gradient(logit_fn: Callable, params: Any, x: jax.Array, direction: jax.Array,
                  amplitude: jax.Array) -> Any:
  """V, the gradient of sum_j amplitude_j * <direction_j, s_j>: one ordinary backward pass."""
  def total(p):
    return jnp.sum(amplitude[:, None] * direction * channels(logit_fn(p, x)))
  return jax.grad(total)(params)


def channels(logits: jax.Array) -> jax.Array:
  """[N] -> [N, 1]; [N, C] passes."""
  return logits[:, None] if logits.ndim == 1 else logits


def inner(u: Any, v: Any) -> jax.Array:
  """Inner product of two trees of arrays, in float32."""
  dots = jax.tree.map(lambda a, b: jnp.vdot(a, b, precision=jax.lax.Precision.HIGHEST), u, v)
  return sum(jax.tree.leaves(dots))


def patch_products(logit_fn: Callable, params: Any, x: jax.Array, direction: jax.Array, V: Any,
                   ids: jax.Array, chunk: int = 32) -> tuple[jax.Array, jax.Array]:
  """<v_i, V> and |v_i|^2 of the patches `ids`, from the gradients themselves.

  `jax.vmap(jax.grad)` over `chunk` patches at a time: the gradients of a chunk are reduced to two
  numbers each before the next chunk begins, so memory is O(chunk * |theta|), not O(N * |theta|)
  (10 GB for a PatchGAN at 256 pixels). Time is one backward pass per patch.

  Args:
    logit_fn: (theta, x) -> logits [N] or [N, C]. A convolutional critic should compute its
      convolutions as matrix products (conv.py, 'matmul').
    params: theta.
    x: one image, as `logit_fn` takes it.
    direction: [N, C] of `slopes`.
    V: tree like `params`.
    ids: [K] patch numbers.
    chunk: patches at a time.

  Returns:
    (products [K], squares [K]).
  """
  def logit(p, i):
    return jnp.vdot(direction[i], channels(logit_fn(p, x))[i],
                    precision=jax.lax.Precision.HIGHEST)

  patch_gradients = jax.vmap(jax.grad(logit), in_axes=(None, 0))

  def reduce(some):
    v = patch_gradients(params, some)
    return jax.vmap(inner, in_axes=(0, None))(v, V), jax.vmap(inner)(v, v)
  chunk = min(chunk, len(ids))
  pieces = jnp.resize(ids, (-(-len(ids) // chunk), chunk))   # repeated ids fill the last chunk
  return jax.tree.map(lambda y: y.reshape(-1)[:len(ids)], jax.lax.map(reduce, pieces))


def cosine(products: jax.Array, squares: jax.Array, V_square: jax.Array) -> jax.Array:
  """delta_i = <v_i, V> / (|v_i| |V|), clipped to [-1, 1]; 1 where a gradient vanishes.

  A weight has no effect on a patch without a gradient, so it must not be selected (ours).
  """
  v, V = jnp.sqrt(squares), jnp.sqrt(V_square)
  vanishes = (v < TINY) | (V < TINY)
  return jnp.where(vanishes, 1.0, jnp.clip(products / jnp.where(vanishes, 1.0, v * V), -1, 1))


def patch_grad_cosine(logit_fn: Callable, params: Any, x: jax.Array, label: float = 1.0,
                      mode: str | None = None, chunk: int = 32) -> jax.Array:
  """delta_i = cos(grad l_i, mean_j grad l_j) over the patches of one image: the definition.

  (CPTrans, content-aware optimization.) All cheaper methods are tested against this one.

  Args:
    logit_fn, params, x, chunk: as in `patch_products`.
    label, mode: as in `slopes`.

  Returns:
    [N] float32 in [-1, 1]. O(N) backward passes.
  """
  logits = channels(logit_fn(params, x))
  direction, amplitude = slopes(logits, label, mode)
  V = mean_gradient(logit_fn, params, x, direction, amplitude)
  ids = jnp.arange(len(logits))
  products, squares = patch_products(logit_fn, params, x, direction, V, ids, chunk)
  return cosine(products, squares, inner(V, V))


def selected(delta: jax.Array, eta: float, order: str = 'lowest', border: int = 0) -> jax.Array:
  """U: the floor(eta * N) patches of each image that deviate most from the mean (eta_ratio).

  Args:
    delta: [B, h, w].
    eta: share of the N = h * w patches.
    order: 'lowest' delta, or 'lowest_abs' |delta|.
    border: rings of patches at the border that are never selected. There a PatchGAN sees its own
      zero padding and deviates for that reason only (ours).

  Returns:
    [B, h, w] bool, exactly floor(eta * N) of each image (fewer only if `border` leaves fewer);
    among equal values the first.
  """
  if order not in ORDERS:
    raise UserError(f'co.select={order!r}: choose one of {", ".join(ORDERS)}')
  B, h, w = delta.shape
  inside = jnp.zeros((h, w), bool).at[border:h - border, border:w - border].set(True)
  rank = jnp.where(inside, jnp.abs(delta) if order == 'lowest_abs' else delta, jnp.inf)
  free = max(h - 2 * border, 0) * max(w - 2 * border, 0)
  count = min(int(eta * h * w + 1e-6), free)   # 1e-6: 0.29 * 100 is 28.999... in binary
  _, ids = jax.lax.top_k(-rank.reshape(B, -1), count)
  return jax.vmap(lambda i: jnp.zeros(h * w, bool).at[i].set(True))(ids).reshape(B, h, w)


def weights(delta: jax.Array, chosen: jax.Array, increase: float) -> jax.Array:
  """w_i = lambda_inc / exp(|delta_i|) on U, 1 elsewhere (CPTrans), constant for every gradient.

  No weight in U falls below 1 (ours): with lambda_inc up to e the formula of the paper would
  reverse the idea, as rich patches would count least and stand still while all others move.

  Args:
    delta: [B, h, w].
    chosen: [B, h, w] bool, U.
    increase: lambda_inc. Above e every chosen patch gains weight, at 1 or below none does.

  Returns:
    [B, h, w] float32 without gradient: only then is w * grad l the gradient of w * l.
  """
  w = jnp.where(chosen, jnp.maximum(increase / jnp.exp(jnp.abs(delta)), 1.0), 1.0)
  return jax.lax.stop_gradient(w.astype(jnp.float32))


def weighted_mean(weight: jax.Array | None, losses: jax.Array) -> jax.Array:
  """(1 / N) sum_i w_i l_i, mean over images; divided by N, not by the sum of w (CPTrans).

  Args:
    weight: [B, h, w], or None for equal weights.
    losses: [B, h, w, C]; the mean over C is a patch's loss.

  Returns:
    Scalar.
  """
  losses = jnp.mean(losses, axis=-1)
  if weight is None:
    return jnp.mean(losses)
  if losses.shape != weight.shape:
    raise ValueError(f'weights {weight.shape} for patch losses {losses.shape}')
  return jnp.mean(weight * losses)
