"""What several methods share: both directions, critic loss, image pools, frame-by-frame use.

Only what is word for word the same in several papers' code is here; what a paper adds is in its
method. Shapes and ranges as in base.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, name_key
from i2vjax.losses import adversarial
from i2vjax.methods.base import Params

# (x, y): gen_xy reads a frame of domain x and draws one of y.
DIRECTIONS = (('a', 'b'), ('b', 'a'))


# ---- Config


def example_frames(config: ConfigDict) -> tuple[jax.Array, jax.Array]:
  """A frame of domain a and one of b, all zeros, [1, H, W, C] each."""
  size = ops.hw(config.data.crop_size)
  return (jnp.zeros((1, *size, config.data.channels_a)),
          jnp.zeros((1, *size, config.data.channels_b)))


def check_choices(config: ConfigDict, choices: Mapping[str, Sequence[str]]) -> None:
  """Refuse a field that is none of its choices; one that an older run lacks passes.

  Args:
    choices: {'block.field': values that it may have}.

  Raises:
    UserError: another value.
  """
  for field, values in choices.items():
    block, name = field.split('.')
    value = config.get(block, {}).get(name, values[0])
    if value not in values:
      raise UserError(f'{field}={value!r}: choose {" or ".join(map(repr, values))}')


def check_identity(config: ConfigDict) -> None:
  """An identity term, G(b) towards b, needs a generator that can read b.

  Raises:
    UserError: the domains differ in channels and the term has a weight.
  """
  a, b = config.data.channels_a, config.data.channels_b
  if config.weights.identity and a != b:
    raise UserError(f'data.channels_a={a} and data.channels_b={b}: for weights.identity='
                    f'{config.weights.identity} a generator reads frames of both domains; set '
                    '--config.weights.identity=0, or both to 3')


def uses_vgg(config: ConfigDict, needed: bool = True) -> bool:
  """True if features of a VGG are compared: `perceptual` says so and a term needs them.

  Args:
    needed: a term in use compares features.

  Raises:
    UserError: `perceptual` is none of its three choices.
  """
  if config.perceptual not in ('vgg', 'none', 'random'):
    raise UserError(f"perceptual={config.perceptual!r}: choose 'vgg', 'none' or 'random'")
  return bool(config.perceptual != 'none' and needed)


# ---- Critics


def critic_loss(model: Model, params: Params, name: str, real: jax.Array,
                fake: jax.Array) -> jax.Array:
  """Half of (real towards 1 + fake towards 0), both judged in one call.

  The half is the public codes'; under Adam it changes nothing.

  Args:
    name: of the critic. real, fake: [B, H, W, C].
  """
  scores = model.apply(params, name, jnp.concatenate([real, fake]))
  on_real, on_fake = scores[:len(real)], scores[len(real):]
  gan = model.config.gan
  return gan.d_scale * adversarial.discriminator_loss(on_real, on_fake, gan.mode)


def through_pools(state: State, key: jax.Array,
                  fakes: Mapping[str, jax.Array]) -> tuple[State, dict[str, jax.Array]]:
  """Fakes go into the pools of their domains, those that critics will see come out.

  Args:
    state: with 'pool_a' and 'pool_b', or one of them, in `device_state` (core/image_pool.py).
    key: of the step.
    fakes: {domain that the frames look like: [B, H, W, C]}.

  Returns:
    (state, {domain: [B, H, W, C]}); no gradient passes.
  """
  pools, shown = dict(state.device_state), {}
  for x, frames in fakes.items():
    name = f'pool_{x}'
    pools[name], shown[x] = image_pool.query(pools[name], name_key(key, name), frames)
  return state.replace(device_state=pools), shown


# ---- Use


def per_frame(model: Model, params: Params, name: str, clips: jax.Array) -> jax.Array:
  """Network `name` on every frame of clips, in one call. [B, T, H, W, C] -> [B, T, H, W, C]."""
  return ops.unfold(model.apply(params, name, ops.fold(clips)), clips.shape[1])


def framewise(name: str) -> Callable:
  """The hook `translate` of methods whose generator `name` takes single frames."""
  def translate(model, params, model_state, carry, frames):
    """Frame by frame. [B, T, H, W, C] -> the same; nothing is carried."""
    del model_state
    return carry, per_frame(model, params, name, frames)
  return translate


def in_color(rows: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
  """Rows of a sample sheet with three channels each. {label: [B, H, W, 1 or 3]}."""
  return {label: ops.match_channels(frames, 3) for label, frames in rows.items()}
