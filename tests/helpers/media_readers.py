"""Every reader of footage and labels, called as the commands call it, with whole files for it."""

import dataclasses
import functools
import json
import os
import pathlib
import shutil
import socket
import threading
import warnings
from collections.abc import Callable

import media_damage
import media_seeds
import numpy as np
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.cli import errors
from i2vjax.data import open_source
from i2vjax.data.annotations import edge_maps, label_files
from i2vjax.data.io import images, live_reader, video_reader
from i2vjax.data.prepare import prepare, published
from i2vjax.data.prepare.published import night_lists, places
from i2vjax.data.sources import alignment, clip_splitting, folders, record_index, streams, videos
from i2vjax.data.transforms import shaping
from i2vjax.metrics import boxes, detection


@dataclasses.dataclass(frozen=True)
class Reader:
  """A reader, and what it is tried with.

  Attributes:
    seeds: () -> [(ending, bytes of a whole file)], or functions that write a whole folder.
    read: path -> what was read; raises AssertionError where it is not what it should be.
    kind: 'bytes' | 'json' | 'text' | 'folder' | 'names': how files are damaged.
    share: of the cases of the others that are tried, since it takes longer.
    checked: the file holds checksums: what is read of a damaged one must be what was in the whole.
    tail: but its end, up to half a second, may be missing (docs/reliability.md).
  """

  seeds: Callable
  read: Callable
  kind: str = 'bytes'
  share: float = 1.0
  checked: bool = False
  tail: bool = False


def all_of(*calls):
  """The results of all calls; the first refusal is raised when all were tried."""
  results, refusal = [], None
  for call in calls:
    try:
      results.append(call())
    except Exception as error:
      told = errors.explain(error)
      if told is None or told[1] != errors.USER:
        raise
      refusal = refusal or error
  if refusal:
    raise refusal
  return results


def check(frames):
  """Frames as the package promises them."""
  for frame in frames:
    assert isinstance(frame, np.ndarray) and frame.ndim == 3 and frame.size
    assert (frame.dtype, frame.shape[2]) in ((np.uint8, 1), (np.uint8, 3), (np.uint16, 1))
  return frames


# ---- pictures


def picture(path):
  size, frame = all_of(lambda: images.picture_size(path), lambda: images.read_image(path))
  assert frame.shape[:2] == size, (frame.shape, size)
  return check([frame])


def pages(path):
  def strict():
    for frame in images.read_pages(path):
      if isinstance(frame, images.UnreadableFrame):
        raise frame
      yield frame
  return check(list(strict()))


def temperatures(path):
  [frame] = check([images.read_image(path)])
  return [frame]


# ---- films


def film(path):
  def at_random():
    video = videos.VideoFrames([str(path)])
    return [video.read(k)['frame'] for k in {len(video) - 1, 0}]

  def translated():
    return [frame for stream in streams.open_streams(str(path), on_damage='skip')
            for _, frame, _ in stream.read('skip') if isinstance(frame, np.ndarray)]

  def read(damaged):
    return [frame for frame, _ in video_reader.read_video(path, damaged)]
  calls = [lambda: video_reader.video_info(path), lambda: read('stop'), lambda: read('skip'),
           lambda: read(None), at_random, translated, lambda: folders.first_size(path)]
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    found = all_of(*calls)
  for frames in found[2:6]:
    check(frames)
  return check(found[1])


# ---- annotations


def label(path):
  ids, raw = all_of(lambda: label_files.read(path),
                    lambda: shaping.read_label(path.read_bytes(), str(path)))
  assert ids.dtype == raw.dtype == np.uint8 and ids.ndim == 2
  return [ids]


def edges(path):
  found = edge_maps.read_edges(path)
  assert found.dtype == np.uint8 and found.ndim == 2
  return [found]


def motion(path):
  flow, known = shaping.read_flow(path.read_bytes(), str(path))
  assert flow.dtype == np.float32 and flow.ndim == 3 and flow.shape[:2] == known.shape
  return [flow]


def ground_truth(path):
  truth, names, kinds, pictures = boxes.read_truth(path)
  other = path.with_name('found.json')
  other.write_text(json.dumps([{'image_id': next(iter(pictures)), 'category_id': next(iter(kinds)),
                                'bbox': [1, 2, 3, 4], 'score': 0.5}]))
  return scored(truth, boxes.read_detections(other, kinds, pictures), names)


def detections(path):
  whole = path.with_name('truth.json')
  whole.write_text(json.dumps(media_seeds.coco()[0]))
  truth, names, kinds, pictures = boxes.read_truth(whole)
  return scored(truth, boxes.read_detections(path, kinds, pictures), names)


def scored(truth, found, names):
  scores = detection.scores(truth, found, names, 'yolo')
  assert all(0 <= value <= 1 for value in scores.values()), scores
  return [np.array([scores['ap50']])]


def flir_boxes(path):
  table, _ = night_lists.read_boxes(path)
  for rows in table.values():
    assert np.isfinite(np.asarray(rows, np.float32)).all()
  return []


def record_list(path):
  assert record_index.read(path.parent)
  return []


def list_of_names(path):
  for name in places.read_lines(path):
    night_lists.kaist_path(lambda _: path.parent, name, 'lwir')
  return []


# ---- folders


def settings(**fields) -> ConfigDict:
  data = defaults.data()
  data.update(**fields)
  return data


def source_frames(folder):
  """All frames of all splits below a root, and whether test frames are pairs."""
  data = settings(source='folders', root=str(folder))
  with data.unlocked():
    data.labels_b = str(folder / 'labels')
  found = all_of(*(functools.partial(open_source, data, split, domain)
                   for split in ('train', 'test') for domain in 'ab'))
  alignment.mismatch(found[2], found[3]) if found[2] else None
  return check([source.read(i)['frame'] for source in found if source
                for i in range(len(source))])


def prepared(folder):
  output = folder.parent / 'out'
  prepare.footage(str(folder / 'trainA'), str(output), settings(), show=False)
  return check([images.read_image(path) for path in sorted(output.rglob('*.*'))])


def published_set(folder):
  name = (folder.parent / 'set.txt').read_text()
  output = folder.parent / 'out'
  with warnings.catch_warnings():
    warnings.simplefilter('ignore')
    place, _ = published.build(name, folder, output, show=False)
  return records_of(place, name)


def records_of(place, name):
  from i2vjax.data.sources.records import TfdsFrames
  found = []
  for split in record_index.read(place):
    source = TfdsFrames(place, name, split)
    found += [source.read(i)['frame'] for i in range(len(source))]
  return check(found)


def damaged_records(folder):
  return records_of(folder / 'viper/img_cls/1.0.0', 'viper/img_cls')


def write_records(folder):
  media_seeds.viper(folder / 'in')
  published.build('viper/img_cls', folder / 'in', folder, show=False)
  shutil.rmtree(folder / 'in')


# ---- names


def names(path):
  """Frames of any names, against others: cut into clips, and matched."""
  listed = [line[:250] for line in os.fsdecode(path.read_bytes()).split('\n') if line]
  half = len(listed) // 2
  sources = []
  for part in (listed[:half], listed[half:]):
    files = [f'/x/{name}.png' for name in part] or ['/x/1.png']
    clips = clip_splitting.split_clips('/x', {'': files})
    sources.append(folders.FolderFrames('/x', clips))
  reason = alignment.mismatch(*sources)
  assert reason is None or isinstance(reason, str)
  return []


def name_seeds():
  counted = [f'clip_{k // 5}_frame_{k:04d}' for k in range(10)]
  timed = [f'2024050{1 + k // 5}_12300{k % 5}.{k:03d}_ir' for k in range(10)]
  texts = ['\n'.join(lines) for lines in (counted, timed, ['a', 'b', '1', '2.5', 'x²', '٣', '3a'])]
  return [('.txt', text.encode()) for text in texts]


# ---- live


def live(path):
  """What a sender sends and then hangs up."""
  server = socket.create_server(('127.0.0.1', 0))

  def send():
    connection, _ = server.accept()
    with connection:
      connection.sendall(path.read_bytes())
  threading.Thread(target=send, daemon=True).start()
  place = f'tcp://127.0.0.1:{server.getsockname()[1]}'
  with server, live_reader.LiveReader(place, reconnect=0, timeout=3) as reader:
    return check([item.frame for item in reader])


# ---- the table


def _files(ending, *contents):
  return [(ending, content) for content in contents]


def _films(ending, *kinds):
  return lambda: [(ending, media_seeds.foreign_film(*kind)) for kind in kinds]


def _coco(part):
  return lambda: _files('.json', json.dumps(media_seeds.coco()[part]).encode())


def _pictures():
  s = media_seeds
  return (_files('.bmp', *s.written('.bmp', s.GRAY, s.RGB))
          + _files('.pgm', *s.written('.pgm', s.GRAY)) + _files('.ppm', *s.written('.ppm', s.RGB))
          + _files('.webp', *s.written('.webp', s.RGB)))


def _animations():
  frames = list(media_seeds.SMOOTH)
  return (_files('.gif', media_seeds.several('gif', frames))
          + _files('.apng', media_seeds.several('png', frames))
          + _files('.webp', media_seeds.several('webp', frames, lossless=True)))


S = media_seeds
DEEP_FILM = [S.DEEP // (k + 1) for k in range(S.T)]
READERS = {
    'png': Reader(lambda: _files('.png', *S.written('.png', S.GRAY, S.RGB, S.DEEP),
                                 S.saved('png', S.palette())), picture, checked=True),
    'jpeg': Reader(lambda: _files('.jpg', *S.written('.jpg', S.GRAY, S.RGB), S.turned_jpeg()),
                   picture),
    'tiff': Reader(lambda: _files('.tif', *S.written('.tif', S.GRAY, S.RGB, S.DEEP),
                                  S.saved('tiff', S.GRAY[..., 0])), picture),
    'bmp, pgm, ppm, webp': Reader(_pictures, picture),
    'tiff of several pages': Reader(lambda: _files(
        '.tif', S.several('tiff', [S.DEEP[..., 0]] * 3), S.several('tiff', [S.RGB] * 2)), pages),
    'animations (gif, apng, webp)': Reader(_animations, pages),
    'radiometric jpeg': Reader(lambda: _files('.jpg', *S.radiometric()), temperatures),
    'h264 in mp4': Reader(lambda: _files('.mp4', S.film('.mp4', S.SMOOTH)), film),
    'ffv1 in mkv': Reader(lambda: _files('.mkv', S.film('.mkv', S.SMOOTH),
                                         S.film('.mkv', [S.GRAY] * 3)), film, checked=True,
                          tail=True),
    '16-bit gray in mkv': Reader(lambda: _files('.mkv', S.film('.mkv', DEEP_FILM)), film,
                                 checked=True, tail=True),
    'mjpeg and raw in avi': Reader(_films('.avi', ('avi', 'mjpeg', 'yuvj420p'),
                                          ('avi', 'rawvideo', 'bgr24')), film),
    'h264 and mpeg2 in ts': Reader(_films('.ts', ('mpegts', 'libx264', 'yuv420p'),
                                          ('mpegts', 'mpeg2video', 'yuv420p')), film),
    'vp8 in webm, mpeg4 in mov': Reader(
        lambda: _films('.webm', ('webm', 'libvpx', 'yuv420p'))()
        + _films('.mov', ('mov', 'mpeg4', 'yuv420p'))(), film),
    'cptv': Reader(lambda: _files('.cptv', S.thermal_film()), film),
    'class maps (png)': Reader(lambda: _files('.png', S.saved('png', S.palette()),
                                              S.saved('png', S.IDS)), label, checked=True),
    'edge maps (png)': Reader(lambda: _files('.png', S.saved('png', S.IDS)), edges, checked=True),
    'motion (npz)': Reader(lambda: _files('.npz', *S.motion()), motion, checked=True),
    'boxes: ground truth (json)': Reader(_coco(0), ground_truth, 'json'),
    'boxes: detections (json)': Reader(_coco(1), detections, 'json'),
    'boxes of FLIR (json)': Reader(_coco(0), flir_boxes, 'json'),
    'index of records (json)': Reader(lambda: _files('.json', json.dumps(S.index()).encode()),
                                      record_list, 'json'),
    'lists of names (txt)': Reader(lambda: _files('.txt', b'set0_1_I02120.png\nset3_V2_I1.png\n'),
                                   list_of_names, 'text'),
    'names of frames': Reader(name_seeds, names, 'text'),
    'folders of frames and maps': Reader(lambda: [S.footage], source_frames, 'folder', 0.5),
    'prepare: a folder': Reader(lambda: [S.footage], prepared, 'folder', 0.5),
    'prepare: published layouts': Reader(lambda: list(S.SETS.items()), published_set, 'folder',
                                         0.1),
    'records': Reader(lambda: [write_records], damaged_records, 'folder', 0.25),
    'live stream': Reader(_films('.ts', ('mpegts', 'libx264', 'yuv420p')), live, share=0.1)}


# ---- readers that are broken, by which the harness itself is tried


def _after_whole(act):
  """A reader that takes the whole file, but not the cases, which are in folders called x."""
  def read(path):
    return act(path) if path.parent.name == 'x' else []
  return Reader(lambda: _files('.txt', b'whole'), read)


def _hang(path):
  while True:
    pass


def _eat(path):
  return [np.ones(2 ** 25)]                      # 256 MiB


def _stray(path):
  (path.parent.parent / 'elsewhere.txt').write_text('x')
  return []


def _unnamed(path):
  raise errors.UserError('something is wrong')


BROKEN = {'crashed': _after_whole(lambda path: os.abort()), 'hung': _after_whole(_hang),
          'memory': _after_whole(_eat), 'stray': _after_whole(_stray),
          'traceback': _after_whole(lambda path: {}[path]), 'unnamed': _after_whole(_unnamed)}


# ---- one case

ENDINGS = ('.png', '.jpg', '.tif', '.gif', '.mp4', '.mkv', '.avi', '.ts', '.cptv', '.txt', '')


def write_case(reader: Reader, rng, seeds, folder: pathlib.Path):
  """Write one damaged case: (what was done, path to read, number of the seed or None)."""
  if reader.kind == 'folder':
    seed, name = rng.choice(seeds)
    shutil.copytree(seed, folder / 'in', symlinks=True)
    (folder / 'set.txt').write_text(name)
    others = [path.read_bytes() for path in sorted(seed.rglob('*.*')) if path.is_file()]
    done = [media_damage.damaged_folder(rng, folder / 'in', others)
            for _ in range(rng.randint(1, 2))]
    return ' + '.join(done), folder / 'in', None
  k = rng.randrange(len(seeds))
  ending, content = seeds[k]
  others = [other for _, other in seeds] + [b'%PDF-1.4', b'#EXTM3U\n/etc/passwd\n', b'{}',
                                            media_seeds.GRAY.tobytes()]
  path = folder / f'x{ending}'
  if reader.kind == 'json' and rng.random() < 0.75:
    done, content = media_damage.damaged_tree(rng, json.loads(content))
  elif reader.kind in ('json', 'text'):
    done, content = media_damage.damaged_text(rng, content, others)
  elif rng.random() < 0.04:
    done, path = 'wrong ending', path.with_suffix(rng.choice(ENDINGS))
  else:
    way = rng.choice(media_damage.BYTES)
    done, content = way.__name__, way(rng, content, others)
  if reader.read is record_list:
    path = folder / record_index.FILE
  path.write_bytes(content)
  return done, path, None if done in ('another', 'empty') else k
