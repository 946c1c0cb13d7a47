"""Pool of past fakes for the discriminator, as in CycleGAN.

Shrivastava et al., 2017. A pool is a plain dict in `state.device_state`, one per device, so that it
is saved with the run.
"""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.state import sample_keys

Pool = dict[str, jax.Array]


def create(size: int, shape: tuple[int, ...]) -> Pool:
  """Empty pool of `size` images of `shape` (H, W, C); size 0 gives {} (pass-through).

  50 images of 256x256x3 take 39 MB.
  """
  if not size:
    return {}
  return {'buf': jnp.zeros((size, *shape)), 'count': jnp.zeros((), jnp.int32)}


def of_both_domains(config: ConfigDict) -> dict[str, Pool]:
  """The two pools of earlier fakes: the `device_state` of many methods.

  Returns:
    {'pool_a', 'pool_b'} of `gan.pool` images of `data.crop_size`.
  """
  size, data = ops.hw(config.data.crop_size), config.data
  return {f'pool_{x}': create(config.gan.pool, (*size, data[f'channels_{x}'])) for x in 'ab'}


def query(pool: Pool, key: jax.Array, images: jax.Array) -> tuple[Pool, jax.Array]:
  """Put images in, get images for the discriminator out.

  One by one, in order: while the pool fills, an image is stored and returned; then with
  probability 1/2 a stored image is returned and replaced by the new one, else the new one is
  returned. No gradient passes.

  Args:
    pool: from `create`.
    key: typed PRNG key.
    images: [B, H, W, C].

  Returns:
    (pool, [B, H, W, C]).
  """
  images = jax.lax.stop_gradient(images)
  if not pool:
    return pool, images

  def one(pool, inputs):
    key, image = inputs
    coin, place = jax.random.split(key)
    size = pool['buf'].shape[0]
    filling = pool['count'] < size
    index = jnp.where(filling, pool['count'], jax.random.randint(place, (), 0, size))
    swap = ~filling & (jax.random.uniform(coin) > 0.5)
    stored = pool['buf'][index]
    entry = jnp.where(filling | swap, image.astype(stored.dtype), stored)
    pool = {'buf': pool['buf'].at[index].set(entry), 'count': pool['count'] + filling}
    return pool, jnp.where(swap, stored.astype(image.dtype), image)
  return jax.lax.scan(one, pool, (sample_keys(key, images.shape[0]), images))
