"""Class maps and edge maps beside the records of a published set (FLIR, KAIST)."""

import warnings

import numpy as np
import pytest
from made_sets import build, put
from method_tools import config_of
from PIL import Image

from i2vjax.data import open_source
from i2vjax.data.loader import batches
from i2vjax.methods import morngan, pearlgan

pytestmark = pytest.mark.filterwarnings('ignore:.*published are')
NAMES = {'FLIR': ('FLIR_00001', 'FLIR_00002', 'FLIR_00011'),
         'KAIST': ('set0_1_I02120', 'set0_2_I02120', 'set1_0_I02120')}


def put_set(tmp_path, name):
  """Three color and three thermal training frames, 640x512, under the published names."""
  for k, stem in enumerate(NAMES[name]):
    if name == 'FLIR':
      places = [f'train/{kind}/{stem}.{end}' for kind, end in (('RGB', 'jpg'),
                                                               ('thermal_8_bit', 'jpeg'))]
    else:
      number, video, frame = stem.removeprefix('set').split('_')
      places = [f'set{int(number):02d}/V{int(video):03d}/{camera}/{frame}.jpg'
                for camera in ('visible', 'lwir')]
    for place in places:
      put(tmp_path / 'in', [place], 50 * k, (512, 640, 3))
  for part in ('trainA', 'trainB', 'testA', 'testB'):
    (tmp_path / f'in/{name}_{part}_list.txt').write_text(
        ''.join(f'{stem}.png\n' for stem in NAMES[name]))


def maps(folder, stems, size=(288, 360), first=1):
  folder.mkdir()
  for k, stem in enumerate(stems):
    Image.fromarray(np.full(size, first + k, np.uint8)).save(folder / f'{stem}.png')
  return str(folder)


@pytest.fixture(scope='module', params=['FLIR', 'KAIST'])
def prepared(request, tmp_path_factory):
  """(name, folder of its records)."""
  tmp_path = tmp_path_factory.mktemp('set')
  put_set(tmp_path, request.param)
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    build(tmp_path, f'{request.param.lower()}_ntir2dc')
  return request.param, tmp_path / 'out'


def settings(method, variant, prepared):
  config = config_of(method, variant)
  name, root = prepared
  config.data.update(source='tfds', name=f'{name.lower()}_ntir2dc', root=str(root))
  return config


def labels_of(config):
  """{gray value of the frame: ids of its map}."""
  source = open_source(config.data, 'train', 'b')
  records = [source.read(k) for k in range(len(source))]
  return {round(int(x['frame'][0, 0, 0]) / 50): np.unique(x['label']).tolist() for x in records}


def test_class_maps_by_the_names_of_the_lists(prepared, tmp_path):
  config = settings('morngan', 'paper', prepared)
  config.data.labels_b = maps(tmp_path / 'labels', NAMES[prepared[0]])
  assert labels_of(config) == {0: [1], 1: [2], 2: [3]}
  assert 'labels_b' in morngan.batch_fields(config)
  batch = next(batches.train_iterator(config, 1, fields=('labels_b',)))
  assert batch['labels_b'].shape == (1, 1, 256, 256)
  assert round(int(batch['b'][0, 0, 0, 0, 0]) / 50) + 1 == int(batch['labels_b'].max())


def test_class_maps_of_some_frames_and_at_the_published_size(prepared, tmp_path, capsys):
  config = settings('morngan', 'paper', prepared)
  place = maps(tmp_path / 'labels', NAMES[prepared[0]][1:], (512, 640))
  label = np.full((512, 640), 1, np.uint8)
  label[72:, 90:] = 2                       # 72 and 90 of 512x640 are 56 and 70 of 400x500
  Image.fromarray(label).save(tmp_path / f'labels/{NAMES[prepared[0]][1]}.png')
  config.data.labels_b = place
  assert labels_of(config) == {0: [255], 1: [2], 2: [2]}   # only what the crop shows is left
  assert '2 of 3 frames of TfdsFrames(' in capsys.readouterr().err


def test_edge_maps_in_both_directions(prepared, tmp_path):
  config = settings('pearlgan', 'paper', prepared)
  config.data.edges_a = maps(tmp_path / 'edges', NAMES[prepared[0]], first=10)
  assert pearlgan.batch_fields(config) == ('edges_a',)
  for direction, domain in (('a2b', 'a'), ('b2a', 'b')):
    config.data.direction = direction
    field = f'edges_{domain}'
    for batch, _ in zip(batches.train_iterator(config, 1, fields=(field,)), range(3),
                        strict=False):
      value = round(int(batch[domain][0, 0, 0, 0, 0]) / 50)
      assert (batch[field] == 10 + value).all()


def test_every_frame_needs_an_edge_map(prepared, tmp_path):
  config = settings('pearlgan', 'paper', prepared)
  config.data.edges_b = maps(tmp_path / 'edges', NAMES[prepared[0]][1:])
  with pytest.raises(ValueError, match='frame 0 has no edge map in .* of the same name'):
    open_source(config.data, 'train', 'b')


def test_maps_are_matched_by_number_where_no_name_is_the_same(prepared, tmp_path):
  config = settings('morngan', 'paper', prepared)
  if prepared[0] == 'FLIR':
    config.data.labels_b = maps(tmp_path / 'labels', ['map_00001', 'map_00011'])
    assert labels_of(config) == {0: [1], 1: [255], 2: [2]}
  config.data.labels_b = maps(tmp_path / 'wrong', ['map_7', 'map_8'])
  with pytest.raises(ValueError, match='label map_7 of .* has no frame of that name or number'):
    open_source(config.data, 'train', 'b')


def test_the_baseline_runs_without_maps_and_the_method_asks_for_them(prepared):
  baseline = settings('morngan', 'paper-baseline', prepared)
  assert morngan.batch_fields(baseline) == ()
  assert set(next(batches.train_iterator(baseline, 1, fields=()))) == {
      'a', 'b', 'range_a', 'range_b'}
  whole = settings('morngan', 'paper', prepared)
  with pytest.raises(ValueError, match='--config.data.labels_b=FOLDER'):
    batches.train_iterator(whole, 1, fields=morngan.batch_fields(whole))
