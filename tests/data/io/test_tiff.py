"""TIFF of bands, planes, previews and stacks: the stored values, or a refusal by name."""

import struct

import cv2
import numpy as np
import pytest
import tifffile  # scikit-image brings it

from i2vjax.data.annotations import label_files
from i2vjax.data.io import images

GRAY = np.add.outer(9 * np.arange(8), np.arange(12)).astype(np.uint8)
DEEP = GRAY.astype(np.uint16) * 40 + 2000


def entry(tag, values, place):
  """A tag with numbers, or a text of bytes -> (its 12 bytes, what stands at `place`)."""
  if isinstance(values, bytes):
    return struct.pack('<HHII', tag, 2, len(values), place), values
  kind, code = ('H', 3) if max(values) < 2 ** 16 else ('I', 4)
  content = struct.pack(f'<{len(values)}{kind}', *values)
  held = content.ljust(4, b'\0') if len(content) <= 4 else struct.pack('<I', place)
  return struct.pack('<HHI', tag, code, len(values)) + held, content if len(content) > 4 else b''


def write_tiff(path, *pages):
  """Pages of (values [H, W, bands], {tag: number or text} beside the plain ones), uncompressed."""
  data, link = bytearray(b'II*\0' + bytes(4)), 4
  for values, extra in pages:
    values = np.atleast_3d(values)
    height, width, bands = values.shape
    planes = np.moveaxis(values, -1, 0) if extra.get(284) == 2 else values[None]
    places = [len(data) + k * planes[0].nbytes for k in range(len(planes))]
    data += planes.tobytes()
    tags = {256: [width], 257: [height], 258: [8 * values.itemsize] * bands, 259: [1], 262: [1],
            273: places, 277: [bands], 278: [height], 279: [planes[0].nbytes] * len(planes)}
    tags |= {tag: value if tag == 270 else [value] for tag, value in extra.items()}
    struct.pack_into('<I', data, link, len(data))
    directory, after = struct.pack('<H', len(tags)), b''
    place = len(data) + 2 + 12 * len(tags) + 4
    for tag in sorted(tags):
      part, more = entry(tag, tags[tag], place + len(after))
      directory, after = directory + part, after + more
    link = len(data) + len(directory)
    data += directory + bytes(4) + after
  path.write_bytes(data)
  return path


def read_both(path):
  """A file of one page by both readers, which must agree on it."""
  [page] = images.read_pages(path)
  np.testing.assert_array_equal(page, images.read_image(path))
  return page


@pytest.mark.parametrize(('values', 'tags'), [
    (np.dstack([DEEP, DEEP + 1]), {}),                              # two bands
    (np.dstack([DEEP, DEEP + 1]), {338: 2}),                        # gray with alpha
    (np.dstack([DEEP, DEEP + 1]), {262: 0}),                        # white is zero
    (np.dstack([DEEP, DEEP + 1]), {284: 2}),                        # one plane behind the other
    (np.dstack([DEEP, DEEP + 1000, DEEP + 2000]), {}),              # OpenCV: a luma of the bands
    (np.dstack([DEEP, DEEP + 1, DEEP + 2]), {262: 2, 284: 2}),      # OpenCV: scrambled
    (np.dstack([GRAY, GRAY + 1]), {}),
    (np.dstack([GRAY, GRAY + 1]), {338: 2, 284: 2}),                # OpenCV: multiplied by alpha
    (np.dstack([GRAY, GRAY + 1, GRAY + 2]), {}),
])
def test_bands_that_the_decoder_would_lose_are_refused_by_name(tmp_path, values, tags):
  path = write_tiff(tmp_path / 'x.tif', (values, tags))
  name = rf'x.tif.* holds {values.shape[-1]} bands of {8 * values.itemsize} bits.*thermal one alone'
  with pytest.raises(images.UnreadableFrame, match=name):
    images.read_image(path)
  [page] = images.read_pages(path)
  assert isinstance(page, images.UnreadableFrame)
  two = write_tiff(tmp_path / 'two.tif', (values[..., :1], {}), (values, tags))
  first, second = images.read_pages(two)
  np.testing.assert_array_equal(first, values[..., :1])
  with pytest.raises(images.UnreadableFrame, match='page 1 .from 0. holds'):
    raise second


@pytest.mark.parametrize(('values', 'tags', 'expected'), [
    (DEEP, {}, DEEP), (65535 - DEEP, {262: 0}, DEEP), (GRAY, {}, GRAY),
    (np.dstack([DEEP] * 3), {262: 2}, DEEP),                        # thermal, stored three times
    (np.dstack([DEEP] * 3 + [DEEP + 5]), {262: 2, 338: 0}, DEEP),
    (np.dstack([GRAY, 200 - GRAY, GRAY // 2]), {262: 2}, np.dstack([GRAY, 200 - GRAY, GRAY // 2])),
    (np.dstack([GRAY, 200 - GRAY, GRAY // 2]), {262: 2, 284: 2},
     np.dstack([GRAY, 200 - GRAY, GRAY // 2])),
    (np.dstack([GRAY, 200 - GRAY]), {338: 2}, GRAY),
    (np.dstack([GRAY, 200 - GRAY, GRAY // 2, 0 * GRAY + 255]), {262: 2, 338: 2},
     np.dstack([GRAY, 200 - GRAY, GRAY // 2])),
])
def test_bands_that_are_read_have_their_stored_values(tmp_path, values, tags, expected):
  page = read_both(write_tiff(tmp_path / 'x.tif', (values, tags)))
  np.testing.assert_array_equal(page, np.atleast_3d(expected))


def test_color_that_the_decoder_multiplies_by_alpha_is_refused(tmp_path):
  values = np.dstack([GRAY, 200 - GRAY, GRAY // 2, GRAY])
  path = write_tiff(tmp_path / 'x.tif', (values, {262: 2, 338: 2}))
  with pytest.raises(images.UnreadableFrame, match='x.tif is transparent in places'):
    images.read_image(path)
  [page] = images.read_pages(path)
  assert isinstance(page, images.UnreadableFrame)


THUMB = {254: 1}


@pytest.mark.parametrize('mark', [{254: 1}, {254: 4}, {254: 5}, {255: 2}], ids=str)
@pytest.mark.parametrize('first', [True, False])
def test_a_preview_or_mask_is_never_the_frame(tmp_path, mark, first):
  pages = [(GRAY[::2, ::2], mark), (DEEP, {262: 0})]
  path = write_tiff(tmp_path / 'x.tif', *(pages if first else pages[::-1]))
  np.testing.assert_array_equal(read_both(path)[..., 0], 65535 - DEEP)
  assert images.picture_size(path) == DEEP.shape


def test_previews_between_the_pages_cost_none(tmp_path):
  pages = [(DEEP + 1000 * k, {262: k % 2}) for k in range(3)]
  path = write_tiff(tmp_path / 'x.tif', *(x for page in pages
                                          for x in (page, (GRAY[::2, ::2], THUMB))))
  with pytest.raises(images.UnreadableFrame, match='x.tif holds 3 pages'):
    images.read_image(path)
  read = list(images.read_pages(path))
  assert len(read) == 3
  for k, page in enumerate(read):
    np.testing.assert_array_equal(page[..., 0], pages[k][0] if k % 2 else 65535 - pages[k][0])


def test_what_are_all_previews_are_pages(tmp_path):
  np.testing.assert_array_equal(read_both(write_tiff(tmp_path / 'x.tif', (DEEP, THUMB)))[..., 0],
                                DEEP)
  assert len(list(images.read_pages(write_tiff(tmp_path / 'y.tif', *[(DEEP, THUMB)] * 2)))) == 2


def refused_by_both(path, text):
  with pytest.raises(images.UnreadableFrame, match=text):
    images.read_image(path)
  [page] = images.read_pages(path)
  with pytest.raises(images.UnreadableFrame, match=text):
    raise page


def test_a_stack_of_imagej_that_is_one_page_is_refused(tmp_path):
  """The layout above 4 GB: one page, the values of the others right behind its own."""
  text = b'ImageJ=1.53t\nimages=5\nslices=5\nunit=um\n\0'
  path = write_tiff(tmp_path / 'x.tif', (DEEP, {270: text}))
  read_both(path)                       # a page that was taken from a stack, with its description
  path.write_bytes(path.read_bytes() + 4 * DEEP.tobytes())
  refused_by_both(path, 'x.tif holds 5 frames in 1 page, as ImageJ .*image sequence')
  stack = write_tiff(tmp_path / 'y.tif', *[(DEEP, {270: text})] * 5)
  assert len(list(images.read_pages(stack))) == 5


def test_a_picture_inside_its_preview_is_not_taken_for_it(tmp_path):
  refused_by_both(write_tiff(tmp_path / 'x.tif', (GRAY, {254: 1, 330: 8})),
                  'x.tif shows only a preview')


def test_a_class_map_is_read_past_its_preview_and_is_one_page(tmp_path):
  path = write_tiff(tmp_path / 'x.tif', (GRAY[::2, ::2], THUMB), (GRAY, {}))
  np.testing.assert_array_equal(label_files.read(path), GRAY)
  with pytest.raises(ValueError, match='y.tif holds several pictures'):
    label_files.read(write_tiff(tmp_path / 'y.tif', *[(GRAY, {})] * 2))


@pytest.mark.parametrize('order', ['<', '>'])
@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('layout', [
    {}, {'tile': (16, 16)}, {'compression': 'zlib', 'rowsperstrip': 3}, {'planarconfig': 'separate'}
], ids=str)
def test_a_page_of_a_stack_has_its_stored_values_in_every_layout(tmp_path, order, big, layout):
  planar = 'planarconfig' in layout
  stack = np.arange(4 * 3 * 20 * 24).reshape(4, *((3, 20, 24) if planar else (60, 24))) * 7
  stack = stack.astype(np.uint8 if planar else np.uint16)
  tifffile.imwrite(tmp_path / 'x.tif', stack, byteorder=order, bigtiff=big, metadata=None,
                   photometric='rgb' if planar else 'minisblack', **layout)
  read = np.stack(list(images.read_pages(tmp_path / 'x.tif')))
  np.testing.assert_array_equal(read, np.moveaxis(stack, 1, -1) if planar else stack[..., None])


def test_each_page_of_a_stack_costs_as_much_as_the_first(tmp_path, monkeypatch):
  """None is reached through those before it, and the file is not copied for each."""
  path = write_tiff(tmp_path / 'x.tif', *[(DEEP + k, {}) for k in range(20)])
  decode, calls = cv2.imdecodemulti, []

  def counted(data, *arguments, range):
    calls.append((data.ctypes.data, range))
    return decode(data, *arguments, range=range)
  monkeypatch.setattr(cv2, 'imdecodemulti', counted)
  read = list(images.read_pages(path))
  assert [page[0, 0, 0] - DEEP[0, 0] for page in read] == list(range(20))
  assert len(calls) == 20 and set(calls) == {(calls[0][0], (0, 1))}
