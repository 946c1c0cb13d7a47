"""The generator that a config names: ResNet, or the faster U-Net."""

from i2vjax.core.errors import UserError
from i2vjax.networks import layers, resnet, unet_generator

KINDS = ('resnet', 'unet')


def generator(config, in_channels=3, out_channels=3):
  """Generator of the block `config.gen`.

  Its fields: `kind` 'resnet' (the papers'; also where the field is missing) with `width`, `blocks`,
  `down`, `up`, or 'unet' (ours, for CPUs) with `width`, `levels`, `blocks`.

  Raises:
    UserError: another kind.
  """
  gen = config.gen
  kind = gen.get('kind', 'resnet')
  if kind not in KINDS:
    raise UserError(f'gen.kind={kind!r}: choose one of {", ".join(KINDS)}')
  if kind == 'resnet':
    return resnet.generator(config, in_channels, out_channels)
  return unet_generator.UNetGenerator(
      out_channels, gen.width, gen.levels, gen.blocks, bool(config.remat),
      kernel_init=layers.initializer(config.init), dtype=layers.compute_dtype(config))
