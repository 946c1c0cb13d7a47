"""CPTrans (CVPR 2023): fine-grained content-rich patch transfer, infrared to visible.

One generator, one critic, no cycle, and three ideas, here in the paper's order:

  CO    content-aware optimization: a patch whose critic gradient points away from the mean of its
        image is rich in content and counts more, for the critic and for the generator;
  CTN   content-aware temporal normalization: translation commutes with a random smooth motion that
        is large where there is content; single frames are enough;
  L_cs  cross-similarity keeps the structure of the infrared frame.

  L = L_co-adv + 6 L_cs + 10 L_ctn

No official code is public. Where the paper is silent this follows the code of its predecessor ROMA,
else our own choice stands in configs/cptrans.py with its reason.

x infrared and y visible frames [B, H, W, C]; y' = G(x); s the logits of the critic's N = h * w
patches; w weights of the real, w~ of the translated patches; F the motion; W(I, F) I moved by F.
"""

import functools

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import apply_gradients, name_key, update, weighted
from i2vjax.losses import (
  adversarial,
  descriptor,
  patch_gradients,
  patch_gradients_fast,
  pixel,
  similarity,
  synthetic_motion,
)
from i2vjax.networks import patchgan, resnet, vit

PLAYERS = {'gen': ('gen',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen',)


def critic_kind(config):
  """'token_mlp' on a ViT's tokens, or 'patchgan' on frames; `disc.kind='auto'` follows `backbone`.

  The paper's critic is a PatchGAN after ROMA, less its multiscale part. ROMA's code has no
  convolutional critic: what remains of it is an MLP on the frozen ViT's 24 x 24 tokens.
  """
  auto = 'patchgan' if config.backbone == 'none' else 'token_mlp'
  kind = auto if config.disc.kind == 'auto' else config.disc.kind
  if kind not in ('token_mlp', 'patchgan'):
    raise UserError(f"disc.kind={kind!r}: choose 'auto', 'token_mlp' or 'patchgan'")
  if kind == 'token_mlp' and config.backbone == 'none':
    raise UserError("disc.kind='token_mlp' scores a ViT's tokens: set --config.backbone=vit, or "
                     'take --config.disc.kind=patchgan')
  return kind


def networks(config):
  """The generator and the critic of visible frames."""
  a, b = config.data.channels_a, config.data.channels_b
  if critic_kind(config) == 'token_mlp':
    critic = vit.TokenCritic(config.disc.hidden, config.disc.out_channels)
  else:
    critic = patchgan.discriminator(config, b)
  return {'gen': resnet.generator(config, a, b), 'disc_b': critic}


def example_inputs(config):
  """One frame for each network; one token for a critic on tokens."""
  a, b = (jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
          for channels in (config.data.channels_a, config.data.channels_b))
  if critic_kind(config) == 'token_mlp':
    b = jnp.zeros((1, 1, vit.backbone(config).width))
  return {'gen': (a,), 'disc_b': (b,)}


def frozen_networks(config):
  """The frozen ViT, unless the run does without."""
  return {} if config.backbone == 'none' else {'vit': (vit.backbone(config), 'vit_b16_384')}


# ---- The step


def step(model, state, batch, key):
  """The critic moves, then the generator against the critic just moved (order of ROMA's code).

  Passes: G(x) once, value and gradient shared by all terms; G(W(x, F)) once; the ViT once on x and
  y together and once on y'. w and w~ come from the critic before its move.
  """
  config = model.config
  x, y = ops.fold(batch['a']), ops.fold(batch['b'])
  fake, pull = jax.vjp(lambda gen: features(model, model.apply({'gen': gen}, 'gen', x)),
                       state.params['gen'])
  source, real = halves(features(model, jnp.concatenate([x, y])))
  w, w_fake, figures = content_weights(model, state.params, real, fake, key)

  def critic_loss(params):   # y' is a constant here, like everything but the critic
    on_real, on_fake = halves(scores(model, params, join(real, fake)))
    return config.gan.d_scale * (
        patch_mean(config, w, adversarial.patch_losses(on_real, True, config.gan.mode))
        + patch_mean(config, w_fake, adversarial.patch_losses(on_fake, False, config.gan.mode)))

  state, disc_term = update(model, state, 'disc_b', PLAYERS['disc_b'], critic_loss)
  if config.co.recompute_for_g:
    _, w_fake, figures = content_weights(model, state.params, real, fake, key)
  flow, motion_figures = content_motion(config, w_fake, x, key)

  def generator_loss(gen, fake):
    generate = functools.partial(model.apply, {'gen': gen}, 'gen')

    def adversarial_term():
      on_fake = scores(model, state.params, fake)
      return patch_mean(config, w_fake, adversarial.generator_patch_losses(
          on_fake, config.gan.mode, config.gan.g_form))
    return weighted({
        'adversarial': adversarial_term,
        **structure(model, source, fake, key),
        'ctn': lambda: commutation(config, generate, x, fake['frames'], flow, key),
        'identity': lambda: pixel.l1(generate(y), y),   # ours, off as published
    }, config.weights)

  # G(x) lies behind `fake`: its gradient comes back through `pull`, that of G(W(x, F)) directly.
  (grads, back), terms = jax.grad(generator_loss, (0, 1), has_aux=True)(state.params['gen'], fake)
  grads = jax.tree.map(jnp.add, grads, *pull(back))
  state = apply_gradients(model, state, 'gen', {'gen': grads})
  return state, {**terms, 'disc_b': disc_term, **figures, **motion_figures}


def features(model, frames):
  """What critic and structure loss look at: the frames, and their ViT tokens if there is a ViT."""
  config = model.config
  tokens = (
    []
    if config.backbone == 'none'
    else model.apply(
      model.frozen, 'vit', ops.match_channels(frames, 3), tuple(config.cs.layers), method='tokens'
    )
  )
  return {'frames': frames, 'tokens': tokens}


def join(*trees):
  """One batch of several."""
  return jax.tree.map(lambda *v: jnp.concatenate(v), *trees)


def halves(tree):
  """Both halves of a batch."""
  count = len(jax.tree.leaves(tree)[0]) // 2
  return jax.tree.map(lambda v: v[:count], tree), jax.tree.map(lambda v: v[count:], tree)


# ---- CO


def critic_input(config, seen):
  """What the critic takes: tokens [B, N, C] of the last listed layer, or frames [B, H, W, C]."""
  return seen['tokens'][-1] if critic_kind(config) == 'token_mlp' else seen['frames']


def scores(model, params, seen):
  """Logits [B, h, w, C] of all patches."""
  s = model.apply(params, 'disc_b', critic_input(model.config, seen))
  side = round(s.shape[1] ** 0.5)
  return s if s.ndim == 4 else s.reshape(-1, side, side, s.shape[-1])


def content_weights(model, params, real, fake, key):
  """w and w~: lambda_inc / exp(|delta|) on the eta N patches that deviate most, 1 on the others.

  delta is taken with respect to the critic for real and for translated patches, also where w~
  weighs the generator's loss.

  Returns:
    (w, w~, figures to log), [B, h, w] float32 without gradient. None for what nobody needs: w
    without CO; both without CO and CTN.
  """
  config = model.config
  co, count = config.co, len(fake['frames'])
  if not (co.enabled or config.weights.ctn):
    return None, None, {}
  seen = join(fake, real) if co.enabled else fake
  delta, error = deviation(model, params, seen, count, name_key(key, 'calibration'))
  chosen = select(config, delta)
  w = patch_gradients.weights(delta, chosen, co.lambda_inc)
  w_fake, rich = w[:count], jnp.sum(w[:count] * chosen[:count])
  figures = {f'co/delta_q{q}': jnp.quantile(delta[:count], q / 100) for q in (10, 50, 90)}
  figures |= {'co/w_mean': jnp.mean(w_fake), 'co/share': rich / jnp.sum(w_fake),
              'co/delta_error': jnp.mean(error)}
  return w[count:] if co.enabled else None, w_fake, figures


def select(config, delta):
  """U: the patches [B, h, w] that count more. A ViT's tokens have no padding, hence no border."""
  border = config.co.border_exclude if critic_kind(config) == 'patchgan' else 0
  return patch_gradients.selected(delta, config.co.eta, config.co.select, border)


def deviation(model, params, seen, fakes, key):
  """delta_i = cos(grad_theta l_i, mean_j grad_theta l_j) over the patches of each image.

  Float32 whatever `config.compute` says. The definition is `patch_gradients.patch_grad_cosine`, cheaper
  ways to it are in losses/cosines.py.

  Args:
    seen: as `see` returns it; its first `fakes` images are translated, the others real.

  Returns:
    (delta [B, h, w], mean error [B] where the way is not exact, else 0).
  """
  config = model.config
  net, theta, co, mode = model.networks['disc_b'], params['disc_b'], config.co, config.gan.mode
  options = {'method': co.method, 'grad_params': co.grad_params, 'chunk': co.chunk}

  def on_tokens(theta, x):
    return net.apply({'params': theta}, x)

  def on_frame(theta, x):
    form = net.clone(impl='matmul', dtype=jnp.float32)
    s, parts = form.apply({'params': theta}, x[None], intermediates=True)
    return s.reshape(-1, s.shape[-1]), {name: part[0] for name, part in parts.items()}

  def one(image):
    x, label, key = image
    if critic_kind(config) == 'token_mlp':
      return patch_gradients_fast.token_critic(on_tokens, theta, x, label, mode, **options), 0.0
    return patch_gradients_fast.patch_critic(
      on_frame, theta, x, label, mode, key, calibrate=co.calibrate, probes=co.probes, **options
    )
  x = jax.lax.stop_gradient(critic_input(config, seen)).astype(jnp.float32)
  label = (jnp.arange(len(x)) >= fakes).astype(jnp.float32)
  delta, error = jax.lax.map(one, (x, label, jax.random.split(key, len(x))))
  grid = jax.eval_shape(functools.partial(scores, model), params, seen).shape[:3]
  return delta.reshape(grid), error


def patch_mean(config, weight, losses):
  """(1 / N) sum_i w_i l_i; without CO all w are 1."""
  return patch_gradients.weighted_mean(weight if config.co.enabled else None, losses)


# ---- CTN


def content_motion(config, w_fake, frames, key):
  """F = Smooth(Normalize(w~) gamma z), a constant, and figures of |F| to log.

  Returns:
    ([B, H, W, 2] pixels, or None without CTN; {name: pixels}, the largest that of this device).
  """
  ctn = config.ctn
  if not config.weights.ctn:
    return None, {}
  flow = synthetic_motion.content_flow(
      name_key(key, 'motion'), w_fake, frames.shape[1:3], gamma=ctn.gamma, sigma=ctn.sigma,
      normalize=ctn.normalize, upsample=ctn.upsample, smooth=ctn.smooth, unit_gain=ctn.unit_gain)
  length = jnp.linalg.norm(flow, axis=-1)
  return flow, {'ctn/flow_mean': jnp.mean(length), 'ctn/flow_max': jnp.max(length)}


def commutation(config, generate, x, fake, flow, key):
  """L_ctn = || W(G(x), F) - G(W(x, F)) ||, gradient through both sides (as Unsup. Recycle-GAN)."""
  ctn = config.ctn
  moved = synthetic_motion.add_noise(
    name_key(key, 'noise'), synthetic_motion.move(x, flow), ctn.noise_std
  )
  target = synthetic_motion.move(jax.lax.stop_gradient(fake) if ctn.stop_target else fake, flow)
  return synthetic_motion.distance(target, generate(moved), ctn.norm)


# ---- L_cs


def structure(model, source, fake, key):
  """{'cs_global', 'cs_local'}: L_cs on all tokens, and on small windows, the same for x and y'.

  With a ViT its tokens, in windows those of each window by itself (ROMA); without one the
  training-free descriptors of losses/descriptor.py, `maps` if the caller has them already.
  """
  config = model.config
  cs, similar, key = config.cs, similarity.cross_similarity, name_key(key, 'windows')
  if config.backbone == 'none':
    S, T = (seen.get('maps') or descriptor.maps(seen['frames'], **config.lss)
            for seen in (source, fake))
    places = similarity.random_windows(key, S[0].shape[1:3], cs.local_nums, cs.side)
    return {'cs_global': lambda: similar(descriptor.tokens(S), descriptor.tokens(T)),
            'cs_local': lambda: similar(descriptor.window_tokens(S, places),
                                        descriptor.window_tokens(T, places))}
  ids = similarity.random_ids(key, model.networks['vit'].grid ** 2, cs.local_nums)

  def windows(seen):
    frames = ops.match_channels(seen['frames'], 3)
    return model.apply(
      model.frozen, 'vit', frames, ids, tuple(cs.layers), cs.side, method='tokens_local'
    )

  return {'cs_global': lambda: similar(source['tokens'], fake['tokens']),
          'cs_local': lambda: similar(windows(source), windows(fake))}


# ---- Use


def translate(model, params, model_state, carry, frames):
  """Frame by frame. [B, T, H, W, C] -> the same, visible; nothing is carried."""
  del model_state
  fake = model.apply(params, 'gen', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: x, y', some y, the chosen patches of y', the motion F."""
  config = model.config
  del model_state
  x, y, co = batch['a'][:, 0], batch['b'][:, 0], config.co
  fake = features(model, model.apply(params, 'gen', x))
  rows = {'infrared': x, 'translated': fake['frames'], 'visible, not of this scene': y}
  if co.enabled or config.weights.ctn:
    delta, _ = deviation(model, params, fake, len(x), key)
    chosen = select(config, delta)
    tint = ops.resize(chosen[..., None].astype(jnp.float32), x.shape[1:3], 'nearest')
    rows['content-rich patches'] = fake['frames'] * (0.3 + 0.7 * tint) - 0.7 * (1 - tint)
    flow, _ = content_motion(config, patch_gradients.weights(delta, chosen, co.lambda_inc), x, key)
    rows |= {} if flow is None else {'motion': ops.flow_colors(flow)}
  return {label: ops.match_channels(images, 3) for label, images in rows.items()}
