"""Published sets by name: 'irvi/traffic' -> a TFDS builder."""

import importlib
import pathlib

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths

PACKAGE = 'i2vjax.data.prepare.published'
# name -> (module, class). Loaded when asked for: tensorflow_datasets is slow to import.
BUILDERS = {
    'irvi': ('irvi', 'Irvi'),
    'infrared_city': ('infrared_city', 'InfraredCity'),
    'infrared_city_lite': ('infrared_city', 'InfraredCityLite'),
    'infrared_city_adverse': ('infrared_city', 'InfraredCityAdverse'),
    'recycle_gan': ('recycle_gan', 'RecycleGan'),
    'flir_ntir2dc': ('night_lists', 'FlirNtir2dc'),
    'kaist_ntir2dc': ('night_lists', 'KaistNtir2dc'),
    'viper': ('streets', 'Viper'),
    'cityscapes_sequence': ('streets', 'CityscapesSequence'),
    'davis2017_frames': ('streets', 'Davis2017Frames'),
    'frames_folder': ('frames_folder', 'FramesFolder'),
}


def builder(name: str, data_dir: str | pathlib.Path, show: bool = True, limit: int = 0):
  """The builder of 'NAME/CONFIG' (or 'NAME': its first config).

  Args:
    name: of `BUILDERS`; the config may end with a size, as in viper/img_512x256: frames are then
      stored at that size.
    data_dir: folder of all records. show: progress bars. limit: files per split; 0: all.

  Raises:
    UserError: an unknown name or config.
  """
  title, _, config = name.partition('/')
  if title not in BUILDERS:
    raise UserError(f'{name}: no such data set. There are {", ".join(BUILDERS)}')
  module, class_name = BUILDERS[title]
  kind = getattr(importlib.import_module(f'{PACKAGE}.{module}'), class_name)
  from i2vjax.data.prepare.published import records
  config = config or kind.CONFIGS[0]
  base, _ = records.parse_config(config)
  if base and not kind.OPEN and base not in kind.CONFIGS:
    raise UserError(f'{name}: {title} has {", ".join(kind.CONFIGS)} (and a size may follow, as in '
                     f'{title}/{kind.CONFIGS[0]}_512x256)')
  return records.make(kind, config, files.expanded(data_dir), show, limit)


def build(name: str, manual_dir: str | pathlib.Path, data_dir: str | pathlib.Path,
          overwrite: bool = False, show: bool = True,
          limit: int = 0) -> tuple[pathlib.Path, dict[str, int]]:
  """Write the records of a set below `data_dir`; whole or not at all.

  Beside the records of a split with boxes lies `boxes_SPLIT.json` (published/coco.py).

  Args:
    name: as in `builder`.
    manual_dir: folder of the downloaded files. data_dir: folder of all records.
    overwrite: replace records that are there. show: progress bars. limit: files per split; 0: all.

  Returns:
    (folder of the records, {split: frames}).

  Raises:
    UserError: unknown name, damaged or mixed pictures. FileNotFoundError: the manual folder lacks
    something. FileExistsError: the records are there already.
  """
  data_dir, manual = files.expanded(data_dir).absolute(), pathlib.Path(manual_dir)
  with output_paths.scratch(data_dir) as part:
    writer = builder(name, part, show, limit)
    from i2vjax.data.prepare.published import coco, places, records
    folder = data_dir / pathlib.Path(writer.data_path).relative_to(part)
    output_paths.check_free(folder, overwrite)
    if not manual.is_dir():
      raise places.MissingFiles(f'{name}: {manual_dir} is no folder. It must hold {writer.HOLDS}\n'
                                f'  The set can be had from {writer.PAGE}')
    counts = records.write(writer, manual.absolute())
    coco.write(writer.data_path, name)
    files.put_in_place(pathlib.Path(writer.data_path), folder)
  return folder, counts
