"""Optical flow by the name in `config.flow`: given, learned, computed, or none.

  'gt', 'precomputed'   the flow that comes with the batch; it must be there
  'raft_small', 'raft_large'   learned; need a weight file
  'tvl1', 'lk'          computed; need none
  'zero'                nothing moves
  'gt+NAME'             the flow of the batch where it has one, else the estimator NAME
  'auto'                'gt+raft_small' if its file is here, else 'gt+tvl1' (run/settle.py)

A method that needs flow returns `batch_fields(config)` from its own hook of that name and adds
`frozen_networks(config)` to its frozen networks. Fields of `config.flow` besides `name`: `weights`
(path of RAFT's file, '' to search for it), `iters` (RAFT), `levels`, `warps`, `inner` (TV-L1,
Lucas-Kanade), `stretch`.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.flow import raft, tvl1

LEARNED = ('raft_small', 'raft_large')
COMPUTED = ('tvl1', 'lk', 'zero')
FROM_BATCH = ('gt', 'precomputed')
BATCH_KEYS = {'backward': 'flow', 'forward': 'flow_fwd'}   # direction -> key in the batch


def parse_name(name: str) -> tuple[bool, str | None]:
  """(whether flow of the batch is taken, estimator or None) of `flow.name`."""
  if name in FROM_BATCH:
    return True, None
  estimator = name.removeprefix('gt+')
  if estimator not in LEARNED + COMPUTED:
    names = ', '.join(FROM_BATCH + LEARNED + COMPUTED)
    raise UserError(f'flow.name={name!r}: choose auto, {names}, or gt+ and an estimator')
  return name.startswith('gt+'), estimator


def batch_fields(config: ConfigDict) -> tuple[str, ...]:
  """What to ask the loader for (hook `batch_fields` of a method)."""
  takes_given, _ = parse_name(config.flow.name)
  return ('flow',) if takes_given else ()


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """{'flow': (RAFT, weight id)}, {} without weights (hook `frozen_networks` of a method)."""
  _, estimator = parse_name(config.flow.name)
  if estimator not in LEARNED:
    return {}
  return {'flow': (raft.RAFT(estimator.removeprefix('raft_'), config.flow.iters), estimator)}


def estimate(model: Model, a: jax.Array, b: jax.Array) -> jax.Array:
  """Flow with a(p) = b(p + flow(p)), by the estimator of the config.

  Args:
    model: of a method; network 'flow' with frozen parameters where the estimator is learned.
    a, b: [B, H, W, 1 or 3] in [-1, 1].

  Returns:
    [B, H, W, 2] float32 pixels without gradient.

  Raises:
    UserError: the config accepts only flow that comes with the batch.
  """
  flow = model.config.flow
  _, name = parse_name(flow.name)
  if name is None:
    raise UserError(f'flow.name={flow.name!r}: these frames come without known flow, which scenes '
                    'bring and records with motion (viper/img_flow); set --config.flow.name=tvl1, '
                    'or auto')
  if name == 'zero':
    return jnp.zeros((*a.shape[:3], 2))
  a, b = jax.lax.stop_gradient((a, b))
  if name == 'tvl1':
    return tvl1.tvl1(a, b, levels=flow.levels, warps=flow.warps, inner=flow.inner)
  if name == 'lk':
    return tvl1.lucas_kanade(a, b, levels=flow.levels, steps=flow.warps)
  return jax.lax.stop_gradient(model.networks['flow'].apply({'params': model.frozen['flow']}, a, b))


def stretch_contrast(config: ConfigDict, domain: str, a: jax.Array,
                     b: jax.Array) -> tuple[jax.Array, jax.Array]:
  """A pair of frames for the estimator; infrared ones at full contrast by `flow.stretch` (ours).

  The 1 % and 99 % percentiles of each pair, taken together, become -1 and 1.

  Args:
    domain: 'a' or 'b'.
    a, b: [B, H, W, 1 or 3] in [-1, 1].

  Returns:
    The same two, or [B, H, W, 1] each where they were stretched.
  """
  infrared = 'a' if config.data.direction == 'a2b' else 'b'
  if not config.flow.stretch or domain != infrared:
    return a, b
  a, b = ops.luma(a), ops.luma(b)
  both = jnp.concatenate([a, b], 1).reshape(len(a), -1)
  low = jnp.percentile(both, 1, axis=1)[:, None, None, None]
  high = jnp.percentile(both, 99, axis=1)[:, None, None, None]
  gain = 2 / jnp.maximum(high - low, 2 / 255)
  return tuple(jnp.clip((x - low) * gain - 1, -1, 1) for x in (a, b))


def flows_of_clips(model: Model, batch: dict[str, jax.Array],
                   requests: list[tuple[str, str]]) -> dict[tuple[str, str], jax.Array]:
  """Flow between neighboring frames of clips; all that must be estimated in one call.

  Args:
    model: as for `estimate`.
    batch: {'a': [B, T, H, W, C] in [-1, 1], ...} and known flow, as the loader brings it; where
      that is not finite, `fill_unknown` fills it.
    requests: [(domain, 'backward' or 'forward')]. Backward flow k is defined on frame k + 1 and
      points to frame k, counted from 0; forward flow k on frame k and points to frame k + 1.

  Returns:
    {(domain, direction): [B, T-1, H, W, 2] float32 pixels}, without gradient.
  """
  takes_given, _ = parse_name(model.config.flow.name)
  flows, pairs = {}, {}
  for domain, direction in requests:
    key = f'{BATCH_KEYS[direction]}_{domain}'
    if takes_given and key in batch:
      flows[domain, direction] = fill_unknown(batch[key])
    else:
      here, there = batch[domain][:, :-1], batch[domain][:, 1:]
      if direction == 'backward':
        here, there = there, here
      pair = stretch_contrast(model.config, domain, ops.fold(here), ops.fold(there))
      pairs[domain, direction] = [ops.match_channels(x, 3) for x in pair]
  if pairs:
    a = jnp.concatenate([pair[0] for pair in pairs.values()])
    b = jnp.concatenate([pair[1] for pair in pairs.values()])
    estimates = jnp.split(estimate(model, a, b), len(pairs))
    for (domain, direction), flow in zip(pairs, estimates, strict=True):
      flows[domain, direction] = ops.unfold(flow, batch[domain].shape[1] - 1)
  return jax.lax.stop_gradient(flows)


def fill_unknown(flow: jax.Array) -> jax.Array:
  """Known flow without gaps: a pixel of unknown motion points out of the frame (ours).

  What comes from outside cannot be compared, and every mask of the methods leaves it out: that of
  GTC and MocycleGAN where `visibility.inside` does not hold, STC's by `mask.in_frame`. By the
  shortest way: no vector is longer than half the frame, as a network that reads flow sees it
  (MocycleGAN).

  Args:
    flow: [B, T-1, H, W, 2], not finite where it is not known.

  Returns:
    Same shape, finite everywhere.
  """
  def shortest_exit(length):
    """Pixels from each place of a line to the nearest place before or behind it."""
    k = jnp.arange(length)
    return jnp.where(2 * k < length, -1 - k, length - k).astype(jnp.float32)
  x, y = jnp.broadcast_arrays(shortest_exit(flow.shape[-2]), shortest_exit(flow.shape[-3])[:, None])
  sideways = jnp.abs(x) <= jnp.abs(y)
  out = jnp.stack([jnp.where(sideways, x, 0), jnp.where(sideways, 0, y)], axis=-1)
  is_known = jnp.all(jnp.isfinite(flow), axis=-1, keepdims=True)
  return jnp.where(is_known, flow, out)
