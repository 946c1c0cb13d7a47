"""MornGAN's memory-guided sample selection: which thermal windows show rare classes.

As the last phase begins every thermal window is segmented once. The table says what each holds of
rare classes; the feed then gives each window of b one of the windows of a that are most like it.
S_a is frozen in that phase, so that a window's labels do not depend on when they are mined; where
they also need S_b, it reads the translation by the generator of that moment.
"""

import jax
import numpy as np

from i2vjax.core import ops, parallel, precision
from i2vjax.losses import pseudo_labels

NETWORKS = ('seg_a', 'seg_b', 'gen_ab')


def training_feed(model, feed, state, step, mined, phases):
  """The feed from `step` on: by the memory in the last phase, any pairs before.

  Args:
    model, feed, state, step: as the hook `training_feed` gets them (base.py).
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
  def rare_classes(params, clips):
    def probabilities(name, images):
      with precision.of(config):
        return jax.nn.softmax(model.apply(params, name, images))
    frames = ops.fold(clips)
    labels = mined(config, 'frozen', frames, probabilities('seg_a', frames),
                   lambda: probabilities('seg_b', model.apply(params, 'gen_ab', frames)))
    whole = labels.reshape(len(clips), -1, labels.shape[-1])   # frames one below the other
    return pseudo_labels.rare_direction(whole, config.classes.small)
  rows = [(batch['index'], batch['corner'], rare_classes(params, batch['a'])) for batch in windows]
  index, corner, vector = map(np.concatenate, zip(*rows, strict=True))
  _, once = np.unique(index, return_index=True)   # the last batch was filled up
  return {'vector': vector[once], 'corner': corner[once],
          'classes': np.array(config.classes.small), 'top': np.array(config.memory.top_k)}
