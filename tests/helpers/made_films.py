"""Films as other programs would write them, 48x32 pixels, and how they are read."""

import io
from fractions import Fraction

import av
import numpy as np
from PIL import Image

from i2vjax.data.io import video_reader

HEIGHT, WIDTH, RATE = 32, 48, 12


def picture(k):
  y, x = np.mgrid[:HEIGHT, :WIDTH]
  return np.stack([5 * x, 7 * y, 0 * x + 9 * k], axis=-1).astype(np.uint8)


def encode(path, codec='libx264', times=range(24), make=picture, fmt='yuv420p', rate=RATE,
           sound=None, options=None, **context):
  """A film as another program would write it; `times` in frames, `sound`: codec."""
  with av.open(str(path), 'w') as film:
    stream = film.add_stream(codec, rate=rate, options=options or {})
    stream.pix_fmt = fmt
    first = make(0)
    stream.height, stream.width = first.shape[:2]
    for name, value in context.items():
      setattr(stream.codec_context, name, value)
    voice = film.add_stream(sound, rate=16000, layout='mono') if sound else None
    for k, time in enumerate(times):
      array = make(k)
      frame = av.VideoFrame.from_ndarray(array, 'rgb24' if array.ndim == 3 else fmt)
      frame = frame.reformat(format=fmt)
      frame.color_range = context.get('color_range', 0)
      frame.pts, frame.time_base = time, Fraction(1, rate)
      film.mux(stream.encode(frame))
    film.mux(stream.encode())
    for k in range(30 if voice else 0):
      wave = np.sin(np.arange(1024)[None] / 6 + k).astype(np.float32) / 2
      planar = voice.codec_context.format.is_planar or voice.codec_context.format.name == 'flt'
      frame = av.AudioFrame.from_ndarray(
          wave if planar else (wave * 20000).astype(np.int16),
          'fltp' if planar else 's16', layout='mono')
      frame.sample_rate, frame.pts, frame.time_base = 16000, 1024 * k, Fraction(1, 16000)
      film.mux(voice.encode(frame))
    if voice:
      film.mux(voice.encode())
  return path


def jpegs(count, make=picture, **options):
  """Bytes of JPEG, as cameras write them; `options`: of Pillow."""
  found = []
  for k in range(count):
    file = io.BytesIO()
    Image.fromarray(make(k)).save(file, 'JPEG', **{'quality': 90} | options)
    found.append(file.getvalue())
  return found


def of_pictures(path, contents, codec='mjpeg', fmt='yuvj420p', size=(WIDTH, HEIGHT)):
  """A film whose frames are files of pictures, unchanged, as `ffmpeg -i %d.jpg -c copy`."""
  with av.open(str(path), 'w') as film:
    stream = film.add_stream(codec, rate=RATE)
    (stream.width, stream.height), stream.pix_fmt = size, fmt
    for k, content in enumerate(contents):
      packet = av.Packet(content)
      packet.pts = packet.dts = k
      packet.duration, packet.time_base = 1, Fraction(1, RATE)
      packet.stream, packet.is_keyframe = stream, True
      film.mux(packet)
  return path


def frames(path, **kind):
  return [frame for frame, _ in video_reader.read_video(path, **kind)]


def times(path, **kind):
  return [seconds for _, seconds in video_reader.read_video(path, **kind)]


def turned(path, output, matrix):
  """A copy of an MP4 whose header asks for a display matrix, (a, b, c, d)."""
  def words(a, b, c, d):
    return b''.join((value << 16).to_bytes(4, 'big', signed=True) for value in (a, b, 0, c, d, 0))
  data = path.read_bytes()
  track = data.find(b'tkhd')
  assert words(1, 0, 0, 1) in data[track:]
  output.write_bytes(data[:track] + data[track:].replace(words(1, 0, 0, 1), words(*matrix), 1))
  return output
