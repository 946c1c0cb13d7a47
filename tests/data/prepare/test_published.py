"""The layouts of the published sets, by small made-up copies."""

import json

import cv2
import numpy as np
import pytest
from made_sets import SHAPE, build, pair, put, read, strip, values
from PIL import Image

from i2vjax.data.prepare import published
from i2vjax.data.prepare.published import infrared_city, night_lists, places, streets
from i2vjax.data.sources import alignment
from i2vjax.data.transforms import shaping
from i2vjax.metrics import boxes

# Toy folders do not have the published numbers of frames, which is said each time.
pytestmark = pytest.mark.filterwarnings('ignore:.*published are', 'ignore:.*are in no thermal')


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


def triplets(folder, first=0, count=2):
  for j, name in enumerate(('trainA', 'trainB')):
    for k in range(count):
      strip(folder / name / f'{k}.png', *(first + 50 * j + 3 * k + i for i in range(3)))


@pytest.mark.parametrize('scene', ['Traffic', 'Monitoring/sub-3'])
def test_irvi_prefers_single_frames_and_takes_the_rest_from_triplets(tmp_path, scene, capsys):
  name = f'irvi/{scene.lower().replace("/sub-", "_sub")}'
  triplets(tmp_path / f'in/IRVI/triplet/{scene}')
  for k, part in enumerate(('testA', 'testB')):
    put(tmp_path / f'in/IRVI/single/{scene}/{part}', ['1.png', '2.png'], 200 + 10 * k, (8, 8, 1))
  counts = build(tmp_path, name)[1]                        # `single` has test frames alone
  assert counts == {'train_a': 6, 'train_b': 6, 'test_a': 2, 'test_b': 2}
  frames = read(tmp_path, name)
  assert values(frames) == [0, 1, 2, 3, 4, 5] and frames.parts(1) == 3
  said = capsys.readouterr().err
  assert f'train_a from {tmp_path}/in/IRVI/triplet/{scene}' in said
  assert f'test_a from {tmp_path}/in/IRVI/single/{scene}' in said
  for k, part in enumerate(('trainA', 'trainB')):
    put(tmp_path / f'in/IRVI/single/{scene}/{part}', ['1.png', '2.png', '3.png'], 100 + 10 * k,
        (8, 8, 1))
  assert build(tmp_path, name, overwrite=True)[1] == {
      'train_a': 3, 'train_b': 3, 'test_a': 2, 'test_b': 2}
  assert values(read(tmp_path, name)) == [100, 101, 102]


def test_irvi_names_both_folders_where_something_is_missing(tmp_path):
  put(tmp_path / 'in/single/traffic/testA', ['1.png'])
  put(tmp_path / 'in/triplet/traffic/trainA', ['1.png'])
  with pytest.raises(FileNotFoundError, match='in single or in triplet, with trainA') as error:
    build(tmp_path, 'irvi/traffic')
  assert f'{tmp_path}/in/single/traffic with test_a' in str(error.value)
  assert f'{tmp_path}/in/triplet/traffic with train_a' in str(error.value)


def test_infrared_city_joins_all_its_traffic(tmp_path):
  """Table 1 of CPTrans, "Traffic all": 15,210 and 11,823 frames to train on, 4,000 to test."""
  for j, scene in enumerate(('city', 'highway')):
    for k, sky in enumerate(('clearday', 'overcast')):
      for i, name in enumerate(('trainA', 'testA')):
        put(tmp_path / 'in' / scene / sky / name, ['1.png'], 100 * j + 10 * k + i)
    put(tmp_path / 'in' / scene / 'trainB', ['1.png', '2.png'], 100 * j + 50)
  assert build(tmp_path, 'infrared_city_lite/traffic')[1] == {
      'train_a': 4, 'test_a': 4, 'train_b': 4}
  frames = read(tmp_path, 'infrared_city_lite/traffic')
  assert values(frames) == [0, 10, 100, 110]
  assert [clip.name for clip in frames.clips] == [
      f'{scene}/{sky}' for scene in ('city', 'highway') for sky in ('clearday', 'overcast')]
  assert values(read(tmp_path, 'infrared_city_lite/traffic', domain='b')) == [50, 51, 150, 151]
  published_counts = infrared_city.InfraredCityLite.COUNTS
  assert published_counts['traffic'] == {
      split: sum(published_counts[scene][split] for scene in ('city', 'highway'))
      for split in ('train_a', 'test_a', 'train_b')}


def test_infrared_city_names_the_scene_that_traffic_lacks(tmp_path):
  put(tmp_path / 'in/city/trainA', ['1.png'])
  with pytest.raises(FileNotFoundError, match=r'the folder of traffic \(city\)'):
    build(tmp_path, 'infrared_city_lite/traffic')


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


def test_flir_boxes_of_the_cropped_frames_are_a_coco_file(tmp_path):
  put_flir(tmp_path)
  folder, _ = build(tmp_path, 'flir_ntir2dc')
  table = json.loads((folder / 'boxes_test_a.json').read_text())
  assert table['images'] == [
      {'id': k + 1, 'file_name': f'FLIR_0900{2 - k}.png', 'width': 360, 'height': 288}
      for k in range(2)]
  box, = table['annotations']        # 320, 256, 64, 128 of 640x512; that in the corner is cut off
  assert box['image_id'] == 1 and box['category_id'] == 3
  np.testing.assert_allclose(box['bbox'], [180, 144, 50, 100])
  np.testing.assert_allclose(box['area'], 5000)
  assert table['categories'] == [{'id': 3, 'name': 'car'}]
  truth, names, kinds, images = boxes.read_truth(folder / 'boxes_test_a.json')
  assert (names, len(truth.image), len(images)) == (('car',), 1, 2) and kinds == {3: 0}
  assert not (folder / 'boxes_test_b.json').exists()      # color frames have no boxes
  assert read(tmp_path, 'flir_ntir2dc', 'test').read(0)['original'] == (512, 640)


def test_flir_boxes_end_at_the_border_and_have_the_names_of_the_file(tmp_path):
  put_flir(tmp_path)
  (tmp_path / 'in/val/thermal_annotations.json').write_text(json.dumps({
      'images': [{'id': k, 'file_name': f'thermal_8_bit/FLIR_0900{k}.jpeg'} for k in (1, 2)],
      'categories': [{'id': 1, 'name': 'human'}],
      'annotations': [{'image_id': 2, 'bbox': [64, 64, 64, 64], 'category_id': 1}]}))
  folder, _ = build(tmp_path, 'flir_ntir2dc/default_180x144')
  table = json.loads((folder / 'boxes_test_a.json').read_text())
  # 50 to 100 of 500x400, less 70 and 56: -20 to 30 and -6 to 44; then half the size
  np.testing.assert_allclose(table['annotations'][0]['bbox'], [0, 0, 15, 22])
  assert table['images'][0]['width'] == 180
  assert table['categories'] == [{'id': 1, 'name': 'human'}]


def test_flir_says_which_frames_have_no_annotations(tmp_path):
  put_flir(tmp_path)
  with pytest.warns(UserWarning, match='1 of 2 frames, the first of them FLIR_09001.png,'):
    build(tmp_path, 'flir_ntir2dc')


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
  _, jpeg = cv2.imencode('.jpg', np.zeros((8, 12), np.uint8))
  with pytest.raises(ValueError, match='y is compressed with a loss'):
    shaping.read_label(jpeg.tobytes(), 'y')


