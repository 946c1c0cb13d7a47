"""A ViT in PyTorch with timm's names: its state dict, and the same numbers as AugReg's .npz."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import traverse_util

from i2vjax import defaults, pretrained
from i2vjax.core import ops
from i2vjax.networks import vit
from i2vjax.pretrained import vit_weights

torch = pytest.importorskip('torch')

from torch_vit import HEADS, HIDDEN, SIZE, TAPS, WIDTH, twin

pytestmark = pytest.mark.parity
nn = torch.nn


def augreg(state):
  """A state dict as Google's arrays: query, key and value apart, kernels [in, heads, size]."""
  def dense(name, *shape):
    kernel, bias = state[f'{name}.weight'].numpy().T, state[f'{name}.bias'].numpy()
    return {'kernel': kernel.reshape(*shape) if shape else kernel, 'bias': bias}

  def norm(name):
    return {'scale': state[f'{name}.weight'].numpy(), 'bias': state[f'{name}.bias'].numpy()}
  size = WIDTH // HEADS
  tree = {'cls': state['cls_token'].numpy(), 'Transformer': {
      'posembed_input': {'pos_embedding': state['pos_embed'].numpy()},
      'encoder_norm': norm('norm')},
          'embedding': {'kernel': state['patch_embed.proj.weight'].permute(2, 3, 1, 0).numpy(),
                        'bias': state['patch_embed.proj.bias'].numpy()}}
  for i in range(7):
    weight, bias = (state[f'blocks.{i}.attn.qkv.{leaf}'] for leaf in ('weight', 'bias'))
    parts = zip(('query', 'key', 'value'), weight.view(3, HEADS, size, WIDTH),
                bias.view(3, HEADS, size), strict=True)
    attention = {name: {'kernel': w.permute(2, 0, 1).numpy(), 'bias': b.numpy()}
                 for name, w, b in parts}
    tree['Transformer'][f'encoderblock_{i}'] = {
        'LayerNorm_0': norm(f'blocks.{i}.norm1'), 'LayerNorm_2': norm(f'blocks.{i}.norm2'),
        'MultiHeadDotProductAttention_1': {
            **attention, 'out': dense(f'blocks.{i}.attn.proj', HEADS, size, WIDTH)},
        'MlpBlock_3': {f'Dense_{j}': dense(f'blocks.{i}.mlp.fc{j + 1}') for j in (0, 1)}}
  return traverse_util.flatten_dict(tree, sep='/')


MODULE = vit.ViT(WIDTH, HEADS, HIDDEN, depth=6, image_size=SIZE)


def load(path):
  config = defaults.get_config()
  config.backbone, config.vit = 'vit', {'weights': str(path)}
  return pretrained.load('vit_b16_384', MODULE, None, config)


@pytest.fixture(scope='module')
def net():
  return twin()


@pytest.fixture(scope='module', params=['timm.pth', 'augreg.npz'])
def params(request, net, tmp_path_factory):
  """The parameters of `net`, read by our loader from each layout."""
  path = tmp_path_factory.mktemp('weights') / request.param
  if path.suffix == '.pth':
    torch.save(net.state_dict(), path)
  else:
    np.savez(path, **augreg(net.state_dict()))
  return load(path)


@pytest.fixture(scope='module')
def frames():
  return np.random.default_rng(1).uniform(-1, 1, (2, 96, 80, 3)).astype(np.float32)


def nchw(x):
  return torch.from_numpy(np.moveaxis(x, -1, 1).copy())


tokens = jax.jit(lambda p, x: MODULE.apply({'params': p}, x, TAPS, method='tokens'))
local = jax.jit(lambda p, x, ids: MODULE.apply({'params': p}, x, ids, TAPS, 5,
                                               method='tokens_local'))


def test_tokens_of_blocks_1_3_5(net, params, frames):
  for ours, theirs in zip(tokens(params, frames), net.tokens(nchw(frames), net.pos_embed),
                          strict=True):
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


def test_windows_at_all_corners_and_borders(net, params, frames):
  ids = [0, 7, 56, 63, 3, 24, 39, 60, 27]
  for ours, theirs in zip(local(params, frames, jnp.array(ids)),
                          net.windows(nchw(frames), ids, 5), strict=True):
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


@pytest.mark.parametrize('suffix', ['.pth', '.npz'])
def test_positions_of_another_grid_are_interpolated(tmp_path, frames, suffix):
  """The map by PyTorch's antialiased cubic, as timm does; the class token's stays."""
  small, path = twin(grid=5), tmp_path / f'small{suffix}'
  if suffix == '.pth':
    torch.save(small.state_dict(), path)
  else:
    np.savez(path, **augreg(small.state_dict()))
  first, grid = small.pos_embed[:, :1], small.pos_embed[:, 1:].view(1, 5, 5, WIDTH)
  grid = nn.functional.interpolate(grid.permute(0, 3, 1, 2), (8, 8), mode='bicubic',
                                   antialias=True)
  position = torch.cat([first, grid.flatten(2).transpose(1, 2)], 1)
  params = load(path)
  np.testing.assert_allclose(params['Transformer']['posembed_input']['pos_embedding'],
                             position.numpy(), atol=1e-5)
  np.testing.assert_allclose(tokens(params, frames)[2],
                             small.tokens(nchw(frames), position)[2].numpy(), atol=1e-4)


def test_finer_positions_shrink_as_in_pytorch():
  fine = torch.randn(1, 1 + 9**2, 6)
  grid = fine[:, 1:].view(1, 9, 9, 6).permute(0, 3, 1, 2)
  expected = nn.functional.interpolate(grid, (4, 4), mode='bicubic', antialias=True)
  ours = vit_weights.resize_positions(fine.numpy(), 17)
  np.testing.assert_allclose(ours[:, 1:], expected.flatten(2).transpose(1, 2).numpy(), atol=1e-5)


def test_regions_are_the_means_of_loops_over_the_map():
  """Sides 2, 3 and 5 on 6 x 6 tokens; `extra_row` reaches one row further down."""
  x = torch.randn(2, 36, 4)
  for extra in (0, 1):
    grid, expected = x.view(2, 6, 6, 4), [x]
    for side in (2, 3, 5):
      for top in range(0, 6, side):
        for left in range(0, 6, side):
          area = grid[:, top:top + side + extra, left:left + side]
          expected.append(area.flatten(1, 2).mean(1, keepdim=True))
    ours = vit.regions(jnp.asarray(x.numpy()), (2, 3, 5), bool(extra))
    np.testing.assert_allclose(ours, torch.cat(expected, 1).numpy(), atol=1e-6)


def test_foreign_entries_and_shapes_of_a_state_dict_are_refused_by_name(net, tmp_path):
  state = {**net.state_dict(), 'blocks.0.ls1.gamma': torch.ones(WIDTH),
           'blocks.1.attn.qkv.bias': torch.ones(70)}
  path = tmp_path / 'other.pth'
  torch.save(state, path)
  with pytest.raises(ValueError, match='unexpected in the file .1.: blocks.0.ls1.gamma') as error:
    load(path)
  assert 'encoderblock_1' in str(error.value)


def test_windows_of_the_published_side_shift_inwards_like_a_loop():
  ids = np.arange(576)
  ours = np.asarray(ops.window_places(jnp.asarray(ids), (24, 24), 7))
  for i, places in zip(ids, ours, strict=True):
    top, left = (min(max(place - 3, 0), 17) for place in divmod(int(i), 24))
    expected = [(top + r) * 24 + left + c for r in range(7) for c in range(7)]
    np.testing.assert_array_equal(places, expected)
