"""Config of an imported run: fields of networks come from their files."""

from i2vjax.core.errors import UserError
from i2vjax.interop import torch_checkpoints
from i2vjax.pretrained import registry
from i2vjax.run import config_files, settle
from i2vjax.run import folder as run_folder

# {our network: (domain that it reads, domain that it makes)}; others have one domain, their suffix.
DIRECTIONS = {'gen_ab': 'ab', 'gen_ba': 'ba', 'gen': 'ab'}


def config_path(source):
  """FILE.py[:VARIANT] of a source's method, of the configs that come with i2vjax.

  Raises:
    UserError: unknown source. FileNotFoundError: see `config_files.folder`.
  """
  method, colon, variant = torch_checkpoints.source_entry(source)[0].partition(':')
  path = config_files.folder() / f'{method}.py'
  return f'{path}{colon}{variant}'


def configure(config, networks):
  """The config with the fields that imported networks need.

  Args:
    config: ConfigDict of the method.
    networks: {our network: TorchNetwork}.

  Returns:
    (config, lines of text about other changed fields).

  Raises:
    UserError: two files need different values of one field.
  """
  config = settle.settle(config)
  values, origins = {}, {}
  for name, network in networks.items():
    for field, value in {**network.layout.fields, **channels(name, network.layout)}.items():
      if field in values and values[field] != value:
        raise UserError(f'{network.path} asks for {field}={value}, {origins[field]} for '
                        f'{values[field]}: one run has one architecture for both directions')
      values.setdefault(field, value)
      origins.setdefault(field, network.path)
  with config.unlocked():
    for field, value in values.items():
      block, leaf = field.split('.')
      config[block][leaf] = value
  return config, _without_perceptual(config)


def channels(name, layout):
  """{data field: channels} that a network of this name implies; half of one has one domain."""
  if not layout.channels:
    return {}
  if not {1, 3}.issuperset(layout.channels):
    raise UserError(f'{name}: {layout.what} with channels {layout.channels}; frames have 1 or 3')
  network, _, half = name.partition('/')
  source, target = DIRECTIONS.get(network, network[-1] * 2)
  if half == 'encoder':
    target = source
  elif half == 'renderer':
    source = target
  return {f'data.channels_{source}': layout.channels[0],
          f'data.channels_{target}': layout.channels[1]}


def _without_perceptual(config):
  """Translation needs no VGG: without its file `perceptual` becomes 'none', and a line says so."""
  if config.perceptual != 'vgg' or registry.find(registry.ENTRIES['vgg19'], config):
    return []
  config.perceptual = 'none'
  return ["  perceptual='none', because the file of VGG-19 is not here. To train on with it: "
          'python -m i2vjax.main fetch vgg19, and import again']


def overrides(config, config_file):
  """['--config.gen.blocks=6', ...]: the overrides that turn the file's config into this one."""
  of_file = run_folder.flatten(config_files.read(config_file))
  return [f'--config.{name}={value}' for name, value in run_folder.flatten(config).items()
          if of_file.get(name) != value]
