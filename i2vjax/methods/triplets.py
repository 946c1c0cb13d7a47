"""The images of a step on frame triplets, each computed once.

For Recycle-GAN and I2V-GAN. Domain x is translated to y (x, y = a, b and b, a); x0 x1 x2 are three
frames in a row:

  y'0, y'1 = G_xy(x0), G_xy(x1)      y'2 = P_y(y'0, y'1)      x2p = P_x(x0, x1)      x~i = G_yx(y'i)

Frames are folded into the batch, so that each generator has two encoder and two decoder calls and
each predictor one. No gradient is stopped anywhere.
"""

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError
from i2vjax.methods.shared import DIRECTIONS


def three_frames(clips):
  """[B, 3, H, W, C] -> [x0, x1, x2] of [B, H, W, C]."""
  if clips.shape[1] != 3:
    raise UserError(f'data.frames={clips.shape[1]}: this method is trained on three frames in a '
                    'row, set --config.data.frames=3')
  return [clips[:, i] for i in range(3)]


def translations(call, real, back=(0, 1, 2), identity=True, taps=()):
  """All images and features of both directions.

  With all asked for: 14 images by the generators, 8 more that only pass their encoders (x2 and
  y'0..2, for their features), 4 by the predictors.

  Args:
    call: (purpose, network name, inputs.., method=..) -> output; a purpose names one call.
    real: {x: [x0, x1, x2]}, each [B, H, W, C].
    back: which frames are led back to their domain.
    identity: also translate y0 and y1 by gen_xy.
    taps: features wanted of gen_xy's encoder; none saves the encoder passes.

  Returns:
    {x: {'fake': [x'0, x'1, x'2], 'predicted': x2p, 'back': {i: x~i}, 'identity': [0, 1] or [],
    'keys': features of x0..2, 'queries': of y'0..2}}, images [B, H, W, C], features by gen_xy,
    [3, B, h, w, C] for each tap.
  """
  outputs = {'a': {}, 'b': {}}
  for x, y in DIRECTIONS:
    images, outputs[x]['keys'] = _translate(call, real, x, y, identity, taps)
    outputs[y]['fake'], outputs[y]['identity'] = images[:2], images[2:]
  for x in 'ab':
    first_two = outputs[x]['fake']
    third, outputs[x]['predicted'] = _predict(call, x, first_two, real[x][:2])
    outputs[x]['fake'] = [*first_two, third]
  fake = {x: outputs[x]['fake'] for x in 'ab'}
  for x, y in DIRECTIONS:
    outputs[y]['back'], outputs[x]['queries'] = _lead_back(call, fake, x, y, back, taps)
  return outputs


def _translate(call, real, x, y, identity, taps):
  """([y'0, y'1] and, for identity, y0 and y1 by gen_xy; features of x0..2).

  x2 passes the encoder alone, for its features: the predictor makes y'2.
  """
  encoded_only = real[x][2:] if taps else []
  same = real[y][:2] if identity else []
  h, keys = _encode(call, 'translate', x, y, [*real[x][:2], *encoded_only, *same], taps)
  decoded = [*h[:2], *h[2 + len(encoded_only):]]
  return _decode(call, 'translate', x, y, decoded), keys


def _predict(call, x, fake, real):
  """(x'2 of x'0 and x'1, x2p of x0 and x1), in one call of pred_x."""
  pairs = [jnp.concatenate(frames, -1) for frames in (fake, real)]
  return jnp.split(call(f'predict_{x}', f'pred_{x}', jnp.concatenate(pairs)), 2)


def _lead_back(call, fake, x, y, back, taps):
  """gen_xy leads x' back to y, {i: y~i}, and encodes y', which it made itself: (images, features).
  """
  encoded_only = fake[y] if taps else []
  frames = [*encoded_only, *(fake[x][i] for i in back)]
  if not frames:
    return {}, []
  h, queries = _encode(call, 'back', x, y, frames, taps)
  if not back:
    return {}, queries
  images = _decode(call, 'back', x, y, h[len(encoded_only):])
  return dict(zip(back, images, strict=True)), queries


def _encode(call, purpose, x, y, frames, taps):
  """One encoder call: ([h] of each frame, features of the first three)."""
  h, features = call(f'{purpose}_{x}', f'gen_{x}{y}', jnp.concatenate(frames), taps,
                     method='encode')
  maps = [features[tap].reshape(len(frames), -1, *features[tap].shape[1:])[:3] for tap in taps]
  return _of_frames(h, len(frames)), maps


def _decode(call, purpose, x, y, h):
  """One decoder call: [h] of each frame -> [image]."""
  together = jax.tree.map(lambda *maps: jnp.concatenate(maps), *h)
  images = call(f'{purpose}_{x}', f'gen_{x}{y}', together, method='decode')
  return jnp.split(images, len(h))


def _of_frames(h, count):
  """What an encoder gives of frames in one call, an array or several (U-Net): [h] of each frame."""
  leaves, structure = jax.tree.flatten(h)
  by_frame = zip(*(jnp.split(leaf, count) for leaf in leaves), strict=True)
  return [jax.tree.unflatten(structure, parts) for parts in by_frame]
