"""Our steps and those of benchmarks/torch_steps.py: equal terms, gradients, arithmetic."""

import pathlib
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import clips, config_of

from i2vjax import methods
from i2vjax.bench import program
from i2vjax.core.state import AXIS
from i2vjax.run import load

torch = pytest.importorskip('torch')
pytestmark = pytest.mark.parity

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / 'benchmarks'))
import torch_steps
from training_parity import places

KEY = jax.random.key(3)


def tiny(name):
  """The published method on 32 pixels and few channels, I2V-GAN with its VGG."""
  config = config_of(name)
  config.gan.pool, config.data.crop_size = 0, 32
  config.gen.update(width=4, blocks=2)
  config.disc.update(width=4, layers=2)
  config.perceptual = 'random' if name == 'i2vgan' else 'none'
  if 'pred' in config:
    config.pred.update(width=4, downs=4)
  if 'nce' in config:
    config.nce.update(width=8, patches=16)
    config.nce.taps = tuple('res_mid' if tap == 'res_2' else tap for tap in config.nce.taps)
  if 'vgg' in config:
    config.vgg.width = 4
  return config


def carry(nets, params):
  """Our parameters into the layers of the same name; none may be left over on either side."""
  left = flat(params)
  with torch.no_grad():
    for name, value in nets.named_parameters():
      ours = left.pop(name.replace('.weight', '.kernel'))
      value.copy_(torch.from_numpy(layout(ours)))
  assert not left, left.keys()


def flat(tree):
  """{'stem.conv.kernel': array}."""
  return {jax.tree_util.keystr(path, simple=True, separator='.'): np.asarray(value)
          for path, value in jax.tree_util.tree_leaves_with_path(tree)}


def layout(value):
  """Kernels [k, k, I, O] and [I, O], biases [O], in PyTorch's order."""
  return np.array(value.transpose({4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[value.ndim]))


def ours(name):
  """(config, state, batch, frozen parameters, step: parameters -> (gradients, terms))."""
  config = tiny(name)
  method, model = load.assemble(config)
  plain = {name: net.clone(impl='plain') if hasattr(net, 'impl') else net
           for name, net in model.networks.items()}   # compiles soonest; forms agree (test_conv.py)
  model = model.replace(networks=plain, optimizers=dict.fromkeys(method.PLAYERS, optax.sgd(1.0)))
  state, rng = load.fresh_state(method, model), np.random.default_rng(0)
  state = state.replace(device_state={'pool_a': {}, 'pool_b': {}}, params=jax.tree.map(
      lambda x: jnp.asarray(rng.normal(size=x.shape) * 0.1, jnp.float32), state.params))
  batch = clips(config.data.frames, size=32)

  def step(params):
    after, terms = jax.vmap(
        lambda _: method.step(model, state.replace(params=params), batch, KEY),
        axis_name=AXIS)(jnp.arange(1))
    return (jax.tree.map(lambda x, y: x - y[0], params, after.params),
            {name: value[0] for name, value in terms.items()})
  return config, state.params, batch, model.frozen, step


def theirs(config, params, batch, frozen):
  """(gradients by flat name, terms) of the twin on the same weights, frames and places."""
  images = {x: [torch.from_numpy(np.moveaxis(np.array(batch[x][:, t]), -1, 1).copy())
                for t in range(config.data.frames)] for x in 'ab'}
  twin, move = torch_steps.make(config, images, places(KEY), lambda p: torch.optim.SGD(p, 1.0))
  carry(twin, {**params, **frozen})
  before = {name: value.detach().clone() for name, value in twin.named_parameters()}
  terms = move()
  return {name: before[name] - value.detach() for name, value in twin.named_parameters()}, terms


METHODS = pytest.mark.parametrize('name', ['cut', 'recyclegan', 'i2vgan', 'cyclegan'])


@pytest.mark.parametrize('name', [
    'cut', 'recyclegan', pytest.param('i2vgan', marks=pytest.mark.slow), 'cyclegan'])
def test_terms(name):
  """Of the generators and of the critics; what only gradients need is not compiled."""
  config, params, batch, frozen, step = ours(name)
  terms = jax.jit(lambda params: step(params)[1])(params)
  _, expected = theirs(config, params, batch, frozen)
  assert terms.keys() == expected.keys()
  for term, value in expected.items():
    np.testing.assert_allclose(terms[term], value, rtol=1e-3, err_msg=term)


@pytest.fixture
def doubles():
  """64 bits in both: a ReLU or an L1 term that rounding tips over changes gradients by percents."""
  torch.set_default_dtype(torch.float64)
  with jax.enable_x64(True):
    yield
  torch.set_default_dtype(torch.float32)


def doubled(tree):
  return jax.tree.map(lambda x: jnp.asarray(x, jnp.float64) if x.dtype == np.float32 else x, tree)


@METHODS
@pytest.mark.slow
def test_gradients(name, doubles):
  """What each network moves by, network by network."""
  config, params, batch, frozen, step = ours(name)
  params, batch, frozen = doubled((params, batch, frozen))
  gradients, _ = jax.jit(step)(params)
  moved, _ = theirs(config, params, batch, frozen)
  for net, tree in gradients.items():
    pairs = [(layout(value), moved[f'{net}.{name}'.replace('.kernel', '.weight')].numpy())
             for name, value in flat(tree).items()]
    error, size = np.sqrt(np.sum([(np.sum((x - y)**2), np.sum(y**2)) for x, y in pairs], axis=0))
    assert error <= 1e-4 * size, f'{net}: {error} of {size}'


@METHODS
def test_arithmetic(name, monkeypatch):
  """Operations of PyTorch's convolutions and products, of published size: ours within 1 %."""
  from torch.utils.flop_counter import FlopCounterMode
  config = config_of(name)
  config.gan.pool, config.perceptual = 0, 'random' if name == 'i2vgan' else 'none'
  monkeypatch.setattr(torch_steps, 'numbers', lambda terms: terms)
  with torch.device('meta'), FlopCounterMode(display=False) as counter:
    images = {x: [torch.zeros(1, 3, 256, 256)] * config.data.frames for x in 'ab'}
    torch_steps.make(config, images)[1]()
  ours = program.flops(config)
  assert abs(counter.get_total_flops() / ours - 1) < 0.01


@pytest.mark.parametrize(('method', 'field', 'value'), [
    ('cut', 'nce.flip', True), ('i2vgan', 'gan.pool', 50), ('recyclegan', 'pred.kind', 'resnet')])
def test_a_twin_refuses_what_it_does_not_do(method, field, value):
  config = tiny(method)
  config.update_from_flattened_dict({field: value})
  with pytest.raises(ValueError, match=field):
    torch_steps.check(config)


def test_a_method_without_a_twin_is_named():
  assert 'roma' in methods.names()
  with pytest.raises(ValueError, match='roma'):
    torch_steps.check(config_of('roma'))
