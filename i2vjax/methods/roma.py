"""ROMA (ACM MM 2022): cross-domain region similarity matching, night infrared to day visible video.

One generator, one critic, no cycle. Two neighboring frames x0 x1 are translated, y'i = G(xi), and
looked at by a frozen ViT, whose tokens S (of x) and T (of y') are compared and judged:

  D(S, T) = mean_i |1 - cos(row i of S T^T, row i of T S^T)|       cross-similarity

  L_G = mean (C(T) - 1)^2                                          adversarial
      + 5 * 1/2 sum_t mean_l D(S_t, T_t)                           cs_global, whole frames
      + 5 * the same on small windows, each a ViT's input          cs_local
      +     sum_l mean_i |1 - cos(S_0 T_1^T, T_0 S_1^T)|           cs_motion, across the two frames
  L_C = 1/2 [mean C(T)^2 + mean (C(R) - 1)^2]                      R tokens of real visible frames

The critic C is no convolution: two dense layers on each of the ViT's tokens and on their means over
regions of several sizes, with 768 scores for each. S and R are constants. CPTrans is built on this
method, so frames are seen and compared as in cptrans.py.

Public code: BIT-DA/ROMA. Its weight of cs_motion only switches the term on; here it multiplies it.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.state import apply_gradients, update, weighted
from i2vjax.losses import adversarial, descriptor, pixel, similarity
from i2vjax.methods import cptrans
from i2vjax.networks import vit

PLAYERS = {'gen': ('gen',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen',)
example_inputs = cptrans.example_inputs
frozen_networks = cptrans.frozen_networks          # the ViT
translate = cptrans.translate  # frame by frame


def networks(config):
  """The generator and the critic of visible frames."""
  nets = cptrans.networks(config)
  if cptrans.critic_kind(config) == 'patchgan':   # `disc.out_channels` are those of the tokens
    nets['disc_b'] = nets['disc_b'].clone(out_channels=1)
  return nets


# ---- The step


def step(model, state, batch, key):
  """The critic moves, then the generator against the critic just moved (order of the public code).

  All frames of all windows fold into the batch: G(x) once, the ViT once on x and y together and
  once on y'. One frame in a window (`data.frames=1`) leaves out cs_motion.
  """
  config = model.config
  length = batch['a'].shape[1]
  x, y = ops.fold(batch['a']), ops.fold(batch['b'])
  (fake, same), pull = jax.vjp(lambda gen: translated(model, gen, x, y),
                               state.params['gen'])
  source, real = cptrans.halves(cptrans.features(model, jnp.concatenate([x, y])))

  state, disc_term = update(model, state, 'disc_b', PLAYERS['disc_b'],
                            lambda params: critic_loss(model, params, real, fake))

  def generator_loss(fake, same):
    return weighted({
        'adversarial': lambda: adversarial.generator_loss(
            scores(model, state.params, fake), config.gan.mode),
        **structure(model, source, fake, length, key),
        'identity': lambda: pixel.l1(same, y),   # ours, off as published
    }, config.weights)

  back, terms = jax.grad(generator_loss, (0, 1), has_aux=True)(fake, same)
  state = apply_gradients(model, state, 'gen', {'gen': pull(back)[0]})
  return state, {**terms, 'disc_b': disc_term}


def translated(model, gen, x, y):
  """(what is seen of G(x), G(y)); no G(y) without the identity term."""
  frames = jnp.concatenate([x, y]) if model.config.weights.identity else x
  images = model.apply({'gen': gen}, 'gen', frames)
  return cptrans.features(model, images[:len(x)]), images[len(x):]


# ---- The critic of regions


def critic_input(config, seen):
  """What the critic takes: tokens and regions [B, M, C] of the last layer, or frames [B, H, W, C].

  785 tokens and regions of a map of 24 x 24 (`disc.scales`).
  """
  if cptrans.critic_kind(config) == 'patchgan':
    return seen['frames']
  return vit.regions(seen['tokens'][-1], config.disc.scales, config.disc.roma_window_quirk)


def scores(model, params, seen):
  """Logits [B, M, C] of tokens and regions, or [B, h, w, 1] of patches."""
  return model.apply(params, 'disc_b', critic_input(model.config, seen))


def critic_loss(model, params, real, fake):
  """Half of real towards 1 plus fake towards 0; the fake ones are constants."""
  config = model.config
  seen = cptrans.join(real, jax.lax.stop_gradient(fake))
  on_real, on_fake = cptrans.halves(scores(model, params, seen))
  return config.gan.d_scale * adversarial.discriminator_loss(on_real, on_fake, config.gan.mode)


# ---- Cross-similarity


def structure(model, source, fake, length, key):
  """{'cs_global', 'cs_local', 'cs_motion'}; the windows are the same for all frames of the step.

  Args:
    source, fake: of x and y' as `see` returns them, B * length frames.
    length: frames in a row; cs_motion compares neighbors, with one there is none.
  """
  config = model.config
  if config.backbone == 'none':
    source, fake = (described(config, seen) for seen in (source, fake))
  terms = cptrans.structure(model, source, fake, key)
  if length > 1:
    terms['cs_motion'] = lambda: motion(source['tokens'], fake['tokens'], length)
  return terms


def described(config, seen):
  """Descriptors in place of the ViT's tokens, and the maps they are cut from."""
  maps = descriptor.maps(seen['frames'], **config.lss)
  return {**seen, 'maps': maps, 'tokens': descriptor.tokens(maps)}


def motion(S, T, length):
  """cs_motion: every frame with the one after it.

  Args:
    S, T: [[B * length, M, C] for each layer].
  """
  S0, T0, S1, T1 = ([ops.unfold(tokens, length)[:, part] for tokens in layers]
                    for part in (slice(0, -1), slice(1, None)) for layers in (S, T))
  return similarity.motion_similarity(S0, S1, T0, T1)


# ---- Use


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: the frames of a window, each above its translation; some y."""
  del key
  _, fake = translate(model, params, model_state, None, batch['a'])
  rows = {}
  for t in range(fake.shape[1]):
    frame = f', frame {t}' if fake.shape[1] > 1 else ''
    rows |= {f'infrared{frame}': batch['a'][:, t], f'translated{frame}': fake[:, t]}
  rows['visible, not of this scene'] = batch['b'][:, 0]
  return {label: ops.match_channels(images, 3) for label, images in rows.items()}
