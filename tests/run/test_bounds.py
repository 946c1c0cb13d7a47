"""Numbers that cannot be meant."""

import pytest

from i2vjax import defaults
from i2vjax.run import bounds


def changed(name, value):
  config = defaults.get_config()
  block, _, field = name.rpartition('.')
  (config[block] if block else config)[field] = value
  return config


def test_the_defaults_pass():
  bounds.check(defaults.get_config())


@pytest.mark.parametrize('name,value', [
    ('seed', -1), ('data.batch', 0), ('optim.accumulate', 0), ('train.keep', 0),
    ('train.steps', -1), ('log.samples', 0), ('optim.lr', -1.0), ('data.channels_a', 2),
    ('optim.lr_scale', 'Linear')])
def test_the_field_and_its_value_are_named(name, value):
  with pytest.raises(ValueError, match=f'{name}={value}'):
    bounds.check(changed(name, value))
