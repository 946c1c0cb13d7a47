"""Pictures and films as data URIs inside an HTML page."""

import base64

import cv2
import numpy as np


def inline_png(image):
  """[H, W, 3] uint8 as an inline picture address."""
  _, data = cv2.imencode('.png', np.ascontiguousarray(image[..., ::-1]))
  return inline('image/png', data.tobytes())


def inline(kind, data):
  """A file's bytes as an address that holds them; `kind` as in 'image/png'."""
  return f'data:{kind};base64,{base64.b64encode(data).decode()}'
