"""Length and phases of a training run."""


from i2vjax.methods import base


def phase_of(method, config, step):
  """(first step, name) of the phase that `step` belongs to."""
  return [phase for phase in base.hook(method, 'phases')(config) if phase[0] <= step][-1]


def phase_at(method, config, step):
  """Name of the phase that `step` belongs to, with the method's static variant if it has one."""
  _, name = phase_of(method, config, step)
  variant = base.hook(method, 'step_variant')
  return (name, variant(config, step)) if variant else name


def total_steps(config, per_epoch):
  """Length of the run in steps."""
  train = config.train
  return train.steps or (train.epochs + train.epochs_decay) * per_epoch


def epoch_steps(train, per_epoch):
  """Steps in an epoch for phases and terms that begin at one: where the run's length is given in
  steps, its epochs shrink or stretch with it."""
  epochs = train.epochs + train.epochs_decay
  return max(train.steps // max(epochs, 1), 1) if train.steps else per_epoch


def with_steps_per_epoch(config, per_epoch):
  """A copy of the config that knows the steps in an epoch, as `train.per_epoch`."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.train.per_epoch = epoch_steps(config.train, per_epoch)
  return config
