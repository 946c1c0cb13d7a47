"""Differentiable augmentation of what critics see (Zhao et al., NeurIPS 2020).

With little data a critic learns the frames by heart. It is shown real and translated frames under
the same kinds of random change, and the generator's gradient passes through the change, so that the
translations themselves stay unchanged.
"""

import jax
import jax.numpy as jnp

from i2vjax.core.errors import UserError

SHIFT, CUTOUT = 1 / 8, 1 / 2   # shares of a side, as in the paper


def color(key, x):
  """Brightness +- 0.5, saturation times 0 to 2, contrast times 0.5 to 1.5, for each frame."""
  light, saturation, contrast = jax.random.uniform(key, (3, len(x), 1, 1, 1))
  x = x + light - 0.5
  gray = jnp.mean(x, axis=-1, keepdims=True)
  x = gray + 2 * saturation * (x - gray)
  mean = jnp.mean(x, axis=(1, 2, 3), keepdims=True)
  return mean + (contrast + 0.5) * (x - mean)


def shift(key, x):
  """Moved by up to an eighth of each side; what comes in is 0, a middle gray."""
  H, W = x.shape[1:3]
  far = round(H * SHIFT), round(W * SHIFT)
  moves = [jax.random.randint(k, (len(x),), -most, most + 1)
           for k, most in zip(jax.random.split(key), far, strict=True)]
  padded = jnp.pad(x, ((0, 0), (far[0], far[0]), (far[1], far[1]), (0, 0)))

  def one(frame, dy, dx):
    return jax.lax.dynamic_slice(frame, (far[0] + dy, far[1] + dx, 0), (H, W, frame.shape[-1]))
  return jax.vmap(one)(padded, *moves)


def cutout(key, x):
  """A square of half the sides set to 0, its center anywhere in the frame."""
  def inside(key, side):   # [B, side]
    first = jax.random.randint(key, (len(x), 1), 0, side) - round(side * CUTOUT) // 2
    place = jnp.arange(side)
    return (place >= first) & (place < first + round(side * CUTOUT))
  rows, cols = map(inside, jax.random.split(key), x.shape[1:3])
  return jnp.where((rows[:, :, None] & cols[:, None, :])[..., None], 0.0, x)


KINDS = {'color': color, 'shift': shift, 'cutout': cutout}


def kinds(text):
  """'color,shift' -> ('color', 'shift'), refused where a kind is not known."""
  names = tuple(name.strip() for name in text.split(',') if name.strip())
  for name in names:
    if name not in KINDS:
      raise UserError(f'critic.augment={text!r}: {name!r} is not known; there are '
                      f'{", ".join(KINDS)}')
  return names


def augment(key, frames, names):
  """Frames [B, H, W, C] in [-1, 1] under the named changes, each frame by its own draws.

  What has other channels than a picture, pairs of frames or motion, is moved and cut out as one;
  `color` leaves it as it is, and what is no map (tokens of a ViT) passes through.
  """
  for index, name in enumerate(names):
    if changes(name, frames.shape):
      frames = KINDS[name](jax.random.fold_in(key, index), frames)
  return frames


def changes(name, shape):
  """Whether `augment` changes an input of this shape by the named kind."""
  return len(shape) == 4 and (name != 'color' or shape[-1] in (1, 3))
