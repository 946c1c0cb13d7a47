"""Small copies of all published sets that the tables of the papers need."""

import json

import numpy as np

from i2vjax.data.io import images

SIZE = (48, 64)   # of a frame; strips hold several side by side


def picture(seed, channels=1, size=SIZE):
  """Blocks of random gray or color, so that frames differ and edges exist."""
  blocks = np.random.default_rng(seed).integers(0, 255, (6, 8, channels), np.uint8)
  return np.repeat(np.repeat(blocks, -(-size[0] // 6), 0), -(-size[1] // 8), 1)[:size[0], :size[1]]


def frames(folder, count, seed, channels=1, size=SIZE, name='{:04d}.png'):
  """`count` numbered frames."""
  for k in range(count):
    images.write_image(folder / name.format(k + 1), picture(seed + k, channels, size))


def strips(folder, count, parts, seed, channels=1):
  """`count` files of `parts` square frames side by side, each file one frame later."""
  for k in range(count):
    row = [picture(seed + k + j, channels, (48, 48)) for j in range(parts)]
    images.write_image(folder / f'{k + 1:04d}.png', np.concatenate(row, 1))


def pair(folder, parts, seed, test_b=True):
  """trainA and trainB as strips, testA and testB as single frames."""
  strips(folder / 'trainA', 3, parts, seed)
  strips(folder / 'trainB', 3, parts, seed + 100, 3)
  frames(folder / 'testA', 3, seed + 200, size=(48, 48))
  if test_b:
    frames(folder / 'testB', 3, seed + 300, 3, size=(48, 48))


def make(downloads, maps):
  """All sets below `downloads`, and class maps of visible frames below `maps`."""
  pair(downloads / 'recycle_gan/flowers/rose_lily', 3, 1)
  irvi(downloads / 'irvi')
  infrared_city(downloads / 'infrared_city_lite')
  for k, name in enumerate(('rain', 'snow')):
    pair(downloads / 'infrared_city_adverse' / name, 2, 3000 + 500 * k, test_b=False)
  flir(downloads / 'flir', maps / 'flir')
  kaist(downloads / 'kaist', maps / 'kaist')
  viper(downloads / 'viper')
  frames(downloads / 'cityscapes/leftImg8bit_sequence/train/ulm', 4, 8000, 3,
         name='ulm_000000_{:06d}_leftImg8bit.png')
  davis(downloads / 'davis/DAVIS')


def irvi(top):
  """Traffic as triplets and monitoring as single frames, each with test frames of its own."""
  pair(top / 'triplet/traffic', 3, 10)
  for k in range(1, 6):
    for j, name in enumerate(('trainA', 'trainB', 'testA', 'testB')):
      frames(top / f'single/monitoring/sub-{k}' / name, 4, 100 * k + 10 * j, 1 + 2 * (j % 2))


def infrared_city(top):
  """Two skies a scene, whose visible frames are shared; pairs of frames side by side."""
  for k, scene in enumerate(('city', 'highway')):
    for j, sky in enumerate(('clearday', 'overcast')):
      strips(top / scene / sky / 'trainA', 3, 2, 1000 * k + 100 * j)
      frames(top / scene / sky / 'testA', 2, 1000 * k + 100 * j + 50, size=(48, 48))
    strips(top / scene / 'trainB', 3, 2, 1000 * k + 900, 3)
  pair(top / 'monitor', 2, 2500, test_b=False)


def write_lists(folder, name, **parts):
  for part, names in parts.items():
    (folder / f'{name}_{part}_list.txt').write_text('\n'.join(names) + '\n')


def class_maps(folder, stems):
  """Maps of 360 x 288 pixels: road, sky, cars, persons."""
  for k, stem in enumerate(stems):
    ids = np.full((288, 360, 1), 0, np.uint8)
    ids[:100], ids[150:200, 40:200], ids[150:220, 250:290] = 10, 13, 11
    images.write_image(folder / f'{stem}.png', np.roll(ids, 5 * k, 1))


def flir(top, maps):
  """Two training pictures of each camera, two tests with boxes, by the public lists."""
  for part, numbers in (('train', (1, 2, 3, 4)), ('val', (9001, 9002))):
    for k in numbers:
      images.write_image(top / part / 'thermal_8_bit' / f'FLIR_{k:05d}.jpeg',
                         picture(k, 1, (512, 640)))
      images.write_image(top / part / 'RGB' / f'FLIR_{k:05d}.jpg', picture(k + 50, 3, (512, 640)))
  write_lists(top, 'FLIR', trainA=['FLIR_00001.png', 'FLIR_00002.png'],
              trainB=['FLIR_00003.png', 'FLIR_00004.png'], testA=['FLIR_09001.png'],
              testB=['FLIR_09001.png', 'FLIR_09002.png'])
  (top / 'val/thermal_annotations.json').write_text(json.dumps({
      'images': [{'id': k, 'file_name': f'thermal_8_bit/FLIR_{k:05d}.jpeg'} for k in (9001, 9002)],
      'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'bicycle'},
                     {'id': 3, 'name': 'car'}],
      'annotations': [{'id': j, 'image_id': 9001 + j % 2, 'bbox': [250, 200, 60 + 10 * j, 90],
                       'category_id': 1 + j % 3} for j in range(6)]}))
  class_maps(maps, ('FLIR_00001', 'FLIR_00002'))


def kaist(top, maps):
  """One picture each of the sets that the lists name."""
  for set_, camera, k in ((0, 'visible', 1), (0, 'visible', 2), (3, 'lwir', 3), (3, 'lwir', 4),
                          (4, 'lwir', 5), (4, 'lwir', 6)):
    images.write_image(top / f'set{set_:02d}/V001' / camera / f'I0000{k}.jpg',
                       picture(k, 3, (512, 640)))
  write_lists(top, 'KAIST', trainA=['set0_1_I00001.png', 'set0_1_I00002.png'],
              trainB=['set3_1_I00003.png', 'set3_1_I00004.png'],
              testB=['set4_1_I00005.png', 'set4_1_I00006.png'])
  class_maps(maps, ('set0_1_I00001', 'set0_1_I00002'))


def viper(top):
  """Frames of two splits with classes and motion both ways."""
  for j, split in enumerate(('train', 'val')):
    for k in range(1, 5):
      stem, folder = f'001/001_{k:05d}', top / split
      images.write_image(folder / 'img' / f'{stem}.png', picture(9000 + 10 * j + k, 3))
      ids = np.full((*SIZE, 1), 3, np.uint8)   # VIPER's ids
      ids[:20], ids[25:40, 10 + k:30 + k] = 2, 24
      images.write_image(folder / 'cls' / f'{stem}.png', ids)
      for name, value in (('flow', 1), ('flowbw', -1)):
        (folder / name / '001').mkdir(parents=True, exist_ok=True)
        plane = np.full(SIZE, value, np.float16)
        np.savez(folder / name / f'{stem}.npz', u=plane, v=0 * plane)


def davis(top):
  """A clip of each split with masks."""
  for j, (split, name) in enumerate((('train', 'bear'), ('val', 'dog'))):
    frames(top / 'JPEGImages/480p' / name, 6, 9500 + 50 * j, 3, (64, 96), '{:05d}.jpg')
    for k in range(6):
      mask = np.zeros((64, 96, 1), np.uint8)
      mask[20:44, 20 + 2 * k:60 + 2 * k] = 255
      images.write_image(top / f'Annotations/480p/{name}/{k + 1:05d}.png', mask)
    listed = top / f'ImageSets/2017/{split}.txt'
    listed.parent.mkdir(parents=True, exist_ok=True)
    listed.write_text(f'{name}\n')
