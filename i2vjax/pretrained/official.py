"""Key tables of the public PyTorch checkpoints of CycleGAN, Recycle-GAN, I2V-GAN and CUT.

A `Layout` says which of our layers is which entry of a state dict. The layouts are computed as the
public classes build their flat lists of layers, and chosen from the keys and shapes found: the
files carry no settings, and published ones are known to differ from the documented flags.

Our convolution kernels are the transposes [kh, kw, I, O] of PyTorch's [O, I, kh, kw]; transposed
convolutions are stored [I, O, kh, kw] there and [kh, kw, O, I] here: one and the same permutation.
"""

import dataclasses
import re

import numpy as np

STATISTICS = ('.running_mean', '.running_var', '.num_batches_tracked')   # unused by instance norm
BINOMIAL = {3: (1, 2, 1), 4: (1, 3, 3, 1)}   # blurs of 3 x 3 and 4 x 4; their products over 16
SHOWN = 4                                    # keys in a message


@dataclasses.dataclass(frozen=True)
class Layout:
  """One network of a public code base.

  Attributes:
    what: in words, for the person.
    layers: {our layer: their entry}, both without the leaf ('stem/conv': 'model.1').
    filters: {their constant blur filter: its side}.
    fields: {config field: value} that make our network this one.
    channels: (in, out) of frames.
  """

  what: str
  layers: dict
  filters: dict
  fields: dict
  channels: tuple = ()


def clean(arrays):
  """Entries without the 'module.' of parallel training and the statistics that nothing reads."""
  return {name.removeprefix('module.'): array for name, array in arrays.items()
          if not name.endswith(STATISTICS)}


def parameters(arrays, layout):
  """Our parameters from a state dict.

  Args:
    arrays: {their name: array}, cleaned.
    layout: Layout.

  Returns:
    {'stem/conv/kernel': array, ...}.

  Raises:
    ValueError: entries missing, unknown, or a blur filter other than the binomial one; all named.
  """
  theirs = {f'{entry}.{leaf}' for entry in layout.layers.values() for leaf in ('weight', 'bias')}
  problems = {
      'missing': sorted(theirs - arrays.keys()),
      'unknown': sorted(arrays.keys() - theirs - layout.filters.keys()),
      'filters of another kind': [name for name, side in layout.filters.items()
                                  if name in arrays and not _is_blur(arrays[name], side)]}
  lines = [f'{kind} ({len(names)}): {", ".join(names[:SHOWN])}'
           for kind, names in problems.items() if names]
  if lines:
    raise ValueError(f'does not fit {layout.what}:\n  ' + '\n  '.join(lines))
  ours = {}
  for layer, entry in layout.layers.items():
    weight = arrays[f'{entry}.weight']
    ours[f'{layer}/kernel'] = weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight.T
    ours[f'{layer}/bias'] = arrays[f'{entry}.bias']
  return ours


def state_dict(params, layout):
  """The inverse of `parameters`: {their name: array}, blur filters included.

  Args:
    params: {'stem/conv/kernel': array, ...}. layout: Layout.
  """
  theirs = {}
  for layer, entry in layout.layers.items():
    kernel = np.asarray(params[f'{layer}/kernel'])
    order = (3, 2, 0, 1) if kernel.ndim == 4 else (1, 0)
    theirs[f'{entry}.weight'] = np.ascontiguousarray(kernel.transpose(order))
    theirs[f'{entry}.bias'] = np.asarray(params[f'{layer}/bias'])
  for name, side in layout.filters.items():
    channels = _channels_before(theirs, name)
    theirs[name] = np.broadcast_to(blur(side), (channels, 1, side, side)).copy()
  return theirs


def _channels_before(theirs, name):
  """Channels of what a filter blurs: those of the last convolution before it."""
  place = int(name.split('.')[1])
  before = [(int(re.match(r'model\.(\d+)', key).group(1)), array.shape[0])
            for key, array in theirs.items() if key.endswith('.bias')]
  return max(pair for pair in before if pair[0] < place)[1]


def blur(side):
  """Binomial filter [side, side] over 16: the halving one sums to 1, the doubling one to 4."""
  return np.outer(BINOMIAL[side], BINOMIAL[side]).astype(np.float32) / 16


def _is_blur(array, side):
  return array.shape[1:] == (1, side, side) and np.allclose(array, blur(side), atol=1e-6)


def _shape(arrays, entry):
  if f'{entry}.weight' not in arrays:
    raise ValueError(f'has no entry {entry}.weight')
  return arrays[f'{entry}.weight'].shape


# ---- ResNet generator --------------------------------------------------------------------------


def resnet(arrays):
  """Layout of a ResNet generator, by its keys.

  Raises:
    ValueError: it is none.
  """
  found = sorted({tuple(map(int, match.groups())) for match in (
      re.match(r'model\.(\d+)\.conv_block\.(\d+)\.weight$', name) for name in arrays) if match})
  if not found:
    raise ValueError('is no ResNet generator: it has no conv_block')
  first, blocks = found[0][0], len({block for block, _ in found})
  second = max(place for _, place in found)
  down = 'blur' if first == 12 else 'stride'
  up = 'deconv' if f'model.{first + blocks}.weight' in arrays else 'blur'
  layers, filters = resnet_layers(blocks, down, up, second)
  width, channels = _shape(arrays, 'model.1')[:2]
  what = f'a ResNet generator of {blocks} blocks, width {width}, down {down}, up {up}' + (
      ' (trained with dropout)' if second == 6 else '')
  fields = {'gen.width': width, 'gen.blocks': blocks, 'gen.down': down, 'gen.up': up}
  return Layout(what, layers, filters, fields,
                (channels, _shape(arrays, layers['head/conv'])[0]))


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
    ValueError: it is none.
  """
  places = sorted(int(match.group(1)) for match in (
      re.match(r'model\.(\d+)\.weight$', name) for name in arrays) if match)
  for down in ('stride', 'blur'):
    layers, filters = patchgan_layers(len(places) - 2, down)
    if len(places) > 2 and [f'model.{place}' for place in places] == list(layers.values()):
      break
  else:
    raise ValueError('is no PatchGAN discriminator: convolutions at '
                     f'{", ".join(f"model.{place}" for place in places) or "none of model.*"}')
  width, channels = _shape(arrays, 'model.0')[:2]
  count = len(places) - 2
  what = f'a PatchGAN of {count} layers, width {width}, down {down}'
  fields = {'disc.width': width, 'disc.layers': count, 'disc.down': down}
  return Layout(what, layers, filters, fields, (channels, channels))


def patchgan_layers(count, down):
  """({our layer: their entry}, filters) of a PatchGAN of `count` layers."""
  stage = 4 if down == 'blur' else 3
  layers = {'conv_0': 'model.0', **{f'conv_{i}': f'model.{stage * i - 1}'
                                    for i in range(1, count + 1)},
            'head': f'model.{stage * count + 2}'}
  filters = {f'model.{4 * i + 2}.filt': 3 for i in range(count)} if down == 'blur' else {}
  return layers, filters


# ---- predictors --------------------------------------------------------------------------------


def predictor(arrays):
  """Layout of a predictor: U-Net, two-stream 'prediction', or ResNet on two frames.

  Raises:
    ValueError: it is none.
  """
  if any('.conv_block.' in name for name in arrays):
    found = resnet(arrays)
    return dataclasses.replace(found, fields={**found.fields, 'pred.kind': 'resnet'},
                               channels=(found.channels[1],) * 2)
  if 'model1.1.weight' in arrays:
    return prediction(arrays)
  downs = unet_downs(arrays, 'model.model.')
  if downs < 2:
    raise ValueError('is no predictor: neither a U-Net, nor two streams, nor a ResNet')
  layers = unet_layers(downs, 'model.model.')
  width, channels = _shape(arrays, layers['down_0'])[0], _shape(arrays, layers['up_0'])[1]
  fields = {'pred.kind': 'unet', 'pred.downs': downs, 'pred.width': width}
  return Layout(f'a U-Net of {downs} halvings, width {width}', layers, {}, fields, (channels,) * 2)


def prediction(arrays):
  """Layout of Recycle-GAN's two-stream network: `model1` stem, `model` U-Net, `model3` tail."""
  layers = {f'stem_{i}': f'model1.{place}' for i, place in enumerate((1, 4, 7))}
  layers |= {f'unet/{ours}': entry for ours, entry in
             unet_layers(6, 'model.model.model.').items()}
  layers |= {f'tail_{i}': f'model3.{place}' for i, place in enumerate((0, 3, 7))}
  width, channels = _shape(arrays, 'model1.1')[:2]
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
    ValueError: it is none.
  """
  count = len({name.split('.')[0] for name in arrays if re.match(r'mlp_\d+\.', name)})
  if not count:
    raise ValueError('is no patch projection: it has no mlp_0')
  layers = projector_layers(count)
  width = _shape(arrays, 'mlp_0.0')[0]
  return Layout(f'a patch projection of {count} features, width {width}', layers, {},
                {'nce.width': width, 'nce.mlp': True})


def projector_layers(count):
  """{our layer: their entry} of a patch projection for `count` features."""
  return {f'mlp_{k}/dense_{i}': f'mlp_{k}.{2 * i}' for k in range(count) for i in range(2)}


DETECT = {'gen': resnet, 'disc': patchgan, 'pred': predictor, 'proj': projector}
