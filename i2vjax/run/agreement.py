"""Processes of one run: the same config and data on each.

Whoever trains with another batch or other footage would wait for an exchange that never comes, or
average what does not belong together.
"""

from __future__ import annotations

import importlib.metadata
import json
import zlib
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import parallel
from i2vjax.core.errors import UserError
from i2vjax.data.loader import requirements
from i2vjax.run import folder as run_folder

# What belongs to a machine: where things are, and how fast they are read.
OF_A_MACHINE = ('pretrained_dir', 'data.cache_dir', 'data.root', 'data.train_a', 'data.train_b',
                'data.test_a', 'data.test_b', 'data.threads', 'data.prefetch',
                'data.scenes.cache_mb')
SHOWN = 6   # differences in a message


def check(config: ConfigDict, per_epoch: int) -> None:
  """Compare what the processes of a run have been given.

  Args:
    config: settled. per_epoch: steps in an epoch, as this process sees the data.

  Raises:
    UserError: on all processes; names what differs on which.
  """
  if parallel.process()[1] == 1:
    return
  own = parallel.together(lambda: facts(config, per_epoch))
  all_facts = [json.loads(text) for text in parallel.gather_text(json.dumps(own))]
  lines = differences(all_facts)
  if lines:
    raise UserError('the processes of this run were not given the same:\n  ' + '\n  '.join(lines)
                    + '\nstart all of them with the same command, data and installation')


def facts(config: ConfigDict, per_epoch: int) -> dict[str, Any]:
  """{name: value} of what must be the same everywhere, as plain numbers and texts."""
  fields = {name: str(value) for name, value in run_folder.flatten(config).items()
            if name not in OF_A_MACHINE}
  data: dict[str, Any] = {'steps in an epoch': per_epoch}
  for domain in 'ab':
    data |= _footage(requirements.require_source(config.data, 'train', domain), domain)
  versions = {name: importlib.metadata.version(name) for name in ('i2vjax', 'jax')}
  return {**fields, **data, **versions}


def _footage(source, domain):
  """What tells the footage of two machines apart, without reading all of it."""
  clips = [(clip.name, clip.length) for clip in source.clips]
  frame = np.asarray(source.read(0)['frame'])
  return {f'clips of {domain}': len(clips), f'frames of {domain}': len(source),
          f'names of the clips of {domain}': zlib.crc32(json.dumps(clips).encode()),
          f'first frame of {domain}': f'{frame.shape} {frame.dtype}',
          f'brightness of the first frame of {domain}': float(frame.mean())}


def differences(all_facts: list[dict[str, Any]]) -> list[str]:
  """Lines that name what another process has otherwise than the first; [] where nothing."""
  lines, first = [], all_facts[0]
  for number, other in enumerate(all_facts[1:], 1):
    for name in sorted(first.keys() | other.keys()):
      here, there = first.get(name), other.get(name)
      if not _same(here, there):
        lines.append(f'{name}: {here} on process 0, {there} on process {number}')
  more = [f'and {len(lines) - SHOWN} more'] if len(lines) > SHOWN else []
  return lines[:SHOWN] + more


def _same(here, there):
  """Equal; brightness to a gray level, since decoders round differently."""
  if isinstance(here, float) and isinstance(there, float):
    return abs(here - there) <= 0.01 * max(abs(here), abs(there), 100.0)
  return here == there
