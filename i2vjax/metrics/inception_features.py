"""Inception features of frames, for FID and KID; cached for reference frames.

Three public tools prepare frames in three ways, and their figures differ by more than methods do:
one table, one mode.

  pytorch_fid   bilinear to 299 x 299, half-pixel centers, no smoothing; 2 x - 1 of [0, 1]
  clean         Pillow's bicubic, which smooths when it shrinks, per channel in float; then clipped
                (Parmar et al., CVPR 2022); (x - 128) / 128 of [0, 255]
  torchmetrics  bilinear as TensorFlow 1 had it: pixel i is read at i H / 299; (x - 128) / 128

All three resize whatever the size is, and all three use the same network.
"""

import functools
import hashlib
import json
import pathlib
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image

from i2vjax import metrics
from i2vjax.core import files, ops, precision
from i2vjax.core.errors import UserError
from i2vjax.networks.inception import SIDE

MODES = ('pytorch_fid', 'clean', 'torchmetrics')


def levels(frames: np.ndarray) -> np.ndarray:
  """[T, H, W, C] uint8, or float in [-1, 1], as [T, H, W, 3] float32 in [0, 255]."""
  frames = np.asarray(frames)
  if frames.ndim != 4 or frames.shape[-1] not in (1, 3):
    raise UserError(f'frames {frames.shape}: expected [T, H, W, 1 or 3]')
  if frames.dtype == np.uint8:
    return ops.match_channels(frames, 3).astype(np.float32)
  if frames.dtype.kind != 'f':
    raise UserError(f'frames of type {frames.dtype}: expected uint8, or float in [-1, 1]')
  return np.asarray(255 * ops.match_channels(metrics.unit(frames), 3), np.float32)


def prepare(frames: np.ndarray, mode: str = 'pytorch_fid') -> jax.Array:
  """Frames as a mode feeds them to the network.

  Args:
    frames: [T, H, W, 3] float32 in [0, 255] (`levels`).
    mode: one of `MODES`.

  Returns:
    [T, 299, 299, 3] about in [-1, 1].

  Raises:
    UserError: another mode.
  """
  if mode not in MODES:
    raise UserError(f'eval.fid_mode={mode!r}: choose one of {", ".join(MODES)}')
  if mode == 'clean':
    return (_bicubic(np.asarray(frames, np.float32)) - 128) / 128
  return _bilinear(frames, mode)


@functools.partial(jax.jit, static_argnames='mode')
def _bilinear(frames, mode):
  if mode == 'pytorch_fid':
    return ops.resize(frames, SIDE) / 127.5 - 1
  rows, cols = (_corner_matrix(size) for size in frames.shape[1:3])
  exact = jax.lax.Precision.HIGHEST
  x = jnp.einsum('hk,bkwc->bhwc', rows, frames, precision=exact)
  return (jnp.einsum('wk,bhkc->bhwc', cols, x, precision=exact) - 128) / 128


@functools.lru_cache(maxsize=16)
def _corner_matrix(size):
  """[299, size]: linear interpolation at i size / 299, the last pixel repeated (TensorFlow 1)."""
  place = np.arange(SIDE) * np.float64(size) / SIDE
  low = np.floor(place).astype(int)
  matrix = np.zeros((SIDE, size))
  np.add.at(matrix, (np.arange(SIDE), low), 1 - (place - low))
  np.add.at(matrix, (np.arange(SIDE), np.minimum(low + 1, size - 1)), place - low)
  return matrix.astype(np.float32)


def _bicubic(frames):
  size, kind = (SIDE, SIDE), Image.Resampling.BICUBIC
  resized = np.zeros((len(frames), *size, 3), np.float32)
  for t, frame in enumerate(frames):
    for c in range(3):   # Pillow keeps floats in pictures of one channel alone
      plane = Image.fromarray(np.ascontiguousarray(frame[..., c]))
      resized[t, ..., c] = np.asarray(plane.resize(size, kind))
  return np.clip(resized, 0, 255)


@functools.partial(jax.jit, static_argnames='module')
@precision.exact
def _forward(module, params, frames):
  return module.apply({'params': params}, frames)


def program(module: nn.Module, params: dict, mode: str = 'pytorch_fid',
            batch: int = 16) -> Callable[[np.ndarray], np.ndarray]:
  """A function that turns a clip into features.

  Args:
    module: networks.inception.Inception.
    params: its parameters.
    mode: one of `MODES`.
    batch: frames at a time; one shape is compiled, the last batch is filled up and cut.

  Returns:
    frames [T, H, W, 1 or 3], uint8 or float in [-1, 1] -> [T, D] float32 on the host. A frame that
    holds NaN or infinity has features NaN.
  """
  if mode not in MODES:
    raise UserError(f'eval.fid_mode={mode!r}: choose one of {", ".join(MODES)}')
  params = jax.tree.map(jnp.asarray, params)

  def call(frames):
    frames, parts = np.asarray(frames), []
    for start in range(0, len(frames), batch):
      index = np.minimum(np.arange(start, start + batch), len(frames) - 1)
      inputs = prepare(levels(frames[index]), mode)
      parts.append(np.asarray(_forward(module, params, inputs))[:len(frames) - start])
    features = np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)
    features[~np.isfinite(frames).all(axis=(1, 2, 3))] = np.nan
    return features
  return call


# ---- cache of features -------------------------------------------------------------------------


def cached(call: Callable, folder: pathlib.Path, **settings) -> Callable[[np.ndarray], np.ndarray]:
  """A function that turns a clip into features and stores them, to be read the next time.

  A clip's file is named after its frames and all that its features depend on, so a wrong one is
  never read, and an evaluation that was interrupted goes on where it stopped.

  Args:
    call: from `program`.
    folder: for the files.
    settings: what else features depend on: the network's weight files, the preparation.

  Returns:
    As `program`.
  """
  def load_or_compute(frames):
    frames = np.ascontiguousarray(frames)
    path = pathlib.Path(folder) / f'{fingerprint(frames, settings)}.npy'
    features = _stored(path)
    if features is None or len(features) != len(frames):
      features = call(frames)
      files.save_atomic(path, lambda part: np.save(part, features))
    return features
  return load_or_compute


def fingerprint(frames: np.ndarray, settings: dict) -> str:
  """32 hexadecimal digits that identify frames [T, H, W, C] and the settings of their features."""
  head = json.dumps([frames.shape, str(frames.dtype), settings], sort_keys=True)
  digest = hashlib.sha256(head.encode())
  digest.update(np.ascontiguousarray(frames).data)
  return digest.hexdigest()[:32]


def _stored(path):
  """Features of a file, or None where there is none or it is damaged."""
  try:
    return np.load(path, allow_pickle=False)
  except (OSError, ValueError, EOFError, MemoryError):   # its header may ask for any size
    return None
