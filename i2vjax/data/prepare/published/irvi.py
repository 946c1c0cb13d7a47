"""IRVI: traffic and monitoring footage, infrared and visible."""

import pathlib

from i2vjax.core import notes
from i2vjax.data.prepare.published import places, records

SUBS = tuple(f'monitoring_sub{k}' for k in range(1, 6))
TRAIN, TEST = (1384, 1040, 1232, 672, 752), (347, 260, 308, 169, 188)


def _counts(train, test):
  """Published counts; both cameras saw the same."""
  return {'train_a': train, 'train_b': train, 'test_a': test, 'test_b': test}


class Irvi(records.FrameBuilder):
  """Li et al., "I2V-GAN: Unpaired Infrared-to-Visible Video Translation", ACM MM 2021.

  trainA is infrared. The archive has each scene twice: in `single` as frames, in `triplet` as
  strips of three. Each split is taken from `single` where that has it, and else from `triplet`.
  """

  CONFIGS = ('traffic', *SUBS, 'monitoring_all')
  COUNTS = {'traffic': _counts(17000, 1000), 'monitoring_all': _counts(sum(TRAIN), sum(TEST)),
            **dict(zip(SUBS, map(_counts, TRAIN, TEST), strict=True))}
  PAGE = 'the links in the readme of the GitHub repository BIT-DA/I2V-GAN.'
  HOLDS = ('the unpacked archive: folders single and triplet, each with traffic and monitoring '
           'sub-1 to sub-5 (or these themselves), and in them trainA, trainB, testA, testB '
           '(A infrared).')
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
    found = places.find_all(manual, names)
    # someone who has one scene alone may name its folder itself
    if not found and self.base != 'monitoring_all':
      found = [manual]
    splits, origin = places.collected_splits(found, 'triplet', prefix)
    if not {'train_a', 'train_b'} <= set(splits):
      raise places.missing(self, manual, f'a folder called {" or ".join(names)}, in single or in '
                           f'triplet, with trainA and trainB in it{_what_is_there(found, manual)}')
    if len(found) > 1:
      taken = ', '.join(f'{split} from {folder}' for split, folder in origin.items())
      notes.say_once(f'{self.name}/{name}: {taken}')
    return splits


def _what_is_there(found, manual):
  """The end of the message: folders of the scene, and what they hold."""
  held = [f'{folder} with {", ".join(sorted(places.domain_splits(folder))) or "none of them"}'
          for folder in found if folder != manual]
  return f'; there is only {" and ".join(held)}' if held else ''
