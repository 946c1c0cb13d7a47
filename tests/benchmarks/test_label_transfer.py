"""benchmarks/label_transfer.py: frames with their labels, and the whole of it on the street."""

import json
import pathlib

import label_transfer
import numpy as np
import pytest

from i2vjax import data, main
from i2vjax.cli import parse
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.transforms import resize
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]
SMALL = ('--config.data.load_size=36', '--config.data.crop_size=32', '--config.gen.width=4',
         '--config.critic.scales=1',
         '--config.gen.blocks=1', '--config.disc.width=4', '--config.data.scenes.size=32',
         '--config.data.scenes.clips=2', '--config.data.scenes.test_clips=1',
         '--config.data.scenes.clip_length=4')
CUT = str(ROOT / 'configs/cut.py') + ':demo'


def config(*more):
  return parse.row_config([f'--config={CUT}', *SMALL, *more])


def fresh(*more):
  return load.fresh(config(*more))


def test_translations_go_with_the_labels_of_their_source_frames():
  run = fresh()
  shown, fake, truth = label_transfer.labeled_source(run, 4)
  assert shown.shape == fake.shape == (4, 32, 32, 3) and shown.dtype == fake.dtype == np.uint8
  source = data.open_source(run.config.data, 'train', 'a')
  for k, index in enumerate(np.linspace(0, len(source) - 1, 4).astype(int)):
    np.testing.assert_array_equal(truth[k],
                                  resize.resize_labels(source.read(index)['label'], (32, 32)))
  assert not np.array_equal(shown, fake)


def put_target(folder):
  for k in range(3):
    images.write_image(folder / f'frames/{k}.png', np.full((32, 32, 3), 50 * k, np.uint8))
  images.write_image(folder / 'labels/1.png', np.full((32, 32, 1), 26, np.uint8))   # car, label id


def options(*more):
  return label_transfer.parser().parse_args(['--runs', 'x', '--output', 'y', *more])


def test_real_frames_with_labels_come_from_folders(tmp_path):
  put_target(tmp_path)
  given = options('--target_frames', str(tmp_path / 'frames'), '--target_labels',
                  str(tmp_path / 'labels'), '--label_map', 'label_ids')
  frames, truth = label_transfer.labeled_target(config(), given)
  assert frames.shape == (1, 32, 32, 3) and (frames == 50).all() and (truth == 13).all()


def test_frames_without_labels_are_told(footage):
  run = fresh('--config.data.source=folders', f'--config.data.root={footage}')
  with pytest.raises(UserError, match='has no labels: take records with them'):
    label_transfer.labeled_source(run, 2)


@pytest.mark.slow
def test_the_table_of_a_run_on_the_street(tmp_path):
  workdir = tmp_path / 'cut-0'
  assert main.main(['i2vjax', '--config', CUT, '--workdir', str(workdir), *SMALL,
                    '--config.train.steps=1', '--show=false']) == 0
  output = tmp_path / 'table'
  arguments = ['--runs', str(workdir), '--output', str(output), '--frames', '4', '--steps', '2']
  label_transfer.main(arguments)
  rows = json.loads((output / 'table.json').read_text())['rows']
  assert list(rows) == ['source alone', 'cut-0', 'target itself']
  assert all(0 <= row['miou'] <= 1 for row in rows.values())
  with pytest.raises(UserError, match='holds a table already'):
    label_transfer.main(arguments)
