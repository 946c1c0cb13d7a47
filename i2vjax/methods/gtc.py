"""GTC (ACM MM 2018): supervised video to video with global temporal consistency.

A clip I_1 .. I_T (a) and its ground truth G_1 .. G_T (b, registered frame by frame); O = gen(I), a
U-Net with a memory of the frames before. What a frame does not owe to the frame before it, moved
along b_t, the flow of the input from I_t back to I_{t-1}, is its residual, where the flow can be
trusted (V_t):

  E_t = V_t (O_t - O_{t-1}(p + b_t(p)))      E_1 = 0      E^o of the output, E^g of the truth

  local    L_temp    = 1/T sum_t mean |E^o_t|
           L_spatial = 1/T sum_t mean |O_t - G_t|
  global   L_D   = 1/2 [BCE(D(I, G, E^g), 1) + BCE(D(I, O, E^o), 0)]      one logit for a whole clip
           L_adv = BCE(D(I, O, E^o), 1)

  L_G = L_temp + 100 L_spatial + L_adv

No code is public, and the printed formulas cannot be meant in three places. They sample the frame
before along the flow from I_{t-1} to I_t; as that belongs to the wrong frame, the one from I_t to
I_{t-1} is taken. They multiply the residual by the maps of detected occlusions and motion
boundaries; we take the complement V_t, which must be what is meant. Their norms are sums over
pixels, with weights that the paper does not give: they are means here. Where it is silent, this
follows pix2pix, else configs/gtc.py names the choice.

The paper's tasks make one domain from the other (`data.task`, data/transforms/tasks.py): a, gray or
coarse, from the frames b; or b, a mask, from labels.

Left open by the paper:
  - The weights of the spatial and the adversarial term: 100 and 1, pix2pix's.
  - Sizes and lengths of training: crops of 256 pixels, one clip a step, 100 and 100 epochs.
  - How the 903 clips of five frames are cut: side by side (`data.stride`).
  - The activation of the memory: tanh, since a linear one grows over a long clip.
  - The last layer: seven halvings and seven doublings already restore the size, so it has stride
    1.
  - Where the noise comes from: dropout, one mask for all frames of a clip, off in translation.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import AXIS, State, apply_gradients, name_key, update, weighted
from i2vjax.flow import estimate, visibility
from i2vjax.losses import adversarial, pixel, temporal_residuals
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import layers, patchgan, recurrent

YEAR = 2018
PLAYERS = {'disc': ('disc',), 'gen': ('gen',)}
INFERENCE_NETWORKS = ('gen',)


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """The recurrent U-Net and the two-stream critic of clips; or, for the row image2image of the
  paper's table, pix2pix's PatchGAN on single frames (`disc.kind='patch'`; with instance norm, which
  on one frame is its batch norm).

  Raises:
    UserError: a crop that cannot be halved so often, residuals of single frames, an unknown
      norm.eval, or what a PatchGAN cannot have.
  """
  gen, disc, data = config.gen, config.disc, config.data
  recurrent.check_size(ops.hw(data.crop_size), gen.levels)
  if data.frames < 2 and needs_flow(config):
    raise UserError(f'data.frames={data.frames}: single frames have no residuals; set '
                     '--config.weights.temporal=0 --config.disc.residual=false')
  if config.norm.eval not in ('running', 'batch'):
    raise UserError(f"norm.eval={config.norm.eval!r}: choose 'running' or 'batch'")
  check_critic(config)
  rest = dict(axis=AXIS if config.norm.sync else None, hidden_act=gen.hidden_act,
              kernel_init=layers.initializer(config.init), dtype=layers.compute_dtype(config))
  return {
      'gen': recurrent.RecurrentUNet(
          data.channels_b, gen.width, gen.levels, gen.hidden, recurrent=gen.recurrent,
          dropout=gen.dropout, norm_first=gen.norm_first, remat=config.remat, **rest),
      'disc': patchgan.discriminator(config, data.channels_b) if on_patches(config) else
              recurrent.ClipCritic(disc.width, disc.hidden, recurrent=disc.recurrent, **rest)}


def on_patches(config):
  """True if the critic is a PatchGAN on single frames; runs older than the choice have none."""
  return config.disc.get('kind', 'clip') == 'patch'


def check_critic(config):
  """Refuse a kind of critic that is not known, and what a PatchGAN cannot have."""
  if config.disc.get('kind', 'clip') not in ('clip', 'patch'):
    raise UserError(f"disc.kind={config.disc.kind!r}: choose 'clip' or 'patch'")
  if on_patches(config) and config.disc.residual:
    raise UserError("disc.kind='patch' judges single frames, which have no residuals: set "
                    '--config.disc.residual=false')
  if on_patches(config) and (config.critic.r1 or config.critic.augment):
    raise UserError("disc.kind='patch' sees a frame beside its input, which critic.r1 and "
                    'critic.augment do not know: set --config.critic.r1=0 --config.critic.augment=')


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """A clip of one frame for the generator; what the critic sees of it."""
  a, b = (frame[None] for frame in shared.example_frames(config))
  return {'gen': (a,), 'disc': critic_inputs(config, a, b, b)}


def model_state(config: ConfigDict) -> Any:
  """Running means 0 and variances 1 of the generator's batch norms."""
  net, example = networks(config)['gen'], example_inputs(config)['gen']
  shapes = jax.eval_shape(net.init, jax.random.key(0), *example)['batch_stats']
  return {'gen': jax.tree_util.tree_map_with_path(
      lambda path, x: jnp.full(x.shape, float(path[-1].key == 'var')), shapes)}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The critic moves, then the generator against the critic just moved, on one forward pass."""
  config = model.config
  a, b = batch['a'], batch['b']
  flow, valid = motion(model, batch)
  dropout = name_key(key, 'dropout')

  def forward(params):
    (_, out), statistics = model.networks['gen'].apply(
        {'params': params, 'batch_stats': state.model_state['gen']}, a, moments='train',
        rngs={'dropout': dropout}, mutable=['batch_stats'])
    return out, statistics['batch_stats']
  out, pull_back, statistics = jax.vjp(forward, state.params['gen'], has_aux=True)

  def residuals(frames):
    return None if flow is None else temporal_residuals.residuals(frames, flow, valid)

  def logit(params, frames):
    return model.apply(params, 'disc', *critic_inputs(config, a, frames, residuals(frames)))

  def critic_loss(params):   # `out` is a constant here. Two calls: each has moments of its own
    return config.gan.d_scale * adversarial.discriminator_loss(
        logit(params, b), logit(params, out), config.gan.mode)
  terms = {}
  if config.weights.adversarial:
    state, terms['disc'] = update(model, state, 'disc', PLAYERS['disc'], critic_loss)

  def generator_loss(out):
    return weighted({
        'temporal': lambda: temporal_residuals.local(residuals(out)),
        'spatial': lambda: pixel.l1(out, b),
        'adversarial': lambda: adversarial.generator_loss(logit(state.params, out),
                                                          config.gan.mode),
    }, config.weights)
  of_out, gen_terms = jax.grad(generator_loss, has_aux=True)(out)
  state = apply_gradients(model, state, 'gen', {'gen': pull_back(of_out)[0]})
  figures = {} if flow is None else {'flow/valid': jnp.mean(valid)}
  return state.replace(model_state={'gen': statistics}), {**terms, **gen_terms, **figures}


def critic_inputs(config, a, frames, residuals):
  """(frames, beside their input if `disc.conditional`; their residuals, or None).

  Of a PatchGAN the frames alone, [B * T, H, W, C].
  """
  if config.disc.conditional:
    frames = jnp.concatenate([frames, a], axis=-1)
  if on_patches(config):
    return (ops.fold(frames),)
  return frames, residuals if config.disc.residual else None


# ---- Motion


def needs_flow(config):
  """True if a term or the critic takes residuals."""
  return bool(config.weights.temporal or (config.disc.residual and config.weights.adversarial))


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """The estimator of flow, where it has parameters and there is a use for it."""
  return estimate.frozen_networks(config) if needs_flow(config) else {}


def batch_fields(config: ConfigDict) -> tuple[str, ...]:
  """Known flow, where `flow.name` takes it and there is a use for it."""
  return estimate.batch_fields(config) if needs_flow(config) else ()


def motion(model, batch):
  """b_t and V_t of the input clip, constants: [B, T-1, H, W, 2] and [B, T-1, H, W, 1].

  (None, None) where nothing takes residuals.
  """
  if not needs_flow(model.config):
    return None, None
  flows = estimate.flows_of_clips(model, batch, [('a', 'backward'), ('a', 'forward')])
  back, forth = flows['a', 'backward'], flows['a', 'forward']
  valid = visibility.reliable_mask(ops.fold(back), ops.fold(forth))
  return back, ops.unfold(valid, back.shape[1])


# ---- In use


def translate(model: Model, params: Params, model_state: Any, carry: Any,
              frames: jax.Array) -> tuple[Any, jax.Array]:
  """A clip, or its next chunk. No flow is needed.

  The carry is the memory's state [B, h, w, hidden]. With `norm.eval='batch'` frames depend on what
  else is in their chunk. 'superres' takes frames that have been enlarged already; 'color' takes
  gray or the luma of color; masks are -1 or 1.

  Args:
    frames: [B, T, H, W, C], sides multiples of 2^levels.

  Returns:
    (carry, [B, T, H, W, C]).
  """
  config = model.config
  if config.data.task == 'color':
    frames = ops.match_channels(ops.luma(frames), frames.shape[-1])
  variables = {'params': params['gen'], 'batch_stats': model_state['gen']}
  carry, out = model.networks['gen'].apply(variables, frames, carry, moments=config.norm.eval)
  if config.data.task == 'segmentation':
    out = jnp.where(out > 0, 1.0, -1.0)
  return carry, out


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: the last frame of each clip, and the size of the residuals there."""
  del key
  _, out = translate(model, params, model_state, None, batch['a'])
  rows = {'a': batch['a'], 'a to b': out, 'b': batch['b']}
  flow, valid = motion(model, batch)
  if flow is not None:
    for name in ('a to b', 'b'):
      residuals = temporal_residuals.residuals(rows[name], flow, valid)
      rows[f'residual of {name}'] = jnp.minimum(jnp.abs(residuals), 2) - 1
  return shared.in_color({name: frames[:, -1] for name, frames in rows.items()})
