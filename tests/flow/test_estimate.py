"""Flow by name: known, learned, computed or none; directions; what 'auto' settles to."""

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest

from i2vjax import defaults, pretrained
from i2vjax.core.model import Model
from i2vjax.flow import estimate, raft
from i2vjax.pretrained import registry
from i2vjax.run import settle

WANTED = [('a', 'backward'), ('a', 'forward'), ('b', 'backward')]


def config_of(name, **fields):
  config = defaults.get_config()
  config.flow = dict(name=name, weights='', iters=1, levels=1, warps=3, inner=5, stretch=False)
  config.flow.update(fields)
  return config


def panning(seed=0):
  """[1, 3, 24, 24, 1]: a smooth picture that moves right by 1 pixel a frame."""
  noise = jax.random.normal(jax.random.key(seed), (1, 24, 30, 1))
  smooth = jax.image.resize(noise[:, ::6, ::6], (1, 24, 30, 1), 'cubic')
  return jnp.stack([smooth[:, :, 3 - t:27 - t] for t in range(3)], 1)


BATCH = {'a': panning(), 'b': panning(1)}


@pytest.mark.parametrize(('name', 'known', 'estimator'), [
    ('gt', True, None), ('precomputed', True, None), ('gt+lk', True, 'lk'), ('zero', False, 'zero'),
    ('raft_large', False, 'raft_large'), ('gt+raft_small', True, 'raft_small')])
def test_names(name, known, estimator):
  config = config_of(name)
  assert estimate.parse_name(name) == (known, estimator)
  assert estimate.batch_fields(config) == (('flow',) if known else ())
  assert set(estimate.frozen_networks(config)) == ({'flow'} if 'raft' in name else set())


def test_unknown_names_are_refused_with_the_known():
  with pytest.raises(ValueError, match="'flownet2'.*tvl1"):
    estimate.parse_name('flownet2')


def test_backward_points_to_the_frame_before_and_forward_to_the_next():
  """The picture moves right: its place in the frame before lies to the left."""
  found = estimate.flows_of_clips(Model(config_of('lk'), {}), BATCH, WANTED)
  assert all(found[key].shape == (1, 2, 24, 24, 2) for key in WANTED)
  inner = {key: np.median(found[key][..., 6:-6, 6:-6, :], axis=(0, 2, 3)) for key in WANTED}
  for key, x in ((WANTED[0], -1), (WANTED[1], 1), (WANTED[2], -1)):
    np.testing.assert_allclose(inner[key], [[x, 0]] * 2, atol=0.1)


def test_all_pairs_are_estimated_in_one_call(monkeypatch):
  calls = []

  def counted(model, a, b):
    calls.append(len(a))
    return jnp.zeros((*a.shape[:3], 2))
  monkeypatch.setattr(estimate, 'estimate', counted)
  estimate.flows_of_clips(Model(config_of('lk'), {}), BATCH, WANTED)
  assert calls == [6]


def test_known_flow_is_taken_where_the_batch_has_it():
  known = {'flow_a': jnp.full((1, 2, 24, 24, 2), 5.0),
           'flow_fwd_a': jnp.full((1, 2, 24, 24, 2), 7.0)}
  model, batch = Model(config_of('gt+zero'), {}), {**BATCH, **known}
  found = estimate.flows_of_clips(model, batch, WANTED)
  assert [float(found[key].mean()) for key in WANTED] == [5, 7, 0]
  alone = estimate.flows_of_clips(Model(config_of('zero'), {}), batch, WANTED[:1])
  assert not np.any(alone['a', 'backward'])


def test_insisting_on_known_flow_names_the_way_out():
  with pytest.raises(ValueError, match=r"flow.name='gt'.*--config.flow.name=tvl1"):
    estimate.flows_of_clips(Model(config_of('gt'), {}), BATCH, WANTED)


def test_raft_takes_the_parameters_it_is_handed():
  """Values: tests/parity/test_raft.py. Frames of one channel, of no multiple of 8."""
  config = config_of('raft_small')
  (module, weight_id), = estimate.frozen_networks(config).values()
  assert weight_id == 'raft_small' and (module.kind, module.iterations) == ('small', 1)
  frame = jax.ShapeDtypeStruct((1, 13, 18, 1), jnp.float32)
  params = jax.eval_shape(module.init, jax.random.key(0), frame, frame)['params']
  found = jax.eval_shape(lambda params, a, b: estimate.estimate(
      Model(config, {'flow': module}, frozen={'flow': params}), a, b), params, frame, frame)
  assert found.shape == (1, 13, 18, 2) and found.dtype == jnp.float32


def test_infrared_pairs_use_the_whole_range():
  x = jnp.linspace(-0.5, -0.3, 1000).reshape(1, 10, 100, 1)
  config = config_of('lk', stretch=True)
  low, high = estimate.stretch_contrast(config, 'a', x[:, :, :50], x[:, :, 50:])
  np.testing.assert_allclose([low.min(), high.max()], [-1, 1], atol=1e-5)
  np.testing.assert_allclose(jnp.mean(jnp.concatenate([low, high])), 0, atol=1e-3)
  assert estimate.stretch_contrast(config, 'b', x, x)[0] is x
  config.data.direction = 'b2a'
  assert estimate.stretch_contrast(config, 'a', x, x)[0] is x


def test_auto_settles_to_raft_if_its_file_is_here(tmp_path, monkeypatch):
  monkeypatch.delenv('I2VJAX_PRETRAINED', raising=False)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  config = config_of('auto')
  config.pretrained_dir = str(tmp_path)
  assert settle.settle(config).flow.name == 'gt+tvl1'
  (tmp_path / registry.ENTRIES['raft_small'].file).write_bytes(b'')
  settled = settle.settle(config)
  assert settled.flow.name == 'gt+raft_small' and config.flow.name == 'auto'
  assert settle.settle(settled).flow.name == 'gt+raft_small'


def test_a_missing_file_is_named_with_the_way_without(tmp_path):
  config = config_of('raft_small', weights=str(tmp_path / 'mine.pth'))
  with pytest.raises(pretrained.MissingWeights, match=r'(?s)mine.pth.*flow.name=tvl1'):
    pretrained.load('raft_small', raft.RAFT('small'), None, config)


def test_settling_leaves_configs_without_flow_alone():
  config = ml_collections.ConfigDict(dict(backbone='none', perceptual='none', variant='',
                                        optim=None))
  assert 'flow' not in settle.settle(config)
