"""The stream of training batches of one process, resumable at any position."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from i2vjax.core import files, npz, ops, parallel
from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches, positions

Table = dict[str, Any]   # of data/loader/memory_sampling.py


class Feed:
  """Batches for the training loop, from any position on.

  A method's hook `training_feed` may ask it to choose the windows of a (`with_pairs`), from what
  all of them show (`sweep`); the answer is kept in the run folder (`kept_pairs`), so that a run
  that goes on reads what the first one asked.
  """

  def __init__(self, config: ConfigDict, fields: Sequence[str] = (),
               workdir: str | pathlib.Path = '.', table: Table | None = None) -> None:
    """What is read.

    Args:
      config: the run's config.
      fields: of the method's `batch_fields`.
      workdir: run folder.
      table: which windows of a go with those of b (data/loader/memory_sampling.py); None: any.
    """
    self.config, self.fields, self.workdir = config, fields, pathlib.Path(workdir)
    self._iterator = batches.train_iterator(
        config, parallel.local_batch(config.data.batch), process=parallel.process(),
        fields=fields, table=table)
    self._fresh = self._iterator.get_state()

  def __iter__(self) -> Feed:
    return self

  def __next__(self) -> dict[str, np.ndarray]:
    return next(self._iterator)

  def get_state(self) -> dict:
    """The position, as JSON: `set_state` goes on with the very next batch.

    It is the same for any number of reading processes (`data.workers`).
    """
    return {'next_index': positions.count(self._iterator.get_state())}

  def set_state(self, position: dict) -> None:
    """Go on from a position."""
    self._iterator.set_state(positions.at(self._fresh, positions.count(position)))

  def with_pairs(self, table: Table | None) -> Feed:
    """The same stream from the same position on, with windows of a by `table` (None: any)."""
    feed = Feed(self.config, self.fields, self.workdir, table)
    feed.set_state(self.get_state())
    return feed

  def sweep(self) -> Iterator[dict[str, Any]]:
    """Every training window of a once, frames as floats: see `batches.sweep`."""
    for raw in batches.sweep(self.config, self.config.eval.batch):
      yield {**raw, 'a': ops.to_float(raw['a'], raw['range_a'], self.config.data.channels_a)}

  def kept_pairs(self, first: int, make: Callable[[], Table | None], known: bool) -> Table | None:
    """The table of the phase that begins at step `first`: made once, on the main process.

    Args:
      first: a table of another phase is not taken.
      make: () -> {name: array} or None.
      known: True in a run that goes on: the stored table is taken, if there is one. The other
        processes always take it.

    Returns:
      {name: array}, or None.
    """
    return parallel.main_first(lambda: kept_table(
        self.workdir, first, make, parallel.is_main(), known or not parallel.is_main()))


def kept_table(workdir: str | pathlib.Path, first: int, make: Callable[[], Table | None],
               write: bool, known: bool) -> Table | None:
  """`Feed.kept_pairs` of one process; `write`: store a table that was made."""
  path = pathlib.Path(workdir) / 'pairs.npz'
  if known and path.is_file():
    stored = _stored_table(path)
    if stored.pop('first') == first:
      return stored or None
  table = make()
  if write:
    files.save_atomic(path, lambda part: np.savez(part, first=first, **(table or {})))
  return table


def _stored_table(path):
  try:
    stored = npz.read(path)
    first = stored.get('first', np.zeros(1))
    if first.shape or first.dtype.kind not in 'iu':
      raise npz.Damaged('none that this run wrote')
    return stored
  except npz.Damaged as error:
    raise UserError(f'{path}, which windows go together, is {error}: restore it from a copy, or '
                    'delete it: then they are found anew with the networks of today') from error
