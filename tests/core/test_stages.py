"""Stages beside each other: in order, bounded, and ended by errors and Ctrl-C."""

import threading

import pytest

from i2vjax.core import stages

pytestmark = pytest.mark.usefixtures('no_thread_is_left')
LONG = 60   # seconds that a busy machine may take; nothing here waits so long


def counted(count, made, error=None):
  """0 .. count - 1, each noted as it is made; then the error."""
  for k in range(count):
    made.append(k)
    yield k
  if error:
    raise error


def test_items_made_ahead_keep_their_order():
  assert list(stages.ahead(range(100), 3)) == list(range(100))


def test_the_next_item_is_made_while_one_is_used():
  second = threading.Event()

  def items():
    yield 1
    second.set()
    yield 2
  for _ in stages.ahead(items(), 1):
    assert second.wait(LONG)


@pytest.mark.parametrize('size', [1, 4])
def test_no_more_than_asked_for_are_made_ahead(size):
  made, used, most = [], [], 0
  for k in stages.ahead(counted(200, made), size):
    most = max(most, len(made) - len(used))
    used.append(k)
  assert used == made and most <= size + 2   # one in the making, one in use


def test_an_error_comes_behind_the_items_before_it():
  items = stages.ahead(counted(5, [], ValueError('sixth')), 2)
  assert [next(items) for _ in range(5)] == list(range(5))
  with pytest.raises(ValueError, match='sixth'):
    next(items)


def test_whoever_stops_early_ends_the_thread_and_closes_the_items():
  made, closed = [], []

  def endless():
    try:
      yield from counted(10 ** 9, made)
    finally:
      closed.append(threading.current_thread())
  items = stages.ahead(endless(), 2)
  assert next(items) == 0
  items.close()
  assert len(made) <= 5 and closed and closed[0] is not threading.current_thread()


def test_ctrl_c_while_waiting_for_an_item_ends_the_thread(ctrl_c):
  def items():
    yield 1
    ctrl_c()
    yield 2
  with pytest.raises(KeyboardInterrupt):
    list(stages.ahead(items(), 1))


def test_what_is_handed_over_arrives_in_order_in_another_thread():
  where = []

  def consume(items):
    where.append(threading.current_thread())
    return list(items)
  assert stages.hand_over(iter(range(50)), consume, 2) == list(range(50))
  assert where[0] is not threading.current_thread()


def test_an_error_of_the_user_stops_the_maker():
  made = []

  def consume(items):
    for item in items:
      if item == 3:
        raise OSError('full')
  with pytest.raises(OSError, match='full'):
    stages.hand_over(counted(10 ** 6, made), consume, 2)
  assert len(made) <= 4 + 2 + 2


@pytest.mark.parametrize('error', [ValueError('bad'), KeyboardInterrupt()])
def test_an_error_of_the_maker_reaches_the_user_who_cleans_up(error):
  seen = []

  def consume(items):
    try:
      for _ in items:
        pass
    except stages.Abandoned:
      seen.append('cleaned up')
      raise
  with pytest.raises(type(error)):
    stages.hand_over(counted(3, [], error), consume, 2)
  assert seen == ['cleaned up']


@pytest.mark.parametrize('at', [0, 3, 9])
def test_ctrl_c_while_the_user_works_cleans_up(ctrl_c, at):
  """Also while the last item is used, when nothing is left to hand over."""
  ended = []

  def consume(items):
    try:
      for item in items:
        if item == at:
          ctrl_c()
    finally:
      ended.append(True)
  with pytest.raises(KeyboardInterrupt):
    stages.hand_over(iter(range(10)), consume, 2)
  assert ended


def test_map_ahead_is_map():
  assert list(stages.map_ahead(lambda x: x * x, range(50), 3, 4)) == [x * x for x in range(50)]
  assert list(stages.map_ahead(abs, [], 2, 4)) == []


def test_map_ahead_holds_so_many():
  made, most = [], 0
  for k, _ in enumerate(stages.map_ahead(abs, counted(100, made), 2, 5)):
    most = max(most, len(made) - k)
  assert most == 5


def test_several_threads_work_at_a_time():
  meeting = threading.Barrier(3)
  stages.for_each(lambda _: meeting.wait(LONG), range(6), 3)   # breaks if they do not meet
  assert not meeting.broken


def test_what_was_made_before_an_error_is_done():
  done = []
  with pytest.raises(ValueError, match='bad'):
    stages.for_each(done.append, counted(7, [], ValueError('bad')), 2)
  assert sorted(done) == list(range(7))


def test_nothing_is_begun_after_an_error_of_the_work():
  done, made = [], []

  def work(item):
    done.append(item)
    if item == 2:
      raise OSError('full')
  with pytest.raises(OSError, match='full'):
    stages.for_each(work, counted(10 ** 6, made), 1)
  assert done == [0, 1, 2] and len(made) <= 3 + 2


def test_ctrl_c_leaves_whole_calls_and_no_gap(ctrl_c):
  done = []

  def work(item):
    if item == 5:
      ctrl_c()
    done.append(item)
  with pytest.raises(KeyboardInterrupt):
    stages.for_each(work, iter(range(10 ** 6)), 3)
  assert sorted(done) == list(range(len(done))) and len(done) > 5
