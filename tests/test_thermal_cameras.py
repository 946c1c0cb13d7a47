"""Footage of real kinds of thermal cameras through prepare, train, translate and evaluate."""

import json
import pathlib

import numpy as np
import pytest
import thermal_files
from tiny_runs import TINY

from i2vjax import data as frames_of
from i2vjax import defaults, main, translate
from i2vjax.data.io import images, video_reader
from i2vjax.data.transforms import palettes, thermal
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[1]
LENGTH = 6


def street(domain, length=LENGTH, clip=0):
  """Neighboring frames of the built-in street, [T, 40, 48, C] uint8."""
  data = defaults.data()
  data.scenes.update(size=(40, 48), clips=2, test_clips=2, clip_length=length)
  source = frames_of.open_source(data, 'test', domain)
  start = source.clips[clip].start
  return np.stack([source.read(start + k)['frame'] for k in range(length)])


def write_flir(folder, frames):
  """Radiometric JPEG between 283 and 308 K, drawn in ironbow at twice the size."""
  kelvin = 283 + frames[..., 0] / 255 * 25
  for k, (frame, temperature) in enumerate(zip(frames, kelvin, strict=True)):
    drawn = palettes.colors('ironbow')[np.kron(frame[..., 0], np.ones((2, 2), np.uint8))]
    folder.mkdir(parents=True, exist_ok=True)
    thermal_files.flir_jpeg(folder / f'FLIR{k:04d}.jpg', thermal_files.raw_of(temperature), drawn)
  return np.rint(100 * thermal_files.kelvin_of(thermal_files.raw_of(kelvin)))


def write_14_bits(folder, frames):
  """Raw counts of a 14-bit sensor in 16-bit PNG."""
  counts = (5000 + 12 * frames[..., 0].astype(np.uint16)).astype(np.uint16)
  for k, frame in enumerate(counts):
    images.write_image(folder / f'{k:06d}.png', frame)
  return counts


def run(*words):
  assert main.main(['i2vjax', *map(str, words), '--show=false']) == 0


@pytest.mark.slow
@pytest.mark.parametrize(('write', 'tolerance'), [(write_flir, 1), (write_14_bits, 0)],
                         ids=['radiometric', '14_bits_at_9_hertz'])
def test_prepare_train_translate_evaluate(tmp_path, write, tolerance):
  """Values are followed from the file to what the networks see; every frame comes out."""
  if write is write_flir:
    pytest.importorskip('flyr')
  values = write(tmp_path / 'camera', street('a'))
  for k, frame in enumerate(street('b', clip=1)):
    images.write_image(tmp_path / 'day' / f'{k}.png', frame)
  run('prepare', '--input', tmp_path / 'camera', '--output', tmp_path / 'data', '--domain', 'a')
  prepared = np.stack([images.read_image(x) for x in sorted((tmp_path / 'data').rglob('*.png'))])
  assert prepared.dtype == np.uint16
  assert np.abs(prepared[..., 0] - values.astype(float)).max() <= tolerance

  work = tmp_path / 'run'
  run('train', '--config', f'{ROOT}/configs/cyclegan.py:demo', '--workdir', work, *TINY,
      '--config.data.source=folders', f'--config.data.train_a={tmp_path}/data/trainA',
      f'--config.data.train_b={tmp_path}/day', f'--config.data.test_a={tmp_path}/camera',
      f'--config.data.test_b={tmp_path}/day', '--config.train.steps=2')
  run('translate', '--workdir', work, '--input', tmp_path / 'camera', '--output', tmp_path / 'out',
      '--side_by_side')
  results = np.stack([images.read_image(x) for x in sorted((tmp_path / 'out').iterdir())])
  assert results.shape == (LENGTH, 40, 96, 3)
  shown = thermal.to_display(prepared, thermal.value_range(prepared, 'clip'))
  np.testing.assert_array_equal(results[:, :, :48], np.repeat(shown, 3, axis=-1))   # the source
  translate.translate(load.load(work), tmp_path / 'camera', tmp_path / 'out.mp4', rate=9,
                      show=False)
  info = video_reader.video_info(tmp_path / 'out.mp4')
  assert (info.frames, info.rate, info.height, info.width) == (LENGTH, 9, 40, 48)
  run('evaluate', '--workdir', work, '--config.eval.metrics=flicker')
  [report] = (work / 'report').glob('*.json')
  assert json.loads(report.read_text())
