"""The same networks in PyTorch, with the same random weights, give the same numbers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.networks import conv, patchgan, resnet, vit

torch = pytest.importorskip('torch')

import torch_norm

pytestmark = pytest.mark.parity
nn = torch.nn


def draw(tree, seed=0, scale=0.1):
  """Random arrays in the shapes of a tree; large enough that a wrong rule shows."""
  rng = np.random.default_rng(seed)
  return jax.tree.map(lambda x: rng.normal(size=x.shape).astype(np.float32) * scale, tree)


def image(*shape):
  return np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)


def nchw(x):
  return torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1)))


def carry(layer, params):
  """Flax {kernel, bias} into a torch convolution, transposed convolution or linear layer."""
  kernel = np.asarray(params['kernel'])
  kernel = kernel.transpose(3, 2, 0, 1) if kernel.ndim == 4 else kernel.T
  with torch.no_grad():
    layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(kernel)))
    layer.bias.copy_(torch.from_numpy(np.asarray(params['bias'])))
  return layer


def same(ours, theirs, tolerance=1e-4):
  theirs = theirs.detach().numpy()
  theirs = np.moveaxis(theirs, 1, -1) if theirs.ndim == 4 else theirs
  assert ours.shape == theirs.shape
  np.testing.assert_allclose(ours, theirs, atol=tolerance * max(1.0, np.abs(theirs).max()), rtol=0)


def binomial(x, taps, stride, up=False):
  """Depthwise filter of the public anti-aliasing layers."""
  taps = torch.tensor(taps, dtype=torch.float32)
  kernel = torch.outer(taps, taps) / taps.sum() ** 2 * (4 if up else 1)
  kernel = kernel.expand(x.shape[1], 1, *kernel.shape)
  if up:
    x = nn.functional.pad(x, (1, 1, 1, 1), mode='replicate')
    y = nn.functional.conv_transpose2d(x, kernel, stride=2, padding=2, groups=x.shape[1])
    return y[:, :, 1:-1, 1:-1]
  x = nn.functional.pad(x, (1, 1, 1, 1), mode='reflect')
  return nn.functional.conv2d(x, kernel, stride=stride, groups=x.shape[1])


def norm_relu(x):
  return torch.relu(torch_norm.instance_norm(x))


def reflected(x, params, size):
  kernel = params['kernel'].shape
  layer = carry(nn.Conv2d(kernel[2], kernel[3], kernel[0]), params)
  return layer(nn.functional.pad(x, 4 * (size,), mode='reflect'))


def torch_resnet(p, x, blocks, down, up):
  """Generator in PyTorch, written from the layer table of the public code."""
  x = norm_relu(reflected(x, p['stem']['conv'], 3))
  for i in range(2):
    kernel = p[f'down_{i}']['conv']['kernel'].shape
    layer = nn.Conv2d(kernel[2], kernel[3], 3, 2 if down == 'stride' else 1, 1)
    x = norm_relu(carry(layer, p[f'down_{i}']['conv'])(x))
    x = binomial(x, [1, 2, 1], 2) if down == 'blur' else x
  for i in range(blocks):
    block = p[f'res_{i}']
    y = norm_relu(reflected(x, block['conv_0'], 1))
    x = x + torch_norm.instance_norm(reflected(y, block['conv_1'], 1))
  for i in range(2):
    kernel = p[f'up_{i}']['conv']['kernel'].shape
    if up == 'blur':
      layer = nn.Conv2d(kernel[2], kernel[3], 3, 1, 1)
      x = binomial(x, [1, 3, 3, 1], 2, up=True)
    else:
      layer = nn.ConvTranspose2d(kernel[3], kernel[2], 3, 2, 1, 1)
    x = norm_relu(carry(layer, p[f'up_{i}']['conv'])(x))
  return torch.tanh(reflected(x, p['head']['conv'], 3))


@pytest.mark.parametrize(('down', 'up', 'width', 'size'), [
    ('stride', 'deconv', 4, 32), ('stride', 'blur', 4, 32), ('blur', 'deconv', 4, 32),
    ('blur', 'blur', 4, 32), ('stride', 'deconv', 32, 48)])
def test_generator(down, up, width, size):
  """Width 32 takes the Winograd form in the residual blocks."""
  module, x = resnet.ResnetGenerator(3, width, 2, down, up), image(2, size, size, 3)
  params = draw(jax.eval_shape(module.init, jax.random.key(0), x)['params'])
  ours = jax.jit(module.apply)({'params': params}, x)
  same(ours, torch_resnet(params, nchw(x), 2, down, up))


def torch_patchgan(p, x, down):
  """PatchGAN in PyTorch, three layers."""
  for i in range(4):
    kernel = p[f'conv_{i}']['kernel'].shape
    stride = 2 if down == 'stride' and i < 3 else 1
    x = carry(nn.Conv2d(kernel[2], kernel[3], 4, stride, 1), p[f'conv_{i}'])(x)
    x = nn.functional.leaky_relu(torch_norm.instance_norm(x) if i else x, 0.2)
    x = binomial(x, [1, 2, 1], 2) if down == 'blur' and i < 3 else x
  return carry(nn.Conv2d(x.shape[1], 1, 4, 1, 1), p['head'])(x)


@pytest.mark.parametrize(('down', 'impl'), [
    ('stride', 'auto'), ('blur', 'auto'), ('stride', 'matmul')])
def test_patchgan(down, impl):
  module, x = patchgan.PatchDiscriminator(4, 3, down, impl=impl), image(2, 40, 32, 3)
  params = draw(jax.eval_shape(module.init, jax.random.key(0), x)['params'])
  ours = jax.jit(module.apply)({'params': params}, x)
  same(ours, torch_patchgan(params, nchw(x), down))


@pytest.mark.parametrize('k', [3, 4])
def test_transposed_convolution(k):
  module, x = conv.ConvTranspose(5, k), image(1, 6, 7, 4)
  params = draw(module.init(jax.random.key(0), x)['params'])
  theirs = carry(nn.ConvTranspose2d(4, 5, k, 2, 1, 4 - k), params)(nchw(x))
  same(module.apply({'params': params}, x), theirs)


def state_dict(params, width):
  """Our parameters under timm's names: q, k, v in one matrix."""
  def flat(*names):
    return torch.from_numpy(np.concatenate([np.asarray(x).reshape(-1, width).T for x in names]))
  blocks = params['Transformer']
  out = {}
  for i in range(sum(name.startswith('encoderblock') for name in blocks)):
    block = blocks[f'encoderblock_{i}']
    attention, mlp = block['MultiHeadDotProductAttention_1'], block['MlpBlock_3']
    parts = [attention[name] for name in ('query', 'key', 'value')]
    out[f'{i}.qkv.weight'] = torch.cat([torch.from_numpy(x['kernel'].reshape(width, -1).T)
                                        for x in parts])
    out[f'{i}.qkv.bias'] = torch.cat([torch.from_numpy(x['bias'].reshape(-1)) for x in parts])
    out[f'{i}.proj.weight'] = flat(attention['out']['kernel'])
    out[f'{i}.proj.bias'] = torch.from_numpy(attention['out']['bias'])
    for j in (0, 1):
      out[f'{i}.fc{j}.weight'] = torch.from_numpy(mlp[f'Dense_{j}']['kernel'].T)
      out[f'{i}.fc{j}.bias'] = torch.from_numpy(mlp[f'Dense_{j}']['bias'])
      norm = block[f'LayerNorm_{2 * j}']
      out[f'{i}.norm{j}'] = tuple(torch.from_numpy(norm[name]) for name in ('scale', 'bias'))
  return out


def torch_blocks(weights, final, x, heads, taps):
  """Pre-norm blocks as in timm; the final norm on each tapped block."""
  linear, width = nn.functional.linear, x.shape[-1]

  def norm(x, scale_bias):
    return nn.functional.layer_norm(x, (width,), *scale_bias, eps=1e-6)
  taken = []
  for i in range(max(taps) + 1):
    B, M, _ = x.shape
    qkv = linear(norm(x, weights[f'{i}.norm0']), weights[f'{i}.qkv.weight'],
                 weights[f'{i}.qkv.bias'])
    q, k, v = qkv.reshape(B, M, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    attention = (q @ k.transpose(-2, -1) * (width // heads)**-0.5).softmax(-1)
    mixed = (attention @ v).transpose(1, 2).reshape(B, M, width)
    x = x + linear(mixed, weights[f'{i}.proj.weight'], weights[f'{i}.proj.bias'])
    hidden = nn.functional.gelu(linear(norm(x, weights[f'{i}.norm1']), weights[f'{i}.fc0.weight'],
                                       weights[f'{i}.fc0.bias']))
    x = x + linear(hidden, weights[f'{i}.fc1.weight'], weights[f'{i}.fc1.bias'])
    if i in taps:
      taken.append(norm(x, final))
  return taken


@pytest.fixture(scope='module')
def tokenisers():
  """(our module, its parameters, frames, PyTorch: patches with positions, all positions, rest)."""
  width, heads, size = 24, 3, 64
  module, x = vit.ViT(width, heads, 48, 3, size), image(2, 40, 40, 3)
  params = draw(jax.eval_shape(module.init, jax.random.key(0), x)['params'], scale=0.3)
  resized = nn.functional.interpolate(nchw(x), (size, size), mode='bilinear', align_corners=False)
  patches = carry(nn.Conv2d(3, width, 16, 16), params['embedding'])(resized).flatten(2)
  position = torch.from_numpy(params['Transformer']['posembed_input']['pos_embedding'])
  final = tuple(torch.from_numpy(params['Transformer']['encoder_norm'][name])
                for name in ('scale', 'bias'))
  embedded = patches.transpose(1, 2) + position[:, 1:]

  def rest(tokens, taps):
    with torch.no_grad():
      return torch_blocks(state_dict(params, width), final, tokens, heads, taps)
  return module, params, x, embedded, position, rest


def test_vit_tokens(tokenisers):
  module, params, x, embedded, position, rest = tokenisers
  first = (torch.from_numpy(params['cls']) + position[:, :1]).expand(2, -1, -1)
  theirs = rest(torch.cat([first, embedded], 1), (0, 2))
  ours = module.apply({'params': params}, x, (0, 2), method='tokens')
  for a, b in zip(ours, theirs, strict=True):
    same(a, b[:, 1:])


def test_vit_local_windows(tokenisers):
  """Corner, border and inner windows of 3x3, cut with a loop in PyTorch."""
  module, params, x, embedded, _, rest = tokenisers
  ids, grid = [0, 7, 10, 15], 4
  windows = []
  for frame in embedded:
    for i in ids:
      r, c = (min(max(place - 1, 0), grid - 3) for place in divmod(i, grid))
      windows.append(frame.reshape(grid, grid, -1)[r:r + 3, c:c + 3].reshape(9, -1))
  theirs = rest(torch.stack(windows), (1, 2))
  ours = module.apply({'params': params}, x, jnp.array(ids), (1, 2), 3, method='tokens_local')
  for a, b in zip(ours, theirs, strict=True):
    same(a, b)


def test_token_critic():
  module, tokens = vit.TokenCritic(16, 3), image(2, 5, 16)
  params = draw(module.init(jax.random.key(0), tokens)['params'])
  layers = [carry(nn.Linear(16, out), params[f'dense_{i}']) for i, out in enumerate((16, 3))]
  theirs = layers[1](nn.functional.gelu(layers[0](torch.from_numpy(tokens))))
  same(module.apply({'params': params}, tokens), theirs)
