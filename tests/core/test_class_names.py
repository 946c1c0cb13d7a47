"""Label pictures: ids read, translated, and matched with frames by clip and number."""

import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax.core import class_names
from i2vjax.data.annotations import label_files
from i2vjax.data.io import images
from i2vjax.data.scenes import palette
from i2vjax.data.sources import folders


def write(folder, names, size=(6, 8), value=0):
  folder.mkdir(parents=True, exist_ok=True)
  for k, name in enumerate(names):
    Image.fromarray(np.full(size, value + k, np.uint8)).save(folder / f'{name}.png')
  return folder


def opened(folder):
  return folders.open_place(defaults.data(), folder)


def labeled(folder):
  return label_files.label_source(defaults.data(), folder)


# ---- files ------------------------------------------------------------------------------------


def test_palette_pictures_give_their_indices(tmp_path):
  ids = np.array([[0, 1], [2, 255]], np.uint8)
  picture = Image.fromarray(ids).convert('P')
  picture.putdata(ids.ravel().tolist())
  picture.putpalette([200, 10, 10] * 256)
  picture.save(tmp_path / 'palette.png')
  np.testing.assert_array_equal(label_files.read(tmp_path / 'palette.png'), ids)


def test_gray_pictures_are_read_as_they_are(tmp_path):
  ids = np.arange(12, dtype=np.uint8).reshape(3, 4)
  Image.fromarray(ids).save(tmp_path / 'gray.png')
  np.testing.assert_array_equal(label_files.read(tmp_path / 'gray.png'), ids)


def test_colors_are_no_ids(tmp_path):
  Image.fromarray(np.zeros((3, 4, 3), np.uint8)).save(tmp_path / 'color.png')
  with pytest.raises(ValueError, match=r'color\.png is a picture of mode RGB.*class ids'):
    label_files.read(tmp_path / 'color.png')


def test_damaged_and_missing_files_are_named(tmp_path):
  (tmp_path / 'broken.png').write_bytes(b'no picture')
  with pytest.raises(images.UnreadableFrame, match=r'broken\.png cannot be decoded'):
    label_files.read(tmp_path / 'broken.png')
  with pytest.raises(FileNotFoundError, match=r'none\.png'):
    label_files.read(tmp_path / 'none.png')


def test_another_size_is_refused_by_name(tmp_path):
  result = labeled(write(tmp_path / 'labels', ['000', '001']))
  assert [x.shape for x in label_files.read_clip(result, [0, 1], (6, 8))] == [(6, 8)] * 2
  with pytest.raises(ValueError, match=r'000\.png has 8x6 pixels, the frames 8x8'):
    label_files.read_clip(result, [0, 1], (8, 8))


# ---- matching ---------------------------------------------------------------------------------


def test_labels_answer_frames_by_number_never_by_position(tmp_path):
  frames = opened(write(tmp_path / 'frames' / 'one', [f'fake_{k:03d}' for k in range(8)]))
  result = labeled(write(tmp_path / 'labels' / 'one', ['gt_2', 'gt_6']))
  matched = label_files.match(frames, result)
  assert matched == [[None, None, 0, None, None, None, 1, None]]
  values = label_files.read_clip(result, [k for k in matched[0] if k is not None], (6, 8))
  assert [int(x[0, 0]) for x in values] == [0, 1]


def test_clips_answer_by_name(tmp_path):
  for clip in ('b', 'a'):
    write(tmp_path / 'frames' / clip, ['000', '001'])
  write(tmp_path / 'labels' / 'b', ['000', '001'])
  matched = label_files.match(opened(tmp_path / 'frames'), labeled(tmp_path / 'labels'))
  assert matched == [[None, None], [0, 1]]


def test_cityscapes_names_match(tmp_path):
  """The last number of a frame's name is the 8 of '8bit' in all of them."""
  names = [f'aachen_000000_{k:06d}_leftImg8bit' for k in (18, 19, 20)]
  frames = opened(write(tmp_path / 'frames', names))
  result = labeled(write(tmp_path / 'labels', ['aachen_000000_000019_gtFine_labelIds']))
  assert label_files.match(frames, result) == [[None, 0, None]]


def test_a_label_without_a_frame_is_named(tmp_path):
  frames = opened(write(tmp_path / 'frames', ['000', '001']))
  result = labeled(write(tmp_path / 'labels', ['000', '007']))
  with pytest.raises(ValueError, match='label 007 .* has no frame .*000 to 001'):
    label_files.match(frames, result)


def test_an_unknown_clip_is_named(tmp_path):
  for clip in ('one', 'two'):
    write(tmp_path / 'frames' / clip, ['000', '001'])
  write(tmp_path / 'labels' / 'three', ['000'])
  with pytest.raises(ValueError, match='clip three'):
    label_files.match(opened(tmp_path / 'frames'), labeled(tmp_path / 'labels'))


# ---- classes ---------------------------------------------------------------------------------


def test_class_lists():
  assert class_names.class_list('flir') == class_names.FLIR
  assert class_names.class_list('road, sky') == ('road', 'sky')
  with pytest.raises(ValueError, match="'lorry' is no class"):
    class_names.class_list('road,lorry')


def test_scenes_classes_are_those_that_are_drawn():
  ids = {value for name, value in vars(palette).items()
         if isinstance(value, int) and name.isupper()}
  assert {class_names.CITYSCAPES.index(name) for name in class_names.LISTS['scenes']} == ids
