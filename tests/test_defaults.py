"""The table of config fields and the questions it answers."""

import pathlib

import pytest

from i2vjax import defaults, fields
from i2vjax.cli import parse
from i2vjax.run import folder

CONFIGS = sorted((pathlib.Path(__file__).parents[1] / 'configs').glob('*.py'))


def fields_of(path):
  """{field: value} of all variants that every config has."""
  flat = {}
  for variant in ('', ':paper', ':demo'):
    flat |= folder.flatten(parse.row_config([f'--config={path}{variant}']))
  return flat


def test_the_table_names_fields_that_exist():
  known = set(folder.flatten(defaults.get_config()))
  for path in CONFIGS:
    known |= set(fields_of(path))
  for name in fields.FIELDS:
    assert any(field == name or name.endswith('.') and field.startswith(name) for field in known), (
        name)


def test_roles_are_the_five_that_exist():
  assert {field.role for field in fields.FIELDS.values()} == {
      'state', 'length', 'score', 'output', 'speed'}


def test_an_entry_of_its_own_counts_before_its_block():
  assert fields.field('train.keep') is fields.FIELDS['train.keep']
  assert fields.field('train.per_epoch') is fields.FIELDS['train.']
  assert fields.field('data.scenes.camera') is fields.FIELDS['data.scenes.']
  assert fields.field('optim.lr_by_backbone.vit') is fields.FIELDS['optim.lr_by_backbone.']


@pytest.mark.parametrize('name', [
    'log.every', 'eval.metrics', 'remat', 'pretrained_dir', 'data.threads', 'data.cache_dir',
    'data.scenes.cache_mb', 'train.steps', 'train.ema', 'train.keep', 'optim.lr',
    'optim.lr_by_backbone.vit'])
def test_lengths_speed_output_and_scores_may_change_on_resume(name):
  assert fields.may_change_on_resume(name)


@pytest.mark.parametrize('name', [
    'method', 'seed', 'variant', 'compute', 'precision', 'backbone', 'weights.cycle', 'gan.pool',
    'init.kind', 'optim.b1', 'optim.accumulate', 'train.init_from', 'data.batch', 'data.crop_size',
    'data.scenes.camera', 'gen.width', 'co.ratio', 'of_a_new_method.x'])
def test_what_is_trained_may_not(name):
  assert not fields.may_change_on_resume(name)


@pytest.mark.parametrize('name', [
    'method', 'backbone', 'gen.width', 'disc.layers', 'pred.downs', 'proj.width', 'seg.width',
    'vit.image_size', 'flow.name', 'nce.width', 'fuse.width', 'motion.blocks', 'data.channels_a',
    'data.channels_b', 'data.crop_size', 'data.frames', 'of_a_new_method.width'])
def test_blocks_of_a_method_shape_networks_without_being_listed(name):
  assert fields.shapes_networks(name)


@pytest.mark.parametrize('name', [
    'seed', 'weights.cycle', 'gan.pool', 'init.gain', 'optim.lr', 'train.steps', 'log.every',
    'eval.batch', 'data.batch', 'data.load_size', 'data.frames_per_image', 'data.scenes.size'])
def test_run_level_fields_do_not(name):
  assert not fields.shapes_networks(name)


def test_rows_of_a_table_share_data_and_protocol_and_note_what_a_method_chooses():
  same = ('data.source', 'data.task', 'data.paired', 'data.channels_b', 'data.crop_size',
          'data.prepare.crop', 'data.scenes.camera', 'data.scenes.val_clips', 'eval.metrics',
          'eval.fid_mode')
  noted = ('data.batch', 'data.frames', 'data.stride', 'data.load_size', 'data.flip',
           'data.flip_time', 'data.tone_jitter', 'data.scenes.heat_spread',
           'data.finetune_no_crop', 'data.channels_a', 'backbone', 'perceptual',
           'compute', 'precision', 'train.decay_fraction', 'train.ema', 'train.init_from',
           'eval.kid_degrees', 'eval.stretch')
  neither = ('data.threads', 'data.prefetch', 'data.workers', 'data.cache_dir', 'eval.every',
             'data.scenes.cache_mb', 'data.scenes.size', 'eval.batch', 'eval.epochs', 'seed',
             'eval.paper_scale',
             'weights.cycle', 'gen.width', 'train.steps', 'data.edges_a')
  assert all(map(fields.must_agree_in_table, same))
  assert not any(map(fields.must_agree_in_table, noted + neither))
  assert all(map(fields.noted_in_table, noted))
  assert not any(map(fields.noted_in_table, same + neither))


def test_a_runs_folder_may_differ_from_its_row_but_for_what_was_trained():
  assert all(map(fields.may_differ_in_folder, (
      'log.every', 'eval.metrics', 'eval.every', 'remat', 'data.threads', 'train.checkpoint_steps',
      'train.checkpoint_minutes', 'train.keep', 'train.best')))
  assert not any(map(fields.may_differ_in_folder, (
      'train.steps', 'train.ema', 'optim.lr', 'data.batch', 'weights.cycle')))


def test_the_scene_segmenter_depends_on_what_frames_look_like():
  seen = ['source', 'direction', 'task', 'paired', 'load_size', 'crop_size', 'resize',
          'channels_b', 'scenes.size', 'scenes.camera']
  assert all(fields.seen_by_segmenter(f'data.{name}') for name in seen)
  unseen = ['channels_a', 'batch', 'threads', 'scenes.val_clips', 'scenes.cache_mb']
  assert not any(fields.seen_by_segmenter(f'data.{name}') for name in unseen)


def test_lower_bounds_and_choices():
  assert [fields.lower_bound(name) for name in ('data.batch', 'gen.blocks', 'gan.mode')] == [
      1, 0, None]
  assert set(fields.choices('data.channels_a')) == {1, 3} and not fields.choices('data.batch')
  assert set(fields.choices('optim.lr_scale')) == {'none', 'linear'}   # not 'Linear'


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_every_value_of_every_config_can_be_meant(path):
  for name, value in fields_of(path).items():
    least, most, choices = (ask(name) for ask in (fields.lower_bound, fields.upper_bound,
                                                  fields.choices))
    for number in value if isinstance(value, tuple | list) else (value,):
      if isinstance(number, int | float):
        assert least is None or number >= least, name
        assert most is None or number <= most, name
    assert not choices or value in choices, name
