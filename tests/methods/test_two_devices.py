"""Every method: two devices that share a batch move as one that has it whole.

What is drawn for a sample is drawn by its number in the whole batch, what is drawn for a step is
the same everywhere (`core.state.sample_keys`), and ratios divide by what all devices have
(`core.state.pooled`). By definition three things are equal only where they do nothing yet, or not
at all, and are left as here, empty or off:

  gan.pool         earlier fakes are kept by the device that made them: equal until a pool is full
  norm.sync=False  of gtc: a batch norm of the own samples, asked for by name
  critic.augment   views are drawn for the rows of a call, which may hold real frames and fakes
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_method import CASES, KEY, batch_of, setup_of, toys
from method_tools import on_devices

OFTEN = ('cptrans', 'cut', 'cyclegan', 'stc', 'frozen')   # of each kind one; the others are nightly


@pytest.fixture(autouse=True, scope='module')
def small_networks():
  with toys():
    yield


def stepped(devices, method, model, before):
  """(parameters, model state, terms) after a step on so many devices."""
  batch, each = batch_of(model.config), 2 // devices
  shares = [jax.tree.map(lambda x, k=k: x[k:k + each], batch) for k in range(0, 2, each)]
  after, terms = on_devices(method, model, before, shares, KEY)
  for x in jax.tree.leaves(after.params):
    np.testing.assert_array_equal(x, jnp.broadcast_to(x[:1], x.shape))   # the same on all
  first = jax.tree.map(lambda x: x[0], after.params)
  return first, *jax.tree.map(lambda x: x.mean(0), (after.model_state, terms))


@pytest.mark.parametrize('case', [
    pytest.param(case, marks=pytest.mark.slow if case in OFTEN else pytest.mark.nightly)
    for case in CASES])
def test_two_devices_move_as_one(case):
  method, model, before = setup_of(case)
  (params, model_state, terms), two = (stepped(n, method, model, before) for n in (1, 2))
  moves = jax.tree.map(lambda x, y: float(jnp.abs(x - y).max()), before.params, params)
  assert max(jax.tree.leaves(moves)) > 1e-4
  for name, value in terms.items():
    assert float(two[2][name]) == pytest.approx(float(value), rel=1e-4, abs=1e-6), name
  close = functools.partial(np.testing.assert_allclose, rtol=1e-4, atol=1e-5)
  jax.tree.map(close, two[0], params)
  jax.tree.map(close, two[1], model_state)
