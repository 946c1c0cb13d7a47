"""Every method: steps whose gradients are averaged move as one step on the large batch, or why not.

`optim.accumulate` = k moves a player once in k steps. What a step draws is drawn for its samples as
in the large batch here (`core.state.sample_keys`), which a run cannot have: its steps have keys of
their own. Then the two are equal but for what docs/scale.md tells:

  order     a player that moves behind the critic learns, in all but the last of the k steps, from
            the critic as it was before: another gradient, to the first order of the rate
  moments   a batch norm takes moments of its own step
  vectors   spectral norm: its vectors move with every step
  ratio     a loss that is a ratio of sums over the batch has the sums of its own step
"""

import functools
import pathlib
import re

import jax
import jax.numpy as jnp
import optax
import pytest
from every_method import CASES, KEY, METHOD, batch_of, setup_of, toys
from method_tools import on_devices

from i2vjax.core import state

RATE, SAMPLES = 0.05, 2
DOCS = pathlib.Path(__file__).parents[2] / 'docs' / 'scale.md'
# Networks that move otherwise, and why; all others are equal.
OTHERWISE = {
    'best': ('order', {'gen'}), 'cptrans': ('order', {'gen'}), 'cut': ('order', {'gen'}),
    'fastcut': ('order', {'gen'}), 'lsesim': ('order', {'gen'}), 'learned': ('order', {'gen'}),
    'roma': ('order', {'gen'}),
    'gtc': ('moments', {'gen', 'disc'}),
    'pearlgan': ('vectors', {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}),
    'morngan': ('ratio', {'gen_ab', 'gen_ba', 'disc_a', 'disc_b', 'seg_a', 'seg_b'}),
    'frozen': ('ratio', {'gen_ab', 'gen_ba', 'disc_a', 'disc_b'}),
}


@pytest.fixture(autouse=True, scope='module')
def small_networks():
  with toys():
    yield


def averaged(tx):
  return optax.MultiSteps(tx, SAMPLES).gradient_transformation()


def at_once(case):
  """(parameters before, after) a step on the large batch."""
  method, model, before = setup_of(case, optax.sgd(RATE))
  after, _ = on_devices(method, model, before, [batch_of(model.config)], KEY)
  return before.params, jax.tree.map(lambda x: x[0], after.params)


def one_by_one(case):
  """Parameters after as many steps as samples, each on one of them."""
  method, model, now = setup_of(case, averaged(optax.sgd(RATE)))
  batch = batch_of(model.config)

  @jax.jit
  def step(now, sample, number):
    with pytest.MonkeyPatch.context() as patch:   # its number in the large batch
      patch.setattr(state, '_device', lambda: number)
      mapped = jax.vmap(lambda _: method.step(model, now, sample, KEY), axis_name=state.AXIS)
      return jax.tree.map(lambda x: x[0], mapped(jnp.arange(1))[0])
  for k in range(SAMPLES):
    now = step(now, jax.tree.map(lambda x, k=k: x[k:k + 1], batch), k)
  return now.params


def differing(case):
  """{network: largest difference, as a share of its largest move} where that is above 1e-3."""
  before, whole = at_once(case)
  parts, shares, moved = one_by_one(case), {}, 0.0
  for name in (name for name in before if jax.tree.leaves(before[name])):
    largest = functools.partial(jax.tree.reduce, jnp.maximum)
    apart, moves = (largest(jax.tree.map(lambda x, y: jnp.abs(x - y).max(), whole[name], other))
                    for other in (parts[name], before[name]))
    shares[name] = float(apart / jnp.maximum(moves, 1e-6))   # a phase may leave some as they are
    moved = max(moved, float(moves))
  assert moved > 1e-4
  return {name: share for name, share in shares.items() if share > 1e-3}


def test_every_exception_is_told():
  told = dict(re.findall(r'^\| (\w+) \| ([^|]+) \|', DOCS.read_text(), re.M))
  for case, (reason, _) in OTHERWISE.items():
    assert f'`{METHOD.get(case, case)}`' in told[reason]


@pytest.mark.parametrize('case', [
    pytest.param(case, marks=() if case == 'cyclegan' else pytest.mark.nightly)
    for case in CASES])
def test_averaged_gradients_move_as_the_large_batch(case):
  assert set(differing(case)) <= OTHERWISE.get(case, ('', set()))[1]
