"""The procedural street: what its frames, labels and boxes promise."""

import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.core import machine
from i2vjax.data.scenes import cameras, hashing, open_split, palette, render, surface, world
from i2vjax.evaluation import class_colors

# sha256 of the bytes of three frames; other bytes mean other data under the same seed.
PINNED = {
    ('a', 5): 'ee41b3d594c3a9e7', ('b', 29): '5d8fd5d17ed3f281', ('b', 160): '8edba39281712930',
}


def data(size=64, **fields):
  """config.data for frames of a size, int or (height, width)."""
  settings = defaults.data().to_dict()
  settings['scenes'].update(size=size, **fields)
  return ConfigDict(settings)


def frames(domain='b', split='test', **fields):
  return open_split(data(**fields), split, domain)


def digest(record):
  return hashlib.sha256(np.ascontiguousarray(record['frame'])).hexdigest()[:16]


def test_hash_of_integers_equals_hash_of_arrays():
  keys = np.array([0, 1, -1, 7, 2 ** 31, 2 ** 32 - 1])
  assert [hashing.fold_int(3, k, -2) for k in keys.tolist()] == hashing.fold(3, keys, -2).tolist()


def test_hash_spreads_neighboring_keys_evenly():
  u = hashing.uniform(5, np.arange(20000))
  counts = np.histogram(u, 10, (0, 1))[0]
  assert abs(counts - 2000).max() < 200
  assert abs(np.corrcoef(u[1:], u[:-1])[0, 1]) < 0.03


def test_noise_has_zero_mean_unit_variance_and_no_stripes():
  noise = hashing.normal(9, 128, 96)
  assert abs(noise.mean()) < 0.03
  assert abs(noise.std() - 1) < 0.03
  assert noise.mean(axis=0).std() < 0.15
  assert noise.mean(axis=1).std() < 0.16


@pytest.mark.parametrize('domain, i', sorted(PINNED))
def test_bytes_are_the_same_everywhere(domain, i):
  assert digest(frames(domain).read(i)) == PINNED[domain, i]


def test_another_process_draws_the_same_bytes():
  here = frames('b', size=32)
  script = ('import sys, pickle, hashlib; s = pickle.load(sys.stdin.buffer); '
            'print(hashlib.sha256(s.read(30)["frame"].tobytes()).hexdigest()[:16])')
  there = subprocess.run([sys.executable, '-c', script], input=pickle.dumps(here),
                         capture_output=True, check=True)
  assert there.stdout.decode().strip() == digest(here.read(30))


@pytest.mark.parametrize('domain', 'ab')
def test_a_frame_alone_equals_the_frame_of_a_whole_clip(domain):
  whole = frames(domain, size=48)
  for i in range(24):
    clip = whole.read(i)
  alone = frames(domain, size=48, cache_mb=0)
  for i in (7, 23):
    for name, value in alone.read(i).items():
      np.testing.assert_array_equal(value, whole.read(i)[name])
  assert clip['frame'].shape[:2] == (48, 48)


def test_clips_are_listed_in_order_and_names_say_the_split():
  a = frames('a', split='val', val_clips=3, clip_length=5)
  assert a.clips == [('val_000', 0, 5), ('val_001', 5, 5), ('val_002', 10, 5)]
  assert len(a) == 15
  assert frames('a', split='val', val_clips=0) is None
  with pytest.raises(IndexError, match='frame 15 of 15'):
    a.read(15)


@pytest.mark.parametrize('size', [32, (40, 72), (96, 64)])
def test_frames_have_the_size_asked_for(size):
  height, width = (size, size) if isinstance(size, int) else size
  assert frames('a', size=size).read(0)['frame'].shape == (height, width, 1)
  record = frames('b', size=size).read(0)
  assert record['frame'].shape == (height, width, 3)
  assert record['label'].shape == (height, width)


def test_size_0_takes_the_load_size():
  settings = data(size=0)
  settings.load_size = 40
  assert open_split(settings, 'test', 'a').size == (40, 40)


def test_test_clips_show_the_same_moment_to_both_cameras():
  a, b = frames('a'), frames('b')
  for i in (3, 100):
    np.testing.assert_array_equal(a.read(i)['label'], b.read(i)['label'])
    np.testing.assert_array_equal(a.read(i)['boxes'], b.read(i)['boxes'])


def test_training_clips_of_the_domains_differ_unless_paired():
  def same(paired):
    a, b = (frames(d, split='train', paired=paired, size=32) for d in 'ab')
    return [np.array_equal(a.read(i)['label'], b.read(i)['label']) for i in (0, 24, 48)]
  assert not any(same(paired=False))
  assert all(same(paired=True))


def test_splits_and_seeds_show_different_streets():
  shown = [frames('b', split=s, seed=n, size=32).read(0)['label'].tobytes()
           for s in ('train', 'test', 'val') for n in (0, 1)]
  assert len(set(shown)) == len(shown)


def test_few_classes_fill_the_frame_and_small_ones_are_rare():
  """Long tail (CPTrans, figure 1): large classes over 85 %, MornGAN's small ones under 5 %."""
  train = frames('b', split='train', clips=32)
  counts = sum(np.bincount(train.read(24 * k + t)['label'].ravel(), minlength=256)
               for k in range(32) for t in (0, 12, 23))
  share = counts / counts.sum()
  p = palette
  large = share[[p.SKY, p.ROAD, p.BUILDING, p.VEGETATION]]
  small = share[[p.LIGHT, p.SIGN, p.PERSON, p.TRUCK, p.BUS, p.MOTORCYCLE]]
  assert large.sum() > 0.85
  assert small.min() > 0
  assert 0.005 < small.sum() < 0.05
  assert share[[p.SIDEWALK, p.POLE, p.CAR]].min() > 0.003


def test_boxes_hug_the_visible_pixels_of_objects():
  b = frames('b', size=96, camera='monitoring')
  result = 0
  for i in (0, 30, 60, 90):
    record = b.read(i)
    label, boxes = record['label'], record['boxes']
    inside = np.zeros(label.shape, bool)
    for x0, y0, x1, y1, name in boxes.astype(int):
      part = label[y0:y1, x0:x1] == name
      assert part.any(0)[[0, -1]].all()          # touches all four sides
      assert part.any(1)[[0, -1]].all()
      inside[y0:y1, x0:x1] |= part
      result += 1
    objects = np.isin(label, palette.OBJECTS)
    assert (objects & ~inside).sum() <= 4 * 20   # only objects of under four pixels have none
  assert result > 20


def test_heat_does_not_know_colors():
  """Repainting everything leaves the thermal frame as it is: color is in semantics alone."""
  scene = world.build(4, 'driving', 'clear', 24)
  view = render.raster(scene, 3, (64, 64))
  repainted = scene._replace(tables=scene.tables._replace(rgb=scene.tables.rgb[::-1] * 0.5))
  look = surface.look(scene, view)
  heat = [cameras.thermal(s, view, look, 3) for s in (scene, repainted)]
  color = [cameras.visible(s, view, look, 3) for s in (scene, repainted)]
  np.testing.assert_array_equal(*heat)
  assert np.abs(color[0].astype(float) - color[1]).mean() > 8


def test_people_and_engines_are_hot_and_the_sky_is_cold():
  a = frames('a', size=128, weather='clear', camera='monitoring')
  sums, counts = np.zeros(256), np.zeros(256)
  for i in range(0, 192, 24):
    record = a.read(i)
    label = record['label'].ravel()
    sums += np.bincount(label, record['frame'].ravel(), minlength=256)
    counts += np.bincount(label, minlength=256)
  p, mean = palette, sums / np.maximum(counts, 1)
  assert mean[p.PERSON] > mean[p.ROAD] + 20 > mean[p.VEGETATION] + 30
  assert mean[p.SKY] < 5


def test_16_bit_levels_are_degrees_on_a_fixed_scale():
  """-40 to 60 C over 0 to 65535: without blur and noise in reach, road is 12 C."""
  a = frames('a', thermal_bits=16, thermal_noise=0.0, weather='overcast', camera='monitoring')
  record = a.read(0)
  assert record['frame'].dtype == np.uint16
  celsius = record['frame'][..., 0] / 65535 * 100 - 40
  road = celsius[56:, :][record['label'][56:, :] == palette.ROAD]
  assert abs(np.median(road) - 12.3) < 0.6
  assert abs(celsius[record['label'] == palette.SKY].mean()) < 1.5


def test_kinds_of_surface_are_warmer_or_colder_in_training_clips_alone():
  """At 16 bits, without noise: each class moves by its own draw, the sky stays."""
  of = dict(thermal_bits=16, thermal_noise=0.0, weather='overcast', camera='monitoring')
  plain, spread = (frames('a', 'train', heat_spread=x, **of) for x in (0.0, 6.0))
  record, changed = plain.read(0), spread.read(0)
  heat = cameras.heat_of_kinds(plain.world(0), 6.0)
  assert 0.5 < np.abs(heat[:20]).max() <= 6 and not heat[palette.SKY] and not heat[20:].any()
  difference = (changed['frame'].astype(float) - record['frame'])[..., 0] / 65535 * 100
  for kind in (palette.ROAD, palette.SKY, palette.VEGETATION, palette.BUILDING):
    moved = np.median(difference[record['label'] == kind])   # some pixels are blurred together
    assert moved == pytest.approx(heat[kind], abs=0.3)
  np.testing.assert_array_equal(changed['label'], record['label'])
  clips = np.stack([cameras.heat_of_kinds(spread.world(clip), 6.0) for clip in range(12)])
  assert np.abs(clips).max() > 4 and np.abs(clips).max(axis=1).min() < 2   # some as usual
  for domain, split in (('b', 'train'), ('a', 'test')):   # colors and tests know nothing of it
    np.testing.assert_array_equal(frames(domain, split, heat_spread=6.0).read(3)['frame'],
                                  frames(domain, split).read(3)['frame'])


def test_radiance_is_the_fourth_power_of_temperature():
  np.testing.assert_allclose(cameras.radiance(np.array([15.0, -273.0, 303.0])), [1, 0, 16])


def test_blur_keeps_the_mean_and_is_1_2_1_at_256_rows():
  dot = np.zeros((256, 8))
  dot[100, 4] = 16.0
  np.testing.assert_allclose(cameras.blur(dot)[99:102, 3:6], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
  np.testing.assert_allclose(cameras.blur(np.full((512, 8), 3.0)), 3.0)


def test_gain_jumps_scale_whole_frames_and_are_told():
  plain = frames('a', size=32, thermal_noise=0.0)
  jumping = frames('a', size=32, thermal_noise=0.0, gain_jumps=True)
  gains = np.array([jumping.gain(i) for i in range(len(jumping))])
  assert gains[0] == 1.0
  assert gains.min() >= 0.8
  assert gains.max() <= 1.25
  assert 3 < (np.diff(gains) != 0).sum() < 40
  i = int(np.argmax(np.abs(gains - 1)))
  before, after = (s.read(i)['frame'].astype(float) for s in (plain, jumping))
  assert np.abs(after - np.clip(before * gains[i], 0, 255)).max() <= 1.5
  assert plain.gain(i) == 1.0


def test_thermal_noise_is_temporal_and_by_column():
  quiet, noisy = (frames('a', size=64, camera='monitoring', thermal_noise=n) for n in (0.0, 1.0))
  difference = noisy.read(5)['frame'].astype(float) - quiet.read(5)['frame']
  grounds = difference[40:, :, 0]
  assert 1.2 < np.median(grounds.std(axis=0)) < 1.8
  assert 0.6 < grounds.mean(axis=0).std() < 1.5


@pytest.mark.parametrize('weather', palette.WEATHERS)
def test_weather_can_be_chosen_and_changes_both_cameras(weather):
  other = 'snow' if weather != 'snow' else 'clear'
  for domain in 'ab':
    one, two = (frames(domain, weather=w, size=48).read(1)['frame'] for w in (weather, other))
    assert (one != two).mean() > 0.3


def test_mix_draws_several_weathers_and_both_cameras():
  train = frames('b', split='train')
  drawn = [train.world(k) for k in range(64)]
  assert {w.weather for w in drawn} == set(palette.WEATHERS)
  assert {w.camera.height for w in drawn} == {1.4, 6.0}


@pytest.mark.parametrize('gigabytes, workers, expected', [(64, 0, 1024), (4, 0, 256), (16, 4, 256)])
def test_the_cache_follows_the_memory(monkeypatch, gigabytes, workers, expected):
  monkeypatch.setattr(machine, 'memory', lambda: gigabytes * 2 ** 30)
  config = data(cache_mb=None)
  config.workers = workers
  assert open_split(config, 'test', 'b').fields['cache_mb'] == expected
  assert frames('b', cache_mb=7).fields['cache_mb'] == 7


def test_frames_are_kept_only_up_to_the_bound():
  b = frames('b', size=128, cache_mb=1)
  for i in range(24):
    b.read(i)
  assert 0 < b.cached_bytes <= 2 ** 20
  assert len(b.cache) < 24
  assert b.read(0)['frame'] is b.read(0)['frame']


def test_pickling_keeps_the_clips_and_drops_drawn_frames():
  b = frames('b', size=32)
  b.read(0)
  again = pickle.loads(pickle.dumps(b))
  assert repr(again) == repr(b)
  assert again.clips == b.clips
  assert not again.cache
  np.testing.assert_array_equal(again.read(0)['frame'], b.read(0)['frame'])


@pytest.mark.parametrize('fields, words', [
    (dict(camera='drone'), 'camera.*driving, monitoring, mix'),
    (dict(weather='fog'), 'weather.*clear, overcast'),
    (dict(thermal_bits=12), 'thermal_bits.*8, 16'),
    (dict(size=8), 'size.*8x8'),
    (dict(clip_length=0), 'clip_length'),
])
def test_a_field_that_cannot_be_drawn_is_named(fields, words):
  with pytest.raises(ValueError, match=words):
    frames(**fields)


def test_long_clips_keep_their_street_and_traffic():
  b = frames('b', size=64, clip_length=1000, test_clips=3, camera='driving')
  label = b.read(999)['label']
  assert {palette.ROAD, palette.SKY, palette.BUILDING} <= set(np.unique(label))
  assert not np.array_equal(label, b.read(0)['label'])


def test_ceiling_of_constant_colors_is_between_gray_and_perfect():
  settings = data(size=32, weather='clear')
  ceiling = class_colors.class_color_ceiling(settings, train_frames=48, test_frames=24)
  b = open_split(settings, 'test', 'b')
  gray = np.mean([10 * np.log10(255 ** 2 / np.var(b.read(8 * k + 4)['frame'].astype(float)))
                  for k in range(24)])
  assert gray + 3 < ceiling['psnr'] < 30
  road = ceiling['colors'][palette.ROAD]
  assert np.abs(road - road.mean()).max() < 8
  np.testing.assert_allclose(ceiling['share'].sum(), 1.0)
