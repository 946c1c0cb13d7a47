"""Every method whose generator can be the U-Net takes a step with it, its features included."""

import jax
import jax.numpy as jnp
import optax
import pytest
from method_tools import config_of, fresh_state

from i2vjax import methods
from i2vjax.core.state import AXIS
from i2vjax.run import load

CHOOSERS = [name for name in methods.names() if 'kind' in config_of(name).gen]
NCE = ('cut', 'i2vgan')   # compare features of the generator, which a U-Net calls otherwise
SIDE = 32


def settings(name):
  config = config_of(name, 'demo')
  config.data.update(load_size=SIDE, crop_size=SIDE, batch=1)
  config.gen.update(kind='unet', width=4, levels=2, blocks=1)
  config.train.ema = 0.0
  config.disc.update(width=4, layers=1)
  if 'pred' in config:
    config.pred.update(width=4, downs=2)
  if 'flow' in config:
    config.flow.name = 'gt+zero'
  if name in NCE:
    config.nce.update(taps=('rgb', 'stem', 'down_0', 'res_0'), patches=8)
  return config


def test_all_but_three_can_choose():
  """GTC's is recurrent, PearlGAN's and MornGAN's are ComboGAN's."""
  assert not {'gtc', 'pearlgan', 'morngan'} & set(CHOOSERS)
  assert {'best', 'cptrans', 'cut', 'cyclegan', 'stc'} < set(CHOOSERS)


@pytest.mark.parametrize('name', CHOOSERS)
def test_a_step_with_a_unet(name):
  """Traced, not run: shapes of what is learned stay, and all terms are scalars."""
  config = settings(name)
  method, model = load.assemble(config)
  model = model.replace(optimizers=dict.fromkeys(method.PLAYERS, optax.sgd(0.1)))
  state = jax.eval_shape(lambda: fresh_state(method, model))
  frames = jnp.zeros((1, 1, config.data.frames, SIDE, SIDE, 3))
  flow = jnp.zeros((1, 1, max(config.data.frames - 1, 1), SIDE, SIDE, 2))
  batch = {'a': frames, 'b': frames, 'flow_a': flow, 'flow_b': flow}

  def step(state, batch):
    return jax.vmap(lambda batch: method.step(model, state, batch, jax.random.key(0)),
                    axis_name=AXIS)(batch)
  after, terms = jax.eval_shape(step, state, batch)
  for old, new in zip(jax.tree.leaves(state.params), jax.tree.leaves(after.params), strict=True):
    assert new.shape == (1, *old.shape)
  assert terms and all(value.shape == (1,) for value in terms.values())
