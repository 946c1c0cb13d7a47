"""STC-V2V (ACM MM 2019): a recurrent translator that warps its own output.

One direction, x to y (a to b; b to a with networks of its own). x_1 ... x_K are frames in a row,
f_t is the flow on x_t back to x_{t-1}, W(y, f)(p) = y(p + f(p)). I is the image generator, F the
fusion block.

  g_t = I(x_t)            y_1 = g_1
  p_t = W(y_{t-1}, f_t)   m_t = F(|g_t - p_t|)   y_t = m_t p_t + (1 - m_t) g_t           Eqs. 1, 2

The way back uses the same flow. What it moves is the real frame before, as printed; `cycle.prev`
'recon' takes what it made of that frame, so that copying does not help:

  h_t = I'(y_t)   q_t = W(x_{t-1}, f_t)   m'_t = F'(|h_t - q_t|)   r_t = m'_t q_t + (1 - m'_t) h_t

  L = sum over both directions (Eq. 7 is printed for one; in both it is our choice, see
      `temporal.directions`) of
        gan(D(y_1), real) + mean_t>1 gan(D(y_t), real)                 adversarial     Eq. 3
    + 10  |h_1 - x_1|                                                         cycle_2d  Eq. 4
    + 10  mean_t>1 |r_t - x_t|                                                cycle_3d  Eq. 5
    +     |IN V(y_1) - IN V(x_1)|^2 + mean_t>1 |IN V(y_t) - IN V(x_t)|^2      content   Eq. 6
    + 10  sum_t>1 O_t |y_t - p_t|                                             temporal  Eq. 7

O_t = exp(-50 |x_t - W(x_{t-1}, f_t)|) is 1 where the flow explains x_t. V is a frozen VGG, IN
standardizes its features. Flow and O_t come from real frames and are constants; every other
gradient flows, also from y_t to y_{t-1}. Critics see single frames, those of I and those of the
recurrence alike.

No code is public. Public code of Unsupervised Recycle-GAN, whose authors ran this method, holds the
fusion network and the content loss; the visibility O_t is that of fast_blind_video_consistency. The
config names the source of every number.

Left open by the paper:
  - Reductions of all norms: means over pixels and channels, which makes the weights commensurate.
  - Kernel and width of the fusion block: 7 and 64, of the public code of Unsupervised
    Recycle-GAN.
  - The VGG, and whether before or after its ReLU: VGG-16, relu5_3 (`vgg.net`, `vgg.layer`).
  - The range of frames in the mask: [0, 1], as in the code that the mask is from.
  - Gradients through the frame before: kept (`fuse.detach`).
  - The number of steps: 200,000, our guess for the two days on a GPU that the paper names.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, update, weighted
from i2vjax.flow import estimate
from i2vjax.flow import visibility as masks
from i2vjax.losses import adversarial, perceptual, pixel
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import fusion, generators, patchgan, vgg

YEAR = 2019
PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'fuse_ab', 'fuse_ba'), 'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba', 'fuse_ab', 'fuse_ba', 'flow')
device_state = image_pool.of_both_domains   # empty as the paper has none
batch_fields = estimate.batch_fields        # known flow, where `flow.name` takes it
BACK = ('cycle_2d', 'cycle_3d')   # terms that look at the way back
CHOICES = {'fuse.kind': ('learned', 'average', 'mask'), 'fuse.input': ('abs', 'signed'),
           'cycle.prev': ('real', 'recon'), 'temporal.directions': ('both', 'forward')}


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two ResNet generators, two fusion blocks, two PatchGAN critics.

  With `fuse.kind` 'average' or 'mask' the fusion blocks are neither used nor trained.
  """
  check(config)
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen_ab': generators.generator(config, a, b),
          'gen_ba': generators.generator(config, b, a),
          'fuse_ab': fusion.block(config), 'fuse_ba': fusion.block(config),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b)}


def check(config):
  """Refuse unknown choices, and windows of single frames."""
  shared.check_choices(config, CHOICES)
  if config.data.frames < 2:
    raise UserError(f'data.frames={config.data.frames}: this method is trained on frames in a '
                    'row, set --config.data.frames=3')


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """One frame of the domain each network reads; a fusion block reads a difference in the target."""
  a, b = shared.example_frames(config)
  return {'gen_ab': (a,), 'gen_ba': (b,), 'fuse_ab': (b,), 'fuse_ba': (a,), 'disc_a': (a,),
          'disc_b': (b,)}


def uses_vgg(config):
  """True if contents are compared."""
  return shared.uses_vgg(config, config.weights.content)


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """The estimator of flow, where it has parameters, and the frozen VGG."""
  frozen = estimate.frozen_networks(config)
  if uses_vgg(config):
    net = config.vgg.net
    if net not in ('vgg16', 'vgg19'):
      raise UserError(f"vgg.net={net!r}: choose 'vgg16' or 'vgg19'")
    frozen['vgg'] = vgg.perceptual(config, (config.vgg.layer,), int(net[3:])), net
  return frozen


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Generators and fusion blocks move together; then both critics, on frames made before that."""
  config = model.config
  # Here x and y are letters of domains: 'a' and 'b', or 'b' and 'a'.
  real = {x: batch[x] for x in 'ab'}
  motion = motions(model, batch)
  cycles = [term for term in BACK if config.weights[term]]

  def gen_loss(params):
    clips = {x: translation(model, params, x, y, real[x], motion[x], cycles)
             for x, y in DIRECTIONS}   # by the domain they start from
    fake = {x: clips[x]['fake'] for x in 'ab'}
    total, terms = weighted({
        'adversarial': lambda: sum(adversarial_term(model, params, y, fake[x])
                                   for x, y in DIRECTIONS),
        'cycle_2d': lambda: sum(pixel.l1(clips[x]['back'][:, 0], real[x][:, 0]) for x in 'ab'),
        'cycle_3d': lambda: sum(pixel.l1(clips[x]['again'], real[x][:, 1:]) for x in 'ab'),
        **content_term(model, fake, real),
        'temporal': lambda: sum(temporal_term(clips[x], motion[x])
                                for x in temporal_directions(config)),
    }, config.weights)
    fakes = {y: ops.fold(fake[x]) for x, y in DIRECTIONS}   # by the domain they look like
    return total, (terms | mask_statistics(clips, motion), fakes)

  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, fakes = shared.through_pools(state, key, fakes)
  frames = {x: ops.fold(real[x]) for x in 'ab'}

  def disc_loss(params):
    losses = {f'disc_{x}': shared.critic_loss(model, params, f'disc_{x}', frames[x], fakes[x])
              for x in 'ab'}
    return sum(losses.values()), losses
  state, critic_terms = update(model, state, 'disc', PLAYERS['disc'], disc_loss)
  return state, {**terms, **critic_terms}


def motions(model, batch):
  """Flow, visibility and moved real frames of each domain, before anything is translated.

  Returns:
    {x: {'flow': [B, K-1, H, W, 2], 'visible': O_t [B, K-1, H, W, 1], 'moved': W(x_{t-1}, f_t)
    [B, K-1, H, W, C]}}, all constant.
  """
  flows = estimate.flows_of_clips(model, batch, [(x, 'backward') for x in 'ab'])
  motion = {}
  for (x, _), flow in flows.items():
    now, before, along = ops.fold(batch[x][:, 1:]), ops.fold(batch[x][:, :-1]), ops.fold(flow)
    parts = {'flow': along, 'visible': visibility(model.config, now, before, along),
             'moved': ops.warp(before, along)}
    motion[x] = {name: ops.unfold(part, flow.shape[1]) for name, part in parts.items()}
  return jax.lax.stop_gradient(motion)


def visibility(config, now, before, flow):
  """O_t of frames [B, H, W, C] and the flow from the first to the second: [B, H, W, 1]."""
  mask = config.mask
  return masks.photometric_mask(now, before, flow, alpha=mask.alpha, norm=mask.norm,
                                in_frame=mask.in_frame)


def translation(model, params, x, y, real, motion, terms=BACK):
  """The clip of domain x led to y and back, as far back as one of `terms` looks.

  Returns:
    {'fake': y_t [B, K, H, W, C], 'moved': p_t, 'mask': m_t; with a term of BACK 'back': h_t; with
    'cycle_3d' 'again': r_t, 'mask_back': m'_t}; p, m, r and m' from t = 2 on.
  """
  there = shared.per_frame(model, params, f'gen_{x}{y}', real)
  fake, moved, mask = recurrence(model, params, f'fuse_{x}{y}', there, motion)
  clips = {'fake': fake, 'moved': moved, 'mask': mask}
  if not terms:
    return clips
  back = clips['back'] = shared.per_frame(model, params, f'gen_{y}{x}', fake)
  if 'cycle_3d' not in terms:
    return clips
  name = f'fuse_{y}{x}'
  if model.config.cycle.prev == 'recon':
    again, _, mask_back = recurrence(model, params, name, back, motion)
    again = again[:, 1:]
  else:   # nothing waits for anything: all frames in one call
    later = (back[:, 1:], motion['moved'], motion['visible'])
    again, mask_back = fuse(model, params, name, *map(ops.fold, later))
    length = real.shape[1] - 1
    again, mask_back = ops.unfold(again, length), ops.unfold(mask_back, length)
  return {**clips, 'again': again, 'mask_back': mask_back}


def recurrence(model, params, name, new, motion):
  """y_1 = g_1, y_t = m_t p_t + (1 - m_t) g_t (Eqs. 1, 2).

  Returns:
    (y [B, K, H, W, C], p and m from t = 2 on [B, K-1, ...]).
  """
  images, moved, masks = [new[:, 0]], [], []
  for t in range(1, new.shape[1]):
    moved.append(ops.warp(images[-1], motion['flow'][:, t - 1]))
    image, mask = fuse(model, params, name, new[:, t], moved[-1], motion['visible'][:, t - 1])
    images.append(image)
    masks.append(mask)
  return jnp.stack(images, axis=1), jnp.stack(moved, axis=1), jnp.stack(masks, axis=1)


def fuse(model, params, name, new, moved, visible):
  """m p + (1 - m) g, and the mask m.

  Text and formula of the paper differ on the input, |g - p| or g - p (`fuse.input`): only the size
  says how far the moved frame can be trusted. Ablations (`fuse.kind`): m = 0.5, or m = O_t, the
  rule. `fuse.detach` stops the gradient at the input of the mask, and at p.

  Args:
    name: of the fusion block.
    new, moved: g and p, [B, H, W, C].
    visible: O_t [B, H, W, 1].

  Returns:
    ([B, H, W, C], [B, H, W, 1]), float32.
  """
  settings = model.config.fuse
  if settings.detach:
    moved = jax.lax.stop_gradient(moved)
  if settings.kind == 'learned':
    difference = new - moved
    if settings.input == 'abs':
      difference = jnp.abs(difference)
    if settings.detach:
      difference = jax.lax.stop_gradient(difference)
    mask = model.apply(params, name, difference)
  else:
    mask = visible if settings.kind == 'mask' else jnp.full_like(visible, 0.5)
  return mask * moved + (1 - mask) * new, mask


# ---- Terms of one direction


def adversarial_term(model, params, y, fake):
  """gan of y_1, plus the mean of gan over t > 1 (Eq. 3 for I and for the recurrence)."""
  length, mode = fake.shape[1], model.config.gan.mode
  score = ops.unfold(model.apply(params, f'disc_{y}', ops.fold(fake)), length)
  return (adversarial.generator_loss(score[:, 0], mode)
          + adversarial.generator_loss(score[:, 1:], mode))


def content_term(model, fake, real):
  """{'content': of both directions}, or nothing without a VGG. Two calls for all frames."""
  config = model.config
  if not uses_vgg(config):
    return {}

  def features(clips):
    length = clips['a'].shape[1]
    stacked = jnp.concatenate([ops.match_channels(ops.fold(clips[x]), 3) for x in 'ab'])
    maps = model.apply(model.frozen, 'vgg', stacked)[config.vgg.layer]
    return [ops.unfold(part, length) for part in jnp.split(maps, 2)]

  def distance(translated, source):
    return perceptual.standardized_distance(ops.fold(translated), ops.fold(source))

  def content():
    pairs = zip(features(fake), features(real), strict=True)
    return sum(distance(y[:, :1], x[:, :1]) + distance(y[:, 1:], x[:, 1:]) for y, x in pairs)
  return {'content': content}


def temporal_directions(config):
  """Domains whose translations have the temporal term: a, of the direction in use, or both."""
  return 'ab' if config.get('temporal', {}).get('directions', 'both') == 'both' else 'a'


def temporal_term(clips, motion):
  """sum_t>1 mean(O_t |y_t - W(y_{t-1}, f_t)|): Eq. 7, whose norm is taken as a mean (ours)."""
  visible = motion['visible']
  return visible.shape[1] * pixel.l1(visible * clips['fake'][:, 1:], visible * clips['moved'])


def mask_statistics(clips, motion):
  """What is worth watching: means of m, m' (where there is a way back) and O_t, both directions."""
  names = {'mask/kept': (clips, 'mask'), 'mask/kept_back': (clips, 'mask_back'),
           'mask/visible': (motion, 'visible')}
  return {name: sum(jnp.mean(parts[x][part]) for x in 'ab') / 2
          for name, (parts, part) in names.items() if part in parts['a']}


# ---- Use


def translate(model: Model, params: Params, model_state: Any, carry: Any,
              frames: jax.Array) -> tuple[Any, jax.Array]:
  """A clip, or its next chunk, with its own output of the frame before in memory.

  Carry: the last frame `x`, its translation `y`, and `started`, 0 before the first frame, which
  keeps nothing: y_1 = I(x_1) without a second program. The flow is always estimated here. Where a
  mean of O_t is below `mask.cut`, the scene has changed and nothing is kept (ours; 0: off).

  Args:
    carry: None at a clip's start.
    frames: [B, T, H, W, C].

  Returns:
    (carry, [B, T, H, W, C]).
  """
  del model_state
  config = model.config
  new = shared.per_frame(model, params, 'gen_ab', frames)
  if carry is None:
    carry = {'x': jnp.zeros_like(frames[:, 0]), 'y': jnp.zeros_like(new[:, 0]),
             'started': jnp.zeros((len(frames), 1, 1, 1))}

  before = jnp.concatenate([carry['x'][:, None], frames[:, :-1]], axis=1)
  first = jnp.where(carry['started'] > 0, before[:, 0], frames[:, 0])
  before = before.at[:, 0].set(first)   # the frame itself where a clip starts
  flow = flow_between(model, before, frames)

  def one(carry, inputs):
    x, before, flow, g = inputs
    moved, visible = ops.warp(carry['y'], flow), visibility(config, x, before, flow)
    _, mask = fuse(model, params, 'fuse_ab', g, moved, visible)
    mask = mask * carry['started']
    if config.mask.cut:
      mask *= jnp.mean(visible, axis=(1, 2, 3), keepdims=True) >= config.mask.cut
    y = mask * moved + (1 - mask) * g
    return {'x': x, 'y': y, 'started': jnp.ones_like(carry['started'])}, y

  in_time = jax.tree.map(lambda v: v.swapaxes(0, 1), (frames, before, flow, new))
  carry, shown = jax.lax.scan(one, carry, in_time)
  return carry, shown.swapaxes(0, 1)


def flow_between(model, before, frames):
  """Flow from each frame to the one before, of all at once. Two of [B, T, ...] -> [B, T, H, W, 2].

  It reads no translation, so it need not wait for one: a GPU launches it once for a whole chunk.
  """
  pairs = jnp.stack([ops.fold(before), ops.fold(frames)], axis=1)
  flow = estimate.flows_of_clips(model, {'a': pairs}, [('a', 'backward')])['a', 'backward']
  return flow.reshape(*frames.shape[:2], *flow.shape[2:])


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: the last frame of each clip there and back, and what was kept."""
  del model_state, key
  motion, rows = motions(model, batch), {}
  for x, y in DIRECTIONS:
    clips = translation(model, params, x, y, batch[x], motion[x])
    rows |= {x: batch[x][:, -1], f'{x} to {y}': clips['fake'][:, -1],
             f'kept in {y}': 2 * clips['mask'][:, -1] - 1,
             f'flow of {x}': ops.flow_colors(motion[x]['flow'][:, -1]),
             f'visible in {x}': 2 * motion[x]['visible'][:, -1] - 1,
             f'back to {x}': clips['again'][:, -1]}
  return shared.in_color(rows)
