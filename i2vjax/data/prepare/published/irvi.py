"""IRVI: traffic and monitoring footage, infrared and visible."""

import pathlib

from i2vjax.data.prepare.published import places, records

SUBS = tuple(f'monitoring_sub{k}' for k in range(1, 6))
TRAIN, TEST = (1384, 1040, 1232, 672, 752), (347, 260, 308, 169, 188)


def _counts(train, test):
  """Published counts; both cameras saw the same."""
  return {'train_a': train, 'train_b': train, 'test_a': test, 'test_b': test}


class Irvi(records.FrameBuilder):
  """Li et al., "I2V-GAN: Unpaired Infrared-to-Visible Video Translation", ACM MM 2021.

  trainA is infrared. Training files may be single frames or three side by side, by their shape.
  """

  CONFIGS = ('traffic', *SUBS, 'monitoring_all')
  COUNTS = {'traffic': _counts(17000, 1000), 'monitoring_all': _counts(sum(TRAIN), sum(TEST)),
            **dict(zip(SUBS, map(_counts, TRAIN, TEST), strict=True))}
  PAGE = 'the links in the readme of the GitHub repository BIT-DA/I2V-GAN.'
  HOLDS = ('the unpacked archive: folders traffic and monitoring sub-1 to sub-5, each with trainA, '
           'trainB, testA, testB (A infrared).')
  CITATION = 'Li et al., I2V-GAN: Unpaired Infrared-to-Visible Video Translation, ACM MM 2021'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}; monitoring_all joins the five scenes."""
    if config == 'monitoring_all':
      return places.joined(self._scene(manual, name, name.removeprefix('monitoring_') + '/')
                           for name in SUBS)
    return self._scene(manual, config, '')

  def _scene(self, manual, name, prefix):
    number = name.removeprefix('monitoring_sub')
    names = [name] if number == name else [
        f'{start}{number}' for start in ('monitoring_sub', 'monitoring', 'mornitoring_sub', 'sub')]
    folder = places.find(manual, names)
    # someone who has one scene alone may name its folder itself
    if folder is None and self.base != 'monitoring_all':
      folder = manual
    splits = places.domain_splits(folder, prefix) if folder else {}
    if not {'train_a', 'train_b'} <= set(splits):
      where = '' if folder in (None, manual) else f', where there is only {folder}'
      raise places.missing(self, manual, f'a folder called {" or ".join(names)} with trainA and '
                           f'trainB in it{where}')
    return splits
