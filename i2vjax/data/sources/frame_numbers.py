"""Which number in names of files counts frames, by its steps.

FLIR_video_00012_8bit, video-BzZspxAwe-frame-000123-SSCRtAHcF, 20240501_123000: the number that
counts frames is neither always the last nor the first. Every number (also a decimal, one below zero
as frames before a trigger have, and a time of several numbers) is tried, alone and with the other
parts of a name telling clips apart, and the reading that leaves the fewest jumps is taken. Ours.
"""

import collections
import dataclasses
import datetime
import functools
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

MOST_PARTS = 6           # parts of a name that are tried as what tells clips apart
MOST = 2 ** 63           # numbers from here on are no counts, and no 64 bits
# Words before a number that says which clip, and before one that counts frames.
TELLING = ('clip', 'cam', 'camera', 'seq', 'sequence', 'scene', 'video', 'vid', 'shot', 'take',
           'set', 'part')
COUNTING = ('frame', 'frm', 'img', 'image', 'f')
DAY = r'(?P<y>(?:19|20)\d\d)[-_.]?(?P<m>[01]\d)[-_.]?(?P<d>[0-3]\d)'
CLOCK = r'(?P<H>[0-2]\d)(?P<s>[-_.:h]?)(?P<M>[0-5]\d)(?P=s)(?P<S>[0-5]\d)'
FRACTION = r'(?:[-_.,]%s(?P<f>\d{3}|\d{6}|\d{9}))?'   # milli, micro, nano
TIMES = tuple(re.compile(rf'(?<!\d){text}(?!\d)') for text in (
    DAY + r'[-_ .T]*' + CLOCK + FRACTION % '?',       # PXL_20240501_123059900
    r'(?P<H>[0-2]\d)(?P<s>[-_.:])(?P<M>[0-5]\d)(?P=s)(?P<S>[0-5]\d)' + FRACTION % ''))
SECONDS = re.compile(r'(?<!\d)([1-4]\d{9})[-_.,](\d{3}|\d{6}|\d{9})(?!\d)')   # since 1970
MINUS = '\uA7F7'         # stands for the sign of a number: a letter of no language of today
NUMBER = re.compile(rf'{MINUS}?[0-9]+|(?:(?!{MINUS}?[0-9]).)+', re.DOTALL)   # and what is between
DECIMAL = re.compile(rf'(?<![\d.])({MINUS}?)(\d+)\.(\d+)(?![\d.])')


@dataclasses.dataclass(frozen=True)
class Reading:
  """How the names of some files are read.

  Attributes:
    clips: for each clip the places of its files among the names, in the order of time.
    numbers: for each name the number that counts frames; [] where no number does.
    where: the part of the first name that it is, for messages.
  """

  clips: list[list[int]]
  numbers: list[int]
  where: str = ''


def read_names(names: Sequence[str]) -> Reading:
  """The reading of names, in their natural order, that leaves the fewest jumps.

  Clips are told apart by other parts of a name only where the numbers ask for it (they start
  again), or by words that change once for all.
  """
  return _read_names(tuple(names))


@functools.lru_cache(maxsize=4)     # a source is opened several times
def _read_names(names):
  names = _with_signs(names)
  clips, numbers, where = [], [None] * len(names), ''
  for group in _of_one_form(names):
    reading = _read([names[k] for k in group])
    clips += [[group[k] for k in clip] for clip in reading.clips]
    where = where or reading.where.replace(MINUS, '-')
    for k, number in zip(group, reading.numbers, strict=False):
      numbers[k] = number
  clips.sort(key=min)
  return Reading(clips, [] if None in numbers else numbers, where)


def _with_signs(names):
  """Names with `MINUS` before the numbers below zero, and without the + of others.

  A sign is one where numbers behind the same text have + and also - or none, or where one and the
  same number is there with - and without: else it parts words, as in a-001, a-002.
  """
  values = collections.defaultdict(set)   # of the numbers behind one text at one place
  for name in names:
    for place, text, number in _numbers_behind(name):
      values[place, text].add(int(number))
  signed = set()
  for place, text in {(place, text[:-1]) for place, text in values if text[-1:] in ('+', '-')}:
    plus, minus, bare = (values.get((place, text + sign), set()) for sign in ('+', '-', ''))
    if plus and (minus or bare) or minus & bare:
      signed.add((place, text))
  return tuple(_rewritten(name, signed) for name in names) if signed else names


def _numbers_behind(name):
  """((numbers of the name, place among them), text before, digits) of each number in a name."""
  pieces = re.split('([0-9]+)', name)
  count = len(pieces) // 2
  return [((count, k), pieces[2 * k], pieces[2 * k + 1]) for k in range(count)]


def _rewritten(name, signed):
  parts = []
  for place, text, number in _numbers_behind(name):
    if text[-1:] in ('+', '-') and (place, text[:-1]) in signed:
      apart = '_' if parts and len(text) == 1 else ''   # 5+3 are two numbers
      parts += [text[:-1], apart, MINUS if text.endswith('-') else '', number]
    else:
      parts += [text, number]
  return ''.join(parts) + re.split('[0-9]+', name)[-1]


def _of_one_form(names):
  """Places of names with as many fields, in the order of their first."""
  groups = collections.defaultdict(list)
  for k, name in enumerate(names):
    groups[len(_fields(name))].append(k)
  return list(groups.values())


def _fields(name):
  return re.split(r'[\W_]+', name)


@dataclasses.dataclass(frozen=True)
class _Candidate:
  """A number tried as the one that counts frames, with parts of the names that tell clips apart.

  Attributes:
    counter: int64 [N]. order: places of the names, clip by clip. cuts: where clips begin in it.
    links: neighbors of a clip without a jump between them. steady: those a usual step apart.
    parts: how many parts tell clips apart. hint: -1 after a word such as clip, 1 after frame, else
    0. place: of the number in the name. text: of the number in the first name.
  """

  counter: np.ndarray
  order: np.ndarray
  cuts: np.ndarray
  links: int
  steady: int
  parts: int
  hint: int
  place: int
  text: str

  @property
  def clips(self):
    return [list(map(int, clip)) for clip in np.split(self.order, self.cuts)]

  @property
  def regular(self):
    """The share of neighbors that are linked."""
    return self.links / max(1, len(self.order) - 1 - len(self.cuts))


def _read(names):
  numbers, words = _columns(names)
  everything = Reading([list(range(len(names)))], [])
  if not numbers:
    return everything
  found, parts = [], [*words, *(number.values for number in numbers)][-MOST_PARTS:]
  for place, number in enumerate(numbers):
    others = [part for part in parts if not np.array_equal(part, number.values)]
    for count in range(len(others) + 1):
      found += [_candidate(number, place, chosen)
                for chosen in itertools.combinations(others, count)]
      if found[-1].links == len(names) - 1:   # no jump at all: nothing is better
        break
  best = max(found, key=lambda x: (x.links, x.steady, -x.parts, x.hint, x.place))
  if not best.links:
    return everything
  # Of two numbers that count in turn (30 frames of each of 100 clips) words decide, or the later.
  swapped = [x for x in found if x.parts == best.parts and x.regular >= best.regular
             and x.links >= len(names) / 2]
  best = max([best, *swapped], key=lambda x: (x.hint, x.place))
  clips = [part for clip in best.clips for part in _cut_by_words(clip, words)]
  return Reading(sorted(clips, key=min), best.counter.tolist(), best.text)


def _candidate(number, place, parts):
  counter, key = number.values, np.zeros(len(number.values), np.int64)
  for part in parts:
    _, codes = np.unique(part, return_inverse=True)
    _, key = np.unique(key * (codes.max() + 1) + codes, return_inverse=True)
  order = np.lexsort((np.arange(len(counter)), counter, key))
  inside = np.diff(key[order]) == 0
  steps = np.diff(counter[order])[inside]
  usual = _usual(steps, counter)
  return _Candidate(counter, order, np.flatnonzero(~inside) + 1,
                    int(np.sum((steps > 0) & (steps <= 2 * usual))), int(np.sum(steps == usual)),
                    len(parts), number.hint, place, number.text)


def _usual(steps, counter):
  """The most frequent step; the middle one of times, which are never twice the same."""
  steps = np.sort(steps[steps > 0])
  if not len(steps):
    return 1
  if _since_1970(counter):
    return int(steps[(len(steps) - 1) // 2])
  values, counts = np.unique(steps, return_counts=True)
  return int(values[np.argmax(counts)])


def _since_1970(counter):
  """True for numbers that are all tenths to billionths of the seconds since 1970, of one kind."""
  low, high = int(counter.min()), int(counter.max())
  return any(10 ** (9 + k) <= low and high < 41 * 10 ** (8 + k) for k in range(1, 10))


def usual_step(counter: np.ndarray, clips: Sequence[Sequence[int]]) -> int:
  """The most frequent growth from file to file, the middle one of times since 1970 finer than
  seconds; 1 where nothing grows.
  """
  return _usual(np.concatenate([np.diff(counter[clip]) for clip in clips]), counter)


def _cut_by_words(clip, labels):
  """A clip cut where a label (a word of the names) changes once for all: day_2, night_3."""
  cuts = set()
  for codes in labels:
    values = codes[clip]
    places = np.flatnonzero(np.diff(values)) + 1
    lengths = np.diff([0, *places, len(clip)])
    if len(places) + 1 == len(set(values.tolist())) and lengths.min() > 1:
      cuts |= set(places.tolist())
  bounds = [0, *sorted(cuts), len(clip)]
  return [clip[i:j] for i, j in itertools.pairwise(bounds)]


# ---- the parts of names


class _Number(NamedTuple):
  """A number of all names: int64 [N], the text of the first, and what the word before says."""

  values: np.ndarray
  text: str
  hint: int


def _columns(names):
  """(_Numbers, words as int64 [N]) of names with as many fields; the same everywhere is left out.
  """
  numbers, words, before = [], [], ''
  for column in zip(*map(_fields, names), strict=True):
    pieces = [NUMBER.findall(field) for field in column]
    forms = {tuple(_is_number(piece) for piece in row) for row in pieces}
    if len(forms) > 1:                 # letters and digits in any order: one word
      _add_word(words, column)
      continue
    for piece in zip(*pieces, strict=True):
      if _is_number(piece[0]) and max(abs(_value(x)) for x in piece) < MOST:
        _add_number(numbers, [_value(x) for x in piece], piece[0], _hint(before))
      else:
        _add_word(words, piece)
      before = piece[0]
  _add_decimals(numbers, names)
  _add_seconds(numbers, names)
  _add_times(numbers, names)
  return numbers, words


def _is_number(piece):
  piece = piece.removeprefix(MINUS)
  return piece.isascii() and piece.isdecimal()


def _value(piece):
  return int(piece.replace(MINUS, '-'))


def _hint(word):
  return (word.lower() in COUNTING) - (word.lower() in TELLING)


def _add_word(words, column):
  values, codes = np.unique(column, return_inverse=True)
  if 1 < len(values) < len(column):     # a word of every file by itself tells nothing apart
    words.append(codes.astype(np.int64))


def _add_number(numbers, values, text, hint=0):
  if len(set(values)) > 1:
    numbers.append(_Number(np.array(values, np.int64), text, hint))


def _add_decimals(numbers, names):
  """The numbers with one point in them, as whole numbers of their smallest digit."""
  rows = [DECIMAL.findall(name) for name in names]
  for column in zip(*rows, strict=False) if len({len(row) for row in rows}) == 1 else ():
    digits = max(len(fraction) for *_, fraction in column)
    values = [_value(f'{sign}{whole}{fraction:0<{digits}}') for sign, whole, fraction in column]
    if max(map(abs, values)) < MOST:
      sign, whole, fraction = column[0]
      _add_number(numbers, values, f'{sign}{whole}.{fraction}')


def _add_seconds(numbers, names):
  """Seconds since 1970 and their fraction, as whole numbers of its smallest digit.

  Only where time runs on over a full second: 1626788000_000123 may also be the start of a recording
  and a count.
  """
  matches = [SECONDS.search(name) for name in names]
  if None in matches or len({len(match.group(2)) for match in matches}) > 1:
    return
  values = [int(match.group(1) + match.group(2)) for match in matches]
  counter = np.sort(np.array(values, np.int64))
  steps, unit = np.diff(counter), 10 ** len(matches[0].group(2))
  crosses = np.diff(counter // unit) > 0
  if (len({match.group(2) for match in matches}) > 1
      and np.any(steps[crosses] <= 2 * _usual(steps, counter))):
    _add_number(numbers, values, matches[0].group())


def _add_times(numbers, names):
  """Times in microseconds, where each name has one of the same form."""
  for form in TIMES:
    matches = [form.search(name) for name in names]
    if None in matches:
      continue
    try:
      values = [_microseconds(match.groupdict()) for match in matches]
    except ValueError:                  # no such day
      continue
    _add_number(numbers, values, matches[0].group())
    return


def _microseconds(parts):
  fraction = int((parts['f'] or '0').ljust(6, '0')[:6])
  # a clock without a day is of some day after 2001, as `_since_1970` knows times
  date = [int(parts.get(x) or first) for x, first in (('y', 2020), ('m', 1), ('d', 1))]
  moment = datetime.datetime(*date, int(parts['H']), int(parts['M']), int(parts['S']), fraction)
  return (moment - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
