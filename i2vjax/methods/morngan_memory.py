"""MornGAN's memory: which thermal windows hold what is rare, for memory-guided sample selection.

As the last phase begins every thermal window is looked at once. The table says what each holds of
rare classes; the feed then gives each window of b one of the most alike windows of a. S_a stands
still in that phase, so that a window's labels do not depend on when they are mined; where they need
S_b's word on the translation too, it is that of now.
"""

import jax
import numpy as np

from i2vjax.core import ops, parallel
from i2vjax.losses import pseudo_labels

NETWORKS = ('seg_a', 'seg_b', 'gen_ab')


def batches(model, feed, state, step, mined, phases):
  """The feed from `step` on: by the memory in the last phase, any pairs before.

  Args:
    model, feed, state, step: of the hook (base.py).
    mined: `morngan.mined`. phases: `morngan.phases`.
  """
  first = max(begin for begin, _ in phases(model.config) if begin <= step)

  def make():
    if model.phase[0] != 'frozen' or not model.config.memory.use:
      return None
    params = parallel.to_host({name: state.params[name] for name in NETWORKS})
    return table(model, params, feed.sweep(), mined)
  return feed.with_pairs(feed.kept_pairs(first, make, known=step > first))


def table(model, params, windows, mined):
  """What each window of a holds of rare classes (`memory_sampling.MemorySampler`).

  Args:
    params: of `NETWORKS`.
    windows: batches of `batches.sweep`, frames as floats.
    mined: `morngan.mined`.

  Returns:
    {'vector' [N, K], 'corner' [N, 2], 'classes' [K], 'top'}.
  """
  config = model.config

  @jax.jit
  def look(params, clips):
    def sure(name, images):
      return jax.nn.softmax(model.apply(params, name, images))
    frames = ops.fold(clips)
    labels = mined(config, 'frozen', frames, sure('seg_a', frames),
                   lambda: sure('seg_b', model.apply(params, 'gen_ab', frames)))
    whole = labels.reshape(len(clips), -1, labels.shape[-1])   # frames one below the other
    return pseudo_labels.rare_direction(whole, config.classes.small)
  seen = [(part['index'], part['corner'], look(params, part['a'])) for part in windows]
  index, corner, vector = map(np.concatenate, zip(*seen, strict=True))
  _, once = np.unique(index, return_index=True)   # the last batch was filled up
  return {'vector': vector[once], 'corner': corner[once],
          'classes': np.array(config.classes.small), 'top': np.array(config.memory.top_k)}
