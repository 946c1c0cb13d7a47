"""Every config in configs/: complete, locked, and good for two steps."""

import pathlib

import numpy as np
import pytest

from i2vjax import main, methods
from i2vjax.cli import parse
from i2vjax.methods import base
from i2vjax.run import load, settle

ROOT = pathlib.Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('*.py'))
names = pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)


def config_of(path, variant=''):
  return parse.parse(['i2vjax', '--config', f'{path}{variant}'])[2]


def test_every_method_has_a_config():
  assert [path.stem for path in CONFIGS] == methods.names()


@names
@pytest.mark.parametrize('variant', ['', ':paper', ':demo'])
def test_variants_are_locked_and_name_their_method(path, variant):
  config = config_of(path, variant)
  assert config.is_locked and config.method == path.stem
  assert config.variant == (variant[1:] or 'default')
  assert config.data.source == ('folders' if variant == ':paper' else 'scenes')
  assert sum(config.weights.values()) > 0


@names
@pytest.mark.parametrize(('field', 'block'), settle.FEATURES.items())
def test_configs_have_the_block_of_a_frozen_network_where_methods_have_the_network(
    path, field, block):
  config = config_of(path)
  config.update({'backbone': 'none', field: 'random'})
  if 'flow' in config:
    config.flow.name = 'zero'
  frozen = base.hook(methods.get(path.stem), 'frozen_networks')(config)
  assert any(weights.startswith(block) for _, weights in frozen.values()) == (block in config)


@names
def test_a_pool_of_fakes_has_a_size_where_there_is_one(path):
  assert ('pool' in config_of(path).gan) == hasattr(methods.get(path.stem), 'device_state')


@names
def test_rates_can_be_overridden(path):
  config = parse.parse(['i2vjax', '--config', str(path), '--config.optim.lr=0.125'])[2]
  assert config.optim.lr == 0.125


@names
def test_generators_of_both_kinds_have_their_fields(path):
  config = config_of(path)
  for kind in ('resnet', 'unet') if 'kind' in config.gen else ():
    config.gen.kind = kind
    networks = methods.get(path.stem).networks(config)
    assert any(kind in type(network).__name__.lower() for network in networks.values()), kind


# The others' steps compile for a minute or more on a CPU, and their own tests take one too.
QUICK = ('cyclegan',)
steps = pytest.mark.parametrize('path', [
    pytest.param(path, marks=[pytest.mark.slow] * (path.stem not in QUICK), id=path.stem)
    for path in CONFIGS])


@steps
def test_two_steps_on_scenes(path, tmp_path):
  arguments = ['i2vjax', '--config', f'{path}:demo', '--workdir', str(tmp_path), '--show=false',
               '--config.data.load_size=32', '--config.data.crop_size=32', '--config.gen.width=4',
               '--config.disc.width=4', '--config.train.steps=2', '--config.log.every=1',
               '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=6']
  arguments += ['--config.gen.blocks=1'] if 'blocks' in config_of(path).gen else []
  assert main.main(arguments) == 0
  run = load.load(tmp_path)
  frames = np.zeros((1, 2, 32, 32, config_of(path).data.channels_a), np.float32)
  _, fake = run.method.translate(run.model, run.params, run.model_state, None, frames)
  assert fake.shape[:4] == (1, 2, 32, 32) and np.isfinite(fake).all()


# ---- A table of CPTrans is one `compare`

BASELINES = ('cyclegan', 'recyclegan', 'i2vgan', 'mocyclegan', 'unsup_recycle', 'cut', 'lsesim',
             'roma')


@pytest.mark.parametrize('name', BASELINES)
def test_baselines_of_cptrans_tables_have_its_blocks_epochs_and_data(name):
  ours = config_of(ROOT / 'configs/cptrans.py', ':paper')
  config = config_of(ROOT / f'configs/{name}.py', ':cptrans-tables')
  assert config.is_locked and config.gen.blocks == ours.gen.blocks == 9
  assert config.train.epochs + config.train.epochs_decay == 100
  assert ours.train.epochs + ours.train.epochs_decay == 100
  differ = {field for field in config.data if config.data[field] != ours.data.get(field)}
  assert differ <= {'frames'}   # a method's own
  assert config.train.ema == ours.train.ema == 0.0
  assert all(config.eval[field] == ours.eval[field] for field in ours.eval)
  assert (config.get('backbone'), config.perceptual) == (
      'vit' if name == 'roma' else 'none',
      'vgg' if name in ('i2vgan', 'lsesim', 'unsup_recycle') else 'none')
