"""Command-line arguments and footage that make any training one of seconds."""

import numpy as np
from PIL import Image

TINY = ('--config.data.load_size=36', '--config.data.crop_size=32', '--config.gen.width=4',
        '--config.gen.blocks=1', '--config.disc.width=4', '--config.train.checkpoint_minutes=99',
        '--config.log.every=1', '--config.log.samples_every=0', '--show=false')


def make_footage(root):
  """Unpaired little clips below `root`: gray in train_ir, color in train_vis. Returns `root`."""
  rng = np.random.default_rng(0)
  for split, channels in (('train_ir', 1), ('train_vis', 3), ('test_ir', 1), ('test_vis', 3)):
    for clip in range(2):
      folder = root / split / f'clip{clip}'
      folder.mkdir(parents=True)
      picture = rng.integers(0, 255, (40, 60, channels), np.uint8)
      for t in range(4):
        Image.fromarray(np.roll(picture, 2 * t, axis=1).squeeze()).save(folder / f'{t:04d}.png')
  return root
