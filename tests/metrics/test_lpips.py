"""LPIPS by hand on toy features, its networks, and its files."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch_files
from flax import traverse_util

from i2vjax import defaults, metrics, pretrained
from i2vjax.evaluation import scoring_networks
from i2vjax.metrics import lpips
from i2vjax.networks import alexnet
from i2vjax.pretrained import lpips_weights, registry, vgg_weights


class Pixels(nn.Module):
  """A backbone whose two features are the frame and its upper left quarter."""

  def __call__(self, x):
    half = x[:, :x.shape[1] // 2, :x.shape[2] // 2]
    return {'whole': x, 'quarter': half}


TOY = {'backbone': Pixels(), 'heads': alexnet.Heads()}
PARAMS = {'backbone': {}, 'heads': {'lin0': jnp.asarray([1.0, 2, 3]),
                                    'lin1': jnp.asarray([0.0, 0, 5])}}


def draw(count, seed=0, size=(64, 66), channels=3):
  frames = np.random.default_rng(seed).uniform(-1, 1, (count, *size, channels))
  return frames.astype(np.float32)


def by_hand(x, y):
  """Equation 1 of the paper with the toy's features and heads."""
  total = 0
  scaled = [(z.astype(np.float64) - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
            for z in (x, y)]
  u, v = (z / np.sqrt((z**2).sum(-1, keepdims=True)) for z in scaled)
  for part, head in ((np.s_[:, :, :], [1, 2, 3]), (np.s_[:, :32, :x.shape[2] // 2], [0, 0, 5])):
    total = total + (((u[part] - v[part]) ** 2) @ np.array(head, float)).mean(axis=(1, 2))
  return total


def test_distance_is_the_weighted_square_of_directions():
  x, y = draw(2), draw(2, 1)
  found = jax.jit(lambda *pair: lpips.distance(TOY, PARAMS, *pair))(x, y)
  np.testing.assert_allclose(found, by_hand(x, y), rtol=1e-5)


def test_identical_frames_have_distance_0_and_gradient_0():
  x = jnp.asarray(draw(1)).at[0, 0, 0].set(jnp.asarray(lpips.SHIFT))   # features all 0 there
  value, gradient = jax.jit(jax.value_and_grad(
      lambda z: lpips.distance(TOY, PARAMS, z, x).sum()))(x)
  assert value == 0
  np.testing.assert_array_equal(gradient, 0)


def test_features_that_are_all_0_have_a_finite_gradient():
  gradient = jax.grad(lambda z: jnp.sum(lpips.directions(z)))(jnp.zeros((1, 2, 2, 3)))
  assert np.isfinite(gradient).all()


def test_clips_of_files_and_of_networks_agree_and_batches_are_filled_up():
  saved = [np.random.default_rng(i).integers(0, 256, (3, 64, 64, 3)).astype(np.uint8)
           for i in range(2)]
  call = lpips.program(TOY, PARAMS, batch=2)
  found = call(*saved)
  assert found.shape == (3,) and found.dtype == np.float32
  np.testing.assert_allclose(call(*(x / np.float32(127.5) - 1 for x in saved)), found, rtol=1e-5)
  np.testing.assert_allclose(found, by_hand(*(x / 127.5 - 1 for x in saved)), rtol=1e-5)


def test_a_pair_with_nan_gives_nan():
  x, y = draw(3, size=(64, 64)), draw(3, 1, size=(64, 64))
  x[0, 5, 5, 0], y[2, 1, 1, 1] = np.nan, np.inf
  found = lpips.program(TOY, PARAMS)(x, y)
  np.testing.assert_array_equal(np.isnan(found), [True, False, True])


def test_total_is_the_mean_over_frames():
  x, y = draw(3, size=(64, 64)), draw(3, 1, size=(64, 64))
  total, values = lpips.update(metrics.init(), lpips.program(TOY, PARAMS), x, y, 'lpips_RANDOM')
  assert metrics.result(total) == {'lpips_RANDOM': pytest.approx(values.mean(), rel=1e-6)}


def test_between_frames_compares_each_with_the_next():
  x, call = draw(3, size=(64, 64)), lpips.program(TOY, PARAMS)
  np.testing.assert_allclose(lpips.temporal(call, x), by_hand(x[1:], x[:-1]), rtol=1e-5)
  np.testing.assert_array_equal(lpips.temporal(call, x[[0, 0]]), [0])
  with pytest.raises(ValueError, match='at least 2 frames'):
    lpips.temporal(call, x[:1])


@pytest.mark.parametrize(('sizes', 'said'), [
    (((64, 64), (64, 65)), 'differ in shape'), (((63, 64), (63, 64)), 'at least 64')])
def test_frames_that_cannot_be_compared_are_refused(sizes, said):
  for call in (lpips.program(TOY, PARAMS), lambda x, y: lpips.distance(TOY, PARAMS, x, y)):
    with pytest.raises(ValueError, match=said):
      call(*(draw(1, size=size) for size in sizes))


# ---- networks -----------------------------------------------------------------------------------


def shapes(module, *example):
  tree = jax.eval_shape(module.init, jax.random.key(0), *example)['params']
  return {name: leaf.shape for name, leaf in traverse_util.flatten_dict(tree, sep='/').items()}


def test_alexnet_has_the_published_features():
  module = alexnet.AlexNet()
  found = jax.eval_shape(module.init_with_output, jax.random.key(0), jnp.zeros((2, 64, 64, 1)))[0]
  assert [x.shape for x in found.values()] == [
      (2, 15, 15, 64), (2, 7, 7, 192), (2, 3, 3, 384), (2, 3, 3, 256), (2, 3, 3, 256)]
  count = sum(int(np.prod(shape)) for shape in shapes(module, registry.FRAME).values())
  assert count == 2_469_696
  with pytest.raises(ValueError, match='at least 31'):
    jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((1, 30, 64, 3)))


def test_examples_of_the_registry_have_the_heads_sizes():
  """Channels of AlexNet's features, and of VGG-16's, as the public heads have them."""
  for name, channels in (('lpips_alex', (64, 192, 384, 256, 256)),
                         ('lpips_vgg', (64, 128, 256, 512, 512))):
    found = shapes(alexnet.Heads(), *registry.ENTRIES[name].example)
    assert found == {f'lin{i}': (c,) for i, c in enumerate(channels)}


def test_random_heads_are_not_negative():
  weights = alexnet.not_negative(jax.random.key(0), (64,))
  assert float(weights.min()) >= 0 and float(weights.max()) > 0


# ---- files --------------------------------------------------------------------------------------


def heads_file(path, channels, fill=0.5):
  return torch_files.save(path, {f'lin{i}.model.1.weight': np.full((1, c, 1, 1), fill, np.float32)
                                 for i, c in enumerate(channels)})


def alexnet_file(path, width):
  rng, arrays = np.random.default_rng(0), {'classifier.1.weight': np.ones((2, 3), np.float32)}
  wanted = shapes(alexnet.AlexNet(width), registry.FRAME)
  for theirs, ours in lpips_weights.LAYERS.items():
    kernel = rng.normal(size=wanted[f'{ours}/kernel']).astype(np.float32)
    arrays[f'{theirs}.weight'] = kernel.transpose(3, 2, 0, 1)
    arrays[f'{theirs}.bias'] = rng.normal(size=kernel.shape[-1]).astype(np.float32)
  return torch_files.save(path, arrays, torch_files.write_plain), arrays


def test_a_file_of_alexnet_fills_the_network(tmp_path):
  path, arrays = alexnet_file(tmp_path / 'alexnet.pth', 2)
  wanted = shapes(alexnet.AlexNet(2), registry.FRAME)
  params = pretrained.fit(lpips_weights.read_alexnet(path, wanted), wanted, path)
  np.testing.assert_array_equal(params['conv3']['kernel'],
                                arrays['features.6.weight'].transpose(2, 3, 1, 0))
  np.testing.assert_array_equal(params['conv5']['bias'], arrays['features.10.bias'])


def test_negative_heads_and_other_files_are_refused(tmp_path):
  path = heads_file(tmp_path / 'alex.pth', (3, 4), fill=-0.1)
  with pytest.raises(ValueError, match='negative weights in lin0, lin1'):
    lpips_weights.read_heads(path, ())
  path = heads_file(tmp_path / 'vgg.pth', (64, 128, 256, 512, 512))
  wanted = shapes(alexnet.Heads(), *registry.ENTRIES['lpips_alex'].example)
  with pytest.raises(ValueError, match='of another shape'):
    pretrained.fit(lpips_weights.read_heads(path, wanted), wanted, path)


@pytest.fixture
def config(tmp_path, monkeypatch):
  monkeypatch.delenv('I2VJAX_PRETRAINED', raising=False)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path))
  monkeypatch.setattr(pretrained, 'READERS', {**lpips_weights.READERS, **vgg_weights.READERS})
  pretrained._LOADED.clear()
  config = defaults.get_config()
  config.unlock()
  config.pretrained_dir = str(tmp_path / 'weights')
  config.eval.weights, config.eval.lpips_net = 'file', 'alex'
  (tmp_path / 'weights').mkdir()
  return config


def test_both_files_are_asked_for_with_their_commands(config):
  folder = registry.search_folders(config)[0]
  reason = scoring_networks.missing('lpips', config)
  for part in ('alexnet-owt-7be5be79.pth', 'alex.pth', 'get them by', 'fetch alexnet;',
               'fetch lpips_alex'):
    assert part in reason
  (folder / 'alex.pth').write_bytes(b'')
  assert 'get it by: python -m i2vjax.main fetch alexnet' in scoring_networks.missing(
    'lpips', config
  )
  config.eval.lpips_net = 'vgg'
  assert 'fetch vgg16; python -m i2vjax.main fetch lpips_vgg' in scoring_networks.missing(
    'lpips', config
  )
  config.eval.lpips_net = 'squeeze'
  with pytest.raises(ValueError, match="choose 'alex' or 'vgg'"):
    scoring_networks.missing('lpips', config)


def test_files_are_loaded_and_recorded(config, monkeypatch):
  folder = registry.search_folders(config)[0]
  path, arrays = alexnet_file(folder / 'alexnet.pth', 2)
  heads_file(folder / 'alex.pth', (2, 6, 12, 8, 8))
  file = f'alexnet-owt-{registry.sha256(path)[:8]}.pth'
  path.rename(folder / file)
  narrow = registry.ENTRIES['lpips_alex'].example
  narrow = tuple(jax.ShapeDtypeStruct((*x.shape[:3], x.shape[3] // 32), x.dtype) for x in narrow)
  for name, change in (('alexnet', dict(file=file)), ('lpips_alex', dict(example=narrow))):
    monkeypatch.setitem(registry.ENTRIES, name,
                        dataclasses.replace(registry.ENTRIES[name], **change))
  found = scoring_networks.load({'backbone': (alexnet.AlexNet(2), 'alexnet'),
                        'heads': (alexnet.Heads(), 'lpips_alex')}, config)
  assert not found.random and list(found.files) == ['alexnet', 'lpips_alex']
  assert found.files['alexnet'] == f'{file}, {file[-12:-4]}'
  np.testing.assert_array_equal(found.params['heads']['lin1'], np.full(6, 0.5))
  x, y = draw(1, size=(64, 64)), draw(1, 1, size=(64, 64))
  assert lpips.program(found.nets, found.params)(x, y) > 0


def test_a_missing_file_is_named_when_loading(config):
  with pytest.raises(pretrained.MissingWeights, match='alexnet-owt-7be5be79.pth'):
    scoring_networks.load_lpips(config)


def test_random_weights_are_marked_and_leave_the_losses_networks_alone(config, monkeypatch):
  """`perceptual` decides about VGG in a loss, `eval.weights` about VGG in a score."""
  asked = {}

  def load(weight_id, module, example, config):
    asked[weight_id] = config.perceptual, config.eval.weights
    pretrained._LOADED[weight_id] = {'random': True}
    return {}
  monkeypatch.setattr(pretrained, 'load', load)
  config.eval.weights, config.eval.lpips_net, config.perceptual = 'random', 'vgg', 'none'
  found = scoring_networks.load_lpips(config)
  assert asked == dict.fromkeys(('vgg16', 'lpips_vgg'), ('random', 'random'))
  assert found.random and found.files == {'vgg16': 'random', 'lpips_vgg': 'random'}
  assert config.perceptual == 'none' and found.nets['backbone'].taps == scoring_networks.VGG_TAPS
