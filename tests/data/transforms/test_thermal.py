"""16-bit thermal footage: what training sees of a frame is what translation sees of it.

The footage is radiometric (hundredths of a kelvin, some 70 kelvin in all), has a dead pixel, and
the camera's gain jumps in the middle of the clip.
"""

import pathlib
import warnings

import numpy as np
import pytest
import stub_runs as stubs
from tiny_runs import TINY

from i2vjax import defaults, main
from i2vjax.core import ops
from i2vjax.data.io import images, video_reader
from i2vjax.data.loader import batches
from i2vjax.data.sources import streams
from i2vjax.data.transforms import thermal
from i2vjax.run import folder as run_folder
from i2vjax.run import resume, translator

SIZE = 32
RULES = ('clip', 'frame', 'dtype', '27000,34000')


def radiometric(count, seed=0):
  """[T, SIZE, SIZE, 1] uint16."""
  scene = np.random.default_rng(seed).normal(29315, 900, (SIZE, SIZE + count, 1))
  clip = np.stack([scene[:, t:t + SIZE] for t in range(count)])
  clip[count // 2:] = 29315 + 1.4 * (clip[count // 2:] - 29315)      # the gain jumps
  clip = np.clip(np.rint(clip), 26000, 33000).astype(np.uint16)
  clip[:, 3, 3] = 65535                                              # a dead pixel
  return clip


def write(place, clip, kind):
  """The clip as a folder of .png or .tif, or as a lossless video; returns its place."""
  if kind == 'mkv':
    with video_reader.VideoWriter(f'{place}.mkv') as film:
      for frame in clip:
        film.write(frame)
    return f'{place}.mkv'
  for t, frame in enumerate(clip):
    images.write_image(place / f'{t:03d}.{kind}', frame)
  return str(place)


def seen_in_training(place, rule, cache, count):
  """[T, H, W, 3] floats of the one window that the clip has, found in the batch of the loader."""
  config = defaults.get_config()
  config.data.update(source='folders', train_a=place, train_b=place, frames=count, load_size=SIZE,
                     crop_size=SIZE, thermal_range=rule, cache_dir=str(cache))
  batch = next(batches.train_iterator(config, 1))
  return np.asarray(ops.to_float(batch['a'], batch['range_a'], 3))[0]


def seen_in_translation(place, rule):
  """[T, H, W, 3] floats that reach the networks of a run with this rule in its config."""
  run = stubs.make(lambda *args: (args[-2], args[-1]), stubs.config(thermal_range=rule))
  call = translator.compile_chunk(run, quantize=False)
  items = [item for stream in streams.open_streams(place) for item in stream.read()]
  actual = translator.translate_clip(call, items, run.config.data.thermal_range, chunk=4)
  return np.stack([result for _, _, result in actual])


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('kind', ['png', 'tif', 'mkv'])
def test_translation_sees_what_training_saw(tmp_path, rule, kind):
  clip = radiometric(6)
  place = write(tmp_path / 'clip', clip, kind)
  with warnings.catch_warnings():
    warnings.filterwarnings('ignore', message='.*scales each frame by itself')
    warnings.filterwarnings('ignore', message='.*so frames look flat')
    learned = seen_in_training(place, rule, tmp_path / 'cache', 6)
  np.testing.assert_allclose(seen_in_translation(place, rule), learned, atol=1e-6)
  if rule == '27000,34000':
    expected = np.clip((clip.astype(np.float64) - 27000) / 7000, 0, 1) * 2 - 1
    np.testing.assert_allclose(learned, np.broadcast_to(expected, learned.shape), atol=1e-5)


def spread(values):
  return float(values.max() - values.min())


def test_the_rule_clip_fills_the_range_on_both_sides_of_a_gain_jump(tmp_path):
  """And keeps the jump as it is: one scale for the clip, so a still scene does not flicker."""
  clip = radiometric(8)
  seen = seen_in_training(write(tmp_path / 'clip', clip, 'png'), 'clip', tmp_path, 8)
  low, high = thermal.value_range(clip, 'clip')
  assert 26000 <= low < high <= 33000                       # the dead pixel does not set the scale
  inner = np.abs(seen) < 1
  assert inner[:4].mean() > 0.98 and inner[4:].mean() > 0.9
  raw = clip.astype(np.float64)[inner[..., :1]]
  np.testing.assert_allclose(seen[..., :1][inner[..., :1]], (raw - low) / (high - low) * 2 - 1,
                             atol=1e-5)


def test_the_rule_frame_undoes_a_gain_jump():
  clip = radiometric(8)
  clip[:, 3, 3] = 29315
  still = np.stack([clip[0], (29315 + 1.4 * (clip[0].astype(np.float64) - 29315)).astype('u2')])
  done = np.stack([thermal.stretch(x, 'frame') for x in still]).astype(int)
  assert np.abs(done[0] - done[1]).max() < 0.01 * spread(done)


@pytest.mark.parametrize('rule', ['dtype', '7000,9500', '0,60000'])
def test_a_range_that_leaves_frames_flat_is_told_with_one_that_fits(tmp_path, rule):
  place = write(tmp_path / 'clip', radiometric(2), 'png')
  with pytest.warns(UserWarning, match=r'most values lie from 2\d+ to 3\d+, so frames look flat'):
    seen_in_training(place, rule, tmp_path, 2)


def test_the_rule_is_stored_with_the_run_and_read_back(tmp_path):
  for rule in RULES:
    config = stubs.config(thermal_range=rule)
    run_folder.write_config(tmp_path, config)
    assert run_folder.read_config(tmp_path).data.thermal_range == rule


def test_another_rule_is_another_run(tmp_path):
  with pytest.raises(ValueError, match="data.thermal_range: 'clip' -> '27000,34000'"):
    resume.compare_configs(stubs.config(), stubs.config(thermal_range='27000,34000'))


@pytest.mark.parametrize('rule', ['percentile', '9,7', '7000', 'clip,1'])
def test_an_unknown_rule_is_refused_by_training(tmp_path, rule):
  place = write(tmp_path / 'clip', radiometric(2), 'png')
  with pytest.raises(ValueError, match='clip, frame, dtype, or two raw values LOW,HIGH'):
    seen_in_training(place, rule, tmp_path, 2)


@pytest.mark.slow
def test_a_run_trained_on_16_bits_translates_tiff_png_and_video_alike(tmp_path):
  """A span of 255 makes 16 bits the same floats as 8: both must give the same pictures."""
  root = pathlib.Path(__file__).parents[3]
  for name, seed in (('train_a', 0), ('train_b', 1)):
    write(tmp_path / name, radiometric(4, seed), 'tif')
  work = tmp_path / 'run'
  common = ['--config', f'{root}/configs/cyclegan.py:demo', '--workdir', str(work),
            '--config.data.source=folders', f'--config.data.train_a={tmp_path}/train_a',
            f'--config.data.train_b={tmp_path}/train_b', '--config.data.thermal_range=27000,27255']
  assert main.main(['i2vjax', *common, *TINY, '--config.train.steps=2']) == 0
  clip = np.clip(radiometric(4, 2) // 16 + 25300, 27000, 27255)
  results = []
  for kind in ('tif', 'png', 'mkv', 'eight'):
    frames_of = (clip - 27000).astype(np.uint8) if kind == 'eight' else clip
    place = write(tmp_path / f'test_{kind}', frames_of, 'png' if kind == 'eight' else kind)
    out = tmp_path / f'out_{kind}'
    assert main.main(['i2vjax', 'translate', '--workdir', str(work), '--input', place, '--output',
                      str(out), '--show=false']) == 0
    results.append(np.stack([images.read_image(x) for x in sorted(out.iterdir())]))
  for other in results[1:]:
    np.testing.assert_array_equal(results[0], other)
  assert results[0].std() > 1
