"""Several training steps of ours and of a twin in PyTorch, from the same weights, in 64 bits.

In 32 bits the two drift apart: a ReLU or an L1 term that rounding tips over changes a gradient, and
Adam makes whole steps of gradients that are only rounding (biases before a norm).
"""

import contextlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import traverse_util

from i2vjax.core.model import Model
from i2vjax.core.state import AXIS, State, name_key
from i2vjax.interop import layouts, torch_checkpoints
from i2vjax.methods import base
from i2vjax.networks import projector
from i2vjax.pretrained import vgg_weights
from i2vjax.run import schedules

STEPS = 5


@contextlib.contextmanager
def doubles():
  """64 bits in both; what our code names float32 becomes 64 bits too."""
  def attend(q, k, v):   # JAX's own takes its softmax in 32 bits whatever comes in
    weights = jax.nn.softmax(jnp.einsum('bqhc,bkhc->bhqk', q, k) / q.shape[-1] ** 0.5)
    return jnp.einsum('bhqk,bkhc->bqhc', weights, v)
  torch.set_default_dtype(torch.float64)
  try:
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
      patch.setattr(jnp, 'float32', jnp.float64)
      patch.setattr(jax.nn, 'dot_product_attention', attend)
      yield
  finally:
    torch.set_default_dtype(torch.float32)


# ---- Inputs and weights


def step_keys():
  """The key of each step."""
  return [jax.random.key(i) for i in range(STEPS)]


def frames(config, size):
  """[{'a': [1, T, H, W, 3] in [-1, 1], 'b': ...} of each step]."""
  rng, shape = np.random.default_rng(0), (1, config.data.frames, size, size, 3)
  return [{x: rng.uniform(-1, 1, shape) for x in 'ab'} for _ in range(STEPS)]


def in_torch(batch):
  """{'a': [x0, ..., each [1, 3, H, W]], 'b': ...} of frames [1, T, H, W, 3]."""
  return {x: list(torch.from_numpy(np.moveaxis(batch[x], -1, 2).copy()).unbind(1)) for x in 'ab'}


def places(key):
  """(purpose, sizes of the maps, count) -> the places that our step draws with its key."""
  def draw(purpose, sizes, count):
    name, _, frame = purpose.rpartition('_')
    per_frame = purpose.startswith('exs')   # exs_a_0: frame 0, each at its own places
    own = name_key(key, name if per_frame else purpose)
    own = jax.random.split(own, 3)[int(frame)] if per_frame else own
    maps = [np.zeros((size, 1, 1), np.float32) for size in sizes]
    return [torch.from_numpy(np.array(ids)) for ids in projector.places(own, maps, count)]
  return draw


def drawn(nets, scale=0.1):
  """The same networks with random weights of a size at which every layer is felt."""
  generator = torch.Generator().manual_seed(0)
  with torch.no_grad():
    for parameter in nets.parameters():
      parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
  return nets


def converted(nets, **tables):
  """{our name: our parameters} of modules with the public code's layout, as `import` reads them.

  Args:
    nets: {our name: module}.
    tables: {our name: {our layer: entry}} of networks that `import` does not know.
  """
  return {name: traverse_util.unflatten_dict(one(name, net, tables.get(name)), sep='/')
          for name, net in nets.items()}


def one(name, net, table=None):
  """{'stem/conv/kernel': array, ...} of one module."""
  arrays = {key: value.detach().numpy().copy() for key, value in net.state_dict().items()}
  if table:
    return layouts.parameters(arrays, layouts.Layout('', table, {}, {}))
  if name == 'vgg19':
    arrays = {key: value for key, value in arrays.items() if key.startswith('features')}
    layers = {layer: entry for layer, entry in vgg_weights.table(19).items()
              if f'{entry}.weight' in arrays}
    return layouts.parameters(arrays, layouts.Layout('', layers, {}, {}))
  return layouts.parameters(arrays, torch_checkpoints.DETECT[name.split('_')[0]](arrays))


# ---- Steps


def ours(method, config, params, batches, frozen=(), model_state=()):
  """(parameters after the last step, [{term: number} of each step]).

  Args:
    params: {network: parameters} of the trained networks.
    frozen: {network: parameters} of the others.
  """
  nets = {**method.networks(config), **{
      name: net for name, (net, _) in base.hook(method, 'frozen_networks')(config).items()}}
  plain = {name: net.clone(impl='plain') if hasattr(net, 'impl') else net
           for name, net in nets.items()}   # compiles soonest; the forms agree (test_conv.py)
  model = Model(config, plain, schedules.optimizers(config, method.PLAYERS, 100), dict(frozen))
  opt = {player: model.optimizers[player].init({name: params[name] for name in names})
         for player, names in method.PLAYERS.items()}
  state = State(params, opt, dict(model_state), base.hook(method, 'device_state')(config),
                jnp.int32(0), jax.random.key(config.seed))

  @jax.jit
  def step(state, batch, key):
    mapped = jax.vmap(lambda _: method.step(model, state, batch, key), axis_name=AXIS)
    return jax.tree.map(lambda x: x[0], mapped(jnp.arange(1)))
  terms = []
  for batch, key in zip(batches, step_keys(), strict=True):
    state, found = step(state, batch, key)
    state = state.replace(step=state.step + 1)
    terms.append(jax.tree.map(float, found))
  return state.params, terms


def optimizers(nets, config, players):
  """{player: Adam as in the config} of {player: names of networks}."""
  o = config.optim
  return {player: torch.optim.Adam(
      [weight for name in names for weight in nets[name].parameters()], o.lr, (o.b1, o.b2), o.eps)
          for player, names in players.items()}


def same_terms(ours, theirs, tolerance=1e-6):
  """Of every step, each with the same names."""
  assert len(ours) == len(theirs) == STEPS
  for i, (left, right) in enumerate(zip(ours, theirs, strict=True)):
    assert left.keys() == right.keys()
    for name, value in right.items():
      np.testing.assert_allclose(left[name], value, rtol=tolerance, err_msg=f'step {i}, {name}')


def same_moves(before, ours, theirs, tolerance=1e-5, still=()):
  """Every network moved the same way, to a share of how far it moved; `still` ones not at all."""
  assert before.keys() == ours.keys() == theirs.keys()
  for name in before:
    start, left, right = (traverse_util.flatten_dict(tree[name], sep='/')
                          for tree in (before, ours, theirs))
    assert start.keys() == left.keys() == right.keys()
    error = norm([left[leaf] - right[leaf] for leaf in start])
    moved = norm([right[leaf] - start[leaf] for leaf in start])
    assert (moved == 0) == (name in still), f'{name} moved by {moved}'
    assert error <= tolerance * moved, f'{name}: {error} of {moved}'


def norm(arrays):
  return float(np.sqrt(sum(np.sum(np.square(np.asarray(x, np.float64))) for x in arrays)))
