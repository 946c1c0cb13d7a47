"""Senders of live video on this machine's own network, for tests of receivers."""

import contextlib
import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np

H, W = 48, 64


def free_port(kind=socket.SOCK_STREAM):
  """A port that nobody uses now."""
  with socket.socket(socket.AF_INET, kind) as probe:
    probe.bind(('127.0.0.1', 0))
    return probe.getsockname()[1]


def gray_clip(values):
  """Flat frames [48, 64, 3] uint8 that are told apart by their gray value."""
  return [np.full((H, W, 3), value, np.uint8) for value in values]


def send(file, clip, rate=25):
  """Write a clip to a file object as MPEG-TS with H.264, at its own pace; 'sound': sound alone."""
  if isinstance(clip, str):
    send_sound(file)
    return
  with av.open(file, 'w', format='mpegts', container_options={'flush_packets': '1'}) as container:
    stream = container.add_stream('libx264', rate=rate, options={'tune': 'zerolatency',
                                                                 'preset': 'ultrafast'})
    stream.height, stream.width = clip[0].shape[:2]
    stream.pix_fmt = 'yuv420p'
    stream.codec_context.gop_size = 5
    began = time.monotonic()
    for k, frame in enumerate(clip):
      picture = av.VideoFrame.from_ndarray(frame, 'rgb24')
      picture.pts, picture.time_base = k, Fraction(1, rate)
      container.mux(stream.encode(picture))
      file.flush()             # small frames would wait for each other
      time.sleep(max(0, began + k / rate - time.monotonic()))
    container.mux(stream.encode())


def send_sound(file):
  """Write a second of silence to a file object as MPEG-TS with AAC."""
  with av.open(file, 'w', format='mpegts') as container:
    stream = container.add_stream('aac', rate=48000)
    stream.layout = 'mono'
    for k in range(48):
      frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), 's16', 'mono')
      frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * k, Fraction(1, 48000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


@contextlib.contextmanager
def sender(*clips, rate=25, patience=10):
  """The tcp:// address of a thread that sends each clip over a connection of its own.

  clips: frames, or a tuple of several that come one behind the other; 'sound' for sound alone.
  patience: seconds to wait for a receiver.
  """
  server = socket.create_server(('127.0.0.1', 0))
  server.settimeout(patience)

  def run():
    for clip in clips:
      with contextlib.suppress(OSError):   # the receiver may go first; or never come
        connection, _ = server.accept()
        with connection, connection.makefile('wb') as file:
          for part in clip if isinstance(clip, tuple) else (clip,):
            send(file, part, rate)
    server.close()             # later connections are refused
  thread = threading.Thread(target=run, daemon=True)
  thread.start()
  yield f'tcp://127.0.0.1:{server.getsockname()[1]}'
  thread.join(timeout=10)
