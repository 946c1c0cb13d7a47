"""Length and phases of a training run.

A phase is (first step, name), as the hook `phases` gives it: what is trained changes from one to
the next (MornGAN's segmenters start late, its memory later). Most methods have one.
"""

from collections.abc import Hashable

from ml_collections import ConfigDict

from i2vjax.methods import base


def phase_of(method: base.Method, config: ConfigDict, step: int) -> tuple[int, str]:
  """(first step, name) of the phase that `step` belongs to."""
  return [phase for phase in base.hook(method, 'phases')(config) if phase[0] <= step][-1]


def program_key(method: base.Method, config: ConfigDict, step: int) -> Hashable:
  """What the compiled program of this step is chosen by. The method sees it as `model.phase`.

  It is the name of the phase. For a method with the hook `step_variant` it is a pair: the name of
  the phase, and the choice for this step.
  """
  _, name = phase_of(method, config, step)
  variant = base.hook(method, 'step_variant')
  return (name, variant(config, step)) if variant else name


def total_steps(config: ConfigDict, per_epoch: int) -> int:
  """Length of the run in steps."""
  train = config.train
  return train.steps or (train.epochs + train.epochs_decay) * per_epoch


def epoch_steps(train: ConfigDict, per_epoch: int) -> int:
  """Steps in an epoch for phases and loss terms that begin at one.

  Where `train.steps` gives the length of the run, its epochs shrink or stretch with it.

  Args:
    train: config block.
    per_epoch: steps in an epoch of the data.
  """
  epochs = train.epochs + train.epochs_decay
  return max(train.steps // max(epochs, 1), 1) if train.steps else per_epoch


def steps_of_epochs(config: ConfigDict, per_epoch: int) -> dict[int, int]:
  """{epoch: its last step} of `eval.epochs`, in order; those beyond the end are left out.

  Args:
    config: of the run. per_epoch: steps in an epoch of the data.
  """
  length, total = epoch_steps(config.train, per_epoch), total_steps(config, per_epoch)
  return {epoch: epoch * length for epoch in sorted(set(config.eval.epochs))
          if epoch * length <= total}


def with_steps_per_epoch(config: ConfigDict, per_epoch: int) -> ConfigDict:
  """A copy of the config with the steps in an epoch as `train.per_epoch`, which methods read."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.train.per_epoch = epoch_steps(config.train, per_epoch)
  return config
