"""ViT tokenizer and token critic: shapes, windows, counts, refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.core import ops
from i2vjax.networks import vit

SMALL = vit.ViT(width=12, heads=3, hidden=24, depth=3, image_size=64)


@pytest.fixture(scope='module')
def params():
  return jax.jit(SMALL.init)(jax.random.key(0), jnp.zeros((1, 64, 64, 3)))


@pytest.fixture(scope='module')
def local():
  return jax.jit(lambda p, image, ids: SMALL.apply(p, image, ids, (0, 2), 4, method='tokens_local'))


def frames(count, size=64):
  return jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (count, size, size, 3)), jnp.float32)


def test_published_tokens_and_parameters_without_the_last_six_blocks():
  config = defaults.get_config()
  config.backbone, config.vit, config.cs = 'vit', {'image_size': 384}, {'layers': (1, 3, 5)}
  module = vit.backbone(config)
  image, ids = jnp.zeros((2, 256, 256, 3)), jnp.zeros((64,), jnp.int32)

  def tokens(image, ids):
    variables = module.init(jax.random.key(0), image)
    return (variables, module.apply(variables, image, (1, 3, 5), method='tokens'),
            module.apply(variables, image, ids, (1, 3, 5), method='tokens_local'))
  variables, whole, local = jax.eval_shape(tokens, image, ids)
  assert [x.shape for x in whole] == 3 * [(2, 576, 768)]
  assert [x.shape for x in local] == 3 * [(2 * 64, 49, 768)]
  assert sum(x.size for x in jax.tree.leaves(variables)) == 43563264


@pytest.mark.parametrize(('out', 'parameters'), [(1, 591361), (768, 1181184)])
def test_token_critic_counts(out, parameters):
  tree = jax.eval_shape(vit.TokenCritic(768, out).init, jax.random.key(0), jnp.zeros((1, 5, 768)))
  assert sum(x.size for x in jax.tree.leaves(tree)) == parameters


def test_token_critic_starts_uniform_like_a_linear_layer_in_pytorch():
  tree = vit.TokenCritic(768, 64).init(jax.random.key(0), jnp.zeros((1, 5, 768)))['params']
  for layer in tree.values():
    assert float(jnp.max(jnp.abs(layer['kernel']))) <= 768**-0.5
    np.testing.assert_allclose(jnp.std(layer['kernel']), (3 * 768)**-0.5, rtol=0.02)
    assert float(jnp.std(layer['bias'])) > 0.01


def test_windows_at_the_corners_hold_49_distinct_tokens_of_one_square():
  ids = jnp.array([0, 23, 24 * 23, 575, 300])
  windows = np.asarray(ops.window_places(ids, (24, 24), 7))
  assert all(len(set(window)) == 49 for window in windows)
  assert all(int(i) in window for i, window in zip(ids, windows, strict=True))
  np.testing.assert_array_equal(windows[:, 0], [0, 17, 17 * 24, 17 * 24 + 17, 9 * 24 + 9])
  np.testing.assert_array_equal(windows[:, 48] - windows[:, 0], 6 * 24 + 6)


def test_local_tokens_of_a_batch_equal_a_loop_over_frames_and_windows(params):
  image, ids = frames(2), jnp.array([0, 9, 15])
  local = jax.jit(lambda x, ids: SMALL.apply(params, x, ids, (0, 2), 3, method='tokens_local'))
  both = local(image, ids)
  for b in range(2):
    for k in range(3):
      one = local(image[b:b + 1], ids[k:k + 1])
      for got, wanted in zip(both, one, strict=True):
        np.testing.assert_allclose(got[3 * b + k], wanted[0], atol=2e-5)


def test_windows_of_the_whole_grid_coincide_and_lack_the_class_token(params, local):
  """Both centers shift to the one 4x4 window there is; its tokens never met the class token."""
  image = frames(1)
  first, second = local(params, image, jnp.array([5, 10]))[0]
  np.testing.assert_array_equal(first, second)
  whole = SMALL.apply(params, image, (0,), method='tokens')[0][0]
  assert first.shape == whole.shape
  assert float(jnp.max(jnp.abs(first - whole))) > 1e-4


def test_layers_are_the_blocks_asked_for_in_that_order(params):
  image = frames(1)
  a, b = SMALL.apply(params, image, (2, 0), method='tokens')
  np.testing.assert_allclose(a, SMALL.apply(params, image, (2,), method='tokens')[0], atol=1e-5)
  np.testing.assert_allclose(b, SMALL.apply(params, image, (0,), method='tokens')[0], atol=1e-5)
  np.testing.assert_allclose(a, SMALL.apply(params, image), atol=1e-5)


def test_frames_of_any_size_are_resized(params):
  image = jnp.ones((1, 20, 36, 3)) * 0.3
  np.testing.assert_allclose(SMALL.apply(params, image),
                             SMALL.apply(params, jnp.full((1, 64, 64, 3), 0.3)), atol=1e-5)


def test_remat_keeps_names_values_and_gradients(params):
  image = frames(1)

  def grad(module):
    return jax.jit(jax.grad(lambda x: jnp.sum(module.apply(params, x) ** 2)))(image)
  np.testing.assert_allclose(grad(SMALL.clone(remat=True)), grad(SMALL), rtol=1e-3, atol=1e-4)


def test_blocks_and_windows_that_do_not_exist_are_refused(params):
  with pytest.raises(ValueError, match='blocks 0 to 2'):
    SMALL.apply(params, frames(1), (3,), method='tokens')
  with pytest.raises(ValueError, match='4x4 tokens'):
    SMALL.apply(params, frames(1), jnp.array([0]), (0,), 7, method='tokens_local')


@pytest.mark.parametrize(('backbone', 'layers', 'size', 'reason'), [
    ('none', (1,), 64, "choose 'vit' or 'random'"), ('random', (6,), 64, 'blocks 0 to 5'),
    ('random', (1,), 100, 'patches of 16')])
def test_backbone_refuses_what_it_cannot_build(backbone, layers, size, reason):
  config = defaults.get_config()
  config.backbone, config.vit, config.cs = backbone, {'image_size': size}, {'layers': layers}
  with pytest.raises(ValueError, match=reason):
    vit.backbone(config)


def test_random_backbone_is_small():
  config = defaults.get_config()
  config.backbone, config.vit, config.cs = 'random', {'image_size': 64}, {'layers': (1, 3, 5)}
  module = vit.backbone(config)
  assert (module.width, module.depth, module.grid) == (192, 6, 4)


def test_regions_of_the_published_scales():
  tokens = jnp.broadcast_to(jnp.arange(576.0)[:, None], (1, 576, 2))
  out = vit.regions(tokens, (2, 4, 6, 8, 12))
  assert out.shape == (1, 785, 2)
  np.testing.assert_array_equal(out[:, :576], tokens)
  assert float(out[0, 576, 0]) == np.mean([0, 1, 24, 25])
  slip = vit.regions(tokens, (2,), extra_row=True)
  assert float(slip[0, 576, 0]) == np.mean([0, 1, 24, 25, 48, 49])
  np.testing.assert_array_equal(slip[0, -1], vit.regions(tokens, (2,))[0, -1])   # nothing below


def test_regions_need_a_square_map():
  assert vit.regions(jnp.ones((1, 9, 2)), ()).shape == (1, 9, 2)
  with pytest.raises(ValueError, match='8 tokens are no square map'):
    vit.regions(jnp.ones((1, 8, 2)), (2,))
