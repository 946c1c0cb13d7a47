"""The layouts of the published sets, by small made-up copies."""

import json

import numpy as np
import pytest
from made_sets import SHAPE, build, pair, put, read, strip, values
from PIL import Image

from i2vjax.data.prepare import published
from i2vjax.data.prepare.published import night_lists, places, streets
from i2vjax.data.sources import alignment
from i2vjax.data.transforms import shaping

# Toy folders do not have the published numbers of frames, which is said each time.
pytestmark = pytest.mark.filterwarnings('ignore:.*published are')


# ---- the layouts --------------------------------------------------------------------------------


def test_irvi_takes_a_scene_or_the_union_of_five(tmp_path):
  for k in range(1, 6):
    pair(tmp_path / f'in/IRVI/Monitoring/sub-{k}', first=40 * k)
  assert build(tmp_path, 'irvi/monitoring_sub2')[1] == dict.fromkeys(
      ('train_a', 'train_b', 'test_a', 'test_b'), 2)
  assert values(read(tmp_path, 'irvi/monitoring_sub2', domain='b')) == [90, 91]
  build(tmp_path, 'irvi/monitoring_all')
  frames = read(tmp_path, 'irvi/monitoring_all')
  assert [clip[0] for clip in frames.clips] == [f'sub{k}' for k in range(1, 6)]
  assert values(frames)[2:4] == [80, 81]
  assert not alignment.mismatch(*(read(tmp_path, 'irvi/monitoring_all', 'test', x) for x in 'ab'))


def test_infrared_city_shares_the_visible_frames_of_a_scene(tmp_path):
  for k, sky in enumerate(('clearday', 'overcast')):
    for j, name in enumerate(('trainA', 'testA')):
      put(tmp_path / 'in/City' / sky / name, ['1.png'], 10 * k + j)
  put(tmp_path / 'in/City/trainB', ['1.png', '2.png'], 50)
  assert build(tmp_path, 'infrared_city_lite/city_overcast')[1] == {
      'train_a': 1, 'test_a': 1, 'train_b': 2}
  assert values(read(tmp_path, 'infrared_city_lite/city_overcast')) == [10]
  assert build(tmp_path, 'infrared_city_lite/city')[1] == {'train_a': 2, 'test_a': 2, 'train_b': 2}


def test_infrared_city_takes_scenes_beside_each_other_too(tmp_path):
  for name in ('trainA', 'trainB'):
    put(tmp_path / 'in/highway_clearday' / name, ['1.png'])
  assert build(tmp_path, 'infrared_city_lite/highway_clearday')[1] == {'train_a': 1, 'train_b': 1}


def test_the_whole_infrared_city_and_its_bad_weather(tmp_path):
  for k, name in enumerate(('Nighttime Infrared', 'Daytime Visible', 'Nighttime Visible')):
    put(tmp_path / 'in' / name / 'clip', ['1.png', '2.png'][:k + 1])
  assert build(tmp_path, 'infrared_city')[1] == {'train_a': 1, 'train_b': 2, 'night': 2}
  put(tmp_path / 'in/rain/trainA', ['1.png'])
  assert build(tmp_path, 'infrared_city_adverse/rain')[1] == {'train_a': 1}


def test_recycle_gan_cuts_its_strips_and_finds_the_only_pair(tmp_path):
  for name in ('trainA', 'trainB'):
    for k in range(2):
      strip(tmp_path / f'in/flowers/rose_lily/{name}/{k}.png', k, k + 1, k + 2)
  put(tmp_path / 'in/flowers/rose_lily/testA', ['1.png', '2.png'], shape=(8, 8, 1))
  with pytest.warns(UserWarning, match='look like the training frames'):
    counts = build(tmp_path, 'recycle_gan/flowers')[1]
  assert counts == {'train_a': 6, 'train_b': 6, 'test_a': 2}
  assert values(read(tmp_path, 'recycle_gan/flowers')) == [0, 1, 2, 1, 2, 3]
  assert read(tmp_path, 'recycle_gan/flowers', 'test').clips == [('testA', 0, 2)]
  pair(tmp_path / 'in/flowers/a_b', shape=(8, 8, 1))
  with pytest.raises(ValueError, match='2 pairs: say which, as in recycle_gan/flowers_a_b'):
    build(tmp_path, 'recycle_gan/flowers_9x9')


def lists(folder, name, **parts):
  folder.mkdir(parents=True, exist_ok=True)
  for part, names in parts.items():
    (folder / f'{name}_{part}_list.txt').write_text('\n'.join(names) + '\n')


def put_flir(tmp_path):
  for part, number in (('train', 1), ('train', 2), ('val', 9001), ('val', 9002)):
    stem = f'in/{part}/{{}}/FLIR_{number:05d}'
    put(tmp_path, [stem.format('thermal_8_bit') + '.jpeg'], 60 + number % 10, (512, 640, 1))
    put(tmp_path, [stem.format('RGB') + '.jpg'], 160 + number % 10, (512, 640, 3))
  lists(tmp_path / 'in/img_list', 'FLIR', trainA=['FLIR_00001.png'], trainB=['FLIR_00002.png'],
        testA=['FLIR_09001.png'], testB=['FLIR_09002.png', 'FLIR_09001.png'])
  (tmp_path / 'in/val/thermal_annotations.json').write_text(json.dumps({
      'images': [{'id': 5, 'file_name': 'thermal_8_bit/FLIR_09002.jpeg'}],
      'annotations': [{'image_id': 5, 'bbox': [320, 256, 64, 128], 'category_id': 3},
                      {'image_id': 5, 'bbox': [0, 0, 20, 20], 'category_id': 1}]}))


def test_flir_goes_by_the_lists_with_the_domains_turned(tmp_path):
  put_flir(tmp_path)
  counts = build(tmp_path, 'flir_ntir2dc')[1]
  assert counts == {'train_a': 1, 'train_b': 1, 'test_a': 2, 'test_b': 1}
  thermal, color, test = (read(tmp_path, 'flir_ntir2dc', *x) for x in (
      ('train', 'a'), ('train', 'b'), ('test', 'a')))
  assert abs(values(thermal)[0] - 62) <= 1 and abs(values(color)[0] - 161) <= 1
  assert color.read(0)['frame'].shape == (288, 360, 3)
  assert test.clips == [('FLIR_09002', 0, 1), ('FLIR_09001', 1, 1)]
  # 640x512 -> 500x400 -> less 70 and 56; the box in the corner is cut off
  np.testing.assert_allclose(test.read(0)['boxes'], [[180, 144, 230, 244, 3]])
  assert test.read(1)['boxes'].shape == (0, 5)


def test_flir_names_a_list_and_a_picture_that_are_missing(tmp_path):
  put_flir(tmp_path)
  (tmp_path / 'in/train/RGB/FLIR_00001.jpg').unlink()
  with pytest.raises(FileNotFoundError, match=r'1 of 1 pictures .* FLIR_00001.png'):
    build(tmp_path, 'flir_ntir2dc')
  (tmp_path / 'in/img_list/FLIR_trainA_list.txt').unlink()
  with pytest.raises(FileNotFoundError, match=r'lacks FLIR_trainA_list.txt'):
    build(tmp_path, 'flir_ntir2dc')


def test_kaist_names_are_found_and_test_frames_are_cut_only(tmp_path):
  for set_, camera, value in ((0, 'visible', 10), (3, 'lwir', 20), (4, 'lwir', 30)):
    put(tmp_path / f'in/set{set_:02d}/V001/{camera}', ['I02120.jpg'], value, (512, 640, 3))
  lists(tmp_path / 'in', 'KAIST', trainA=['set0_1_I02120.png'], trainB=['set3_1_I02120.png'],
        testB=['set4_1_I02120.png'])
  assert build(tmp_path, 'kaist_ntir2dc')[1] == {'train_a': 1, 'train_b': 1, 'test_a': 1}
  splits = published.builder('kaist_ntir2dc', tmp_path).layout(tmp_path / 'in', 'test_resized')
  assert (splits['test_a'].resize, splits['test_a'].crop) == ((400, 500), (56, 70, 288, 360))
  assert [values(read(tmp_path, 'kaist_ntir2dc', *x)) for x in (
      ('train', 'a'), ('train', 'b'), ('test', 'a'))] == [[20], [10], [30]]
  index = json.loads((tmp_path / 'out/kaist_ntir2dc/default/1.0.0/clips.json').read_text())
  assert (index['test_a']['resize'], index['test_a']['crop']) == (None, [112, 140, 288, 360])
  with pytest.raises(ValueError, match='set4-1.png in a list of KAIST'):
    night_lists.kaist_path(lambda name: tmp_path, 'set4-1.png', 'lwir')


def put_viper(folder, number, labels=False, flow=False):
  stem = f'001/001_{number:05d}'
  put(folder / 'img', [f'{stem}.png'], number)
  if labels:
    label = Image.fromarray(np.full(SHAPE[:2], 24, np.uint8))
    label.putpalette([9] * 768)
    (folder / 'cls/001').mkdir(parents=True, exist_ok=True)
    label.save(folder / f'cls/{stem}.png')
  for name, value in (('flow', number), ('flowbw', -number)) if flow else ():
    (folder / name / '001').mkdir(parents=True, exist_ok=True)
    plane = np.full(SHAPE[:2], value, np.float16)
    plane[0, 0] = np.nan
    np.savez(folder / name / f'{stem}.npz', u=plane, v=plane)


def test_viper_takes_runs_of_frames_that_have_what_is_asked(tmp_path):
  for number in (1, 2, 4, 5, 6):
    put_viper(tmp_path / 'in/train', number, labels=number != 5, flow=number > 3)
  counts = [build(tmp_path, f'viper/{name}')[1]['train'] for name in ('img', 'img_cls', 'img_flow')]
  assert counts == [5, 4, 3]
  frames = read(tmp_path, '', train_a='viper/img:train')
  assert frames.clips == [('001_000', 0, 2), ('001_001', 2, 3)]
  assert 'label' not in frames.read(0) and not frames.has_flow
  frames = read(tmp_path, '', train_a='viper/img_cls:train')
  assert [clip[1:] for clip in frames.clips] == [(0, 2), (2, 1), (3, 1)]
  assert (frames.read(2)['label'] == 13).all()                  # car among the Cityscapes train ids
  flow = read(tmp_path, '', train_a='viper/img_flow:train').flow(0)   # between frames 4 and 5
  assert flow['forward'][1, 1].tolist() == [4, 4] and flow['backward'][1, 1].tolist() == [-5, -5]
  assert flow['forward_visible'][0, 0] == 0 and flow['forward_visible'][1, 1] == 1
  assert np.isnan(flow['forward'][0, 0]).all() and np.isfinite(flow['forward'][1:]).all()


def test_labels_and_motion_follow_a_smaller_size(tmp_path):
  for number in (1, 2):
    put_viper(tmp_path / 'in/train', number, labels=True, flow=True)
  for name in ('img_cls_6x4', 'img_flow_6x4'):
    build(tmp_path, f'viper/{name}')
  label = read(tmp_path, '', train_a='viper/img_cls_6x4:train').read(0)['label']
  assert label.shape == (4, 6) and (label == 13).all()
  flow = read(tmp_path, '', train_a='viper/img_flow_6x4:train').flow(0)['forward']
  np.testing.assert_allclose(flow[2, 3], [0.5, 0.5])


def test_motion_of_other_names_is_read_or_its_fields_are_told(tmp_path):
  np.savez(tmp_path / 'one.npz', flow=np.ones((4, 5, 2), np.float16))
  assert shaping.read_flow((tmp_path / 'one.npz').read_bytes(), 'x')[0].shape == (4, 5, 2)
  np.savez(tmp_path / 'two.npz', depth=np.ones((4, 5), np.float16))
  with pytest.raises(ValueError, match=r'x: motion is expected .* it holds depth \(4, 5\)'):
    shaping.read_flow((tmp_path / 'two.npz').read_bytes(), 'x')


def test_cityscapes_is_cut_at_jumps_and_after_thirty_frames(tmp_path):
  names = [f'ulm_000003_{k:06d}_leftImg8bit.png' for k in (*range(1, 33), 40, 41)]
  names += ['ulm_000004_000042_leftImg8bit.png']
  clips = cityscapes(tmp_path, names)
  assert [(name, len(pictures)) for name, pictures, _ in clips] == [
      ('ulm_000003_000001', 30), ('ulm_000003_000031', 2), ('ulm_000003_000040', 2),
      ('ulm_000004_000042', 1)]


def cityscapes(tmp_path, names):
  folder = tmp_path / 'in/leftImg8bit_sequence/train/ulm'
  folder.mkdir(parents=True)
  for name in names:
    (folder / name).write_bytes(b'x')
  return streets.cityscapes_clips(folder.parent)


def test_cityscapes_builds_at_another_size(tmp_path):
  folder = tmp_path / 'in/leftImg8bit_sequence/train/ulm'
  put(folder, ['ulm_000000_000001_leftImg8bit.png', 'ulm_000000_000002_leftImg8bit.png'])
  assert build(tmp_path, 'cityscapes_sequence/6x4')[1] == {'train': 2}
  frames = read(tmp_path, '', train_b='cityscapes_sequence/6x4:train', domain='b')
  assert frames.read(1)['frame'].shape == (4, 6, 1)
  put(folder, ['ulm_1_leftImg8bit.png'])
  with pytest.raises(ValueError, match='is not named CITY_SEQUENCE_FRAME'):
    build(tmp_path, 'cityscapes_sequence/full')


def test_davis_has_masks_as_frames_of_the_same_clips(tmp_path):
  for name, part in (('bear', 'train'), ('dog', 'val')):
    put(tmp_path / f'in/DAVIS/JPEGImages/480p/{name}', ['00000.jpg', '00001.jpg'], 50)
    put(tmp_path / f'in/DAVIS/Annotations/480p/{name}', ['00000.png', '00001.png'])
    lists(tmp_path / 'in/DAVIS/ImageSets/2017', part)
    (tmp_path / f'in/DAVIS/ImageSets/2017/{part}.txt').write_text(f'{name}\n')
  assert build(tmp_path, 'davis2017_frames')[1] == dict.fromkeys(
      ('train', 'train_masks', 'validation', 'validation_masks'), 2)
  data = dict(train_a='davis2017_frames/480p:train', train_b='davis2017_frames/480p:train_masks')
  a, b = (read(tmp_path, '', domain=x, **data) for x in 'ab')
  assert a.clips == [('bear', 0, 2)] and not alignment.mismatch(a, b)
  (tmp_path / 'in/DAVIS/ImageSets/2017/val.txt').write_text('cat\n')
  with pytest.raises(FileNotFoundError, match=r'480p/cat, which .*val.txt names'):
    build(tmp_path, 'davis2017_frames/480p_6x4')


def test_names_are_compared_without_case_and_signs(tmp_path):
  (tmp_path / 'a/Sub-1').mkdir(parents=True)
  assert places.find(tmp_path, ['sub1']) == tmp_path / 'a/Sub-1'
  assert places.find(tmp_path, ['sub1'], depth=1) is None


def test_a_cut_larger_than_the_frame_is_refused():
  with pytest.raises(ValueError, match='frames of 12x8 pixels are smaller than the 360x288'):
    shaping.resize_and_crop({'frame': np.zeros(SHAPE, np.uint8)}, crop=(56, 70, 288, 360))


def test_a_label_file_must_hold_ids(tmp_path):
  put(tmp_path, ['x.png'], shape=(8, 12, 3))
  with pytest.raises(ValueError, match='y is no picture of class ids'):
    shaping.read_label((tmp_path / 'x.png').read_bytes(), 'y')
  with pytest.raises(ValueError, match='y cannot be decoded'):
    shaping.read_label(b'x', 'y')


