"""Stages of a stream that run beside each other, in order.

Threads suffice where a stage decodes, encodes or waits for a device: OpenCV, FFmpeg and XLA leave
the interpreter to others meanwhile. Between two stages stand at most so many items as is said, so
that memory does not grow with the length of a stream.
"""

import collections
import concurrent.futures
import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

T = TypeVar('T')
R = TypeVar('R')


class Abandoned(Exception):   # noqa: N818 (named as it reads)
  """The stage before was broken off: no further item will come."""


class Channel(Generic[T]):
  """Hands items from one thread to another; at most `size` wait.

  Made of queues whose calls cannot be cut in two by Ctrl-C.
  """

  def __init__(self, size: int) -> None:
    """size: items that wait at a time, at least 1."""
    self._room: queue.SimpleQueue[None] = queue.SimpleQueue()
    self._items: queue.SimpleQueue[Any] = queue.SimpleQueue()
    self._stopped = self._broken = False
    for _ in range(size):
      self._room.put(None)

  def put(self, item: T) -> bool:
    """Hand an item over as soon as there is room; False: nobody takes items any more."""
    if not self._stopped:
      self._room.get()
    if self._stopped:
      return False
    self._items.put((item, False, None))
    return True

  def end(self, error: BaseException | None = None) -> None:
    """No item comes after those that wait; an error is raised there, behind them."""
    self._items.put((None, True, error))

  def break_off(self) -> None:
    """The other side gets `Abandoned` at once, in place of the items that wait."""
    self._broken = True
    self.end()

  def stop(self) -> None:
    """Nobody takes items any more; the other side need not wait for room."""
    self._stopped = True
    self._room.put(None)

  def __iter__(self) -> Iterator[T]:
    while True:
      item, is_end, error = self._items.get()
      if self._broken:
        raise Abandoned
      if is_end:
        if error is not None:
          raise error
        return
      self._room.put(None)
      yield item
      del item   # else it would live on while the next one is waited for


class Worker(Generic[R]):
  """A thread that does one piece of work.

  `threading.Thread.join` takes a thread for ended where Ctrl-C interrupts it (Python 3.11); here
  one waits for the outcome.
  """

  def __init__(self, work: Callable[[], R], daemon: bool) -> None:
    """work: done in the thread. daemon: the interpreter does not wait for it to exit."""
    self.outcome: concurrent.futures.Future[R] = concurrent.futures.Future()
    self._work = work
    self._thread = threading.Thread(target=self._run, daemon=daemon)

  def start(self) -> None:
    """Begin. Ctrl-C may come here too, when the thread runs already."""
    self._thread.start()

  def wait(self) -> None:
    """Until the work is done, or the thread has not even begun."""
    begun = self._thread.ident is not None
    concurrent.futures.wait([self.outcome], None if begun else 1.0)
    if self.outcome.done():
      self._thread.join()

  def _run(self):
    try:
      self.outcome.set_result(self._work())
    except BaseException as error:
      self.outcome.set_exception(error)
    finally:
      del self._work   # and all that it holds


def ahead(items: Iterable[T], size: int) -> Iterator[T]:
  """The items, made in a thread of their own while earlier ones are used.

  Args:
    items: used in that thread alone, from the first `next` on.
    size: made ahead, besides the one in the making.

  Raises:
    BaseException: what making an item raises comes here, behind the items before it. Whoever stops
    early (an error, Ctrl-C, `close`) waits until the thread has ended, after the item it is at.
  """
  channel: Channel[T] = Channel(size)
  worker = Worker(lambda: _produce(items, channel), daemon=True)
  try:
    worker.start()
    yield from channel
  finally:
    channel.stop()
    worker.wait()


def _produce(items, channel):
  """Put the items into the channel until they end or nobody wants more; close them here."""
  try:
    for item in items:
      if not channel.put(item):
        break
      del item
    if hasattr(items, 'close'):
      items.close()
    channel.end()
  except BaseException as error:
    channel.end(error)


def hand_over(items: Iterable[T], consume: Callable[[Iterator[T]], R], size: int) -> R:
  """`consume(items)` in a thread of its own; the items are made in the caller's.

  What `consume` opens it opens, closes and, by its own error handling, gives up in one thread: an
  error or Ctrl-C where items are made reaches it as `Abandoned`.

  Args:
    items: any iterable.
    consume: uses them up.
    size: items that wait for it.

  Returns:
    What `consume` returns.

  Raises:
    BaseException: what making an item or `consume` raises. By then `consume` has ended.
  """
  channel: Channel[T] = Channel(size)
  worker = Worker(lambda: _consume(consume, channel), daemon=False)
  try:
    worker.start()
    for item in items:
      if not channel.put(item):
        break
    channel.end()
    return worker.outcome.result()
  except BaseException:
    channel.break_off()
    raise
  finally:
    worker.wait()


def _consume(consume, channel):
  try:
    return consume(iter(channel))
  finally:
    channel.stop()


def map_ahead(function: Callable[[T], R], items: Iterable[T], threads: int = 2,
              size: int = 16) -> Iterator[R]:
  """map(function, items) in order, `size` calls of which run or wait in the background.

  Args:
    function: called in `threads` threads.
    items: used in the caller's.
  """
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    running: collections.deque[concurrent.futures.Future[R]] = collections.deque()
    try:
      for item in items:
        running.append(pool.submit(function, item))
        if len(running) == size:
          yield running.popleft().result()
      while running:
        yield running.popleft().result()
    finally:
      for job in running:
        job.cancel()


def for_each(function: Callable[[T], Any], items: Iterable[T], threads: int) -> None:
  """`function` of each item, in several threads that take them up in order.

  The items are made in the caller's thread. Where making one raises, those before it are still
  done; after an error of `function` nothing is begun any more.

  Args:
    function: called in `threads` threads.
    items: any iterable; at most twice as many as threads are held.

  Raises:
    BaseException: what making an item or a call raises. By then no call is running.
  """
  broken = threading.Event()

  def guarded(item):
    if not broken.is_set():
      try:
        function(item)
      except BaseException:
        broken.set()
        raise
  running: collections.deque[concurrent.futures.Future[None]] = collections.deque()
  with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    try:
      for item in items:
        running.append(pool.submit(guarded, item))
        if len(running) == 2 * threads:
          running[0].result()
          running.popleft()
      for job in running:
        job.result()
    finally:
      concurrent.futures.wait(running)   # leaving the pool waits too, but not behind a Ctrl-C
