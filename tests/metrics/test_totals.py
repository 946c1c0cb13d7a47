"""Running totals of scores and the range metrics work in."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import metrics


def test_unit_begins_at_minus_one_and_ends_at_one():
  frames = jnp.array([[-1.2], [-1.0], [0.0], [1.0], [1.2]])
  np.testing.assert_array_equal(metrics.unit(frames)[:, 0], [0, 0, 0.5, 1, 1])


def test_mean_of_items_and_sum_of_counts():
  total = metrics.update(metrics.init(), {'psnr': [10.0, 20.0], 'num_empty': [1, 1]})
  total = metrics.update(total, {'psnr': 60.0})
  assert metrics.result(total) == {'psnr': 30.0, 'num_empty': 2.0}


def test_merge_of_parts_is_the_whole_in_any_order():
  values = np.random.default_rng(0).random(10)
  whole = metrics.update(metrics.init(), {'x': values})
  a, b = (metrics.update(metrics.init(), {'x': part}) for part in (values[:3], values[3:]))
  for parts in ((a, b), (b, a)):
    np.testing.assert_allclose(metrics.result(metrics.merge(*parts))['x'],
                               metrics.result(whole)['x'], rtol=1e-14)


def test_update_leaves_its_input_alone():
  first = metrics.update(metrics.init(), {'x': [1.0]})
  metrics.update(first, {'x': [5.0]})
  assert metrics.result(first) == {'x': 1.0}


def test_masked_items_count_nothing_even_if_nan():
  total = metrics.update(metrics.init(), {'x': [1.0, np.nan]}, mask=[1, 0])
  assert metrics.result(total) == {'x': 1.0}


def test_nan_is_shown_and_counted():
  total = metrics.update(metrics.init(), {'x': [1.0, np.nan, np.inf]})
  result = metrics.result(total)
  assert not np.isfinite(result['x'])
  assert result['num_nonfinite'] == 2


def test_nothing_to_score_is_refused():
  with pytest.raises(ValueError, match='empty'):
    metrics.result(metrics.init())


def test_totals_are_plain_trees_of_numbers():
  total = metrics.update(metrics.init(), {'x': [1.0, 2.0]})
  assert all(isinstance(leaf, np.float64) for leaf in jax.tree.leaves(total))
