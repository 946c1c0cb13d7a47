"""Folders as the public code bases leave them after training: random numbers under their keys."""

import jax
import jax.numpy as jnp
import numpy as np
import torch_files
from flax import traverse_util

from i2vjax.interop import key_tables, layouts
from i2vjax.networks import patchgan, projector, resnet, unet

WIDTH, BLOCKS, DOWNS = 4, 3, 3      # 3 blocks: I2V-GAN looks at the third
FORMS = {'recyclegan': ('stride', 'deconv'), 'i2vgan': ('stride', 'blur'), 'cut': ('blur', 'blur')}


def flat(tree):
  return traverse_util.flatten_dict(tree, sep='/')


def random_params(module, *inputs, seed=0):
  """{leaf: random array} of a module, without running it."""
  shapes = flat(jax.eval_shape(module.init, jax.random.key(0), *inputs)['params'])
  rng = np.random.default_rng(seed)
  return {name: (0.1 * rng.normal(size=leaf.shape)).astype(np.float32)
          for name, leaf in shapes.items()}


def frame(channels=3):
  return jnp.zeros((1, 256, 256, channels))


def resnet_layout(blocks, down, up, second=5):
  return layouts.Layout('', *key_tables.resnet_layers(blocks, down, up, second), {})


def patchgan_layout(count, down):
  return layouts.Layout('', *key_tables.patchgan_layers(count, down), {})


def kinds(source):
  """{first letter of their network: (our module, its layout, example input)} of a code base."""
  down, up = FORMS[source]
  predictor = layouts.Layout('', key_tables.unet_layers(DOWNS, 'model.model.'), {}, {})
  projection = layouts.Layout('', key_tables.projector_layers(5), {}, {})
  taps = ('rgb', 'down_0.conv', 'down_1', 'res_0', f'up_0.{projector.upsampling(up)}')
  if source == 'cut':
    taps = ('rgb', 'down_0.conv', 'down_1.conv', 'res_0', 'res_1')
  patches = [jnp.zeros((1, 1, c)) for c in resnet.tap_channels(taps, WIDTH)]
  return {
      'G': (resnet.ResnetGenerator(3, WIDTH, BLOCKS, down, up), resnet_layout(BLOCKS, down, up),
            frame()),
      'D': (patchgan.PatchDiscriminator(WIDTH, 2, down), patchgan_layout(2, down), frame()),
      'P': (unet.UNetPredictor(3, WIDTH, DOWNS), predictor, frame(6)),
      'F': (projector.PatchProjector(8), projection, patches)}


def write(folder, source, names, label='latest'):
  """Files of the networks `names`, the spelling of that code base; {their name: our leaves}."""
  made = {}
  for seed, name in enumerate(names):
    module, layout, example = kinds(source)[name[0]]
    made[name] = random_params(module, example, seed=seed)
    torch_files.save(folder / f'{label}_net_{name}.pth', layouts.state_dict(made[name], layout))
  return made
