"""What ROMA, CPTrans and `best` share: ViT tokens, their critic, cross-similarity.

x infrared and y visible frames [B, H, W, C]; y' = G(x). `features` of frames are a dict of the
frames themselves and, if there is a ViT, of their tokens [B, N, C] for each of `cs.layers`. Without
a ViT (`backbone='none'`) the critic is a PatchGAN on frames, and training-free descriptors are
compared in place of tokens.
"""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import name_key
from i2vjax.losses import descriptor, similarity
from i2vjax.methods import shared
from i2vjax.networks import patchgan, vit


def critic_kind(config):
  """'token_mlp' on a ViT's tokens, or 'patchgan' on frames; `disc.kind='auto'` follows `backbone`.

  CPTrans' critic is a PatchGAN after ROMA, less its multiscale part. ROMA's code has no
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


def critic(config):
  """The critic of visible frames, of the kind that `critic_kind` says."""
  if critic_kind(config) == 'token_mlp':
    return vit.TokenCritic(config.disc.hidden, config.disc.out_channels)
  return patchgan.discriminator(config, config.data.channels_b)


def example_inputs(config):
  """One frame for each network; one token for a critic on tokens."""
  a, b = shared.example_frames(config)
  if critic_kind(config) == 'token_mlp':
    b = jnp.zeros((1, 1, vit.backbone(config).width))
  return {'gen': (a,), 'disc_b': (b,)}


def frozen_networks(config):
  """The frozen ViT, unless the run does without."""
  return {} if config.backbone == 'none' else {'vit': (vit.backbone(config), 'vit_b16_384')}


# ---- Features


def features(model, frames):
  """What critic and structure loss look at: {'frames', 'tokens': [[B, N, C] for each layer]}."""
  if model.config.backbone == 'none':
    return {'frames': frames, 'tokens': []}
  layers = tuple(model.config.cs.layers)
  tokens = model.apply(model.frozen, 'vit', ops.match_channels(frames, 3), layers, method='tokens')
  return {'frames': frames, 'tokens': tokens}


def join(*trees):
  """One batch of several: features of all their frames."""
  return jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *trees)


def halves(tree):
  """Both halves of a batch."""
  count = len(jax.tree.leaves(tree)[0]) // 2
  return (jax.tree.map(lambda leaf: leaf[:count], tree),
          jax.tree.map(lambda leaf: leaf[count:], tree))


# ---- Cross-similarity


def structure(model, source, fake, key):
  """{'cs_global', 'cs_local'}: L_cs on all tokens, and on small windows, the same for x and y'.

  With a ViT its tokens, in windows those of each window by itself (ROMA); without one the
  training-free descriptors of losses/descriptor.py.

  Args:
    source, fake: `features` of x and of y'; `maps` in them are descriptors made already.
    key: of the step.
  """
  cs, key = model.config.cs, name_key(key, 'windows')
  if model.config.backbone == 'none':
    return _structure_of_descriptors(model.config, source, fake, key)
  ids = similarity.random_ids(key, model.networks['vit'].grid ** 2, cs.local_nums)

  def windows(image):
    frames = ops.match_channels(image['frames'], 3)
    return model.apply(model.frozen, 'vit', frames, ids, tuple(cs.layers), cs.side,
                       method='tokens_local')
  return {
      'cs_global': lambda: similarity.cross_similarity(source['tokens'], fake['tokens']),
      'cs_local': lambda: similarity.cross_similarity(windows(source), windows(fake))}


def _structure_of_descriptors(config, source, fake, key):
  """The same on descriptors of the frames."""
  S = source.get('maps') or descriptor.maps(source['frames'], **config.lss)
  T = fake.get('maps') or descriptor.maps(fake['frames'], **config.lss)
  places = similarity.random_windows(key, S[0].shape[1:3], config.cs.local_nums, config.cs.side)
  return {
      'cs_global': lambda: similarity.cross_similarity(
          descriptor.tokens(S), descriptor.tokens(T)),
      'cs_local': lambda: similarity.cross_similarity(
          descriptor.window_tokens(S, places), descriptor.window_tokens(T, places))}
