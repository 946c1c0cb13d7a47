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
pytestmark = pytest.mark.parity
nn = torch.nn
WIDTH, HEADS, HIDDEN, SIZE, TAPS = 24, 3, 48, 128, (1, 3, 5)   # 8 x 8 tokens


class Attention(nn.Module):

  def __init__(self):
    super().__init__()
    self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

  def forward(self, x):
    B, M, C = x.shape
    q, k, v = self.qkv(x).view(B, M, 3, HEADS, C // HEADS).permute(2, 0, 3, 1, 4)
    x = nn.functional.scaled_dot_product_attention(q, k, v)
    return self.proj(x.transpose(1, 2).reshape(B, M, C))


class Mlp(nn.Module):

  def __init__(self):
    super().__init__()
    self.fc1, self.fc2 = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

  def forward(self, x):
    return self.fc2(nn.functional.gelu(self.fc1(x)))


class Block(nn.Module):

  def __init__(self):
    super().__init__()
    self.norm1, self.norm2 = (nn.LayerNorm(WIDTH, eps=1e-6) for _ in range(2))
    self.attn, self.mlp = Attention(), Mlp()

  def forward(self, x):
    x = x + self.attn(self.norm1(x))
    return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):

  def __init__(self):
    super().__init__()
    self.proj = nn.Conv2d(3, WIDTH, 16, 16)

  def forward(self, x):
    x = nn.functional.interpolate(x, (SIZE, SIZE), mode='bilinear', align_corners=False)
    return self.proj(x).flatten(2).transpose(1, 2)


class TorchViT(nn.Module):
  """Seven blocks, one more than ours needs, and a classifier."""

  def __init__(self, grid=8):
    super().__init__()
    self.patch_embed, self.norm = PatchEmbed(), nn.LayerNorm(WIDTH, eps=1e-6)
    self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
    self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid**2, WIDTH))
    self.blocks = nn.ModuleList([Block() for _ in range(7)])
    self.head = nn.Linear(WIDTH, 5)

  def through(self, x):
    taken = []
    for i, block in enumerate(self.blocks):
      x = block(x)
      taken += [self.norm(x)] if i in TAPS else []
    return taken

  def tokens(self, x, position):
    x = torch.cat([self.cls_token.expand(len(x), -1, -1), self.patch_embed(x)], 1) + position
    return [tokens[:, 1:] for tokens in self.through(x)]

  def windows(self, x, ids, side):
    """[B * K, side^2, C]: each window a sequence by itself, cut out with a loop."""
    x, cut = (self.patch_embed(x) + self.pos_embed[:, 1:]).view(len(x), 8, 8, WIDTH), []
    for image in x:
      for row, col in (divmod(i, 8) for i in ids):
        top, left = (min(max(place - side // 2, 0), 8 - side) for place in (row, col))
        cut.append(image[top:top + side, left:left + side].reshape(-1, WIDTH))
    return self.through(torch.stack(cut))


def twin(grid=8):
  torch.manual_seed(0)
  net = TorchViT(grid)
  for weight in net.parameters():
    nn.init.normal_(weight, std=0.3)
  return net.eval().requires_grad_(False)


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
