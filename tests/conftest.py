"""Fixtures of all tests: compilation cache, footage, arguments of tiny runs."""

import os
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
CACHE = os.environ.setdefault('I2VJAX_TEST_CACHE',
                              os.path.join(tempfile.gettempdir(), 'i2vjax-test-cache'))
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', CACHE)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')
# Programs run once or twice here: a quarter of the suite's time went into making them fast.
os.environ.setdefault('JAX_DISABLE_MOST_OPTIMIZATIONS', '1')

import jax
import numpy as np
import pytest
from PIL import Image
from tiny_runs import TINY


@pytest.fixture(scope='module', autouse=True)
def forget_compiled_programs():
  """After each file, so that a worker's memory does not grow with the number of files."""
  yield
  jax.clear_caches()


@pytest.fixture(scope='session')
def footage(tmp_path_factory):
  """Unpaired little videos as folders of frames: gray in train_ir, color in train_vis."""
  root = tmp_path_factory.mktemp('footage')
  rng = np.random.default_rng(0)
  for split, channels in (('train_ir', 1), ('train_vis', 3), ('test_ir', 1), ('test_vis', 3)):
    for clip in range(2):
      folder = root / split / f'clip{clip}'
      folder.mkdir(parents=True)
      picture = rng.integers(0, 255, (40, 60, channels), np.uint8)
      for t in range(4):
        frame = np.roll(picture, 2 * t, axis=1)
        Image.fromarray(frame.squeeze()).save(folder / f'{t:04d}.png')
  return root


@pytest.fixture(scope='session')
def tiny(footage):
  """Command-line arguments that train `config` for seconds on `footage`."""
  def arguments(config, workdir, *more):
    return ['i2vjax', '--config', config, '--workdir', str(workdir),
            '--config.data.source=folders', f'--config.data.root={footage}', *TINY, *more]
  return arguments
