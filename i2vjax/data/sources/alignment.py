"""Which frame of one source answers which of another: by clip and by name or number.

Never by position alone: two folders of as many frames may show two streets.
"""

import re

from i2vjax.core.errors import UserError
from i2vjax.data.sources import clip_splitting


def mismatch(a, b):
  """Why two sources are not frame-by-frame pairs, or None.

  Clips are matched by name, without a last folder that all clips of a source share (KAIST:
  set00/V000/visible and set00/V000/lwir); a single clip with a single one whatever their names.
  The frames of two clips must be as many and, in order, have

    the same file names without ending (I00000 and I00000), or
    the same number: the last in a name that is not the same in all names of the clip
    (FLIR_00001_RGB and FLIR_00001_thermal; 0012_8bit and real_12), or simply the last.

  Numbers are taken as they are: 0, 1, 2 does not answer 1, 2, 3. Frames of videos and of scenes
  have no names. They answer each other by their place in the clip, and pictures whose numbers grow
  as the places do, from whatever first number (ours: some programs number a video from 1).

  Args:
    a, b: FrameSources, in whatever wrappers; b may be None.
  """
  if b is None:
    return 'needs aligned test frames of the target, and there are none (data.test_b)'
  found = _clips_apart(a, b)
  for one, other in zip(a.clips, b.clips, strict=True) if not found else ():
    found = found or _frames_apart(a, one, b, other)
  return found


def check_frames(a, b):
  """Refuse two sources whose frames do not answer each other (`mismatch`).

  Raises:
    ValueError: names the first clip or frame without a partner on each side.
  """
  reason = mismatch(a, b)
  if reason:
    raise UserError(reason)


def _clips_apart(a, b):
  """Why two sources have not the same clips, or None."""
  left, right = ([name for name, _, _ in x.clips] for x in (a, b))
  if not set(left) & set(right):
    left, right = _outer(left), _outer(right)
  if left == right or len(a.clips) == len(b.clips) == 1:
    return None
  if sorted(left) == sorted(right):
    return f'not aligned: the clips of {a!r} and {b!r} come in different order'
  first, second = (f'clip {x}' if x else 'no clip' for x in (
      next((x for x in mine if x not in theirs), '') for mine, theirs in (
          (left, set(right)), (right, set(left)))))
  reason = f'not aligned: {first} of {a!r} and {second} of {b!r} have no partner'
  if len(a) != len(b) or 1 not in (len(left), len(right)):
    return reason
  # a flat folder is cut where its numbers jump: then the frame there says more than the clip
  frames = _alone(*(frame_names(x, 0, len(x)) for x in (a, b)))
  return f'{reason}; nor have {" and ".join(frames)}'


def _outer(names):
  """Names of clips without their last folder, where it is the same in all: that of a camera."""
  parts = [name.rpartition('/') for name in names]
  shared = all(x[0] for x in parts) and len({x[2] for x in parts}) == 1
  return [x[0] for x in parts] if shared else names


def _frames_apart(a, one, b, other):
  """Why two clips (name, start, length) are not pairs of frames, or None."""
  left, right = frame_names(a, *one[1:]), frame_names(b, *other[1:])
  if any(mine == theirs for mine, theirs in _ways(left, right)):
    return None
  counts = ''
  if len(left) != len(right):
    counts = f' has {len(left)} frames in {a!r} and {len(right)} in {b!r}'
  first, second = _alone(left, right)
  return (f'not aligned: clip {one[0]}{counts}: {first} of {a!r} and {second} of {b!r} have no '
          f'partner. Frames are matched by name or number: rename or remove what has none')


def _ways(left, right):
  """[(keys, keys)] by which the frames of two clips may be told apart: names, then numbers."""
  if isinstance(left, range) or isinstance(right, range):
    return [(_places(left), _places(right))]
  numbers = [(find(left), find(right)) for find in (clip_splitting.frame_numbers, _last_numbers)]
  return [(left, right), *(way for way in numbers if all(way))]


def _places(names):
  """Numbers counted from the first; names without any stay."""
  if isinstance(names, range) or len(names) == 1:
    return list(range(len(names)))
  numbers = clip_splitting.frame_numbers(names)
  return [x - numbers[0] for x in numbers] or names


def _alone(left, right):
  """The first frame without a partner on each side, in words, told apart as fits best."""
  one, other = max(_ways(left, right), key=lambda way: len(set(way[0]) & set(way[1])))
  lost = [next((k for k, x in enumerate(mine) if x not in theirs), None)
          for mine, theirs in ((one, set(other)), (other, set(one)))]
  if lost == [None, None]:   # the same in another order, or one of them twice
    pairs = enumerate(zip(one, other, strict=False))
    lost = [next((k for k, (x, y) in pairs if x != y), min(len(one), len(other)))] * 2
  return ['no frame' if k is None or k >= len(names) else
          f'frame {k} (from 0)' if isinstance(names, range) else f'frame {names[k]}'
          for k, names in zip(lost, (left, right), strict=True)]


# ---- names of frames


def frame_names(source, start, length):
  """What tells `length` frames from `start` on apart.

  Returns:
    [file name without folder and ending, ' part k' behind those of strips], or `range(length)`
    where frames have no names, only a place in their clip.
  """
  found = source.names(start, length)
  return range(length) if found is None else found


def last_number(name):
  """The last number in a name, or None."""
  found = re.findall(r'\d+', name)
  return int(found[-1]) if found else None


def _last_numbers(names):
  """`last_number` of each; [] where one has none."""
  found = [last_number(name) for name in names]
  return [] if None in found else found
