"""Damaged footage and labels: read right or refused by name, and nothing else."""

import media_fuzz
import media_readers
import pytest

# Their first case takes seconds, of imports or of waiting.
LONG = ('records', 'prepare: published layouts', 'live stream')


def failures(results):
  return '\n'.join(media_fuzz.report([x for x in results if x['outcome'] in media_fuzz.BAD]))


def test_some_of_every_kind_are_read_or_refused():
  names = [name for name in media_readers.READERS if name not in LONG]
  results = media_fuzz.campaign(names, 6, seed=1)
  assert all(result['outcome'] in media_fuzz.GOOD for result in results), failures(results)
  outcomes = {result['outcome'] for result in results}
  assert outcomes == set(media_fuzz.GOOD) and len(results) >= 3 * len(names)


@pytest.mark.slow
@pytest.mark.parametrize('name', LONG)
def test_some_of_those_that_take_long(name):
  results = media_fuzz.campaign([name], 100, seed=1)
  assert all(result['outcome'] in media_fuzz.GOOD for result in results), failures(results)


@pytest.mark.nightly
@pytest.mark.parametrize('name', media_readers.READERS)
def test_a_thousand(name):
  results = media_fuzz.campaign([name], 1000, seed=2)
  assert all(result['outcome'] in media_fuzz.GOOD for result in results), failures(results)


@pytest.mark.slow
def test_the_harness_sees_readers_that_are_broken(monkeypatch):
  """It goes on after each of them."""
  monkeypatch.setenv('I2VJAX_FUZZ_SECONDS', '5')
  monkeypatch.setenv('I2VJAX_FUZZ_BYTES', str(2 ** 27))
  results = media_fuzz.campaign(list(media_readers.BROKEN), 0, 0, numbers=[1])
  assert [x['outcome'] for x in results] == list(media_readers.BROKEN)
