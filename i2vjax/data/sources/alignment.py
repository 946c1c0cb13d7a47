"""Frame-by-frame alignment of two sources, by clip and frame name.

Never by position alone: two folders of as many frames may show two streets.
"""

import re

from i2vjax.core.errors import UserError
from i2vjax.data.source import Clip, FrameSource
from i2vjax.data.sources import frame_numbers

Names = list[str] | range   # of the frames of a clip; a range where they have only places


def mismatch(a: FrameSource, b: FrameSource | None) -> str | None:
  """Why two sources are not frame-by-frame pairs, or None.

  Clips are matched by name, without a last folder that all clips of a source share (KAIST:
  set00/V000/visible and set00/V000/lwir); a single clip with a single one whatever their names.
  Two clips must have the same number of frames and, in order,

    the same file names without ending (I00000 and I00000), or
    the same number: that which counts the frames of the clip (`frame_numbers.read_names`;
    FLIR_00001_RGB and FLIR_00001_thermal, 0012_8bit and real_12), or the last, where each is there
    once. Of a clip of one frame it is the last of those with the most digits.

  A number is a weaker key than a name: where a name is in both sources, on frames that the numbers
  would not pair, nothing is paired.

  Numbers are compared as they are: 0, 1, 2 does not match 1, 2, 3. Frames of videos and of scenes
  have no names. They are matched by their place in the clip, and so are pictures against them, if
  their numbers grow as the places do, from whatever first number (ours: some programs number a
  video from 1).

  Args:
    a, b: FrameSources, in whatever wrappers; b may be None.
  """
  if b is None:
    return 'needs aligned test frames of the target, and there are none (data.test_b)'
  reason = a.unpaired or b.unpaired
  if reason:
    return f'not aligned: {reason}'
  reason = _clip_mismatch(a, b)
  if reason:
    return reason
  for clip_a, clip_b in zip(a.clips, b.clips, strict=True):
    reason = _frame_mismatch(a, clip_a, b, clip_b)
    if reason:
      return reason
  return _contradiction(a, b)


def check_frames(a: FrameSource, b: FrameSource | None) -> None:
  """Refuse two sources that are not frame-by-frame pairs (`mismatch`).

  Raises:
    UserError: names the first clip or frame without a partner on each side.
  """
  reason = mismatch(a, b)
  if reason:
    raise UserError(reason)


# ---- clips


def _clip_mismatch(a, b):
  """Why two sources do not have the same clips, or None."""
  names_a, names_b = [clip.name for clip in a.clips], [clip.name for clip in b.clips]
  if not set(names_a) & set(names_b):
    names_a, names_b = _without_camera(names_a), _without_camera(names_b)
  if names_a == names_b or len(a.clips) == len(b.clips) == 1:
    return None
  if sorted(names_a) == sorted(names_b):
    return f'not aligned: the clips of {a!r} and {b!r} come in different order'
  clip_a, clip_b = _clip_without_partner(names_a, names_b), _clip_without_partner(names_b, names_a)
  reason = f'not aligned: {clip_a} of {a!r} and {clip_b} of {b!r} have no partner'
  if len(a) != len(b) or 1 not in (len(names_a), len(names_b)):
    return reason
  # A flat folder is split where its numbers jump: then the frame there says more than the clip.
  frames = _frames_without_partner(frame_names(a, 0, len(a)), frame_names(b, 0, len(b)))
  return f'{reason}; nor have {" and ".join(frames)}'


def _clip_without_partner(names, others):
  """The first clip that is not among the others, for messages."""
  for name in names:
    if name not in others:
      return f'clip {name}'
  return 'no clip'


def _without_camera(names):
  """Names of clips without their last folder, where it is the same in all: that of a camera."""
  parts = [name.rpartition('/') for name in names]
  has_folder = all(folder for folder, _, _ in parts)
  cameras = {last for _, _, last in parts}
  return [folder for folder, _, _ in parts] if has_folder and len(cameras) == 1 else names


# ---- frames


def _frame_mismatch(a: FrameSource, clip_a: Clip, b: FrameSource, clip_b: Clip):
  """Why two clips are not pairs of frames, or None."""
  names_a = frame_names(a, clip_a.start, clip_a.length)
  names_b = frame_names(b, clip_b.start, clip_b.length)
  if any(keys_a == keys_b for keys_a, keys_b in _keys(names_a, names_b)):
    return None
  counts = ''
  if len(names_a) != len(names_b):
    counts = f' has {len(names_a)} frames in {a!r} and {len(names_b)} in {b!r}'
  frame_a, frame_b = _frames_without_partner(names_a, names_b)
  return (f'not aligned: clip {clip_a.name}{counts}: {frame_a} of {a!r} and {frame_b} of {b!r} '
          f'have no partner. Frames are matched by name or number: rename or remove what has none')


def _contradiction(a, b):
  """Why names say that frames paired by clip and number are others, or None.

  Names that come once in each source are compared: those of sub-folders may come in each of them.
  """
  names_a, names_b = frame_names(a, 0, len(a)), frame_names(b, 0, len(b))
  if isinstance(names_a, range) or isinstance(names_b, range) or names_a == names_b:
    return None
  place_b = {name: k for k, name in enumerate(names_b)}
  if len(place_b) < len(names_b) or len(set(names_a)) < len(names_a):
    return None
  wrong = [name for k, name in enumerate(names_a) if place_b.get(name, k) != k]
  if not wrong:
    return None
  partner = names_b[names_a.index(wrong[0])]
  without = [next((x for x in names if x not in set(others)), wrong[0])
             for names, others in ((names_a, names_b), (names_b, names_a))]
  return (f'not aligned: frame {wrong[0]} is in both {a!r} and {b!r}, but by its number it would '
          f'be compared with {partner}. By name frame {without[0]} of the one and frame '
          f'{without[1]} of the other have no partner: rename or remove what has none')


def _keys(names_a: Names, names_b: Names) -> list[tuple[list, list]]:
  """The keys that may match the frames of two clips: names, then numbers; or places."""
  if isinstance(names_a, range) or isinstance(names_b, range):
    return [(_places(names_a), _places(names_b))]
  pairs = [(names_a, names_b)]
  if len(names_a) == len(names_b) == 1:
    longest = [_longest_number(names[0]) for names in (names_a, names_b)]
    return pairs if None in longest else [*pairs, ([longest[0]], [longest[1]])]
  for numbers in (_counters, _last_numbers):
    keys_a, keys_b = numbers(names_a), numbers(names_b)
    if len(set(keys_a)) == len(names_a) and len(set(keys_b)) == len(names_b):
      pairs.append((keys_a, keys_b))
  return pairs


def _places(names):
  """Frame numbers counted from the first; names without numbers as they are."""
  if isinstance(names, range) or len(names) == 1:
    return list(range(len(names)))
  numbers = _counters(names)
  return [x - numbers[0] for x in numbers] or names


def _frames_without_partner(names_a, names_b):
  """The first frame without a partner on each side, for messages.

  Of the keys that may match the frames, those with the most matches are used.
  """
  pairs = _keys(names_a, names_b)
  keys_a, keys_b = max(pairs, key=lambda pair: len(set(pair[0]) & set(pair[1])))
  index_a, index_b = _first_not_in(keys_a, keys_b), _first_not_in(keys_b, keys_a)
  if index_a is None and index_b is None:   # the same in another order, or one of them twice
    index_a = index_b = _first_difference(keys_a, keys_b)
  return [_frame_text(names_a, index_a), _frame_text(names_b, index_b)]


def _first_not_in(keys, others):
  """Index of the first key that is not among the others, or None."""
  others = set(others)
  return next((k for k, key in enumerate(keys) if key not in others), None)


def _first_difference(keys_a, keys_b):
  """Index of the first place where two lists differ."""
  for k, (key_a, key_b) in enumerate(zip(keys_a, keys_b, strict=False)):
    if key_a != key_b:
      return k
  return min(len(keys_a), len(keys_b))


def _frame_text(names, index):
  if index is None or index >= len(names):
    return 'no frame'
  return f'frame {index} (from 0)' if isinstance(names, range) else f'frame {names[index]}'


# ---- names of frames


def frame_names(source: FrameSource, start: int, length: int) -> Names:
  """The names that tell `length` frames from `start` on apart.

  Returns:
    [file name without folder and ending, ' part k' behind those of strips], or `range(length)`
    where frames have no names, only a place in their clip.
  """
  names = source.names(start, length)
  return range(length) if names is None else names


def last_number(name: str) -> int | None:
  """The last number in a name, or None."""
  numbers = re.findall(r'\d+', name)
  return int(numbers[-1]) if numbers else None


def _counters(names):
  """The number of each name that counts frames; [] where none does."""
  return frame_numbers.read_names(names).numbers


def _longest_number(name):
  """The last of the numbers with the most digits, or None."""
  numbers = re.findall(r'\d+', name)
  return int(max(reversed(numbers), key=len)) if numbers else None


def _last_numbers(names):
  """`last_number` of each; [] where one has none."""
  numbers = [last_number(name) for name in names]
  return [] if None in numbers else numbers
