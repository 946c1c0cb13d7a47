"""What crafted pickles call: each way leaves a folder RAN in the current one."""

import os


def spring(*_, **__):
  os.mkdir('RAN')
  return object()


class Trap:
  """Springs when it is made."""

  def __new__(cls, *args, **named):
    return spring()


class Quiet:
  """Springs when it is given a state or an item."""

  __setstate__ = append = extend = add = __setitem__ = spring


QUIET = Quiet()
