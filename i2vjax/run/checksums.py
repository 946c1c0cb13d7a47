"""Checksums of a checkpoint: what changed on the disk is found.

The arrays on disk have none: a byte changed in one of them is read as another number.
"""

import json
import zlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

FIELD = 'checksums'   # of the item `data`, beside the position of the input
POSITION = 'position'


def of_tree(tree: Any) -> int:
  """CRC-32 over the names, types, shapes and bytes of all arrays."""
  found = 0
  for path, leaf in jax.tree.leaves_with_path(tree):
    leaf = np.asarray(leaf)
    found = zlib.crc32(f'{jax.tree_util.keystr(path)} {leaf.dtype} {leaf.shape}'.encode(), found)
    found = zlib.crc32(leaf.tobytes(), found)
  return found


def with_checksums(position: Mapping[str, Any], trees: Mapping[str, Any]) -> dict[str, Any]:
  """The item `data` of a checkpoint: the position, and the checksums of all items."""
  sums = {name: of_tree(tree) for name, tree in trees.items()}
  return {**position, FIELD: {**sums, POSITION: _of_position(position)}}


def split(data: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, int]]:
  """(position, checksums) of the item `data`; {} of versions that stored none.

  Raises:
    ValueError: the position is not what was stored.
  """
  position = {name: value for name, value in data.items() if name != FIELD}
  sums = dict(data.get(FIELD, {}))
  if sums.pop(POSITION, None) not in (None, _of_position(position)):
    raise ValueError('its position in the data is not what was stored: the checksum differs')
  return position, sums


def _of_position(position):
  return zlib.crc32(json.dumps(position, sort_keys=True).encode())


def check(sums: Mapping[str, int], trees: Mapping[str, Any]) -> None:
  """Compare what was read with what was stored.

  Args:
    sums: {item: checksum}. trees: {item: arrays}; those without a checksum pass.

  Raises:
    ValueError: an item differs; names it.
  """
  for name, tree in trees.items():
    if name in sums and of_tree(tree) != sums[name]:
      raise ValueError(f'its {name} are not what was stored: the checksum differs')
