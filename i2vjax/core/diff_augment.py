"""Differentiable augmentation: random changes that a gradient passes.

`augment` changes what critics see (Zhao et al., NeurIPS 2020). With little data a critic learns the
frames by heart. It is shown real and translated frames under the same kinds of random change, and
the generator's gradient passes through the change, so that the translations themselves stay
unchanged. `color_jitter` is another light alone, hue with it.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import sample_keys

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


# ---- Other light


def color_jitter(key: jax.Array, frames: jax.Array, *, brightness: float = 0.5,
                 contrast: float = 0.5, saturation: float = 0.5, hue: float = 0.3) -> jax.Array:
  """Each frame under another light: four changes of random size, in random order.

  In [0, 1], clipped after each: brightness f x; contrast f x + (1 - f) mean(luma); saturation
  f x + (1 - f) luma; hue turned by h of a full circle (the rules of torchvision's ColorJitter).

  Args:
    key: PRNG key; every frame draws its own sizes and order.
    frames: [B, H, W, 3] in [-1, 1].
    brightness, contrast, saturation: f is drawn from [1 - value, 1 + value].
    hue: h is drawn from [-hue, hue].

  Returns:
    [B, H, W, 3] in [-1, 1].
  """
  def one(key, x):
    order, sizes = jax.random.split(key)
    f = jax.random.uniform(sizes, (4,), minval=-1)
    rules = (
        lambda x: (1 + brightness * f[0]) * x,
        lambda x: jnp.mean(ops.luma(x)) + (1 + contrast * f[1]) * (x - jnp.mean(ops.luma(x))),
        lambda x: ops.luma(x) + (1 + saturation * f[2]) * (x - ops.luma(x)),
        lambda x: turn_hue(x, hue * f[3]))
    for rule in jax.random.permutation(order, 4):
      x = jnp.clip(jax.lax.switch(rule, rules, x), 0, 1)
    return x
  return 2 * jax.vmap(one)(sample_keys(key, len(frames)), (frames + 1) / 2) - 1


def turn_hue(x: jax.Array, turn: float | jax.Array) -> jax.Array:
  """Hue of HSV moved by `turn` (1: a full circle). [..., 3] in [0, 1] -> the same; gray stays."""
  r, g, b = (x[..., i] for i in range(3))
  value = jnp.max(x, axis=-1)
  chroma = value - jnp.min(x, axis=-1)
  part = jnp.where(chroma > 0, chroma, 1.0)
  sixth = jnp.where(value == r, (g - b) / part,
                    jnp.where(value == g, 2 + (b - r) / part, 4 + (r - g) / part))
  k = (jnp.asarray([5.0, 3.0, 1.0]) + (sixth + 6 * turn)[..., None]) % 6
  return value[..., None] - chroma[..., None] * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)
