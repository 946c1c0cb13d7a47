"""CPTrans (CVPR 2023): fine-grained content-rich patch transfer, infrared to visible.

One generator, one critic, no cycle, and three ideas, here in the paper's order:

  CO    content-aware optimization: a patch whose critic gradient points away from the mean of its
        image is rich in content and counts more, for the critic and for the generator;
  CTN   content-aware temporal normalization: translation commutes with a random smooth motion that
        is large where there is content; single frames are enough;
  L_cs  cross-similarity keeps the structure of the infrared frame.

x infrared and y visible frames [B, H, W, C]; y' = G(x); s_i the logits of the critic's N = h * w
patches, l_i the loss of patch i, theta the critic's parameters; W(I, F) I moved by F:

  delta_i = cos(grad_theta l_i, mean_j grad_theta l_j), image by image
  w_i     = lambda_inc / exp |delta_i| on the 40 % of patches of least delta, 1 on the others;
            w of y, w~ of y'; constants for every gradient
  L_D     = 1/2 [mean_i w_i l(s_i of y, real) + mean_i w~_i l(s_i of y', made)]
  L_adv   = mean_i w~_i l(s_i of y', real)
  F       = Smooth(Normalize(w~) gamma z), z normal noise
  L_ctn   = mean (W(G(x), F) - G(W(x, F)))^2
  L_cs    = mean_i [1 - cos(A[i, :], A[:, i])], A = S T^T of the tokens S of x and T of y', over the
            whole frame and over small windows (losses/similarity.py)

  L = L_adv + 6 (L_cs global + L_cs local) + 10 L_ctn

No official code is public. Where the paper is silent this follows the code of its predecessor ROMA
(shared_roma.py has what both share), else our own choice is in configs/cptrans.py with its reason.

Left open by the paper:
  - The strength of the content weights: `co.lambda_inc=3`, above e, so that no chosen patch
    loses.
  - Size and smoothing of the motion, the warp and its border: `ctn.gamma`, `ctn.sigma` and the
    rest of that block, each with its reason in configs/cptrans.py.
  - The layers of the ViT: those of ROMA's code (`cs.layers`).
  - The structure term: Eq. 11 has one of weight 6; here as in ROMA's code one on whole frames and
    one on small windows, of weight 6 each. `weights.cs_local=0` is the printed formula.
  - The form of the GAN loss: log-likelihoods are printed, whose minimax form vanishes early; the
    generator has the non-saturating form (`gan.g_form`).
  - The decay of the learning rate: none is named, none is made.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import backend, diff_augment, ops, precision
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import (
  State,
  apply_gradients,
  name_key,
  pooled,
  sample_keys,
  update,
  weighted,
)
from i2vjax.losses import (
  adversarial,
  patch_gradients,
  patch_gradients_fast,
  pixel,
  synthetic_motion,
)
from i2vjax.methods import shared, shared_roma
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan

YEAR = 2023
PLAYERS = {'gen': ('gen',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen',)
example_inputs = shared_roma.example_inputs
frozen_networks = shared_roma.frozen_networks   # the ViT
translate = shared.framewise('gen')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """The generator and the critic of visible frames."""
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen': generators.generator(config, a, b), 'disc_b': shared_roma.critic(config)}


def check(config):
  """Refuse to train by views of the critic that move patches away from their content weights."""
  moving = {'shift', 'cutout'} & {*diff_augment.kinds(config.critic.augment)}
  if config.co.enabled and moving and shared_roma.critic_kind(config) == 'patchgan':
    raise UserError(f'critic.augment={config.critic.augment!r} moves patches, and content weights '
                    'are of the frame as it is: set --config.co.enabled=false, or '
                    '--config.critic.augment=color')


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The critic moves, then the generator against the critic just moved (order of ROMA's code).

  The critic learns on y and y' of this step, there is no pool of earlier ones.
  Passes: G(x) once, value and gradient shared by all terms, with G(y) where the identity term asks
  for it; G(W(x, F)) once; the ViT once on x and y together and once on y'. w and w~ come from the
  critic before its move.
  """
  config = model.config
  check(config)
  x, y = ops.fold(batch['a']), ops.fold(batch['b'])

  def translations(gen):
    """Features of G(x), and G(y), which is empty without the identity term."""
    inputs = jnp.concatenate([x, y]) if config.weights.identity else x
    out = model.apply({'gen': gen}, 'gen', inputs)
    return shared_roma.features(model, out[:len(x)]), out[len(x):]
  (fake, same), pull_back = jax.vjp(translations, state.params['gen'])
  source, real = shared_roma.halves(shared_roma.features(model, jnp.concatenate([x, y])))
  w, w_fake, logged = content_weights(model, state.params, real, fake, key)

  def critic_loss(params):   # y' is a constant here, like everything but the critic
    on_real, on_fake = shared_roma.halves(scores(model, params, shared_roma.join(real, fake)))
    return config.gan.d_scale * (
        patch_mean(config, w, adversarial.patch_losses(on_real, True, config.gan.mode))
        + patch_mean(config, w_fake, adversarial.patch_losses(on_fake, False, config.gan.mode)))

  state, disc_term = update(model, state, 'disc_b', PLAYERS['disc_b'], critic_loss)
  if config.co.recompute_for_g:
    _, w_fake, logged = content_weights(model, state.params, real, fake, key)
  flow, logged_of_motion = content_motion(config, w_fake, x, key)

  # The generator's gradient has two parts: that of G(x) and G(y), taken with respect to `fake` and
  # `same`, is pulled back through the one pass above; that of G(W(x, F)) is direct.
  def generator_loss(gen, fake, same):
    generate = functools.partial(model.apply, {'gen': gen}, 'gen')

    def adversarial_term():
      on_fake = scores(model, state.params, fake)
      return patch_mean(config, w_fake, adversarial.generator_patch_losses(
          on_fake, config.gan.mode, config.gan.g_form))
    return weighted({
        'adversarial': adversarial_term,
        **shared_roma.structure(model, source, fake, key),   # L_cs
        'ctn': lambda: commutation(config, generate, x, fake['frames'], flow, key),
        'identity': lambda: pixel.l1(same, y),   # |G(y) - y|; ours, off as published
    }, config.weights)

  (grads, *of_outputs), terms = jax.grad(generator_loss, (0, 1, 2), has_aux=True)(
      state.params['gen'], fake, same)
  grads = jax.tree.map(jnp.add, grads, *pull_back(tuple(of_outputs)))
  state = apply_gradients(model, state, 'gen', {'gen': grads})
  return state, {**terms, 'disc_b': disc_term, **logged, **logged_of_motion}


# ---- CO


def critic_input(config, features):
  """What the critic takes: tokens [B, N, C] of the last listed layer, or frames [B, H, W, C]."""
  if shared_roma.critic_kind(config) == 'token_mlp':
    return features['tokens'][-1]
  return features['frames']


def scores(model, params, features):
  """Logits [B, h, w, C] of all patches."""
  s = model.apply(params, 'disc_b', critic_input(model.config, features))
  if s.ndim == 4:
    return s
  side = round(s.shape[1] ** 0.5)   # tokens of a square frame
  return s.reshape(-1, side, side, s.shape[-1])


def content_weights(model, params, real, fake, key):
  """w and w~: lambda_inc / exp(|delta|) on the eta N patches that deviate most, 1 on the others.

  w~ uses the critic's label 'fake' even in the generator's loss.

  Returns:
    (w, w~, {name: scalar to log}); weights [B, h, w] float32 without gradient, None for those that
    nobody needs: w without CO; both without CO and CTN.
  """
  config = model.config
  co, num_fake = config.co, len(fake['frames'])
  if not (co.enabled or config.weights.ctn):
    return None, None, {}
  both = shared_roma.join(real, fake) if co.enabled else fake
  delta, error = gradient_cosine(model, params, both, num_fake, name_key(key, 'calibration'))
  chosen = select(config, delta)
  w = patch_gradients.weights(delta, chosen, co.lambda_inc)
  w_real, w_fake = w[:-num_fake], w[-num_fake:]
  rich_weight = jnp.sum(w_fake * chosen[-num_fake:])
  of_image = delta[-num_fake:].reshape(num_fake, -1)   # quantiles of each image, their mean
  logged = {f'co/delta_q{q}': jnp.mean(jnp.quantile(of_image, q / 100, axis=1))
            for q in (10, 50, 90)}
  logged |= {'co/w_mean': jnp.mean(w_fake), 'co/share': rich_weight / pooled(jnp.sum(w_fake)),
             'co/delta_error': jnp.mean(error)}
  return w_real if co.enabled else None, w_fake, logged


def select(config, delta):
  """U: the patches [B, h, w] that count more. A ViT's tokens have no padding, hence no border."""
  border = config.co.border_exclude if shared_roma.critic_kind(config) == 'patchgan' else 0
  return patch_gradients.selected(delta, config.co.eta, config.co.select, border)


@precision.exact
def gradient_cosine(model, params, features, num_fake, key):
  """delta_i = cos(grad_theta l_i, mean_j grad_theta l_j) over the patches of each image.

  Low where the gradient of a patch points away from the mean: such patches are rich in content.
  Float32 whatever `config.compute` says. The definition is `patch_gradients.patch_grad_cosine`,
  cheaper ways to it are in losses/patch_gradients_fast.py.

  Args:
    features: `shared_roma.features`; the last `num_fake` images are translated, the others real.

  Returns:
    (delta [B, h, w], mean error [B] where the way is not exact, else 0).
  """
  config = model.config
  co, mode = config.co, config.gan.mode
  net, theta = patchgan.finest(model.networks['disc_b'], params['disc_b'])
  images, chunk = _at_once(co.chunk)
  options = {'method': co.method, 'grad_params': co.grad_params, 'chunk': chunk}

  def on_tokens(theta, critic_in):
    return net.apply({'params': theta}, critic_in)

  def on_frame(theta, critic_in):
    form = net.clone(impl='matmul', dtype=jnp.float32)
    s, parts = form.apply({'params': theta}, critic_in[None], intermediates=True)
    return s.reshape(-1, s.shape[-1]), {name: part[0] for name, part in parts.items()}

  def of_image(critic_in, label, key):
    if shared_roma.critic_kind(config) == 'token_mlp':
      return patch_gradients_fast.token_critic(
          on_tokens, theta, critic_in, label, mode, **options), 0.0
    return patch_gradients_fast.patch_critic(
        on_frame, theta, critic_in, label, mode, key, probes=co.probes, calibrate=co.calibrate,
        **options)
  critic_in = jax.lax.stop_gradient(critic_input(config, features)).astype(jnp.float32)
  count = len(critic_in)
  image = jnp.arange(count)
  label = (image < count - num_fake).astype(jnp.float32)
  # Translated images have a number of keys that is the same with and without real ones.
  parts = [sample_keys(name_key(key, 'real'), count - num_fake), sample_keys(key, num_fake)]
  keys = jnp.concatenate(parts)
  delta, error = jax.lax.map(lambda inputs: of_image(*inputs), (critic_in, label, keys),
                             batch_size=images and min(images, count))
  grid = jax.eval_shape(functools.partial(scores, model), params, features).shape[:3]
  return delta.reshape(grid), error


def _at_once(chunk):
  """(images, patches of each) whose gradients are computed together; None: one by one.

  A CPU takes one image, and `co.chunk` patches, which fit its cache. Elsewhere each round of a loop
  is launched by itself, and memory allows for many.
  """
  return (None, chunk) if backend.name() == 'cpu' else (8, max(chunk, 1024))


def patch_mean(config, weight, losses):
  """(1 / N) sum_i w_i l_i; without CO all w are 1."""
  return patch_gradients.weighted_mean(weight if config.co.enabled else None, losses)


# ---- CTN


def content_motion(config, w_fake, frames, key):
  """F = Smooth(Normalize(w~) gamma z), a constant, and |F| to log.

  Returns:
    ([B, H, W, 2] pixels, or None without CTN; {name: pixels}: means over the frames of the mean
    and of the largest in each).
  """
  ctn = config.ctn
  if not config.weights.ctn:
    return None, {}
  flow = synthetic_motion.content_flow(
      name_key(key, 'motion'), w_fake, frames.shape[1:3], gamma=ctn.gamma, sigma=ctn.sigma,
      normalize=ctn.normalize, upsample=ctn.upsample, smooth=ctn.smooth, unit_gain=ctn.unit_gain)
  length = jnp.linalg.norm(flow, axis=-1)
  longest = jnp.max(length, axis=(1, 2))
  return flow, {'ctn/flow_mean': jnp.mean(length), 'ctn/flow_max': jnp.mean(longest)}


def commutation(config, generate, x, fake, flow, key):
  """L_ctn = || W(G(x), F) - G(W(x, F)) ||, gradient through both sides (as Unsup. Recycle-GAN)."""
  ctn = config.ctn
  moved = synthetic_motion.add_noise(name_key(key, 'noise'), synthetic_motion.move(x, flow),
                                     ctn.noise_std)
  moved = synthetic_motion.add_column_noise(name_key(key, 'columns'), moved, ctn.column_std)
  target = synthetic_motion.move(jax.lax.stop_gradient(fake) if ctn.stop_target else fake, flow)
  return synthetic_motion.distance(target, generate(moved), ctn.norm)


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: x, y', some y, the chosen patches of y', the motion F."""
  del model_state
  config, co = model.config, model.config.co
  x, y = batch['a'][:, 0], batch['b'][:, 0]
  fake = shared_roma.features(model, model.apply(params, 'gen', x))
  rows = {'infrared': x, 'translated': fake['frames'], 'visible, not of this scene': y}
  if co.enabled or config.weights.ctn:
    delta, _ = gradient_cosine(model, params, fake, len(x), key)
    chosen = select(config, delta)
    tint = ops.resize(chosen[..., None].astype(jnp.float32), x.shape[1:3], 'nearest')
    rows['content-rich patches'] = fake['frames'] * (0.3 + 0.7 * tint) - 0.7 * (1 - tint)
    w_fake = patch_gradients.weights(delta, chosen, co.lambda_inc)
    flow, _ = content_motion(config, w_fake, x, key)
    rows |= {} if flow is None else {'motion': ops.flow_colors(flow)}
  return shared.in_color(rows)
