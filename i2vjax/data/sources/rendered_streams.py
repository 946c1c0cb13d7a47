"""Clips to translate, their palette and polarity undone as they are read."""

import dataclasses
import functools
import itertools

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core.errors import UserError
from i2vjax.data.sources.streams import Stream
from i2vjax.data.transforms import rendering, tasks


def is_infrared(data: ConfigDict) -> bool:
  """True where a run translates infrared frames, which `data.unpalette` and the like are about."""
  return data.direction != 'b2a' and tasks.task_of(data) not in ('color', 'superres')


def rendered(stream: Stream, data: ConfigDict) -> Stream:
  """A stream of white-hot gray frames where the fields ask for it; what they mean is settled late.

  Frames are looked at when the first is read, so that a folder of many clips opens at once.

  Args:
    stream: of raw frames. data: config.data of the run.
  """
  if not is_infrared(data):
    return stream

  @functools.cache
  def settled():
    return rendering.settle(data, _sample(stream, rendering.probes(data)), stream.name)

  def read(damaged='stop'):
    for label, frame, seconds in stream.read(damaged):
      if isinstance(frame, np.ndarray):
        try:
          frame = settled().apply(frame)
        except UserError as error:
          raise UserError(f'frame {label}: {error}') from error
      yield label, frame, seconds

  def at(k):
    return settled().apply(stream.at(k))
  return dataclasses.replace(stream, read=read, at=at if stream.at else None)


def _sample(stream, count):
  """Raw frames of a clip: spread over it where it can be read in any order, else its first."""
  if stream.at is None or not stream.length:
    found = itertools.islice(stream.read('skip'), count)
    return [frame for _, frame, _ in found if isinstance(frame, np.ndarray)]
  frames = []
  for k in np.unique(np.linspace(0, stream.length - 1, count).astype(int)):
    try:
      frames.append(stream.at(int(k)))
    except (UserError, OSError):   # reported when the clip is read in order
      continue
  return frames
