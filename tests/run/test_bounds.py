"""Numbers that cannot be meant."""

import pytest

from i2vjax import defaults, fields
from i2vjax.core.errors import UserError
from i2vjax.flow import estimate
from i2vjax.metrics import detection, inception_features, segmentation, warping
from i2vjax.run import bounds


def changed(name, value):
  config = defaults.get_config()
  block, _, field = name.rpartition('.')
  with config.ignore_type():
    (config[block] if block else config)[field] = value
  return config


def test_the_defaults_pass():
  bounds.check(defaults.get_config())


@pytest.mark.parametrize('name,value', [
    ('seed', -1), ('data.batch', 0), ('data.frames', 0), ('data.stride', 0),
    ('optim.accumulate', 0), ('train.keep', 0), ('train.steps', -1), ('log.samples', 0),
    ('optim.lr', -1.0), ('data.channels_a', 2),
    ('optim.lr_scale', 'Linear'), ('optim.b1', 1.0), ('optim.b2', -0.1), ('optim.eps', -1.0),
    ('train.ema', 1.0), ('critic.lr', -1.0), ('critic.r1', -1.0), ('init.gain', -0.02),
    ('weights.cycle', -1.0), ('data.max_gap', -1), ('data.scenes.size', -4),
    ('data.scenes.thermal_noise', -1.0), ('data.scenes.heat_spread', -1.0),
    ('data.tone_jitter', 2.0), ('data.scenes.cache_mb', -1), ('data.prefetch', 0),
    ('eval.absent', 'none'), ('eval.ap_style', 'voc'),
    ('eval.fid_mode', 'fid'), ('eval.lpips_net', 'vgg16'), ('eval.warp_kind', 'l1'),
    ('eval.weights', 'none'), ('eval.psnr_cap', -1.0), ('eval.kid_subset_size', 1),
    ('eval.flow', 'gt'), ('eval.classes', "'rode'")])
def test_the_field_and_its_value_are_named(name, value):
  with pytest.raises(ValueError, match=f'{name}={value}'):
    bounds.check(changed(name, value.strip("'") if isinstance(value, str) else value))


@pytest.mark.parametrize('name', ['eval.epochs', 'eval.kid_degrees'])
@pytest.mark.parametrize('value', [(0,), (3, -1), (2.5,)])
def test_lists_that_count_begin_at_one(name, value):
  with pytest.raises(UserError, match=rf'{name}=\[.*from 1 on'):
    bounds.check_values(changed(name, value))


def test_kid_has_a_degree_and_checkpoints_of_epochs_need_not_be():
  bounds.check(changed('eval.epochs', ()))
  with pytest.raises(UserError, match=r'eval.kid_degrees=\[\]'):
    bounds.check(changed('eval.kid_degrees', ()))


@pytest.mark.parametrize('name,values', [
    ('eval.absent', segmentation.ABSENT), ('eval.ap_style', detection.STYLES),
    ('eval.fid_mode', inception_features.MODES), ('eval.warp_kind', warping.KINDS),
    ('eval.flow', ('auto', *estimate.LEARNED, *estimate.COMPUTED))])
def test_choices_are_those_of_the_code(name, values):
  assert set(fields.choices(name)) == set(values)
