"""Files that PyTorch wrote: the reader against PyTorch's own, our networks against theirs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

torch = pytest.importorskip('torch')

import torch_twins as twins
from flax import traverse_util
from safetensors.numpy import save_file

from i2vjax import pretrained
from i2vjax.interop import torch_checkpoints
from i2vjax.networks import patchgan, projector, resnet, unet, vgg
from i2vjax.pretrained import torch_file, vgg_weights

pytestmark = pytest.mark.parity
FORMATS = pytest.mark.parametrize('zipped', [True, False])


def save(value, path, zipped=True, protocol=2):
  torch.save(value, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
  return path


def nhwc(x):
  return x.detach().numpy().transpose(0, 2, 3, 1)


# ---- the reader ----


def tensors():
  base = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
  return {
      'plain': base, 'transposed': base.t(), 'slice': base[1:3, ::2], 'same storage': base[0],
      'expanded': base[:1].expand(3, 6), 'half': base.half(), 'bfloat16': base.bfloat16(),
      'double': base.double(), 'bool': base > 0, 'scalar': torch.tensor(7),
      'real scalar': torch.tensor(0.5), 'empty': torch.zeros(0, 3), 'int8': base.to(torch.int8),
      'uint8': (base * 9).abs().to(torch.uint8), 'int16': base.to(torch.int16),
      'int32': base.int(), 'channels last': torch.randn(2, 3, 4, 5).to(
          memory_format=torch.channels_last), 'parameter': torch.nn.Parameter(base)}


@FORMATS
@pytest.mark.parametrize('protocol', [2, 4])
@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
def test_reader_equals_torch(tmp_path, zipped, protocol):
  path = save(tensors(), tmp_path / 'x.pth', zipped, protocol)
  theirs, ours = torch.load(path, weights_only=False), torch_file.read(path)   # our own file
  assert ours.keys() == theirs.keys()
  for name, tensor in theirs.items():
    assert ours[name].shape == tuple(tensor.shape), name
    assert str(ours[name].dtype) == str(tensor.dtype).removeprefix('torch.'), name
    np.testing.assert_array_equal(ours[name].astype(np.float64), tensor.detach().double().numpy())


@FORMATS
def test_state_dict_of_a_module_is_read_with_its_metadata(tmp_path, zipped):
  module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
  found = torch_file.read(save(module.state_dict(), tmp_path / 'x.pth', zipped))
  assert list(found) == list(module.state_dict())
  np.testing.assert_array_equal(found['0.weight'], module[0].weight.detach().numpy())
  assert found['1.num_batches_tracked'].shape == ()


@FORMATS
@pytest.mark.parametrize(('value', 'said'), [
    (lambda: torch.nn.Linear(2, 2), r'torch\.nn\.modules\.linear\.Linear|whole pickled module'),
    (lambda: {'model': torch.nn.Linear(2, 2).state_dict()}, "a dict as entry 'model'"),
    (lambda: {'x': np.float64(1.0)}, 'numpy'),
    (lambda: torch.zeros(2), 'not a dict of tensors'),
    (lambda: {'x': torch.zeros(2, dtype=torch.complex64)}, 'ComplexFloatStorage')])
def test_anything_but_tensors_is_refused_by_name(tmp_path, zipped, value, said):
  with pytest.raises(ValueError, match=said):
    torch_file.read(save(value(), tmp_path / 'x.pth', zipped))


# ---- VGG ----


@pytest.mark.parametrize(('depth', 'counts', 'tap', 'index'), [
    (16, (2, 2, 3, 3, 3), 'relu5_3', 29), (19, (2, 2, 4, 4, 4), 'relu5_1', 29)])
def test_vgg_equals_the_torch_twin(tmp_path, depth, counts, tap, index):
  plan = [c for count, width in zip(counts, (4, 8, 16, 32, 32), strict=True)
          for c in (*[width] * count, 'M')]
  twin = twins.Vgg(plan)
  path = save(twin.state_dict(), tmp_path / f'vgg{depth}.pth', zipped=False)
  module = vgg.VGG(depth, ('relu1_1', 'relu2_1', tap), width=4, impl='plain')
  x = np.random.default_rng(0).uniform(-1, 1, (2, 37, 34, 3)).astype(np.float32)
  shapes = jax.eval_shape(module.init, jax.random.key(0), x)['params']
  shapes = {name: leaf.shape for name, leaf in
            traverse_util.flatten_dict(shapes, sep='/').items()}
  params = pretrained.fit(vgg_weights.READERS[f'vgg{depth}'](path, tuple(shapes)), shapes, path)
  weight = np.random.default_rng(1).normal(size=params['conv5_1']['bias'].shape)

  def total(x):
    features = module.apply({'params': params}, x)
    return jnp.sum(features[tap] * weight), features
  gradient, ours = jax.jit(jax.grad(total, has_aux=True))(x)
  given = torch.tensor(x.transpose(0, 3, 1, 2), requires_grad=True)
  theirs = twin(given)
  (theirs[index] * torch.tensor(weight[:, None, None])).sum().backward()
  for name, place in (('relu1_1', 1), ('relu2_1', 6), (tap, index)):
    np.testing.assert_allclose(ours[name], nhwc(theirs[place]), atol=1e-4)
  np.testing.assert_allclose(gradient, nhwc(given.grad), atol=1e-4)


# ---- the public generators, critics, predictors, projections ----


def compare(name, twin, module, x, tmp_path):
  """Save the twin as the public code would, load it as `name`, compare the outputs."""
  for parameter in twin.parameters():
    torch.nn.init.normal_(parameter, 0, 0.1)
  found = torch_checkpoints.load(name, save(twin.state_dict(), tmp_path / f'latest_net_{name}.pth'))
  params = traverse_util.unflatten_dict(found.arrays, sep='/')
  ours = jax.jit(lambda x: module.apply({'params': params}, x))(x)
  theirs = nhwc(twin(torch.tensor(x.transpose(0, 3, 1, 2))))
  assert np.abs(theirs).max() > 0.1
  np.testing.assert_allclose(ours, theirs, atol=1e-4)
  return found


def frames(size, channels=3, count=2):
  rng = np.random.default_rng(0)
  return rng.uniform(-1, 1, (count, size, size, channels)).astype(np.float32)


@pytest.mark.parametrize(('down', 'up', 'dropout'), [
    ('stride', 'deconv', True), ('stride', 'blur', False), ('blur', 'blur', False)])
def test_resnet_generator_equals_the_torch_twin(tmp_path, down, up, dropout):
  module = resnet.ResnetGenerator(3, 4, 2, down, up, impl='plain')
  found = compare('gen_ab', twins.resnet(4, 2, down, up, dropout), module, frames(16), tmp_path)
  assert found.layout.fields == {
      'gen.kind': 'resnet', 'gen.width': 4, 'gen.blocks': 2, 'gen.down': down, 'gen.up': up}
  assert ('dropout' in found.layout.what) == dropout


@pytest.mark.parametrize('down', ['stride', 'blur'])
def test_patchgan_equals_the_torch_twin(tmp_path, down):
  module = patchgan.PatchDiscriminator(4, 3, down, impl='plain')
  compare('disc_b', twins.patchgan(4, 3, down), module, frames(32), tmp_path)


def test_unet_predictor_equals_the_torch_twin(tmp_path):
  module = unet.UNetPredictor(3, 2, 6, impl='plain')
  twin = twins.Named(twins.unet(6, 3, 2, 6))
  found = compare('pred_a', twin, module, frames(64, 6), tmp_path)
  assert found.layout.fields == {'pred.kind': 'unet', 'pred.downs': 6, 'pred.width': 2}


def test_two_stream_predictor_equals_the_torch_twin(tmp_path):
  module = unet.TwoStreamPredictor(3, 1, impl='plain')
  compare('pred_b', twins.TwoStream(1), module, frames(64, 6), tmp_path)


def test_patch_projection_equals_the_torch_twin(tmp_path):
  twin, rng = twins.Projection((3, 7), 5), np.random.default_rng(0)
  path = save(twin.state_dict(), tmp_path / 'latest_net_F.pth')
  found = torch_checkpoints.load('proj_ab', path)
  x = [rng.normal(size=(2, 9, c)).astype(np.float32) for c in (3, 7)]
  params = traverse_util.unflatten_dict(found.arrays, sep='/')
  ours = projector.PatchProjector(5).apply({'params': params}, x)
  theirs = twin([torch.tensor(value) for value in x])
  for left, right in zip(ours, theirs, strict=True):
    np.testing.assert_allclose(left, right.detach().numpy(), atol=1e-5)


def test_safetensors_with_the_same_names_are_taken_too(tmp_path):
  twin = twins.patchgan(4, 1, 'stride')
  save_file({name: value.numpy() for name, value in twin.state_dict().items()},
            tmp_path / 'latest_net_D.safetensors')
  found = torch_checkpoints.load('disc_b', tmp_path / 'latest_net_D.safetensors')
  np.testing.assert_array_equal(found.arrays['conv_0/kernel'],
                                twin.model[0].weight.detach().numpy().transpose(2, 3, 1, 0))
