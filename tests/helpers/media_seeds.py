"""Whole little files of every kind that is read: 24x16 pixels, three frames."""

import datetime
import io
import json
import pathlib
import tempfile

import av
import numpy as np
import thermal_files
from made_sets import pair, put, strip
from PIL import Image

from i2vjax.data.io import images, video_reader

H, W, T = 16, 24, 3
RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 255, (H, W, 1), np.uint8)
RGB = RNG.integers(0, 255, (H, W, 3), np.uint8)
DEEP = RNG.integers(0, 65535, (H, W, 1), np.uint16)
SMOOTH = np.linspace(20, 220, T * H * W * 3).reshape(T, H, W, 3).astype(np.uint8)
IDS = RNG.integers(0, 19, (H, W), np.uint8)


def written(ending, *frames):
  """Bytes of pictures as the package writes them."""
  with tempfile.TemporaryDirectory() as folder:
    found = []
    for frame in frames:
      images.write_image(f'{folder}/x{ending}', frame)
      found.append(pathlib.Path(folder, f'x{ending}').read_bytes())
  return found


def saved(kind, picture, **options):
  """Bytes of a picture as Pillow writes it."""
  file = io.BytesIO()
  (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).save(
      file, kind, **options)
  return file.getvalue()


def turned_jpeg():
  exif = Image.Exif()
  exif[274] = 6
  return saved('jpeg', RGB, exif=exif)


def several(kind, frames, **options):
  first, *rest = [Image.fromarray(frame) for frame in frames]
  return saved(kind, first, save_all=True, append_images=rest, **options)


def palette():
  picture = Image.fromarray(IDS)
  picture.putpalette(list(range(256)) * 3)
  return picture


def radiometric():
  with tempfile.TemporaryDirectory() as folder:
    raw = thermal_files.raw_of(300 + np.arange(H * W).reshape(H, W) / 10)
    thermal_files.flir_jpeg(f'{folder}/x.jpg', raw)
    return [pathlib.Path(folder, 'x.jpg').read_bytes()]


# ---- films


def film(ending, frames):
  """Bytes of a film as the package writes it."""
  with tempfile.TemporaryDirectory() as folder:
    with video_reader.VideoWriter(f'{folder}/x{ending}', 10) as writer:
      for frame in frames:
        writer.write(frame)
    return pathlib.Path(folder, f'x{ending}').read_bytes()


def foreign_film(kind, codec, pixels):
  """Bytes of a film as another program writes it."""
  file = io.BytesIO()
  with av.open(file, 'w', format=kind) as container:
    stream = container.add_stream(codec, rate=25)
    stream.width, stream.height, stream.pix_fmt = W, H, pixels
    container.metadata['title'] = 'a title'
    for k in range(8 if kind == 'mpegts' else T):      # FFmpeg needs some packets to know it
      frame = av.VideoFrame.from_ndarray(np.roll(RGB, k, 1), 'rgb24').reformat(format=pixels)
      frame.pts = k
      container.mux(stream.encode(frame))
    container.mux(stream.encode())
  return file.getvalue()


def thermal_film():
  import cptv
  zero = datetime.timedelta(0)
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, 'x.cptv')
    writer = cptv.CPTVWriter(open(path, 'wb'))   # noqa: SIM115 (the writer closes it)
    writer.fps = 9
    for k in range(T):
      pixels = (3000 + k + np.arange(160) + np.zeros((120, 1))).astype(np.uint16)
      writer.write_frame(cptv.Frame(pixels, datetime.timedelta(milliseconds=111 * k), zero, 20, 20))
    writer.close()
    return path.read_bytes()


# ---- annotations


def coco():
  """A ground truth, and what a detector found in it."""
  truth = {
      'images': [{'id': k, 'file_name': f'{k}.png', 'width': W, 'height': H} for k in range(1, 4)],
      'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'}],
      'annotations': [{'id': k, 'image_id': 1 + k % 3, 'category_id': (1, 3)[k % 2], 'iscrowd': 0,
                       'bbox': [1.5, 2, 8, 9], 'area': 72} for k in range(4)]}
  found = [{'image_id': 1 + k % 3, 'category_id': (1, 3)[k % 2], 'bbox': [1, 2, 8, 9],
            'score': 0.9 - k / 10} for k in range(4)]
  return truth, found


def motion():
  """.npz files: u and v, and one array."""
  plane, found = np.linspace(-2, 2, H * W).reshape(H, W), []
  for save, arrays in ((np.savez, dict(u=plane, v=plane.astype(np.float16))),
                       (np.savez_compressed, dict(flow=np.zeros((H, W, 2), np.float32)))):
    file = io.BytesIO()
    save(file, **arrays)
    found.append(file.getvalue())
  return found


def index():
  """clips.json of records."""
  return {'train_a': {
      'clips': [['one', 0, 2, 1], ['two/inner', 2, 1, 3]], 'names': ['1.png', '2.png', '3.png'],
      'label_ids': list(range(256)), 'categories': {'1': 'person'}, 'resize': [H, W],
      'crop': [0, 0, 8, 8], 'label': False, 'boxes': True, 'flow': False}}


# ---- folders


def footage(folder):
  """trainA, trainB, testA, testB, two clips in the first; class maps of trainB."""
  pair(folder, shape=(H, W, 1))
  for clip in 'ab':
    put(folder / 'trainA' / clip, ['1.png', '2.jpg', '3.tif'], shape=(H, W, 1))
  for k, name in enumerate(('1.png', '2.png')):
    path = folder / 'labels' / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(saved('png', palette() if k else IDS))


def irvi(folder):
  for name in ('trainA', 'trainB'):
    strip(folder / 'IRVI/triplet/traffic' / name / '1.png', 1, 2, 3)
  put(folder / 'IRVI/single/traffic/testA', ['1.png', '2.png'], shape=(8, 8, 1))


def viper(folder):
  for number in (1, 2):
    stem = f'001/001_{number:05d}'
    put(folder / 'train/img', [f'{stem}.png'], number, (H, W, 1))
    for name, content in (('cls', saved('png', palette())), ('flow', motion()[0]),
                          ('flowbw', motion()[1])):
      path = folder / 'train' / name / f'{stem}.{"png" if name == "cls" else "npz"}'
      path.parent.mkdir(parents=True, exist_ok=True)
      path.write_bytes(content)


def flir(folder):
  for part, number in (('train', 1), ('val', 2)):
    for kind in ('thermal_8_bit', 'RGB'):
      put(folder / part / kind, [f'FLIR_{number:05d}.jpeg'], 60, (512, 640, 1))
  for part, number in (('trainA', 1), ('trainB', 1), ('testA', 2), ('testB', 2)):
    (folder / f'FLIR_{part}_list.txt').write_text(f'FLIR_{number:05d}.png\n')
  (folder / 'val/thermal_annotations.json').write_text(json.dumps({
      'images': [{'id': 5, 'file_name': 'thermal_8_bit/FLIR_00002.jpeg'}],
      'categories': [{'id': 3, 'name': 'car'}],
      'annotations': [{'image_id': 5, 'bbox': [320, 256, 64, 128], 'category_id': 3}]}))


def davis(folder):
  for part, name in (('train', 'bear'), ('val', 'dog')):
    put(folder / f'DAVIS/JPEGImages/480p/{name}', ['00000.jpg', '00001.jpg'], 50)
    put(folder / f'DAVIS/Annotations/480p/{name}', ['00000.png', '00001.png'])
    path = folder / f'DAVIS/ImageSets/2017/{part}.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{name}\n')


def cityscapes(folder):
  put(folder / 'leftImg8bit_sequence/train/ulm',
      [f'ulm_000000_{k:06d}_leftImg8bit.png' for k in (1, 2)])


SETS = {'irvi/traffic': irvi, 'viper/img_cls': viper, 'viper/img_flow': viper,
        'flir_ntir2dc': flir, 'davis2017_frames': davis, 'cityscapes_sequence': cityscapes,
        'frames_folder/mine': footage}
