"""The images of one step on triplets of frames (Recycle-GAN, I2V-GAN), each computed once.

Domain x is translated to y (x, y = a, b and b, a); x0 x1 x2 are three frames in a row:

  y'0, y'1 = G_xy(x0), G_xy(x1)      y'2 = P_y(y'0, y'1)      x2p = P_x(x0, x1)      x~i = G_yx(y'i)

Frames are folded into the batch, so that each generator has two encoder and two decoder calls and
each predictor one. No gradient is stopped anywhere.
"""

import jax.numpy as jnp

SIDES = (('a', 'b'), ('b', 'a'))


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
  made = {'a': {}, 'b': {}}
  for side in SIDES:
    _translate(call, real, made, side, identity, taps)
  for x in 'ab':
    _predict(call, real, made, x)
  for side in SIDES:
    _lead_back(call, made, side, back, taps)
  return made


def _translate(call, real, made, side, identity, taps):
  """x0 and x1 to y; y0 and y1 to themselves; x2 is only looked at."""
  x, y = side
  looked, same = real[x][2:] if taps else [], real[y][:2] if identity else []
  h, made[x]['keys'] = _encode(call, 'translate', side, [*real[x][:2], *looked, *same], taps)
  images = _decode(call, 'translate', side, h[:2] + h[2 + len(looked):])
  made[y]['fake'], made[y]['identity'] = images[:2], images[2:]


def _predict(call, real, made, x):
  """Frame 2 of domain x from its generated frames 0 and 1, and from the real ones."""
  pairs = jnp.concatenate([jnp.concatenate(two, -1) for two in (made[x]['fake'], real[x][:2])])
  third, made[x]['predicted'] = jnp.split(call(f'predict_{x}', f'pred_{x}', pairs), 2)
  made[x]['fake'] = [*made[x]['fake'], third]


def _lead_back(call, made, side, back, taps):
  """gen_xy leads x' back to y, and its encoder looks at y', which it made itself."""
  x, y = side
  looked = made[y]['fake'] if taps else []
  frames = [*looked, *(made[x]['fake'][i] for i in back)]
  made[x]['queries'], made[y]['back'] = [], {}
  if frames:
    h, made[x]['queries'] = _encode(call, 'back', side, frames, taps)
  if back:
    images = _decode(call, 'back', side, h[len(looked):])
    made[y]['back'] = dict(zip(back, images, strict=True))


def _encode(call, purpose, side, frames, taps):
  """One encoder call: ([h] of each frame, features of the first three)."""
  h, features = call(f'{purpose}_{side[0]}', f'gen_{"".join(side)}', jnp.concatenate(frames), taps,
                     method='encode')
  maps = [features[tap].reshape(len(frames), -1, *features[tap].shape[1:])[:3] for tap in taps]
  return jnp.split(h, len(frames)), maps


def _decode(call, purpose, side, h):
  """One decoder call: [h] of each frame -> [image]."""
  images = call(f'{purpose}_{side[0]}', f'gen_{"".join(side)}', jnp.concatenate(h), method='decode')
  return jnp.split(images, len(h))
