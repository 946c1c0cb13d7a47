"""Targets by name, cases by name, and the shapes of what is compiled for them."""

import importlib.util

import jax
import numpy as np
import pytest

from i2vjax import methods
from i2vjax.bench import ahead, cases, program, targets
from i2vjax.core import backend
from i2vjax.core.errors import UserError
from i2vjax.data.loader import batches
from i2vjax.methods import base
from i2vjax.networks import conv


@pytest.mark.parametrize(('text', 'kind', 'devices'), [
    ('h100', 'gpu', 1), ('h100:8', 'gpu', 8), ('v5e:1x1', 'tpu', 1), ('v5e:2x4', 'tpu', 8),
    ('v4:2x2x4', 'tpu', 16), ('v6e:4x4', 'tpu', 16)])
def test_targets_by_name(text, kind, devices):
  target = targets.parse(text)
  assert (target.chip.platform, target.devices) == (kind, devices)


@pytest.mark.parametrize(('text', 'said'), [
    ('a100', 'choose here, or one of h100'), ('h100:0', 'write h100, or h100:8'),
    ('v5e', 'has 2 sides, as in v5e:2x4'), ('v4:2x2', 'has 3 sides'), ('v5e:0x4', 'has 2 sides')])
def test_other_targets_are_refused(text, said):
  with pytest.raises(UserError, match=said):
    targets.parse(text)


@pytest.mark.parametrize(('text', 'said'), [('v5e:2x4', r"'i2vjax\[bench\]'"),
                                            ('h100', r"'i2vjax\[cuda\]'")])
def test_a_missing_compiler_is_named_with_the_remedy(text, said, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=said):
    targets.open_devices(targets.parse(text))


def test_what_is_traced_for_a_target_takes_its_forms():
  assert conv.settled('auto') == 'fast'
  with targets.compiling_for(targets.parse('v5e:1x1')):
    assert (conv.settled('auto'), backend.name()) == ('plain', 'tpu')
  assert conv.settled('auto') == 'fast'


# ---- Cases


def test_a_case_needs_no_files():
  case = cases.case('i2vgan')
  assert (case.config.perceptual, case.config.backbone) == ('random', 'none')
  assert cases.case('cptrans').config.backbone == 'none'
  assert cases.case('mocyclegan').config.flow.name == 'tvl1'


def test_what_is_asked_for_stays():
  asked = ('--config.perceptual=none', '--config.data.crop_size=64')
  from i2vjax.cli import parse
  config = cases.case('i2vgan', asked, parse.row_config).config
  assert (config.perceptual, config.data.crop_size) == ('none', 64)


def test_an_epoch_selects_the_phase():
  assert cases.case('morngan').phase == 'translation'
  assert cases.case('morngan@77').phase == 'frozen'
  with pytest.raises(UserError, match='whole epoch'):
    cases.case('morngan@x')


def test_footage_is_not_read():
  with pytest.raises(UserError, match='on scenes'):
    cases.case('cut:paper')


def test_all_methods_have_a_case():
  assert [case.config.method for case in cases.read(())] == methods.names()


# ---- Shapes


@pytest.mark.parametrize('name', ['cyclegan:demo', 'stc:demo', 'morngan:demo@4'])
def test_shapes_are_those_of_the_loader(name):
  case = cases.case(name)
  config = cases.with_batch(case.config, 2)
  fields = ('flow', 'labels', 'index') if name.startswith('stc') else base.hook(
      methods.get(config.method), 'batch_fields')(config)
  config.data.scenes.update(clips=1, test_clips=1, val_clips=1, clip_length=6)
  real = batches.sample_windows(config, 2, 'train', fields)
  shapes = program.batch_shapes(config, 1, fields)
  assert {name: (x.shape[1:], x.dtype) for name, x in shapes.items()} == {
      name: (np.shape(x), np.asarray(x).dtype) for name, x in real.items()}


def test_a_state_of_shapes_has_a_pool_on_each_device():
  config = cases.case('cyclegan:demo').config
  step = program.step_of(cases.with_batch(config, 8), devices=4)
  state, batch, _ = step.inputs
  assert {x.shape[0] for x in jax.tree.leaves((state.device_state, batch))} == {4}
  assert batch['a'].shape[1] == 2 and sorted(state.ema) == ['gen_ab', 'gen_ba']


# ---- The largest batch


def search(each, fixed, limit, start=1):
  """(largest batch, batches that were tried) where a plan takes fixed + each * batch bytes."""
  tried = []

  def memory(batch):
    tried.append(batch)
    return fixed + each * batch
  return ahead.largest(memory, limit, start), tried


@pytest.mark.parametrize('start', [1, 4, 64])
@pytest.mark.parametrize('limit', [99, 100, 130, 1234])
def test_the_largest_batch_is_found_in_few_tries(limit, start):
  """Plans of 90 + 10 a window."""
  found, tried = search(10, 90, limit, start)
  assert found == (limit - 90) // 10
  assert len(tried) <= 9 and len(tried) == len(set(tried))


def test_plans_that_bend_are_searched_all_the_same():
  assert ahead.largest(lambda b: b**2, 1000) == 31
  assert ahead.largest(lambda b: 100 * (b > 5), 50) == 5
