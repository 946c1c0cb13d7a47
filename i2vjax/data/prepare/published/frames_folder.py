"""Own footage as records: a few files instead of a million pictures."""

import pathlib

from i2vjax.data.prepare.published import places, records


class FramesFolder(records.FrameBuilder):
  """A folder with trainA, trainB ... (names as for `data.root`). The config is a name of yours."""

  CONFIGS, OPEN = ('default',), True
  PAGE = 'you: it is your own footage.'
  HOLDS = ('trainA, trainB and perhaps testA, testB (or train/A, train_ir, ir/train ...; a '
           'infrared), each a folder of frames, of strips of 2 or 3 frames, or of such folders.')

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}."""
    splits = places.domain_splits(manual)
    if not splits:
      raise places.missing(self, manual, 'trainA and trainB')
    return splits
