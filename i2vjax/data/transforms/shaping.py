"""Resizing and cropping whole records: frame, label, boxes and flow together."""

import io

import numpy as np
from PIL import Image

from i2vjax.core import npz
from i2vjax.core.errors import UserError
from i2vjax.data.io import damage, images, picture_heads
from i2vjax.data.transforms import resize

MIN_BOX_SHARE = 0.25   # of a box's area that must be inside the crop


def resize_and_crop(record: dict, size: tuple | None = None, crop: tuple | None = None) -> dict:
  """A record resized to `size` (height, width), then cropped to (top, left, height, width).

  Args:
    record: 'frame' [H, W, C], and perhaps 'label' [H, W] and 'boxes' [N, 5] (x0, y0, x1, y1,
      class) in pixel edges.

  Returns:
    The same fields. Boxes end at the border of the crop; those that keep less than a quarter of
    their area are left out (ours: a detector should not have to find a bumper; PearlGAN names no
    rule).

  Raises:
    UserError: the frame is smaller than the crop.
  """
  record = dict(record)
  if size:
    height, width = record['frame'].shape[:2]
    record['frame'] = resize.resize_frame(record['frame'], tuple(size))
    if 'label' in record:
      record['label'] = resize.resize_labels(record['label'], tuple(size))
    if 'boxes' in record:
      scale = np.float32([size[1] / width, size[0] / height] * 2 + [1])
      record['boxes'] = record['boxes'] * scale
  return _crop(record, crop) if crop else record


def _crop(record, crop):
  top, left, height, width = crop
  H, W = record['frame'].shape[:2]
  if top + height > H or left + width > W:
    raise UserError(f'frames of {W}x{H} pixels are smaller than the {width}x{height} '
                     f'at ({left}, {top}) that this set is cut to')
  for name in {'frame', 'label'} & set(record):
    record[name] = np.ascontiguousarray(record[name][top:top + height, left:left + width])
  if 'boxes' in record:
    shifted = record['boxes'] - np.float32([left, top, left, top, 0])
    clipped = shifted.copy()
    clipped[:, :4] = np.clip(shifted[:, :4], 0, np.float32([width, height] * 2))
    area, visible = _area(shifted), _area(clipped)
    record['boxes'] = clipped[(visible > 0) & (visible >= MIN_BOX_SHARE * area)]
  return record


def _area(boxes):
  return np.prod(boxes[:, 2:4] - boxes[:, :2], axis=-1)


def read_label(data: bytes, name: str) -> np.ndarray:
  """Class ids [H, W] uint8 of a label picture; of one with a palette, the indices.

  Raises:
    UserError: damaged, no ids, or a JPEG.
  """
  picture_heads.check(np.frombuffer(data, np.uint8), name, checksums=True)
  picture_heads.check_ids(np.frombuffer(data, np.uint8), name)
  try:
    with Image.open(io.BytesIO(data), formats=damage.FORMATS) as picture:
      label = np.asarray(picture)
  except damage.OF_PILLOW as error:
    raise images.UnreadableFrame(f'{name} cannot be decoded: {error}') from error
  if (label.ndim != 2 or label.dtype.kind not in 'ui' or label.max(initial=0) > 255
      or label.min(initial=0) < 0):
    raise images.UnreadableFrame(f'{name} is no picture of class ids from 0 to 255: {label.shape} '
                                 f'{label.dtype}')
  return label.astype(np.uint8)


def read_flow(data: bytes, name: str) -> tuple[np.ndarray, np.ndarray]:
  """The motion in an .npz with u and v or one array.

  Returns:
    (flow [H, W, 2] float32, (x, y) pixels, NaN where it is not known; known [H, W], 1 or 0).

  Raises:
    UnreadableFrame: damaged, or no motion.
  """
  arrays = _arrays(data, name)
  if {'u', 'v'} <= set(arrays) and arrays['u'].shape == arrays['v'].shape:
    flows = [np.stack([arrays['u'], arrays['v']], axis=-1)]
  else:
    flows = list(arrays.values())
  flows = [x for x in flows if x.ndim == 3 and x.shape[-1] == 2 and x.size]
  if len(flows) != 1:
    shapes = ', '.join(f'{key} {x.shape}' for key, x in arrays.items())
    raise images.UnreadableFrame(f'{name}: motion is expected as u and v of one size or as one '
                                 f'array [H, W, 2]; it holds {shapes or "nothing"}')
  known = np.isfinite(flows[0]).all(axis=-1)
  return (np.where(known[..., None], flows[0], np.float32(np.nan)), known.astype(np.float32))


def _arrays(data, name):
  """{name: float32} of the bytes of an .npz."""
  try:
    with np.errstate(over='ignore'):
      return {key: array.astype(np.float32) for key, array in npz.read(data).items()}
  except (npz.Damaged, *damage.OF_PILLOW) as error:
    raise images.UnreadableFrame(f'{name} cannot be read as .npz: {error}') from error


def resize_files(data: dict, frame: np.ndarray, boxes: np.ndarray, parts: int,
                 size: tuple[int, int], first_size: tuple | None = None,
                 first_crop: tuple | None = None) -> tuple[dict, np.ndarray]:
  """The files of one record at another size.

  Args:
    data: {'image', 'label', 'flow', 'flow_back': bytes, empty where there is none}.
    frame: the decoded image. boxes: [N, 5].
    parts: frames side by side. size: (height, width) of each.
    first_size, first_crop: resize and crop of the set (`resize_and_crop`), before that.

  Returns:
    (data with PNG and .npz bytes of that size, boxes of that size).
  """
  pieces = np.split(frame, parts, axis=1) if frame.shape[1] % parts == 0 else [frame]
  records = [{'frame': piece, 'boxes': boxes} for piece in pieces]
  if data['label']:
    records[0]['label'] = read_label(data['label'], 'label')
  records = [resize_and_crop(record, first_size, first_crop) for record in records]
  records = [resize_and_crop(record, size) for record in records]
  strip = np.concatenate([record['frame'] for record in records], axis=1)
  resized = {'image': _png(strip), 'label': b''}
  if data['label']:
    resized['label'] = _png(records[0]['label'])
  for name in ('flow', 'flow_back'):
    resized[name] = _npz(data[name], size) if data[name] else b''
  return resized, records[0]['boxes']


def _png(frame):
  buffer = io.BytesIO()
  Image.fromarray(frame[..., 0] if frame.shape[2:] == (1,) else frame).save(buffer, 'png')
  return buffer.getvalue()


def _npz(data, size):
  flow = resize.resize_flow(read_flow(data, 'flow')[0], size).astype(np.float16)
  buffer = io.BytesIO()
  np.savez_compressed(buffer, u=flow[..., 0], v=flow[..., 1])
  return buffer.getvalue()
