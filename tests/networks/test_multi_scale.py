"""Critics of several scales: each sees its own copy of the frame."""

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import defaults
from i2vjax.networks import patchgan
from i2vjax.run import settle

CRITIC = patchgan.PatchDiscriminator(4, 1, impl='plain')
NET = patchgan.MultiScaleCritic(CRITIC, 2)
X = jax.random.uniform(jax.random.key(0), (2, 32, 40, 3), minval=-1)


def test_channels_are_the_critics_alone_on_smaller_frames():
  params = NET.init(jax.random.key(1), X)['params']
  out = NET.apply({'params': params}, X)
  fine = CRITIC.apply({'params': params['scale_0']}, X)
  small = X.reshape(2, 16, 2, 20, 2, 3).mean((2, 4))
  coarse = CRITIC.apply({'params': params['scale_1']}, small)
  assert out.shape == (*fine.shape[:3], 2)
  np.testing.assert_allclose(out[..., :1], fine, atol=1e-5)
  np.testing.assert_allclose(np.unique(out[0, ..., 1]), np.unique(coarse[0, ..., 0]), atol=1e-5)


def test_the_mean_over_all_is_nearly_the_mean_over_scales():
  params = NET.init(jax.random.key(1), X)['params']
  out = NET.apply({'params': params}, X)
  small = X.reshape(2, 16, 2, 20, 2, 3).mean((2, 4))
  means = [jnp.mean(CRITIC.apply({'params': params[f'scale_{k}']}, x))
           for k, x in enumerate((X, small))]
  np.testing.assert_allclose(jnp.mean(out), jnp.mean(jnp.stack(means)), atol=0.02)


def test_scales_that_do_not_fit_the_crop_are_left_out_and_that_is_said(caplog):
  config = defaults.get_config()
  config.disc = {'width': 4, 'layers': 2, 'down': 'blur'}
  for crop, scales in ((48, 3), ((32, 64), 2), (16, 1)):   # 12 pixels: the least for two layers
    config.critic.scales, config.data.crop_size = 3, crop
    assert settle.settle(config).critic.scales == scales
  assert config.critic.scales == 3
  assert [record.getMessage() for record in caplog.records] == [
      'critic.scales=3: crops of 32 pixels have room for 2',
      'critic.scales=3: crops of 16 pixels have room for 1']
