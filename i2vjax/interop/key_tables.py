"""Key tables of public CycleGAN, Recycle-GAN, I2V-GAN and CUT checkpoints.

The layouts are computed as the public PyTorch classes build their flat lists of layers, and
selected by the keys and shapes of a file: the files carry no settings, and some published ones
differ from the documented flags.
"""

import dataclasses
import re

from i2vjax.core.errors import UserError
from i2vjax.interop.layouts import Layout, shape

# ---- ResNet generator --------------------------------------------------------------------------


def resnet(arrays):
  """Layout of a ResNet generator, by its keys.

  Raises:
    UserError: it is none.
  """
  matches = [re.match(r'model\.(\d+)\.conv_block\.(\d+)\.weight$', name) for name in arrays]
  pairs = sorted({(int(match[1]), int(match[2])) for match in matches if match})
  if not pairs:
    raise UserError('is no ResNet generator: it has no conv_block')
  first, blocks = pairs[0][0], len({block for block, _ in pairs})
  second = max(place for _, place in pairs)
  down = 'blur' if first == 12 else 'stride'
  up = 'deconv' if f'model.{first + blocks}.weight' in arrays else 'blur'
  layers, filters = resnet_layers(blocks, down, up, second)
  width, channels = shape(arrays, 'model.1')[:2]
  what = f'a ResNet generator of {blocks} blocks, width {width}, down {down}, up {up}' + (
      ' (trained with dropout)' if second == 6 else '')
  fields = {'gen.kind': 'resnet', 'gen.width': width, 'gen.blocks': blocks, 'gen.down': down,
            'gen.up': up}
  return Layout(what, layers, filters, fields,
                (channels, shape(arrays, layers['head/conv'])[0]))


def resnet_layers(blocks, down, up, second=5):
  """({our layer: their entry}, filters) of a ResNet generator.

  Each convolution counts three places in the public list (with norm and ReLU), padding and blur one
  each.

  Args:
    blocks: residual blocks. down: 'stride' | 'blur'. up: 'deconv' | 'blur'.
    second: place of the second convolution in a block: 5, or 6 after dropout.
  """
  layers, filters, place = {'stem/conv': 'model.1'}, {}, 4
  for i in range(2):
    layers[f'down_{i}/conv'] = f'model.{place}'
    place += 3
    if down == 'blur':
      filters[f'model.{place}.filt'] = 3
      place += 1
  for i in range(blocks):
    layers[f'res_{i}/conv_0'] = f'model.{place}.conv_block.1'
    layers[f'res_{i}/conv_1'] = f'model.{place}.conv_block.{second}'
    place += 1
  for i in range(2):
    if up == 'blur':
      filters[f'model.{place}.filt'] = 4
      place += 1
    layers[f'up_{i}/conv'] = f'model.{place}'
    place += 3
  layers['head/conv'] = f'model.{place + 1}'
  return layers, filters


# ---- PatchGAN ----------------------------------------------------------------------------------


def patchgan(arrays):
  """Layout of a PatchGAN discriminator, by its keys.

  Raises:
    UserError: it is none.
  """
  matches = [re.match(r'model\.(\d+)\.weight$', name) for name in arrays]
  places = sorted(int(match[1]) for match in matches if match)
  for down in ('stride', 'blur'):
    layers, filters = patchgan_layers(len(places) - 2, down)
    if len(places) > 2 and [f'model.{place}' for place in places] == list(layers.values()):
      break
  else:
    raise UserError('is no PatchGAN discriminator: convolutions at '
                     f'{", ".join(f"model.{place}" for place in places) or "none of model.*"}')
  width, channels = shape(arrays, 'model.0')[:2]
  count = len(places) - 2
  what = f'a PatchGAN of {count} layers, width {width}, down {down}'
  fields = {'disc.width': width, 'disc.layers': count, 'disc.down': down, 'critic.scales': 1}
  return Layout(what, layers, filters, fields, (channels, channels))


def patchgan_layers(count, down):
  """({our layer: their entry}, filters) of a PatchGAN of `count` layers."""
  stage = 4 if down == 'blur' else 3
  layers = {'conv_0': 'model.0'}
  layers |= {f'conv_{i}': f'model.{stage * i - 1}' for i in range(1, count + 1)}
  layers['head'] = f'model.{stage * count + 2}'
  filters = {f'model.{4 * i + 2}.filt': 3 for i in range(count)} if down == 'blur' else {}
  return layers, filters


# ---- predictors --------------------------------------------------------------------------------


def predictor(arrays):
  """Layout of a predictor: U-Net, two-stream 'prediction', or ResNet on two frames.

  Raises:
    UserError: it is none.
  """
  if any('.conv_block.' in name for name in arrays):
    layout = resnet(arrays)
    return dataclasses.replace(layout, fields={**layout.fields, 'pred.kind': 'resnet'},
                               channels=(layout.channels[1],) * 2)
  if 'model1.1.weight' in arrays:
    return prediction(arrays)
  downs = unet_downs(arrays, 'model.model.')
  if downs < 2:
    raise UserError('is no predictor: neither a U-Net, nor two streams, nor a ResNet')
  layers = unet_layers(downs, 'model.model.')
  width, channels = shape(arrays, layers['down_0'])[0], shape(arrays, layers['up_0'])[1]
  fields = {'pred.kind': 'unet', 'pred.downs': downs, 'pred.width': width}
  return Layout(f'a U-Net of {downs} halvings, width {width}', layers, {}, fields, (channels,) * 2)


def prediction(arrays):
  """Layout of Recycle-GAN's two-stream network: `model1` stem, `model` U-Net, `model3` tail."""
  layers = {f'stem_{i}': f'model1.{place}' for i, place in enumerate((1, 4, 7))}
  layers |= {f'unet/{ours}': entry for ours, entry in
             unet_layers(6, 'model.model.model.').items()}
  layers |= {f'tail_{i}': f'model3.{place}' for i, place in enumerate((0, 3, 7))}
  width, channels = shape(arrays, 'model1.1')[:2]
  fields = {'pred.kind': 'prediction', 'pred.stream_width': width}
  return Layout(f'a two-stream predictor of width {width}', layers, {}, fields, (channels,) * 2)


def unet_level(k, prefix):
  """Prefix of level k of the nested blocks."""
  return prefix + ('1.model.' + '3.model.' * (k - 1) if k else '')


def unet_downs(arrays, prefix):
  """Levels of a U-Net."""
  downs = int(f'{prefix}0.weight' in arrays)
  while downs and f'{unet_level(downs, prefix)}1.weight' in arrays:
    downs += 1
  return downs


def unet_layers(downs, prefix):
  """{our layer: their entry} of a U-Net; `up_k` is entry 3 of the outer- and innermost blocks."""
  layers = {f'down_{k}': f'{unet_level(k, prefix)}{1 if k else 0}' for k in range(downs)}
  for k in range(downs):
    layers[f'up_{k}'] = f'{unet_level(k, prefix)}{3 if k in (0, downs - 1) else 5}'
  return layers


# ---- projection --------------------------------------------------------------------------------


def projector(arrays):
  """Layout of the patch projection ('netF'), by its keys.

  Raises:
    UserError: it is none.
  """
  count = len({name.split('.')[0] for name in arrays if re.match(r'mlp_\d+\.', name)})
  if not count:
    raise UserError('is no patch projection: it has no mlp_0')
  layers = projector_layers(count)
  width = shape(arrays, 'mlp_0.0')[0]
  return Layout(f'a patch projection of {count} features, width {width}', layers, {},
                {'nce.width': width, 'nce.mlp': True})


def projector_layers(count):
  """{our layer: their entry} of a patch projection for `count` features."""
  return {f'mlp_{k}/dense_{i}': f'mlp_{k}.{2 * i}' for k in range(count) for i in range(2)}


DETECT = {'gen': resnet, 'disc': patchgan, 'pred': predictor, 'proj': projector}
