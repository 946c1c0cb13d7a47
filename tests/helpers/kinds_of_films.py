"""Films of every kind that PyAV writes."""

from fractions import Fraction

import av
import numpy as np
import pytest

BROADCAST = ('dv', 'gxf', 'mxf')      # kinds that take no small frames


def write(path, muxer, codec, frames=12, *, size=None, noise=False, sound=None, options=None):
  """A film of frames that differ, 25 a second; a skipped test where PyAV cannot write it.

  Args:
    path: the file. muxer, codec: FFmpeg's names. frames: how many.
    size: (width, height); None: the smallest usual one that the kind takes.
    noise: frames that do not compress; else gray ones. sound: name of its codec, or None.
    options: of the muxer.

  Returns:
    path.
  """
  if codec not in av.codecs_available:
    pytest.skip(f'PyAV here has no {codec}')
  width, height = size or ((720, 576) if muxer in BROADCAST else (176, 144))
  with av.open(str(path), 'w', format=muxer, options=options or {}) as film:
    quiet = {'x265-params': 'log-level=none'} if codec == 'libx265' else {}
    stream = film.add_stream(codec, rate=25, options=quiet)
    stream.width, stream.height = width, height
    stream.pix_fmt = {'mjpeg': 'yuvj420p', 'ffv1': 'bgr0'}.get(codec, 'yuv420p')
    voice = film.add_stream(sound, rate=22050, layout='mono') if sound else None
    for k in range(frames):
      pixels = (np.random.default_rng(k).integers(0, 255, (height, width, 3), np.uint8) if noise
                else np.full((height, width, 3), 20 * k % 256, np.uint8))
      frame = av.VideoFrame.from_ndarray(pixels).reformat(format=stream.pix_fmt)
      frame.pts, frame.time_base = k, Fraction(1, 25)
      film.mux(stream.encode(frame))
      if voice:
        film.mux(voice.encode(_silence(k, voice)))
    film.mux(stream.encode())
    film.mux(voice.encode() if voice else [])
  return path


def _silence(k, voice):
  count = voice.codec_context.frame_size or 1024
  form = voice.codec_context.format.name
  wave = np.zeros((1, count), np.float32 if form.startswith('flt') else np.int16)
  frame = av.AudioFrame.from_ndarray(wave, form, layout='mono')
  frame.sample_rate, frame.pts, frame.time_base = 22050, count * k, Fraction(1, 22050)
  return frame
