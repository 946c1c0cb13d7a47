"""Published layouts with lists, labels and motion that do not fit."""

import io
import zipfile

import media_seeds
import numpy as np
import pytest
from made_sets import build, put

from i2vjax import defaults
from i2vjax.core import npz as core_npz
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.prepare import prepare
from i2vjax.data.transforms import shaping

pytestmark = pytest.mark.filterwarnings('ignore:.*published are')


def refused(tmp_path, name, message):
  with pytest.raises((UserError, FileNotFoundError), match=message):
    build(tmp_path, name)
  assert not (tmp_path / 'out').exists()


def test_frames_of_viper_are_numbered(tmp_path):
  put(tmp_path / 'in/train/img/001', ['001_x.png'])
  refused(tmp_path, 'viper/img', r'001_x\.png is not named 001_00001\.jpg')


@pytest.mark.parametrize('number', ['00000²', '٣', 'x'])
def test_frames_of_cityscapes_are_numbered(tmp_path, number):
  put(tmp_path / 'in/leftImg8bit_sequence/train/ulm', [f'ulm_000000_{number}_leftImg8bit.png'])
  refused(tmp_path, 'cityscapes_sequence/full', 'is not named CITY_SEQUENCE_FRAME')


@pytest.mark.parametrize(('content', 'message'), [
    (b'..\n', 'no name of a folder'), (b'/etc\n', 'no name of a folder'), (b'cat\n', '480p/cat'),
    (b'bear/../bear\n', 'no name of a folder'), (b'\xff\xfe\n', 'train.txt is no list of names'),
    (b'empty\n', 'pictures in .*empty')])
def test_lists_of_davis_name_folders_of_pictures(tmp_path, content, message):
  media_seeds.davis(tmp_path / 'in')
  (tmp_path / 'in/DAVIS/JPEGImages/480p/empty').mkdir()
  (tmp_path / 'in/DAVIS/ImageSets/2017/train.txt').write_bytes(content)
  refused(tmp_path, 'davis2017_frames', message)


def test_lists_of_flir_are_text(tmp_path):
  media_seeds.flir(tmp_path / 'in')
  (tmp_path / 'in/FLIR_testB_list.txt').write_bytes(b'\xff\xfeFLIR\n')
  refused(tmp_path, 'flir_ntir2dc', r'FLIR_testB_list\.txt is no list of names')


def test_class_maps_have_the_size_of_their_frames_and_are_whole(tmp_path):
  media_seeds.viper(tmp_path / 'in')
  path = tmp_path / 'in/train/cls/001/001_00002.png'
  whole = path.read_bytes()
  path.write_bytes(media_seeds.saved('png', np.zeros((8, 8), np.uint8)))
  refused(tmp_path, 'viper/img_cls', r'001_00002\.png has 8x8 pixels, its frame .* 24x16')
  path.write_bytes(whole[:-30])
  refused(tmp_path, 'viper/img_cls', r'001_00002\.png cannot be decoded')


def test_motion_has_the_size_of_its_frames(tmp_path):
  media_seeds.viper(tmp_path / 'in')
  np.savez(tmp_path / 'in/train/flow/001/001_00001.npz', u=np.zeros((8, 8)), v=np.zeros((8, 8)))
  refused(tmp_path, 'viper/img_flow', r'001_00001\.npz has 8x8 pixels, its frame .* 24x16')


def npz(**files):
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, content in files.items():
      archive.writestr(name, content)
  return buffer.getvalue()


def npy(array):
  buffer = io.BytesIO()
  np.save(buffer, array, allow_pickle=True)
  return buffer.getvalue()


@pytest.mark.parametrize('data', [
    b'', b'PK\3\4', npy(np.zeros((4, 4, 2))), npz(u=b'no array'),
    npz(**{'u.npy': npy(np.zeros((4, 4))), 'v.npy': npy(np.zeros((4, 5)))}),
    npz(**{'flow.npy': npy(np.array([{}], object))}), npz(**{'flow.npy': npy(np.zeros((0, 4, 2)))}),
    npz(**{'flow.npy': npy(np.full((4, 4, 2), 'x'))}), npz(),
    npz(**{'flow.npy': npy(np.zeros((4, 4, 2)))[:-40]}),
    npz(**{'flow.npy': npy(np.zeros((4, 4, 2))).replace(b'(4, 4, 2)', b'(9**9,2)')})])
def test_motion_that_is_none_is_named(data):
  with pytest.raises(images.UnreadableFrame, match='^x'):
    shaping.read_flow(data, 'x')


def test_motion_that_unpacks_to_gigabytes_is_refused_before_it_is_unpacked(monkeypatch):
  monkeypatch.setattr(core_npz, '_array', lambda *_: pytest.fail('it was unpacked'))
  monkeypatch.setattr(core_npz, 'ALWAYS', 1000)
  with pytest.raises(images.UnreadableFrame, match='^x cannot be read as .npz'):
    shaping.read_flow(npz(**{'flow.npy': npy(np.zeros((99, 99, 2)))}), 'x')


def test_negative_ids_are_no_classes():
  from PIL import Image
  buffer = io.BytesIO()
  Image.fromarray(np.full((4, 4), -1, np.int32)).save(buffer, 'tiff')
  with pytest.raises(images.UnreadableFrame, match='x is no picture of class ids'):
    shaping.read_label(buffer.getvalue(), 'x')


@pytest.mark.parametrize('as_drawn', [False, True])
def test_a_single_radiometric_jpeg_is_prepared_as_those_of_a_folder(tmp_path, as_drawn):
  pytest.importorskip('flyr')
  (tmp_path / 'x.jpg').write_bytes(media_seeds.radiometric()[0])
  prepare.footage(str(tmp_path / 'x.jpg'), str(tmp_path / 'out'), defaults.data(), show=False,
                  as_drawn=as_drawn)
  [written] = (tmp_path / 'out').rglob('*.png')
  assert images.read_image(written).dtype == (np.uint8 if as_drawn else np.uint16)
