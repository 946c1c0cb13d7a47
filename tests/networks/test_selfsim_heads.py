"""Heads of LSeSim: sizes, start, and nothing at all where they are not learned."""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax.networks.selfsim_heads import SelfSimilarityHeads

FEATURES = [jnp.ones((1, 2, 2, c)) for c in (256, 512, 8)]


def test_a_quarter_of_the_channels_but_at_least_32():
  out, variables = SelfSimilarityHeads().init_with_output(jax.random.key(0), FEATURES)
  assert [x.shape for x in out] == [(1, 2, 2, 64), (1, 2, 2, 128), (1, 2, 2, 32)]
  kernel = variables['params']['head_1']['dense_0']['kernel']
  assert kernel.shape == (512, 128) and not np.any(variables['params']['head_1']['dense_0']['bias'])
  np.testing.assert_allclose(np.std(kernel), 0.02, rtol=0.02)


def test_every_place_by_itself():
  """1x1 convolutions: a place's features do not see its neighbors."""
  net, features = SelfSimilarityHeads(), [jax.random.normal(jax.random.key(1), (1, 3, 3, 8))]
  params = net.init(jax.random.key(0), features)
  other = [features[0].at[0, 0, 0].add(1.0)]
  changed = np.any(np.asarray(net.apply(params, features)[0] != net.apply(params, other)[0]), -1)
  assert changed[0, 0, 0] and changed.sum() == 1


def test_fixed_features_pass_and_there_are_no_parameters():
  net = SelfSimilarityHeads(learned=False)
  assert net.init(jax.random.key(0), FEATURES) == {'params': {}}
  assert net.apply({'params': {}}, FEATURES) is FEATURES
