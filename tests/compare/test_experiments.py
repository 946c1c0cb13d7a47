"""The rows of a table: how they are written, what their runs are, and which may stand together."""

import pathlib
import subprocess
import sys

import pytest

from i2vjax.cli import parse
from i2vjax.compare import experiments

ROOT = pathlib.Path(__file__).parents[2]
CYCLEGAN, CUT, I2VGAN = (str(ROOT / 'configs' / f'{name}.py') + ':demo'
                         for name in ('cyclegan', 'cut', 'i2vgan'))


def line_up(tmp_path, *rows, seeds=(0, 1), common=()):
  return experiments.plan(tmp_path, [experiments.parse_row(row) for row in rows], seeds, common,
                     parse.row_config)


# ---- rows -------------------------------------------------------------------------------------


def test_rows_have_names_and_overrides():
  row = experiments.parse_row('I2V-GAN, no INS=configs/i2vgan.py:demo --config.weights.ins=0')
  assert row == experiments.Row('I2V-GAN, no INS', 'configs/i2vgan.py:demo',
                           ('--config.weights.ins=0',))
  assert experiments.slug(row.name) == 'i2v-gan-no-ins'
  assert experiments.parse_row('configs/cut.py:demo').name == 'cut demo'
  assert experiments.parse_row('configs/cut.py --config.nce.tau=1').name == 'cut nce.tau=1'


@pytest.mark.parametrize('text', ['', 'name=', '--config.x=1', 'a=configs/cut.py --weights.x=1'])
def test_rows_that_cannot_be_read_show_how_they_are_written(text):
  with pytest.raises(ValueError, match="write --row 'NAME=configs"):
    experiments.parse_row(text)


def test_common_overrides_reach_every_row_and_a_row_has_the_last_word(tmp_path):
  items = line_up(tmp_path, CUT, f'mine={CUT} --config.weights.nce=3', seeds=(4,),
                  common=('--config.weights.nce=2', '--config.train.steps=5'))
  assert [item.config.weights.nce for item in items] == [2, 3]
  assert [(item.total, item.seed, item.config.seed) for item in items] == [(5, 4, 4)] * 2


def test_first_seed_of_all_rows_comes_first(tmp_path):
  items = line_up(tmp_path, CYCLEGAN, CUT, seeds=(1, 0))
  assert [item.workdir.name for item in items] == ['cyclegan-demo-1', 'cut-demo-1',
                                                   'cyclegan-demo-0', 'cut-demo-0']


def test_epochs_are_counted_in_steps(tmp_path):
  item, = line_up(tmp_path, CYCLEGAN, seeds=(0,), common=(
      '--config.train.steps=0', '--config.train.epochs=3', '--config.train.epochs_decay=0',
      '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=5'))
  assert item.total == 3 * 10 // 2


def test_planning_leaves_the_device_to_the_runs():
  """Fresh interpreter: an accelerator that this process held could not be used by its children."""
  code = ('import pathlib; from jax._src import xla_bridge; from i2vjax import main; '
          'from i2vjax.cli import parse; '
          'from i2vjax.compare import experiments; '
          f'items = experiments.plan(pathlib.Path("x"), [experiments.parse_row({CUT!r})], [0], [], '
          'parse.row_config); experiments.check_alike(items, False); '
          'print(xla_bridge.backends_are_initialized())')
  said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                        check=True)
  assert said.stdout.strip() == 'False'


# ---- what may stand in one table --------------------------------------------------------------


@pytest.mark.parametrize(('field', 'value'), [
    ('data.crop_size', '32'), ('data.scenes.camera', 'monitoring'), ('data.scenes.size', '40'),
    ('eval.max_clips', '1'), ('train.steps', '7')])
def test_other_data_length_or_protocol_is_refused_by_name(tmp_path, field, value):
  items = line_up(tmp_path, CUT, f'other={CUT} --config.{field}={value}')
  name = field.split('.')[-1]
  with pytest.raises(ValueError, match=f'{name}.* in cut demo .*{value}.* in other'):
    experiments.check_alike(items, False)
  assert experiments.check_alike(items, True)[0].startswith('Not comparable: ')


def test_what_belongs_to_a_method_is_noted_only(tmp_path):
  items = line_up(tmp_path, CUT, I2VGAN, common=('--config.data.scenes.size=64',
                                                 '--config.train.steps=5'))
  notes = experiments.check_alike(items, False)
  assert 'data.batch is 2 in cut demo and 1 in i2vgan demo' in notes
  assert not any('Not comparable' in note for note in notes)


def test_a_size_and_its_pair_are_the_same(tmp_path):
  items = line_up(tmp_path, CUT, f'pair={CUT} --config.data.crop_size=(64,64)')
  assert experiments.check_alike(items, False) == []
