"""Fast methods for the cosines of `patch_gradients.py`, tested against it.

'closed_form' for a two-layer critic on tokens, exact. 'jvp_last' and 'jvp_probe' for a PatchGAN,
whose instance norms couple all patches: numerators <v_i, V> exact, by one forward-mode pass;
norms |v_i| from the last two convolutions, or from random probes. Symbols as in
`patch_gradients.py`.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.losses import patch_gradients

dot = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
EPSILON = 1e-5   # of the critic's instance norm


def closed_form(x: jax.Array, first: dict[str, jax.Array], second: dict[str, jax.Array],
                label: float, mode: str | None, last: bool = False) -> jax.Array:
  """delta of a critic s = gelu(x w1 + b1) w2 + b2 that scores every token by itself.

  Gradients of dense layers are outer products, so their norms and inner products factor; the cost
  is that of about two forward passes. Exact.

  Args:
    x: [N, D] tokens of one image.
    first: {'kernel': [D, H], 'bias': [H]} of the hidden layer; exact GELU.
    second: {'kernel': [H, C], 'bias': [C]} of the output layer.
    label, mode: as in `patch_gradients.slopes`.
    last: only the gradients of the output layer.

  Returns:
    [N] in [-1, 1].
  """
  gelu = functools.partial(jax.nn.gelu, approximate=False)
  h = dot(x, first['kernel']) + first['bias']
  a, rise = jax.jvp(gelu, (h,), (jnp.ones_like(h),))
  direction, amplitude = patch_gradients.slopes(
    dot(a, second['kernel']) + second['bias'], label, mode
  )
  back = dot(direction, second['kernel'].T) * rise
  products, squares, V_square = 0.0, 0.0, 0.0
  # A dense layer with input rows u_i and output gradients r_i has the gradient (u_i r_i^T, r_i).
  for u, r in ((a, direction),) if last else ((a, direction), (x, back)):
    V_kernel, V_bias = dot(u.T, amplitude[:, None] * r), dot(amplitude, r)
    products += jnp.sum((dot(u, V_kernel) + V_bias) * r, axis=-1)
    squares += jnp.sum(r * r, axis=-1) * (jnp.sum(u * u, axis=-1) + 1)
    V_square += jnp.sum(V_kernel * V_kernel) + jnp.sum(V_bias * V_bias)
  return patch_gradients.cosine(products, squares, V_square)


def forward_products(logit_fn: Callable, params: Any, x: jax.Array, direction: jax.Array,
                     V: Any) -> jax.Array:
  """<v_i, V> of all patches at once: the derivative of the logits along V, one forward-mode pass.

  Args:
    logit_fn: (theta, x) -> [N] or [N, C]; its operations must allow forward mode ('plain' or
      'matmul' convolutions).
    direction: [N, C].
    V: tree like `params`.

  Returns:
    [N].
  """
  _, change = jax.jvp(lambda p: patch_gradients.channels(logit_fn(p, x)), (params,), (V,))
  return jnp.sum(direction * change, axis=-1)


def windows(x: jax.Array, fill: float = 0) -> jax.Array:
  """The 4 x 4 input of each output of a convolution of kernel 4, stride 1, padding 1.

  Args:
    x: [h, w, C].
    fill: value of the padding.

  Returns:
    [(h - 1) * (w - 1), 16, C], offsets row by row as in a kernel [4, 4, C, O].
  """
  h, w, C = x.shape
  x = jnp.pad(x, ((1, 1), (1, 1), (0, 0)), constant_values=fill)
  shifted = [x[i:i + h - 1, j:j + w - 1] for i in range(4) for j in range(4)]
  return jnp.stack(shifted, axis=2).reshape(-1, 16, C)


def head_squares(head_in: jax.Array, direction: jax.Array) -> jax.Array:
  """|v_i|^2 of the last convolution: |window|^2 + 1 (its bias), times |direction|^2. [N]."""
  window = jnp.sum(jnp.square(windows(head_in)), axis=(1, 2))
  return jnp.sum(jnp.square(direction), axis=-1) * (window + 1)


def normed_squares(before: jax.Array, norm: jax.Array, variance: jax.Array, head_kernel: jax.Array,
                   direction: jax.Array, chunk: int = 32) -> jax.Array:
  """|v_i|^2 of the convolution before the last, which an instance norm and a leaky ReLU follow.

  Patch i reads 16 positions q of the normalized map x. With u_i(q, c) the gradient that arrives at
  x(q, c) and P_q the window of position q, the gradient of channel c's kernel is
  (sum_q u P_q - a m - b n_c) / sigma_c, a = mean_q u, b = mean_q u x, m = sum_q P_q,
  n_c = sum_q x(q, c) P_q: the derivative of the norm removes the mean and the part along x. Its
  square needs only the windows' Gram matrix K = P P^T, since m and n_c are sums of windows too.
  The bias before a norm has gradient 0. Exact.

  Args:
    before: [h, w, I] input of that convolution (kernel 4, stride 1, padding 1).
    norm: [h - 1, w - 1, C] its output after the norm.
    variance: [C] that the norm divided by, without epsilon.
    head_kernel: [4, 4, C, O] of the last convolution.
    direction: [N, O], N = (h - 2) * (w - 2).
    chunk: patches at a time; memory O(chunk * 16 * C).

  Returns:
    [N]. O(M^2 (16 I + C)) with M = (h - 1) * (w - 1).
  """
  x = norm.reshape(-1, norm.shape[-1])
  M = x.shape[0]
  P = windows(before).reshape(M, -1)
  K = dot(P, P.T)
  Kx, K1 = dot(K, x), jnp.sum(K, axis=1)   # P n_c and P m
  mm, mn, nn = jnp.sum(K1), jnp.sum(Kx, axis=0), jnp.sum(x * Kx, axis=0)
  places = windows(jnp.arange(M).reshape(*norm.shape[:2], 1), fill=-1)[..., 0]
  kernel = head_kernel.reshape(16, *head_kernel.shape[2:])

  def square(patch):
    q, r = patch
    values = x[q]                                                     # [16, C]
    u = jnp.where(values >= 0, 1.0, 0.2) * dot(kernel, r)             # leaky ReLU
    u = jnp.where(q[:, None] >= 0, u, 0)                              # padding
    a, b = jnp.sum(u, axis=0) / M, jnp.sum(u * values, axis=0) / M
    inner = dot(K[q[:, None], q[None]], u) - 2 * a * K1[q][:, None]
    inner = jnp.sum(u * (inner - 2 * b * Kx[q]), axis=0)
    return jnp.sum((inner + a * a * mm + b * b * nn + 2 * a * b * mn) / (variance + EPSILON))
  return jnp.maximum(jax.lax.map(square, (places, direction), batch_size=chunk), 0)


def probe_squares(logit_fn: Callable, params: Any, x: jax.Array, direction: jax.Array,
                  key: jax.Array, probes: int = 64) -> jax.Array:
  """|v_i|^2 as the mean over Gaussian directions e of <v_i, e>^2. [N]; `probes` forward passes."""
  leaves, tree = jax.tree.flatten(params)

  def one_probe(key):
    keys = jax.random.split(key, len(leaves))
    e = [jax.random.normal(k, leaf.shape) for k, leaf in zip(keys, leaves, strict=True)]
    return jnp.square(forward_products(logit_fn, params, x, direction, tree.unflatten(e)))
  return jnp.mean(jax.lax.map(one_probe, jax.random.split(key, probes)), axis=0)


def jvp_probe(logit_fn: Callable, params: Any, x: jax.Array, label: float, mode: str | None,
              key: jax.Array, probes: int = 64) -> jax.Array:
  """delta [N] of one image, all norms from random probes. Arguments as in `jvp_last`."""
  direction, amplitude = patch_gradients.slopes(logit_fn(params, x), label, mode)
  V = patch_gradients.mean_gradient(logit_fn, params, x, direction, amplitude)
  products = forward_products(logit_fn, params, x, direction, V)
  squares = probe_squares(logit_fn, params, x, direction, key, probes)
  return patch_gradients.cosine(products, squares, patch_gradients.inner(V, V))


def jvp_last(logit_fn: Callable, parts: dict[str, jax.Array], head_kernel: jax.Array, params: Any,
             x: jax.Array, label: float, mode: str | None, key: jax.Array, calibrate: int = 2,
             chunk: int = 32) -> tuple[jax.Array, jax.Array]:
  """delta of one image of a PatchGAN, norms from its last two convolutions.

  The order of these norms is nearly that of the full ones. One factor per image scales them: the
  mean ratio of full to partial norm over `calibrate` random patches, whose gradients are computed
  in full. It changes all |delta_i| together and not which are selected. (Over the patches of one
  image the ratio varies by 7 to 12 %, measured on street frames, so 2 patches are enough.)

  Args:
    logit_fn: (theta, x) -> [N, C].
    parts: inputs of the last two convolutions for this image, by the names of
      `patchgan.PatchDiscriminator`, without batch axis. Without 'norm' only the head counts, which
      is exact where `params` are the head's; then set `calibrate` to 0.
    head_kernel: [4, 4, C, O] of the last convolution.
    params: the part of theta that gradients are taken of.
    label, mode: as in `patch_gradients.slopes`.
    calibrate: 0 leaves the norms as they are.

  Returns:
    (delta [N], mean absolute error left on the calibrated patches).
  """
  direction, amplitude = patch_gradients.slopes(logit_fn(params, x), label, mode)
  V = patch_gradients.mean_gradient(logit_fn, params, x, direction, amplitude)
  V_square = patch_gradients.inner(V, V)
  products = forward_products(logit_fn, params, x, direction, V)
  squares = head_squares(parts['conv_in_last'], direction)
  if 'norm' in parts:
    squares += normed_squares(parts['conv_in_prev'], parts['norm'], parts['var'], head_kernel,
                              direction, chunk)
  if not calibrate:
    return patch_gradients.cosine(products, squares, V_square), jnp.zeros(())
  ids = jax.random.permutation(key, len(products))[:calibrate]
  _, exact = patch_gradients.patch_products(logit_fn, params, x, direction, V, ids, chunk)
  factor = jnp.mean(jnp.sqrt(exact / jnp.maximum(squares[ids], patch_gradients.TINY)))
  delta = patch_gradients.cosine(products, squares * factor**2, V_square)
  true = patch_gradients.cosine(products[ids], exact, V_square)
  return delta, jnp.mean(jnp.abs(delta[ids] - true))


def settled_method(method: str, grad_params: str, available: tuple[str, ...]) -> str:
  """Name of the method for delta; 'auto' is the first one `available`."""
  if method not in ('auto', *available) or grad_params not in ('all', 'last'):
    raise UserError(f'co.method={method!r} with co.grad_params={grad_params!r}: for this critic '
                    f"choose 'auto' or {', '.join(available)}, and 'all' or 'last'")
  return available[0] if method == 'auto' else method


def token_critic(apply: Callable, theta: Any, x: jax.Array, label: float, mode: str | None, *,
                 method: str = 'auto', grad_params: str = 'all', chunk: int = 32) -> jax.Array:
  """delta of one image under a critic of two dense layers.

  Args:
    apply: (theta, x) -> logits [N, C].
    theta: {'dense_0', 'dense_1'}, each with kernel and bias.
    x: [N, D] tokens.
    label, mode: as in `patch_gradients.slopes`.
    method: 'closed_form' ('auto'), or 'vmap_grad' for the definition.
    grad_params: 'all', or 'last' for only the gradients of the output layer.
    chunk: as in `patch_gradients.patch_products`.

  Returns:
    [N].
  """
  method = settled_method(method, grad_params, ('closed_form', 'vmap_grad'))
  last = grad_params == 'last'
  if method == 'closed_form':
    return closed_form(x, theta['dense_0'], theta['dense_1'], label, mode, last)
  counted = {'dense_1': theta['dense_1']} if last else theta

  def logits(part, x):
    return apply({**theta, **part}, x)
  return patch_gradients.patch_grad_cosine(logits, counted, x, label, mode, chunk)


def patch_critic(apply: Callable, theta: Any, x: jax.Array, label: float, mode: str | None,
                 key: jax.Array, *, method: str = 'auto', grad_params: str = 'all', chunk: int = 32,
                 calibrate: int = 2, probes: int = 64) -> tuple[jax.Array, jax.Array]:
  """delta of one image under a PatchGAN.

  Args:
    apply: (theta, x) -> (logits [N, C], parts as in `jvp_last`). Its convolutions should be matrix
      products (conv.py, 'matmul'): per-patch and forward-mode derivatives of the other forms are
      slow or not defined, also inside `jax.lax.map` on a CPU.
    theta: all parameters of the critic.
    x: [H, W, C] frame.
    label, mode: as in `patch_gradients.slopes`.
    key: for the random choice of patches to calibrate with, and for probes.
    method: 'jvp_last' ('auto'), 'jvp_probe', or 'vmap_grad' for the definition.
    grad_params: 'all', or 'last' for only the gradients of the last convolution.
    chunk, calibrate, probes: as in the functions above.

  Returns:
    (delta [N], mean error of 'jvp_last' on its calibration patches; 0 for other methods).
  """
  method = settled_method(method, grad_params, ('jvp_last', 'jvp_probe', 'vmap_grad'))
  last = grad_params == 'last'
  counted = {'head': theta['head']} if last else theta

  def logits(part, x):
    return apply({**theta, **part}, x)[0]
  if method == 'vmap_grad':
    return patch_gradients.patch_grad_cosine(logits, counted, x, label, mode, chunk), jnp.zeros(())
  if method == 'jvp_probe':
    return jvp_probe(logits, counted, x, label, mode, key, probes), jnp.zeros(())
  _, parts = apply(theta, x)
  if last:   # the head's norms are exact, so there is nothing to calibrate
    parts, calibrate = {'conv_in_last': parts['conv_in_last']}, 0
  return jvp_last(logits, parts, theta['head']['kernel'], counted, x, label, mode, key, calibrate,
                  chunk)
