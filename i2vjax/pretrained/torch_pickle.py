"""Safe interpreter of the pickle inside a PyTorch file.

Unpickling may run any code that the file contains. Here the pickle's instructions are listed one by
one (`pickletools.genops` of the standard library), the few that describe tensors by name are
interpreted, and any other instruction, class or function is refused. Nothing of the file is
imported or called.
"""

import pickletools
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from i2vjax.core.errors import UserError

STORAGES = {
    'FloatStorage': np.float32, 'DoubleStorage': np.float64, 'HalfStorage': np.float16,
    'BFloat16Storage': ml_dtypes.bfloat16, 'LongStorage': np.int64, 'IntStorage': np.int32,
    'ShortStorage': np.int16, 'CharStorage': np.int8, 'ByteStorage': np.uint8,
    'BoolStorage': np.bool_}
MOST_INSTRUCTIONS = 2**20   # a tensor takes about 40; more were written to keep us busy
MOST_SIDES = 32
TENSORS = ('_rebuild_tensor', '_rebuild_tensor_v2')   # of torch._utils; the first before 0.4
PARAMETER = '_rebuild_parameter'
ALONE = 'only state dicts are read: in PyTorch, save module.state_dict() alone'


class Refused(UserError):
  """The file contains something that a dict of tensors does not need."""


class Global(NamedTuple):
  """A class or function that a pickle names."""

  module: str
  name: str


class Storage(NamedTuple):
  """`count` numbers of `dtype` in the file's storage `key`, from number `start` on."""

  key: str
  dtype: Any
  start: int
  count: int


class Tensor(NamedTuple):
  """A window into a storage; offset and strides count numbers, not bytes."""

  storage: Storage
  offset: int
  shape: tuple
  strides: tuple


def walk(file):
  """The object that the next pickle of a binary file describes.

  Returns:
    dicts, lists, tuples, numbers and text as they are; tensors as `Tensor`, names as `Global`.

  Raises:
    Refused: an instruction or a name that tensors do not need, or more of them than any has.
    ValueError, TypeError, KeyError, IndexError, AttributeError: the pickle is damaged.
  """
  stack, memo = [], {}
  for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
    name = opcode.name
    if count > MOST_INSTRUCTIONS:
      raise Refused(f'has a pickle of more than {MOST_INSTRUCTIONS} instructions; {ALONE}')
    if name == 'STOP':
      return stack.pop()
    if name in PUSHED:
      stack.append(argument)
    elif name in MADE:
      stack.append(MADE[name]())
    elif name in MOVES:
      MOVES[name](stack, argument)
    elif name in ('BINGET', 'LONG_BINGET'):
      stack.append(memo[argument])
    elif name in ('BINPUT', 'LONG_BINPUT', 'MEMOIZE'):
      memo[len(memo) if argument is None else argument] = stack[-1]
    elif name not in ('PROTO', 'FRAME'):
      raise Refused(f'holds the pickle instruction {name}, which could run code; {ALONE}')
  raise ValueError('a pickle without an end')


def describe(value):
  """A pickled value as text, for messages."""
  return short('.'.join(value)) if isinstance(value, Global) else f'a {type(value).__name__}'


def short(text):
  """A text of the file, for messages: it may hold anything, of any length."""
  text = text if text.isprintable() else ascii(text)
  return text if len(text) <= 80 else f'{text[:77]}...'


MARK = Global('', '')   # divides the stack; compared by identity
PUSHED = {   # INT alone is of the text protocol: Python 2 wrote so what 32 bits do not hold
    'INT', 'BININT', 'BININT1', 'BININT2', 'LONG1', 'LONG4', 'BINFLOAT', 'BINSTRING',
    'SHORT_BINSTRING', 'BINUNICODE', 'SHORT_BINUNICODE', 'BINUNICODE8', 'BINBYTES',
    'SHORT_BINBYTES', 'BINBYTES8'}
MADE = {
    'MARK': lambda: MARK, 'NONE': lambda: None, 'NEWTRUE': lambda: True, 'NEWFALSE': lambda: False,
    'EMPTY_TUPLE': tuple, 'EMPTY_LIST': list, 'EMPTY_DICT': dict}


def _take(stack, count):
  """Pop the upper `count` values."""
  if len(stack) < count:
    raise ValueError('a pickle that takes more than it has')
  items = stack[-count:]
  del stack[-count:]
  return items


def _since_mark(stack):
  """Pop the values above the last mark, and the mark."""
  place = len(stack) - 1   # from above: else many marks over a deep stack would take forever
  while stack[place] is not MARK:
    place -= 1
    if place < 0:
      raise ValueError('a pickle that goes back to a mark it never made')
  items = stack[place + 1:]
  del stack[place:]
  return items


def _tuple(count):
  def move(stack, _):
    stack.append(tuple(_take(stack, count)))
  return move


def _marked_tuple(stack, _):
  stack.append(tuple(_since_mark(stack)))


def _append(stack, _):
  item, = _take(stack, 1)
  stack[-1].append(item)


def _appends(stack, _):
  items = _since_mark(stack)
  stack[-1].extend(items)


def _set_item(stack, _):
  _add(stack, _take(stack, 2))


def _set_items(stack, _):
  _add(stack, _since_mark(stack))


def _add(stack, items):
  """Keys and values in turn into the dict on the stack."""
  stack[-1].update(_pairs(zip(items[::2], items[1::2], strict=True)))


def _pairs(items):
  """A dict of (name, value). Other keys could be nested so deep that hashing them ends Python."""
  made = {}
  for key, value in items:
    if not isinstance(key, str):
      raise Refused(f'holds a dict with {describe(key)} as a key, not a name; {ALONE}')
    made[key] = value
  return made


def _build(stack, _):
  """Attributes of an object (`_metadata` of a state dict), which are ignored."""
  _take(stack, 1)


def _name(stack, module, name):
  """A class or function, if it is one of the few that rebuild a tensor."""
  if not isinstance(module, str) or not isinstance(name, str):
    raise ValueError('a pickle that names what is no name')
  allowed = ((module in ('torch', 'torch.cuda') and name in STORAGES)
             or (module == 'torch._utils' and name in (*TENSORS, PARAMETER))
             or (module, name) == ('collections', 'OrderedDict'))
  if not allowed:
    raise Refused(f'asks for {short(f"{module}.{name}")}, which is no plain tensor; loaded in '
                  f'PyTorch it could run code. Here {ALONE}')
  stack.append(Global(module, name))


def _global(stack, argument):
  _name(stack, *argument.split(' ', 1))


def _stack_global(stack, _):
  _name(stack, *_take(stack, 2))


def _reduce(stack, _):
  """The result that a call of one of the allowed names would have."""
  function, arguments = _take(stack, 2)
  if not isinstance(function, Global) or not isinstance(arguments, tuple):
    raise ValueError('a pickle that calls what is no function')
  if function.name == 'OrderedDict':
    stack.append(_ordered(*arguments))
  elif function.name == PARAMETER:
    stack.append(arguments[0])
  elif function.name in TENSORS and isinstance(arguments[0], Storage):
    storage, offset, shape, strides = arguments[:4]
    if max(len(shape), len(strides)) > MOST_SIDES:   # nor a copy of it for each tensor
      raise ValueError(f'a tensor of more than {MOST_SIDES} sides')
    stack.append(Tensor(storage, offset, tuple(shape), tuple(strides)))
  else:
    raise ValueError(f'a pickle that calls {function.name}')


def _ordered(items=()):
  """An OrderedDict; Python 2 wrote the items into the call.

  They are taken out of their list: a small file that makes a dict of the same long list again and
  again would fill the memory.
  """
  if not isinstance(items, list | tuple):
    raise ValueError('an OrderedDict of what is no list')
  made = _pairs(items)
  if isinstance(items, list):
    items.clear()
  elif items:
    raise ValueError('an OrderedDict of a tuple')
  return made


def _storage(stack, _):
  """('storage', type, key, device, count), before 0.4 also (key, start, count) of a view."""
  kind, *rest = stack.pop()
  if kind != 'storage':
    what = short(kind) if isinstance(kind, str) else describe(kind)
    raise Refused(f'holds a whole pickled {what}, code included; {ALONE}')
  storage_type, key, _, count = rest[:4]
  if not isinstance(key, str | int) or not isinstance(storage_type, Global):
    raise ValueError('a storage without a name')
  view = rest[4] if len(rest) > 4 else None
  start, count = view[1:3] if view else (0, count)
  stack.append(Storage(str(key), np.dtype(STORAGES[storage_type.name]), start, count))


MOVES = {
    'TUPLE': _marked_tuple, 'TUPLE1': _tuple(1), 'TUPLE2': _tuple(2), 'TUPLE3': _tuple(3),
    'APPEND': _append, 'APPENDS': _appends, 'SETITEM': _set_item, 'SETITEMS': _set_items,
    'BUILD': _build, 'GLOBAL': _global, 'STACK_GLOBAL': _stack_global, 'REDUCE': _reduce,
    'BINPERSID': _storage}
