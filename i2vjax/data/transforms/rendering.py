"""How a thermal camera has drawn its frames, undone: palette and polarity.

Networks shall see gray frames in which hot is white. `data.unpalette` names the palette that
colored frames are drawn with, `data.polarity` says which way round they are; both hold for the
infrared frames of a run (`train_a`, `test_a`, and what is translated from there). Frames that look
drawn with a palette are refused where the field says nothing.
"""

import dataclasses
import warnings
from collections.abc import Sequence

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.source import FrameSource, Wrapper
from i2vjax.data.transforms import palettes, polarity, thermal

PROBES = 4          # frames that are looked at for a palette
JUDGED = 16         # frames that 'auto' judges


@dataclasses.dataclass(frozen=True)
class Rendering:
  """What is done to every frame.

  Attributes:
    palette: of `palettes.colors`; '': none.
    inverted: frames are black-hot.
    rule: `data.thermal_range`.
  """

  palette: str = ''
  inverted: bool = False
  rule: str | tuple = 'clip'

  def __bool__(self) -> bool:
    return bool(self.palette or self.inverted)

  def apply(self, frame: np.ndarray) -> np.ndarray:
    """A raw frame [H, W, C] as white-hot: [H, W, 1] uint8 where it was drawn with a palette.

    Raises:
      UserError: it has no colors, and a palette is named.
    """
    if self.palette:
      _need_color(frame, self.palette)
      frame, _ = palettes.to_gray(frame, self.palette)
    return polarity.invert(frame, self.rule) if self.inverted else frame


def probes(data: ConfigDict) -> int:
  """How many frames `settle` wants to see."""
  return JUDGED if data.get('polarity', 'white') == 'auto' else PROBES


def settle(data: ConfigDict, frames: Sequence[np.ndarray], place: str) -> Rendering:
  """What the fields mean for the frames of one place; what was found is said once.

  Args:
    data: config.data. frames: a sample of raw frames. place: where they are from, for messages.

  Raises:
    UserError: frames drawn with a palette, another palette than named, a polarity that 'auto'
      cannot tell, an unknown choice.
  """
  asked = polarity.check(data.get('polarity', 'white'))
  name = _palette(data.get('unpalette', ''), frames, place)
  rule = data.thermal_range
  if frames and frames[0].dtype == np.uint8 and thermal.is_pair(rule):
    notes.say_once(f'{place} has 8 bits, taken from 0 to 255: data.thermal_range={rule} is about '
                   '16 bits and does nothing there', about='thermal_range beside 8 bits')
  if asked != 'auto' or not frames:
    return Rendering(name, asked == 'black', rule)
  gray = [Rendering(name).apply(frame) for frame in frames]
  found, sure, why = polarity.judge(gray)
  if sure < polarity.SURE:
    raise UserError(f'data.polarity=auto: {place} may be white-hot or black-hot ({why}): say '
                    '--config.data.polarity=white or black')
  done = 'turned round' if found == 'black' else 'taken as it is'
  notes.say_once(f'{place}: {found}-hot by its looks, sure to {sure:.0%} ({why}), {done}; '
                 '--config.data.polarity=white or black decides otherwise')
  return Rendering(name, found == 'black', rule)


def _palette(asked, frames, place):
  """The palette that frames are drawn with, '' for none; checked on a sample."""
  if asked == palettes.AS_IS:
    return ''
  if asked:
    palettes.colors(asked)         # exists
    for frame in frames:
      _need_color(frame, asked)
    distance = float(np.mean([palettes.to_gray(x, asked)[1] for x in frames])) if frames else 0.0
    closer = _closer(frames, asked, distance)
    if distance > palettes.REFUSED or closer:
      raise UserError(f'data.unpalette={asked}: colors of {place} are {distance:.1f} from it in '
                      f'the mean (of 441), which is another palette{closer}. A picture of the '
                      "camera's own color scale does as well: data.unpalette=FILE.png")
    notes.say_once(f'{place}: palette {asked} turned into gray values; colors are {distance:.1f} '
                   'from it in the mean (0 fits exactly, 441 is black for white)')
    return asked
  found = palettes.detect(frames)
  if found and found[1] <= palettes.KNOWN:
    raise UserError(f'{place} is drawn with the palette {found[0]} (its colors are {found[1]:.1f} '
                    f'from it in the mean, of 441): --config.data.unpalette={found[0]} turns it '
                    f'into gray values, {palettes.AS_IS} takes the colors as they are')
  if found:
    warnings.warn(f'{place} looks drawn with a palette like {found[0]} (its colors are '
                  f'{found[1]:.0f} from it in the mean, of 441) and is taken as it is: '
                  f'data.unpalette={found[0]}, or a picture of the color scale of your camera, '
                  f'turns it into gray values; {palettes.AS_IS} says that it is none', stacklevel=4)
  return ''


def _closer(frames, asked, distance):
  """' (jet is 1.2 away)' where another palette fits far better than the named one; else ''."""
  found = palettes.detect(frames) if asked in palettes.NAMES else None
  if not found or found[0] == asked or distance < 2 + 3 * found[1]:
    return ''
  return f' ({found[0]} is {found[1]:.1f} away)'


def _need_color(frame, name):
  if frame.dtype != np.uint8 or frame.shape[-1] != 3:
    raise UserError(f'data.unpalette={name}: frames are gray ({frame.dtype}), nothing to turn back')


class Rendered(Wrapper):
  """A source of infrared frames with their palette and polarity undone."""

  def __init__(self, source: FrameSource, rendering: Rendering):
    super().__init__(source)
    self.rendering = rendering

  def __repr__(self):
    return f'Rendered({self.source!r}, {self.rendering})'

  def read(self, i):
    """The source's record with its frame as `Rendering.apply` gives it."""
    record = self.source.read(i)
    try:
      return {**record, 'frame': self.rendering.apply(record['frame'])}
    except UserError as error:
      raise UserError(f'{self.where(i)}: {error}') from error


def apply(source: FrameSource, data: ConfigDict) -> FrameSource:
  """An infrared source with `data.unpalette` and `data.polarity`; itself where nothing is to do."""
  asked = data.get('polarity', 'white'), data.get('unpalette', '')
  if data.source != 'folders' and asked == ('white', ''):
    return source                  # published sets and the built-in street are white-hot and gray
  rendering = settle(data, _sample(source, probes(data)), str(getattr(source, 'place', source)))
  return Rendered(source, rendering) if rendering else source


def _sample(source, count):
  """Raw frames: the first of a few clips, and of fewer clips later ones too; readable ones only."""
  starts = [clip.start for clip in source.clips]
  if len(starts) > count:
    starts = [starts[k] for k in np.linspace(0, len(starts) - 1, count).astype(int)]
  elif count > PROBES:
    starts = np.unique(np.linspace(0, len(source) - 1, count).astype(int))
  frames = []
  for i in starts:
    try:
      frames.append(source.read(int(i))['frame'])
    except (UserError, OSError):   # reported when the frame is read
      continue
  return frames
