"""Sample sheets: read and compiled once, rows in the method's order."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import parallel
from i2vjax.core.model import Model
from i2vjax.core.state import State
from i2vjax.run import sample_sheet


@pytest.fixture
def traced():
  """How often the rows were traced, counted by the length of this list."""
  return []


@pytest.fixture
def sheets(tmp_path, monkeypatch, traced):
  reads = []

  def sample_windows(*args, **options):
    reads.append(args)
    assert len(reads) == 1, 'windows are read once'
    return {'a': np.full((2, 4, 4, 3), 0.5, np.float32)}
  monkeypatch.setattr(sample_sheet.batches, 'sample_windows', sample_windows)

  def rows(model, params, model_state, batch, key):
    traced.append(model.frozen)
    return {'shown first': params['gen'] * batch['a'], 'below': model.frozen['net'] * batch['a']}
  method = types.SimpleNamespace(sample_rows=rows)
  model = Model(defaults.get_config(), {}, frozen=parallel.replicate({'net': jnp.float32(-2.0)}))
  return sample_sheet.SampleSheets(method, model, tmp_path, lambda raw, config: raw)


def state(weight, average=None):
  ema = {} if average is None else {'gen': jnp.float32(average)}
  return parallel.place(State({'gen': jnp.float32(weight)}, {}, {}, {}, np.int32(0),
                              jax.random.key(0), ema))


def test_rows_keep_their_order_and_show_the_state_as_it_stands(sheets, traced):
  first, second = sheets.rows(state(1.0)), sheets.rows(state(-1.0))
  assert list(first) == list(second) == ['shown first', 'below']
  assert len(traced) == 1   # one program for all sheets
  assert first['shown first'].shape == (2, 4, 4, 3)
  assert [rows['shown first'][0, 0, 0, 0] for rows in (first, second)] == [191, 64]
  np.testing.assert_array_equal(first['below'], 0)


def test_averages_are_shown_where_they_are_kept_and_the_sheet_is_a_file(sheets, tmp_path):
  assert sheets.rows(state(1.0, average=0.0))['shown first'][0, 0, 0, 0] == 128
  sheets.write(state(1.0), 7)
  assert (tmp_path / 'samples' / '0000007.png').stat().st_size > 100
