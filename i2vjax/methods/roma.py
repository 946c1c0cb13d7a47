"""ROMA (ACM MM 2022): night infrared to day visible video by cross-similarity.

One generator, one critic, no cycle. Two neighboring frames x0 x1 are translated, y'i = G(xi), and
seen by a frozen ViT, whose tokens S (of x) and T (of y') are compared and judged:

  D(S, T) = mean_i |1 - cos(row i of S T^T, row i of T S^T)|       cross-similarity

  L_G = mean (C(T) - 1)^2                                          adversarial
      + 5 * 1/2 sum_t mean_l D(S_t, T_t)                           cs_global, whole frames
      + 5 * the same on small windows, each a ViT's input          cs_local
      +     sum_l mean_i |1 - cos(S_0 T_1^T, T_0 S_1^T)|           cs_motion, across the two frames
  L_C = 1/2 [mean C(T)^2 + mean (C(R) - 1)^2]                      R tokens of real visible frames

The critic C is no convolution: two dense layers on each of the ViT's tokens and on their means over
regions of several sizes, with 768 scores for each. S and R are constants. What CPTrans takes over
from this method is in shared_roma.py.

Public code: BIT-DA/ROMA. Its weight of cs_motion only switches the term on; here it multiplies it.

Left open by the paper:
  - The paper's own text was not at hand: public code, and what the CPTrans paper says of it.
  - The truth of a test set: there are no visible test frames, so FID and KID compare with the
    visible training frames (`eval.fid_reference`).
  - The scale of its FID: about a hundredth of what FID is elsewhere (`eval.paper_scale`).
  - Life without a ViT (`backbone='none'`): training-free descriptors and a PatchGAN, ours.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, update, weighted
from i2vjax.losses import adversarial, descriptor, pixel, similarity
from i2vjax.methods import shared, shared_roma
from i2vjax.methods.base import Batch, Params
from i2vjax.networks import generators, patchgan, vit

YEAR = 2022
PLAYERS = {'gen': ('gen',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen',)
example_inputs = shared_roma.example_inputs
frozen_networks = shared_roma.frozen_networks   # the ViT
translate = shared.framewise('gen')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """The generator and the critic of visible frames."""
  critic = shared_roma.critic(config)
  if shared_roma.critic_kind(config) == 'patchgan':   # `disc.out_channels` are those of the tokens
    critic = patchgan.discriminator(config, config.data.channels_b, out_channels=1)
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen': generators.generator(config, a, b), 'disc_b': critic}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The critic moves, then the generator against the critic just moved (order of the public code).

  All frames of all windows fold into the batch: G(x) once, the ViT once on x and y together and
  once on y'. One frame in a window (`data.frames=1`) leaves out cs_motion.
  """
  config = model.config
  length = batch['a'].shape[1]
  x, y = ops.fold(batch['a']), ops.fold(batch['b'])
  (fake, same), pull_back = jax.vjp(lambda gen: translated(model, gen, x, y), state.params['gen'])
  source, real = shared_roma.halves(shared_roma.features(model, jnp.concatenate([x, y])))

  state, disc_term = update(model, state, 'disc_b', PLAYERS['disc_b'],
                            lambda params: critic_loss(model, params, real, fake))

  def generator_loss(fake, same):
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            scores(model, state.params, fake), config.gan.mode),
        **structure(model, source, fake, length, key),
        'identity': lambda: pixel.l1(same, y),   # ours, off as published
    }, config.weights)

  of_images, terms = jax.grad(generator_loss, (0, 1), has_aux=True)(fake, same)
  state = apply_gradients(model, state, 'gen', {'gen': pull_back(of_images)[0]})
  return state, {**terms, 'disc_b': disc_term}


def translated(model, gen, x, y):
  """(features of G(x), G(y)); no G(y) without the identity term."""
  frames = jnp.concatenate([x, y]) if model.config.weights.identity else x
  images = model.apply({'gen': gen}, 'gen', frames)
  return shared_roma.features(model, images[:len(x)]), images[len(x):]


# ---- The critic of regions


def critic_input(config, features):
  """What the critic takes: tokens and regions [B, M, C] of the last layer, or frames [B, H, W, C].

  785 tokens and regions of a map of 24 x 24 (`disc.scales`).
  """
  if shared_roma.critic_kind(config) == 'patchgan':
    return features['frames']
  return vit.regions(features['tokens'][-1], config.disc.scales, config.disc.roma_window_quirk)


def scores(model, params, features):
  """Logits [B, M, C] of tokens and regions, or [B, h, w, 1] of patches."""
  return model.apply(params, 'disc_b', critic_input(model.config, features))


def critic_loss(model, params, real, fake):
  """Half of real towards 1 plus fake towards 0; the fake ones are constants."""
  gan = model.config.gan
  both = shared_roma.join(real, jax.lax.stop_gradient(fake))
  on_real, on_fake = shared_roma.halves(scores(model, params, both))
  return gan.d_scale * adversarial.discriminator_loss(on_real, on_fake, gan.mode)


# ---- Cross-similarity


def structure(model, source, fake, length, key):
  """{'cs_global', 'cs_local', 'cs_motion'}; the windows are the same for all frames of the step.

  Args:
    source, fake: `shared_roma.features` of x and y', B * length frames.
    length: frames in a row; cs_motion compares neighbors, with one there is none.
  """
  if model.config.backbone == 'none':
    source = with_descriptors(model.config, source)
    fake = with_descriptors(model.config, fake)
  terms = shared_roma.structure(model, source, fake, key)
  if length > 1:
    terms['cs_motion'] = lambda: motion(source['tokens'], fake['tokens'], length)
  return terms


def with_descriptors(config, features):
  """Descriptors in place of the ViT's tokens, and the maps they are cut from."""
  maps = descriptor.maps(features['frames'], **config.lss)
  return {**features, 'maps': maps, 'tokens': descriptor.tokens(maps)}


def motion(S, T, length):
  """cs_motion: every frame with the one after it.

  Args:
    S, T: [[B * length, M, C] for each layer].
  """
  S, T = ([ops.unfold(tokens, length) for tokens in layers] for layers in (S, T))
  S0, T0 = ([tokens[:, :-1] for tokens in layers] for layers in (S, T))
  S1, T1 = ([tokens[:, 1:] for tokens in layers] for layers in (S, T))
  return similarity.motion_similarity(S0, S1, T0, T1)


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: the frames of a window, each above its translation; some y."""
  del model_state, key
  fake = shared.per_frame(model, params, 'gen', batch['a'])
  rows = {}
  for t in range(fake.shape[1]):
    frame = f', frame {t}' if fake.shape[1] > 1 else ''
    rows |= {f'infrared{frame}': batch['a'][:, t], f'translated{frame}': fake[:, t]}
  rows['visible, not of this scene'] = batch['b'][:, 0]
  return shared.in_color(rows)
