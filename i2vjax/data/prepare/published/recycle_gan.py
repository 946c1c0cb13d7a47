"""The sets of Recycle-GAN: opening flowers, speaking faces, VIPER."""

import pathlib
import warnings

from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import places, records

TASKS = {'flowers': ('flowers', 'flower'), 'faces': ('faces', 'face_to_face'),
         'viper': ('viper', 'viper_data')}


class RecycleGan(records.FrameBuilder):
  """Bansal et al., "Recycle-GAN: Unsupervised Video Retargeting", ECCV 2018.

  flowers_PAIR and faces_PAIR are one pair each, named as its folder; without a PAIR the only one
  there is taken. Training files hold three frames side by side. A and B are as published.
  """

  CONFIGS, OPEN = ('flowers', 'faces', 'viper'), True
  PAGE = 'the links in the readme of the GitHub repository aayushbansal/Recycle-GAN.'
  HOLDS = ('flowers.tar.gz, faces.tar.gz or Viper_data.tar.gz unpacked: folders flowers/PAIR, '
           'faces/PAIR, viper, each with trainA, trainB, testA, testB.')
  CITATION = 'Bansal et al., Recycle-GAN: Unsupervised Video Retargeting, ECCV 2018'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}."""
    task, _, pair = config.partition('_')
    if task not in TASKS:
      raise UserError(f'recycle_gan/{config} is unknown: flowers_PAIR, faces_PAIR or viper')
    top = places.find(manual, TASKS[task])
    folder = places.find(top or manual, [pair]) if pair else self._only_pair(top, task)
    splits = places.domain_splits(folder) if folder else {}
    if not {'train_a', 'train_b'} <= set(splits):
      names = pair or ' or '.join(TASKS[task])
      raise places.missing(self, manual, f'a folder called {names} with trainA and trainB in it')
    if task != 'viper':
      warnings.warn('recycle_gan: its users report that test frames of flowers and faces look like '
                    'the training frames; scores of them may flatter', stacklevel=2)
    return splits

  def _only_pair(self, top, task):
    """The folder of a task: itself a pair, or with one pair in it."""
    if top is None or places.domain_splits(top):
      return top
    pairs = [x for x in sorted(top.iterdir()) if x.is_dir() and places.domain_splits(x)]
    if len(pairs) > 1:
      raise UserError(f'{top} holds {len(pairs)} pairs: say which, as in recycle_gan/{task}_'
                       f'{pairs[0].name}')
    return pairs[0] if pairs else None
