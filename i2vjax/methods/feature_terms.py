"""I2V-GAN's loss terms on features, for the methods of its ablation.

  VL(x, y) = |x - y| + content and style distance of VGG-19 features     its part behind the +
  EXS      a patch of a translation recognizes its source among other patches of the frame
  INS      how patches change over three frames is kept by the translation

Features for EXS and INS are those of G_xy's encoder for the source and, again, for its own output.
They are compared through projections: two layers for each tap, drawn at random and never trained
(the public code clears their gradients), or trained by I2V-GAN with `nce.train_projection`.

Public code: BIT-DA/I2V-GAN.
"""

import functools

import jax

from i2vjax.core.errors import UserError
from i2vjax.core.state import init_params, name_key
from i2vjax.losses import contrastive, perceptual
from i2vjax.methods import shared
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import projector, vgg

VL_TERMS = ('cycle', 'recycle', 'recurrent')
VL_FIELDS = ('content', 'content_taps', 'style', 'style_taps', 'style_taps_weights')


# ---- VL


def uses_vgg(config):
  """True if VL has its perceptual part, for a term that is in use.

  Configs of runs older than these terms lack their blocks: then nothing is used.
  """
  used = any(config.weights.get(term, 0) for term in VL_TERMS)
  return shared.uses_vgg(config) and used and bool(config.vgg.content or config.vgg.style)


def frozen_networks(config):
  """The frozen VGG-19, unless VL is the pixel distance alone."""
  if not uses_vgg(config):
    return {}
  taps = sorted({*config.vgg.content_taps, *config.vgg.style_taps})
  return {'vgg19': (vgg.perceptual(config, taps), 'vgg19')}


def perceptual_distances(model, real, pairs):
  """The perceptual part of VL of many pairs, with VGG in two calls for all; zeros without VGG.

  Args:
    real: {x: [x0, x1, ...]}, each [B, H, W, C].
    pairs: [(domain, frame, image that should equal it)].

  Returns:
    [scalar for each pair].
  """
  config = model.config
  if not uses_vgg(config):
    return [0.0] * len(pairs)
  frames = sorted({(x, i) for x, i, _ in pairs})
  return perceptual.distances(
      functools.partial(model.apply, model.frozen, 'vgg19'),
      [(image, (x, i)) for x, i, image in pairs],
      {(x, i): real[x][i] for x, i in frames},
      content_norm=config.vgg.get('content_norm', 'l1'),   # older runs lack it
      **{field: config.vgg[field] for field in VL_FIELDS})


# ---- EXS and INS


def uses_nce(config):
  """True if features of the generators are compared."""
  return bool(config.weights.get('exs', 0) or config.weights.get('ins', 0))


def taps(config):
  """Names of the features compared, checked against the generator; () where none are."""
  return projector.taps(config) if uses_nce(config) else ()


def projections(config):
  """{'proj_ab', 'proj_ba'}: what leads features to the space where they are compared."""
  return {f'proj_{x}{y}': projector.projector(config) for x, y in DIRECTIONS}


def projection_inputs(config):
  """Patches that each projection is called with; taps are checked if they are used."""
  return {f'proj_{x}{y}': (projector.example(config, config.data[f'channels_{x}'],
                                             uses_nce(config)),) for x, y in DIRECTIONS}


def with_projections(model, key):
  """(model, {projection: parameters}) for EXS and INS in methods that have no projections.

  Random and never trained, as published. Drawn anew in every step from the run's own key, they are
  the same ones all the time, those an I2V-GAN of the same seed begins with.

  Args:
    key: `state.key`.
  """
  config = model.config
  if not uses_nce(config):
    return model, {}
  if config.nce.train_projection:
    raise UserError(f'nce.train_projection: the projections of {config.method} stay random; '
                    'config.method=i2vgan trains them')
  modules = projections(config)
  heads = init_params(modules, projection_inputs(config), key)
  return model.replace(networks={**model.networks, **modules}), heads


def similarity_terms(model, params, features, key):
  """{'exs', 'ins'}: functions of EXS, summed over the T frames, and of INS, both directions each.

  EXS draws places for every frame, INS, which needs T = 3, one set for all six images of a
  direction. INS reaches the encoder and generator only: a projection could satisfy it by making all
  patches alike.

  Args:
    features: {x: {'keys', 'queries'}} of x0 .. and of y'0 .., [[T, B, h, w, C] for each tap].
    key: of the step.
  """
  nce = model.config.nce

  def project(heads, side, maps):
    return model.apply(heads, f'proj_{side}', maps)

  def exs(x, y):
    keys, queries = features[x]['keys'], features[x]['queries']
    frames = len(keys[0])
    draw = jax.vmap(lambda key: projector.places(key, keys, nce.patches))
    ids = draw(jax.random.split(name_key(key, f'exs_{x}'), frames))
    patches = jax.vmap(projector.patches)
    z = project(params, f'{x}{y}', patches(keys, ids))
    z_fake = project(params, f'{x}{y}', patches(queries, ids))
    return frames * contrastive.external_similarity(z_fake, z, nce.tau)

  def ins(x, y):
    heads = jax.lax.stop_gradient({f'proj_{x}{y}': params[f'proj_{x}{y}']})
    ids = projector.places(name_key(key, f'ins_{x}'), features[x]['keys'], nce.patches)
    z = project(heads, f'{x}{y}', projector.patches(features[x]['keys'], ids))
    z_fake = project(heads, f'{x}{y}', projector.patches(features[x]['queries'], ids))
    return contrastive.internal_similarity(by_frame(z), by_frame(z_fake), nce.tau,
                                           model.config.ins.detach_keys)
  return {'exs': lambda: sum(exs(x, y) for x, y in DIRECTIONS),
          'ins': lambda: sum(ins(x, y) for x, y in DIRECTIONS)}


def by_frame(layers):
  """[[3, ...] for each tap] -> [[... for each tap] for each of three frames]."""
  return [[layer[i] for layer in layers] for i in range(3)]
