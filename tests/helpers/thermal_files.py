"""Minimal files of thermal cameras: radiometric JPEG as FLIR and DJI write them."""

import io
import struct

import numpy as np
from PIL import Image

PLANCK = dict(r1=17096.453, b=1428.0, f=1.0, o=-342, r2=0.046642166)   # of a FLIR E series camera
ENTRIES = 14
AIR = (0.006569, 0.012620, -0.002276, -0.006670, 1.9)   # alpha1, alpha2, beta1, beta2, x


def kelvin_of(raw):
  """Planck's law for a black body right before the camera, float64 [H, W]."""
  p = PLANCK
  return p['b'] / np.log(p['r1'] / (p['r2'] * (np.asarray(raw, float) + p['o'])) + p['f'])


def raw_of(kelvin):
  """The raw values, uint16, whose temperature is closest to `kelvin`."""
  p = PLANCK
  raw = p['r1'] / (p['r2'] * (np.exp(p['b'] / np.asarray(kelvin, float)) - p['f'])) - p['o']
  return np.rint(raw).astype(np.uint16)


def flir_jpeg(path, raw, drawn=None, make='FLIR Systems AB', orientation=1):
  """A JPEG that shows `drawn` (uint8 [h, w, 3]) and holds `raw` (uint16 [H, W]), as FLIR's do.

  Its APP1 segments, of 64 kB at most, hold a file "FFF" with two records: raw values (little
  endian) and what the camera knows: emissivity 1, distance 0, and the constants of Planck's law.
  """
  raw = np.asarray(raw, '<u2')
  pixels = struct.pack('<HHH', 2, raw.shape[1], raw.shape[0]).ljust(32, b'\0') + raw.tobytes()
  place = 64 + 32 * ENTRIES
  directory = _entry(1, 2, place, len(pixels)) + _entry(32, 1, place + len(pixels), 1024)
  directory = directory.ljust(32 * ENTRIES, b'\0')   # cameras leave entries unused
  head = b'FFF\0' + b'i2vjax'.ljust(16, b'\0') + struct.pack('>III', 100, 64, ENTRIES)
  content = head.ljust(64, b'\0') + directory + pixels + _camera_info()
  parts = [content[k:k + 65000] for k in range(0, len(content), 65000)]
  segments = [b'FLIR\0\1' + bytes((k, len(parts) - 1)) + part for k, part in enumerate(parts)]
  _write_jpeg(path, drawn, raw.shape, make, [(0xE1, segment) for segment in segments],
              orientation)


def dji_jpeg(path, raw, drawn=None):
  """A JPEG with raw values in APP3 segments, as DJI's own cameras write it."""
  content = np.asarray(raw, '<u2').tobytes()
  parts = [content[k:k + 65000] for k in range(0, len(content), 65000)]
  _write_jpeg(path, drawn, raw.shape, 'DJI', [(0xE3, part) for part in parts])


def _entry(kind, subtype, place, length):
  return struct.pack('>HHIIII', kind, subtype, 100, 1, place, length).ljust(32, b'\0')


def _camera_info():
  info = bytearray(1024)
  struct.pack_into('<6f', info, 32, 1.0, 0.0, 293.15, 293.15, 293.15, 1.0)
  struct.pack_into('<f', info, 60, 0.5)
  struct.pack_into('<3f', info, 88, PLANCK['r1'], PLANCK['b'], PLANCK['f'])
  struct.pack_into('<5f', info, 112, *AIR)
  struct.pack_into('<if', info, 776, PLANCK['o'], PLANCK['r2'])
  return bytes(info)


def _write_jpeg(path, drawn, shape, make, segments, orientation=1):
  if drawn is None:
    drawn = np.full((*shape, 3), (90, 0, 120), np.uint8)
  exif, file = Image.Exif(), io.BytesIO()
  exif[271], exif[274] = make, orientation
  Image.fromarray(drawn).save(file, 'jpeg', exif=exif)
  data = file.getvalue()
  extra = b''.join(bytes((0xFF, marker)) + struct.pack('>H', len(part) + 2) + part
                   for marker, part in segments)
  with open(path, 'wb') as out:
    out.write(data[:2] + extra + data[2:])
