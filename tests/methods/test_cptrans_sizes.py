"""CPTrans: numbers of the paper, choices that exclude each other, translation."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cptrans_toys import KEY, tiny
from method_tools import ToyGenerator, config_of, parameter_counts

from i2vjax.core.model import Model
from i2vjax.losses import adversarial
from i2vjax.methods import cptrans, shared_roma
from i2vjax.run import load


@pytest.mark.parametrize(('backbone', 'critic', 'grid'), [
    ('vit', 591_361, (24, 24, 1)), ('none', 2_764_737, (30, 30, 1))])
def test_parameters_and_patches_of_the_paper(backbone, critic, grid):
  config = config_of('cptrans')
  config.backbone = backbone
  assert parameter_counts(cptrans, config) == {'gen': 11_378_179, 'disc_b': critic}
  model = Model(config, cptrans.networks(config))
  params = jax.eval_shape(lambda: load.fresh_params(cptrans, model))
  features = {'frames': jnp.zeros((1, 256, 256, 3)), 'tokens': [jnp.zeros((1, 576, 768))]}
  scores = jax.eval_shape(functools.partial(cptrans.scores, model), params, features)
  assert scores.shape == (1, *grid)


def test_config_holds_the_numbers_of_the_paper():
  config = config_of('cptrans', 'paper')
  assert (config.backbone, config.data.source, config.data.batch) == ('vit', 'folders', 1)
  assert (config.weights.cs_global, config.weights.ctn, config.co.eta) == (6.0, 10.0, 0.4)
  assert (config.optim.lr_by_backbone.vit, config.train.epochs) == (2e-6, 100)


@pytest.mark.parametrize(('backbone', 'ring'), [('none', 2), ('vit', 0)])
def test_patches_that_see_the_padding_are_never_rich(backbone, ring):
  """Zeros around a frame look like content to a PatchGAN; tokens of a ViT have none around."""
  config = config_of('cptrans')
  config.backbone = backbone
  inside = np.pad(np.zeros((1, 6, 6)), ((0, 0), (2, 2), (2, 2)), constant_values=-1)
  chosen = np.asarray(cptrans.select(config, jnp.asarray(inside)))
  assert chosen.sum() == (36 if ring else 40)
  assert chosen[0, 2:8, 2:8].sum() == (36 if ring else 0)


def test_a_critic_on_tokens_needs_a_vit():
  config = tiny()
  config.disc.kind = 'token_mlp'
  with pytest.raises(ValueError, match='--config.backbone=vit'):
    cptrans.networks(config)


def test_a_patchgan_may_stand_beside_a_vit():
  config = tiny('random')
  config.disc.kind = 'patchgan'
  assert set(cptrans.frozen_networks(config)) == {'vit'}
  assert shared_roma.critic_kind(config) == 'patchgan'


def test_minimax_form_is_the_printed_one():
  s = jnp.array([-3.0, 0.5])
  form = adversarial.generator_patch_losses(s, 'vanilla', 'minimax')
  np.testing.assert_allclose(form, jnp.log(1 - jax.nn.sigmoid(s)), rtol=1e-5)
  with pytest.raises(ValueError, match="gan.g_form='minimax' with gan.mode='lsgan'"):
    adversarial.generator_patch_losses(s, 'lsgan', 'minimax')


def test_translate_is_frame_by_frame():
  model = Model(config_of('cptrans'), {'gen': ToyGenerator()})
  frames = jax.random.uniform(KEY, (1, 3, 8, 8, 3), minval=-1)
  params = {'gen': model.networks['gen'].init(KEY, frames[0])['params']}
  carry, fake = cptrans.translate(model, params, {}, None, frames)
  assert carry is None and fake.shape == frames.shape
  np.testing.assert_allclose(fake[:, 1], model.apply(params, 'gen', frames[:, 1]), atol=1e-6)
