"""Palettes and polarity of thermal frames, undone: values, refusals, what is said."""

import cv2
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import data as frames_of
from i2vjax import defaults
from i2vjax import translate as translator
from i2vjax.core import notes
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.transforms import palettes, polarity, rendering

LENGTH = 4


def street():
  """White-hot frames, [N, 48, 64, 1] uint8: a cold sky, warm ground, small hot things."""
  rng = np.random.default_rng(0)
  clip = []
  for k in range(LENGTH):
    frame = np.linspace(40, 150, 48)[:, None] + rng.normal(0, 3, (48, 64))
    frame[30:36, 5 + 6 * k:8 + 6 * k] = 245
    frame[26:30, 40:42] = 225
    clip.append(np.clip(frame, 0, 255).astype(np.uint8)[..., None])
  return np.stack(clip)


STREET = street()


@pytest.fixture
def said(monkeypatch):
  lines = []
  monkeypatch.setattr(notes, 'say_once', lambda text, about='': lines.append(text))
  return lines


def source(tmp_path, clip, **fields):
  for k, frame in enumerate(clip):
    images.write_image(tmp_path / 'in' / f'{k:03d}.png', frame)
  data = defaults.data()
  data.update(source='folders', train_a=str(tmp_path / 'in'), train_b=str(tmp_path / 'in'),
              **fields)
  return frames_of.open_source(data, 'train', 'a')


def read_all(frames):
  return np.stack([frames.read(i)['frame'] for i in range(len(frames))])


def drawn(name, quality=None):
  """STREET in a palette; with a quality, compressed as JPEG."""
  clip = [palettes.colors(name)[frame[..., 0]] for frame in STREET]
  if quality is None:
    return clip
  return [cv2.imdecode(cv2.imencode('.jpg', frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1],
                       cv2.IMREAD_COLOR) for frame in clip]


# ---- polarity


def test_frames_are_as_they_are_by_default(tmp_path):
  np.testing.assert_array_equal(read_all(source(tmp_path, STREET)), STREET)


def test_black_hot_is_turned_round(tmp_path):
  np.testing.assert_array_equal(read_all(source(tmp_path, 255 - STREET, polarity='black')), STREET)


def test_only_infrared_frames_are_turned_round(tmp_path):
  frames = source(tmp_path, STREET, polarity='black', direction='b2a')   # a is visible then
  np.testing.assert_array_equal(read_all(frames), STREET)


@pytest.mark.parametrize(('rule', 'expected'), [('clip', 65535 - 7300), ('7000,9500', 9200)])
def test_16_bits_turned_round_keep_the_meaning_of_the_range(rule, expected):
  """LOW,HIGH stay raw values of the file: what was a tenth above LOW is a tenth below HIGH."""
  assert polarity.invert(np.full((2, 2, 1), 7300, np.uint16), rule)[0, 0, 0] == expected


@pytest.mark.parametrize(('clip', 'found'), [(STREET, 'white-hot'), (255 - STREET, 'black-hot')])
def test_auto_says_what_it_found_and_how_sure(tmp_path, said, clip, found):
  np.testing.assert_array_equal(read_all(source(tmp_path, clip, polarity='auto')), STREET)
  [line] = said
  assert f'{found} by its looks, sure to 100%' in line
  assert 'decides otherwise' in line


def test_auto_refuses_to_guess(tmp_path):
  """A cold sky says white, small things darker than around them say black: half each."""
  clip = STREET.copy()
  for k, frame in enumerate(clip):
    frame[30:36, 5 + 6 * k:8 + 6 * k] = frame[26:30, 40:42] = 0
  with pytest.raises(UserError, match='may be white-hot or black-hot .*polarity=white or black'):
    source(tmp_path, clip, polarity='auto')


@pytest.mark.parametrize(('rule', 'count'), [('7000,9500', 1), ('clip', 0), ('frame', 0)])
def test_raw_values_beside_8_bits_do_nothing_and_it_is_said(said, rule, count):
  config = defaults.get_config().data
  config.thermal_range = rule
  rendering.settle(config, [STREET[0]], 'here')
  rendering.settle(config, [STREET[0].astype(np.uint16) * 30], 'there')
  assert [line[:15] for line in said] == ['here has 8 bits'] * count


def test_the_built_in_street_is_white_hot():
  data = defaults.data()
  data.scenes.update(size=48, test_clips=4)
  street = frames_of.open_source(data, 'test', 'a')
  frames = [street.read(i)['frame'] for i in range(0, len(street), 12)]
  assert polarity.judge(frames)[0] == 'white'
  assert polarity.judge([255 - frame for frame in frames])[0] == 'black'


def test_an_unknown_polarity_is_refused(tmp_path):
  with pytest.raises(UserError, match="polarity='red' is unknown: white"):
    source(tmp_path, STREET, polarity='red')


# ---- palettes


@pytest.mark.parametrize('name', palettes.NAMES)
def test_a_palette_is_refused_with_the_remedy_and_turned_back_by_it(tmp_path, said, name):
  with pytest.raises(UserError, match=f'drawn with the palette {name}.*data.unpalette={name}'):
    source(tmp_path, drawn(name))
  gray = read_all(source(tmp_path, drawn(name), unpalette=name))
  assert gray.shape == STREET.shape
  assert np.abs(gray.astype(int) - STREET).max() <= 1   # viridis and cividis repeat a color
  assert f'palette {name} turned into gray values; colors are 0.0 from it' in said[-1]


def test_compressed_colors_are_recognized_and_turned_back_closely(tmp_path, said):
  clip = drawn('ironbow', 80)
  assert palettes.detect(clip)[0] == 'ironbow'
  gray = read_all(source(tmp_path, clip, unpalette='ironbow'))
  assert np.abs(gray.astype(int) - STREET).mean() < 8
  distance = float(said[-1].split('colors are ')[1].split()[0])
  assert 0 < distance < palettes.KNOWN


def test_a_picture_of_the_cameras_scale_is_a_palette(tmp_path, said):
  """A palette of the camera's own, its scale standing with cold at the bottom."""
  places = np.linspace(0, 1, 256)[:, None]
  table = np.rint(255 * np.concatenate([places ** 0.5, places ** 2, 0.5 + 0.4 * np.sin(6 * places)],
                                       axis=1)).astype(np.uint8)
  images.write_image(tmp_path / 'scale.png', np.repeat(table[::-1, None], 5, axis=1))
  gray = read_all(source(tmp_path, [table[frame[..., 0]] for frame in STREET],
                         unpalette=str(tmp_path / 'scale.png')))
  assert np.abs(gray.astype(int) - STREET).max() <= 1   # a color repeats


def test_a_palette_like_a_known_one_is_pointed_out(tmp_path):
  clip = [np.clip(frame.astype(int) + (18, 10, 0), 0, 255).astype(np.uint8)
          for frame in drawn('ironbow')]
  with pytest.warns(UserWarning, match='a palette like ironbow.*picture of the color scale'):
    frames = source(tmp_path, clip)
  np.testing.assert_array_equal(read_all(frames), clip)


def test_another_palette_than_named_is_refused(tmp_path):
  with pytest.raises(UserError, match=r'unpalette=jet: colors of .*another palette \(hot is 0'):
    source(tmp_path, drawn('hot'), unpalette='jet')


def test_none_takes_the_colors_as_they_are(tmp_path):
  np.testing.assert_array_equal(read_all(source(tmp_path, drawn('jet'), unpalette='none')),
                                drawn('jet'))


def test_gray_frames_have_no_palette(tmp_path):
  with pytest.raises(UserError, match='unpalette=jet: frames are gray'):
    source(tmp_path, STREET, unpalette='jet')


def test_a_name_that_is_no_palette_and_no_file_is_refused(tmp_path):
  with pytest.raises(UserError, match='unpalette=iron: neither a palette .ironbow, .* nor a pic'):
    source(tmp_path, drawn('jet'), unpalette='iron')


def test_daylight_is_not_taken_for_a_palette():
  data = defaults.data()
  data.scenes.update(size=48, test_clips=4)
  street = frames_of.open_source(data, 'test', 'b')
  frames = [street.read(i)['frame'] for i in range(0, len(street), 12)]
  assert palettes.detect(frames) is None


def test_palette_then_polarity(tmp_path, said):
  clip = [palettes.colors('jet')[255 - frame[..., 0]] for frame in STREET]
  frames = source(tmp_path, clip, unpalette='jet', polarity='black')
  assert np.abs(read_all(frames).astype(int) - STREET).max() <= 1


# ---- translation


def test_translation_undoes_the_same(tmp_path, said):
  """The stub turns its input round: 255 - white-hot."""
  run = stubs.make(stubs.negative, stubs.config(polarity='black', unpalette='hot'))
  clip = [palettes.colors('hot')[255 - frame[..., 0]] for frame in STREET]
  for k, frame in enumerate(clip):
    images.write_image(tmp_path / 'in' / f'{k:03d}.png', frame)
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', show=False)
  result = images.read_image(tmp_path / 'out' / '002.png')
  np.testing.assert_array_equal(result, np.repeat(255 - STREET[2], 3, axis=-1))


def test_translation_refuses_colored_footage(tmp_path):
  for k, frame in enumerate(drawn('jet')):
    images.write_image(tmp_path / 'in' / f'{k:03d}.png', frame)
  with pytest.raises(UserError, match='drawn with the palette jet'):
    translator.translate(stubs.make(stubs.negative), tmp_path / 'in', tmp_path / 'out', show=False)
  assert not (tmp_path / 'out').exists()


def test_translation_to_infrared_takes_daylight_as_it_is(tmp_path):
  run = stubs.make(stubs.negative, stubs.config(polarity='black', direction='b2a'))
  images.write_image(tmp_path / 'in' / '0.png', drawn('jet')[0])
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', show=False)
  result = images.read_image(tmp_path / 'out' / '0.png')
  np.testing.assert_array_equal(result, 255 - drawn('jet')[0])
