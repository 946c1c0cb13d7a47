"""Folders of pictures of several sizes as clips of one size each."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from i2vjax.core import notes
from i2vjax.data.io import images
from i2vjax.data.source import Clip, FrameSource, Wrapper
from i2vjax.data.sources import folders


class Recut(Wrapper):
  """A source whose clips begin at other frames."""

  def __init__(self, source: FrameSource, clips: list[Clip]):
    """source: FrameSource. clips: together they cover its frames."""
    super().__init__(source)
    self.clips = clips

  def parts(self, clip: int) -> int:
    """1: strips are not cut."""
    del clip
    return 1


def by_size(sources: dict[str, FrameSource], max_clips: int = 0) -> dict[str, FrameSource]:
  """Sources whose clips end where the size of any of them changes; the same where none does.

  Films have one size, so a folder with several holds stills, or films one behind the other; scores
  are of clips in which a frame has one size.

  Args:
    sources: {kind: frames}, frame by frame the same moments (`alignment.check_frames`), in
      `folders.FolderFrames` or films; clips are named after those of the first.
    max_clips: so many are looked at, which are those that are scored; 0: all.
  """
  first = next(iter(sources.values()))
  starts = {clip.start for clip in first.clips}
  looked_at = first.clips[:max_clips or None]
  begins = starts | {i for source in sources.values() for i in _changes(source, looked_at)}
  if begins == starts:
    return sources
  clips = _clips(first, sorted(begins))
  notes.say_once(f'{getattr(first, "place", first)}: pictures of several sizes, scored as '
                 f'{len(clips)} clips of one size each')
  return {kind: Recut(source, clips) for kind, source in sources.items()}


def _changes(source: FrameSource, clips: Sequence[Clip]) -> list[int]:
  """Frames that have another size than the one before in their clip."""
  if not isinstance(source, folders.FolderFrames):
    return []
  changes = []
  for clip in clips:
    files = [source.files[i][0] for i in range(clip.start, clip.start + clip.length)]
    sizes = [_size(file) for file in files] if clip.length > 1 else []
    changes += [clip.start + k + 1 for k, pair in enumerate(itertools.pairwise(sizes))
                if pair[0] != pair[1]]
  return changes


def _size(file):
  """(height, width), or None of a damaged picture, which is told where it is read."""
  try:
    return images.picture_size(file)
  except images.UnreadableFrame:
    return None


def _clips(source, begins):
  """Clips from these frames on; one that is a part of another is named after its first frame."""
  ends = [*begins[1:], len(source)]
  whole = {(clip.start, clip.length): clip.name for clip in source.clips}
  clips = []
  for start, end in zip(begins, ends, strict=True):
    name = whole.get((start, end - start))
    if name is None:
      clip, frame = source.clips[source.clip_index(start)], source.names(start, 1)
      name = f'{clip.name}/{frame[0] if frame else start - clip.start}'
    clips.append(Clip(name, start, end - start))
  return clips
