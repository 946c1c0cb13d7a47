"""One compilation cache for all tests, so that a step compiled once is compiled once."""

import os
import tempfile

os.environ.setdefault('JAX_PLATFORMS', 'cpu')
CACHE = os.environ.setdefault('I2VJAX_TEST_CACHE',
                              os.path.join(tempfile.gettempdir(), 'i2vjax-test-cache'))
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', CACHE)
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0.5')
