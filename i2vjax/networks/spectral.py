"""Spectral norm (Miyato et al., ICLR 2018) as a function of parameters.

Each kernel is divided by an estimate of its largest singular value, which one step of the power
method brings up to date from a vector u kept between the steps. It depends on the weights alone: so
it is done once for all passes, outside the networks, and is equal on all devices.
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
    Nested dict as `params`, with u [O] in the place of each layer that has a kernel [..., O].
  """
  kernels = _kernels(params)
  keys = jax.random.split(key, len(kernels))
  return traverse_util.unflatten_dict({
      path: jax.random.normal(k, (kernel.shape[-1],))
      for k, (path, kernel) in zip(keys, kernels.items(), strict=True)})


def normalize(params, u):
  """Every kernel over sigma = v^T W u', with v = W u / |W u| and u' = W^T v / |W^T v|.

  Biases and slopes pass. u' and v are constants, sigma has a gradient through W: that of a kernel
  is at right angles to it. In float32.

  Args:
    params: of one network.
    u: of `vectors`, or from an earlier call.

  Returns:
    (params, u').
  """
  out, moved = traverse_util.flatten_dict(params), {}
  start = traverse_util.flatten_dict(u)
  for path, kernel in _kernels(params).items():
    W = kernel.astype(jnp.float32).reshape(-1, kernel.shape[-1])
    moved[path], v = _power(jax.lax.stop_gradient(W), start[path])
    sigma = _product(v, _product(W, moved[path]))
    out[(*path, 'kernel')] = kernel / sigma
  return traverse_util.unflatten_dict(out), traverse_util.unflatten_dict(moved)


def _power(W, u):
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
