"""Weight files: found or named, read whole or refused, never silently replaced."""

import jax
import ml_collections
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import defaults, pretrained
from i2vjax.networks import vit
from i2vjax.pretrained import registry
from i2vjax.run import settle

ENTRY = registry.ENTRIES['vit_b16_384']


@pytest.fixture
def module():
  return vit.ViT(width=12, heads=3, hidden=24, depth=2, image_size=32)


@pytest.fixture
def config(tmp_path, monkeypatch):
  monkeypatch.delenv('I2VJAX_PRETRAINED', raising=False)
  monkeypatch.delenv('XDG_CACHE_HOME', raising=False)
  monkeypatch.setenv('HOME', str(tmp_path / 'home'))
  config = defaults.get_config()
  config.pretrained_dir = str(tmp_path / 'weights')
  config.backbone = 'vit'
  config.update({'vit': {'weights': ''}, 'vgg': {}})   # a method that looks at both
  (tmp_path / 'weights').mkdir()
  pretrained._LOADED.clear()
  return config


def arrays(module, blocks):
  """Arrays as an AugReg file of `blocks` blocks holds them."""
  init = module.clone(depth=blocks).init
  tree = jax.eval_shape(init, jax.random.key(0), registry.FRAME)['params']
  rng = np.random.default_rng(0)
  flat = traverse_util.flatten_dict(tree, sep='/')
  return {name: rng.normal(size=leaf.shape).astype(np.float32) for name, leaf in flat.items()}


def save(config, content, prefix=''):
  path = registry.search_folders(config)[0] / ENTRY.file
  np.savez(path, **{prefix + name: array for name, array in content.items()})
  return path


@pytest.mark.parametrize('prefix', ['', 'opt/target/'])
def test_vit_file_loads_with_and_without_prefix_and_leaves_later_blocks(config, module, prefix):
  content = arrays(module, 4)
  save(config, {**content, 'head/kernel': np.ones((12, 7)), 'pre_logits/bias': np.ones(3)}, prefix)
  params = traverse_util.flatten_dict(
      pretrained.load('vit_b16_384', module, None, config), sep='/')
  assert set(params) == {name for name in content
                         if 'encoderblock_2' not in name and 'encoderblock_3' not in name}
  for name, value in params.items():
    np.testing.assert_array_equal(value, content[name])


def test_bfloat16_file_loads_as_float32(config, module):
  content = arrays(module, 2)
  save(config, {name: array.astype(jax.numpy.bfloat16).view('V2')
                for name, array in content.items()})
  params = pretrained.load('vit_b16_384', module, None, config)
  assert params['cls'].dtype == np.float32
  np.testing.assert_allclose(params['embedding']['kernel'], content['embedding/kernel'], rtol=1e-2)


def test_hash_is_recorded_and_compared_with_the_first_use(config, module):
  content = arrays(module, 2)
  path = save(config, content)
  pretrained.load('vit_b16_384', module, None, config)
  record = pretrained.loaded_weights()['vit_b16_384']
  assert record == {'file': ENTRY.file, 'sha256': registry.sha256(path)}
  save(config, {**content, 'cls': content['cls'] + 1})
  with pytest.raises(ValueError, match='not the published file'):
    pretrained.load('vit_b16_384', module, None, config)


def test_hash_prefix_in_the_name_is_checked(tmp_path):
  path = tmp_path / registry.ENTRIES['vgg19'].file
  path.write_bytes(b'not these weights')
  with pytest.raises(ValueError, match='dcbb9e9d'):
    registry.verify(registry.ENTRIES['vgg19'], path)


def test_misfit_names_missing_unexpected_and_wrong_leaves(config, module):
  content = arrays(module, 2)
  del content['Transformer/encoder_norm/scale']
  content['embedding/bias'] = content['embedding/bias'][:5]
  save(config, {**content, 'stray/kernel': np.ones(2)})
  with pytest.raises(ValueError) as error:
    pretrained.load('vit_b16_384', module, None, config)
  for part in ('missing in the file (1): Transformer/encoder_norm/scale',
               'unexpected in the file (1): stray/kernel',
               'embedding/bias: file (5,), network (12,)'):
    assert part in str(error.value)


@pytest.mark.parametrize(('content', 'reason'), [
    (b'<!DOCTYPE html><html>404</html>', 'web page'), (None, 'cut off')])
def test_damaged_file_says_what_it_is(config, module, content, reason):
  path = save(config, arrays(module, 2))
  path.write_bytes(content or path.read_bytes()[:2000])
  with pytest.raises(ValueError, match=reason):
    pretrained.load('vit_b16_384', module, None, config)


def test_pickled_arrays_are_refused(config, module):
  save(config, {**arrays(module, 2), 'cls': np.array([{'a': 1}], dtype=object)})
  with pytest.raises(ValueError, match='cls holds object and no numbers.*could run code'):
    pretrained.load('vit_b16_384', module, None, config)


def test_missing_weights_tells_name_places_and_ways_out(config, module, tmp_path):
  with pytest.raises(pretrained.MissingWeights) as error:
    pretrained.load('vit_b16_384', module, None, config)
  for part in ('vit_b16_384', 'backbone=vit', ENTRY.file, str(tmp_path / 'weights'),
               'I2VJAX_PRETRAINED', 'fetch vit_b16_384', '--file PATH', '--config.backbone=none',
               '--config.vit.weights=PATH'):
    assert part in str(error.value)
  assert isinstance(error.value, FileNotFoundError)


def test_file_named_outright_in_the_config_is_taken(config, module, tmp_path):
  path = save(config, arrays(module, 2)).rename(tmp_path / 'own.npz')
  config.vit = {'weights': str(path)}
  assert pretrained.load('vit_b16_384', module, None, config)['cls'].shape == (1, 1, 12)


def test_random_is_repeatable_marked_and_warned_once(config, module, caplog):
  config.backbone = 'random'
  first, second = (pretrained.load('vit_b16_384', module, None, config) for _ in range(2))
  jax.tree.map(np.testing.assert_array_equal, first, second)
  assert pretrained.loaded_weights() == {'vit_b16_384': {'random': True}}
  assert sum('RANDOM' in record.message for record in caplog.records) == 1


def test_auto_without_the_file_is_none_with_one_line(config, caplog):
  config.backbone = 'auto'
  settled = settle.settle(config)
  assert (settled.backbone, config.backbone) == ('none', 'auto')
  assert len(caplog.records) == 1
  assert 'fetch vit_b16_384' in caplog.text
  assert settle.settle(settled).backbone == 'none'


def test_auto_with_the_file_is_vit(config, module):
  save(config, arrays(module, 2))
  config.backbone = 'auto'
  assert settle.settle(config).backbone == 'vit'


@pytest.mark.parametrize(('backbone', 'rate'), [('vit', 2e-6), ('none', 2e-4)])
def test_rate_follows_the_backbone_unless_it_is_named(config, backbone, rate):
  config.backbone = backbone
  config.optim.lr_by_backbone = {'vit': 2e-6, 'none': 2e-4}
  config.optim.lr = 3e-3
  assert settle.settle(config).optim.lr == 3e-3
  with config.unlocked():
    config.optim = {'lr': ml_collections.config_dict.placeholder(float),
                    'lr_by_backbone': {'vit': 2e-6, 'none': 2e-4}}
  assert settle.settle(config.lock()).optim.lr == rate


def test_rate_named_nowhere_is_refused(config):
  with config.unlocked():
    config.optim = {'lr': ml_collections.config_dict.placeholder(float), 'lr_by_backbone': {}}
  with pytest.raises(ValueError, match='optim.lr'):
    settle.settle(config)


@pytest.mark.parametrize('variant', ['paper', 'paper_cycle', 'raw-paper'])
def test_paper_variants_refuse_random(config, variant):
  config.variant, config.perceptual = variant, 'random'
  with pytest.raises(ValueError, match='perceptual=random'):
    settle.settle(config)
  config.variant = 'papers'
  assert settle.settle(config).perceptual == 'random'


@pytest.mark.parametrize(('field', 'block', 'value'), [
    ('perceptual', 'vgg', 'vgg'), ('perceptual', 'vgg', 'random'), ('backbone', 'vit', 'auto')])
def test_features_that_a_method_does_not_look_at_are_refused(config, field, block, value):
  config.update(method='cyclegan', backbone='none')
  assert settle.settle(config).backbone == 'none'
  del config[block]
  config[field] = value
  with pytest.raises(ValueError, match=f"{field}='{value}': cyclegan looks at no .*{field}=none"):
    settle.settle(config)


def test_registry_hashes_are_part_of_the_names():
  assert all(registry.entry(name).url.startswith('https://') for name in registry.ENTRIES)
  with pytest.raises(ValueError, match='vgg19'):
    registry.entry('vgg')


def test_the_users_cache_folder_is_searched_last(config, monkeypatch, tmp_path):
  assert registry.search_folders(config)[-1] == tmp_path / 'home/.cache/i2vjax/pretrained'
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  folders = registry.search_folders(config)
  assert folders == [tmp_path / 'weights', tmp_path / 'cache/i2vjax/pretrained']
