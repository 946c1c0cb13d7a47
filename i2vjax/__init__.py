"""i2vjax: infrared video into daylight color video, learned from unpaired footage.

  import i2vjax
  day = i2vjax.load('starter').translate(frames)          # or a path; docs/python.md
  run = i2vjax.train('cptrans:demo', 'runs/mine')

Shapes: B clips, T frames, H W C; h w feature maps; S sampled patches, N all patches. Frames are
NHWC float32 in [-1, 1] on the device and uint8 (or uint16, thermal) on the host. Domain `a` is the
source (infrared), domain `b` the target (visible).
"""

import importlib
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from i2vjax.api import Translator, add_methods, config, facts, load, score

__version__ = '0.1.0'
__all__ = ['Translator', 'add_methods', 'config', 'facts', 'load', 'score', 'train']


class Door(types.ModuleType):
  """The module `i2vjax.train`, which can be called too: that is `api.train`.

  A function of that name would hide the module, or be hidden by it, whichever came last.
  """

  def __call__(self, *args: Any, **kwargs: Any) -> Any:
    return importlib.import_module('i2vjax.api').train(*args, **kwargs)


def __getattr__(name: str) -> Any:
  """What `__all__` names, imported when it is first asked for: JAX takes seconds."""
  if name == 'train':
    return importlib.import_module('i2vjax.train')
  if name in __all__:
    return getattr(importlib.import_module('i2vjax.api'), name)
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
  return sorted([*globals(), *__all__])
