"""Spectral norm (Miyato et al., ICLR 2018) as a function of parameters.

Each kernel is divided by an estimate of its largest singular value, which one step of the power
method updates from a vector u that is stored between training steps. It depends only on the
weights: so it is computed once for all passes, outside the networks, and is equal on all devices.
"""

import jax
import jax.numpy as jnp
from flax import traverse_util

TINY = 1e-12


def vectors(params, key):
  """Random u for each kernel, N(0, 1) (public code).

  Args:
    params: of one network, or their shapes.
    key: typed PRNG key.

  Returns:
    Nested dict like `params`, with u [O] in place of each layer that has a kernel [..., O].
  """
  kernels = _kernels(params)
  keys = jax.random.split(key, len(kernels))
  return traverse_util.unflatten_dict({
      path: jax.random.normal(k, (kernel.shape[-1],))
      for k, (path, kernel) in zip(keys, kernels.items(), strict=True)})


def normalize(params, u):
  """Every kernel over sigma = v^T W u', with v = W u / |W u| and u' = W^T v / |W^T v|.

  Biases and slopes are unchanged. u' and v are constants, sigma has a gradient through W, so that
  the gradient of a kernel is orthogonal to it. In float32.

  Args:
    params: of one network.
    u: as returned by `vectors` or by the previous call.

  Returns:
    (params, u').
  """
  normalized, updated = traverse_util.flatten_dict(params), {}
  u = traverse_util.flatten_dict(u)
  for path, kernel in _kernels(params).items():
    W = kernel.astype(jnp.float32).reshape(-1, kernel.shape[-1])
    updated[path], v = _power_step(jax.lax.stop_gradient(W), u[path])
    sigma = _product(v, _product(W, updated[path]))
    normalized[(*path, 'kernel')] = kernel / sigma
  return traverse_util.unflatten_dict(normalized), traverse_util.unflatten_dict(updated)


def _power_step(W, u):
  """(u', v) of one step of the power method. W: [K, O], u: [O]."""
  v = _unit(_product(W, jax.lax.stop_gradient(u)))
  return _unit(_product(W.T, v)), v


def _product(x, y):
  return jnp.dot(x, y, precision=jax.lax.Precision.HIGHEST)


def _unit(x):
  return x / jnp.maximum(jnp.linalg.norm(x), TINY)


def _kernels(params):
  """{path of a layer: its kernel}."""
  return {path[:-1]: x for path, x in traverse_util.flatten_dict(params).items()
          if path[-1] == 'kernel'}
