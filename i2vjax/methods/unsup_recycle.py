"""Unsupervised Recycle-GAN (AAAI 2022): consistency over time learned from single frames.

No flow is estimated and no second frame is needed. A smooth random motion is made up, one frame is
moved by it, and translation has to commute with the motion. With W(x, F) the frame x moved by F,
x~ the same plus a little noise, b' = G(a), a' = F(b) translations and F1 ... F4 four motions:

  L = gan(D_B(b'), real) + gan(D_A(a'), real)                                     adversarial
    + 10  |F(W~(b', F1)) - W(a, F1)|   + 10  |G(W~(a', F2)) - W(b, F2)|           urec_a, urec_b
    + 10  |G(W~(a, F3)) - W(b', F3)|   + 10  |F(W~(b, F4)) - W(a', F4)|           uspa_a, uspa_b
    +     |IN V(b') - IN V(a)|^2       +     |IN V(a') - IN V(b)|^2               content_a, _b
    +  0  |F(b') - a|                  +  0  |G(a') - b|                          cycle_a, cycle_b

urec, the unsupervised recycle loss, replaces the cycle loss: without motion it is the cycle loss.
uspa is the unsupervised spatial loss. V is a frozen VGG-16, IN its features standardized per
channel. No gradient is stopped at a translated frame, also not where it is moved and then is the
target; motion and noise are constants. Every mean is over all elements.

Public code: wangkaihong/Unsup_Recycle_GAN, whose gen_ab is our `gen_ab` (G) and D_A our `disc_b`.

Left open by the paper:
  - The paper's text beyond its abstract and introduction was not at hand: formulas and numbers
    are those of the public code.
  - Whether pixels that a motion brought in from the border count: they do, as in the code
    (`synth.mask_border`).
  - Other sizes than 256 pixels: motion and shift are scaled with the height of the frame, ours.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.model import Model
from i2vjax.core.state import State, name_key, update, weighted
from i2vjax.flow import visibility
from i2vjax.losses import adversarial, perceptual, pixel, synthetic_motion
from i2vjax.methods import cyclegan, shared
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import vgg

YEAR = 2022
PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc_b': ('disc_b',), 'disc_a': ('disc_a',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
networks, example_inputs = cyclegan.networks, cyclegan.example_inputs   # two of each, as there
device_state = image_pool.of_both_domains
translate = shared.framewise('gen_ab')
TAP = 'relu5_3'   # the features of V that are compared
MOTION_TERMS = ('urec_a', 'urec_b', 'uspa_a', 'uspa_b')   # F1 ... F4


def uses_vgg(config):
  """True if features are compared."""
  return shared.uses_vgg(config, config.weights.content_a or config.weights.content_b)


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """The frozen VGG-16, unless the run does without the content terms."""
  return {'vgg16': (vgg.perceptual(config, (TAP,), 16), 'vgg16')} if uses_vgg(config) else {}


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Both generators move together, then each critic, on fakes made before that."""
  config = model.config
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = motions(config, real, key)

  def gen_loss(params):
    images = translations(model, params, real, flows, key)
    total, terms = weighted({
        'adversarial': lambda: sum(adversarial.generator_loss(
            model.apply(params, f'disc_{y}', images['fake'][y]), config.gan.mode) for y in 'ab'),
        **commuting(config, images, real, flows),
        **content(model, images['fake'], real),
        'identity': lambda: sum(pixel.l1(images['identity'][x], real[x]) for x in 'ab'),
    }, config.weights)
    return total, (terms, images['fake'])

  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, fakes = shared.through_pools(state, key, fakes)
  for player, x in (('disc_b', 'b'), ('disc_a', 'a')):
    state, terms[player] = update(model, state, player, PLAYERS[player], functools.partial(
        shared.critic_loss, model, name=player, real=real[x], fake=fakes[x]))
  return state, terms


def motions(config, real, key):
  """{term: [B, H, W, 2] pixels}: F1 ... F4, those that are needed."""
  return {term: drift(config, name_key(key, term), real['a'])
          for term in MOTION_TERMS if config.weights[term]}


def drift(config, key, frames):
  """A smooth random motion for each of the frames: [B, H, W, 2] pixels."""
  synth = config.synth
  return synthetic_motion.drift(key, len(frames), frames.shape[1:3], motion=synth.motion,
                                shift=synth.shift, scale=synth.scale)


def translations(model, params, real, flows, key):
  """Every image that the terms in use ask for, in two calls of each generator.

  First G on [a, W~(a, F3), b for identity], then, since it needs F's fakes, on [W~(a', F2), a'];
  F likewise. An image without weight is left out.

  Returns:
    {kind: {domain that the image looks like: [B, H, W, C]}}, kinds 'fake', 'spatial', 'identity',
    'recycle', 'cycle'.
  """
  weights = model.config.weights
  images = {kind: {} for kind in ('fake', 'spatial', 'identity', 'recycle', 'cycle')}

  def moved(frames, term):
    return synthetic_motion.add_noise(
        name_key(key, f'noise_{term}'), synthetic_motion.move(frames, flows[term]),
        model.config.synth.noise, spread=1.0)

  def translate_all(x, y, frames):
    if frames:
      drawn = model.apply(params, f'gen_{x}{y}', jnp.concatenate(list(frames.values())))
      for kind, image in zip(frames, jnp.split(drawn, len(frames)), strict=True):
        images[kind][y] = image

  for x, y in DIRECTIONS:
    frames = {'fake': real[x]}
    if weights[f'uspa_{x}']:
      frames['spatial'] = moved(real[x], f'uspa_{x}')
    if weights.identity:
      frames['identity'] = real[y]
    translate_all(x, y, frames)
  for x, y in DIRECTIONS:   # what starts from a real frame of y, and comes back to y
    frames = {}
    if weights[f'urec_{y}']:
      frames['recycle'] = moved(images['fake'][x], f'urec_{y}')
    if weights[f'cycle_{y}']:
      frames['cycle'] = images['fake'][x]
    translate_all(x, y, frames)
  return images


# ---- Terms


def commuting(config, images, real, flows):
  """{term: function} of all that moves, and of the plain cycles; x is where a loss starts from.

  Args:
    images: as `translations` returns them.
  """
  def distance(term, image, still):
    """|image - W(still, F)|; with `synth.mask_border` only where W repeats no edge of the frame."""
    flow = flows[term]
    mask = visibility.inside(-flow) if config.synth.mask_border else 1.0
    return pixel.l1(mask * image, mask * synthetic_motion.move(still, flow))

  def urec(x):
    return distance(f'urec_{x}', images['recycle'][x], real[x])

  def uspa(x, y):
    return distance(f'uspa_{x}', images['spatial'][y], images['fake'][y])

  def cycle(x):
    return pixel.l1(images['cycle'][x], real[x])
  terms = {}
  for x, y in DIRECTIONS:
    terms |= {f'urec_{x}': functools.partial(urec, x), f'uspa_{x}': functools.partial(uspa, x, y),
              f'cycle_{x}': functools.partial(cycle, x)}
  return terms


def content(model, fake, real):
  """{'content_a', 'content_b'}: a translation has the features of its source, place by place.

  V in two calls: on real frames, which need no gradient, and on translations.
  """
  config = model.config
  sides = [(x, y) for x, y in DIRECTIONS if uses_vgg(config) and config.weights[f'content_{x}']]
  if not sides:
    return {}

  def features(images):
    stacked = jnp.concatenate([ops.match_channels(image, 3) for image in images])
    return jnp.split(model.apply(model.frozen, 'vgg16', stacked)[TAP], len(images))
  of_fakes = features([fake[y] for _, y in sides])
  of_sources = features([real[x] for x, _ in sides])
  return {f'content_{x}': functools.partial(perceptual.standardized_distance, image, source)
          for (x, _), image, source in zip(sides, of_fakes, of_sources, strict=True)}


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: both directions, and a move before and after the translation."""
  del model_state
  a, b = batch['a'][:, 0], batch['b'][:, 0]
  flow = drift(model.config, key, a)
  fake = model.apply(params, 'gen_ab', a)
  return shared.in_color({
      'a': a,
      'a to b': fake,
      'moved, then translated': model.apply(params, 'gen_ab', synthetic_motion.move(a, flow)),
      'translated, then moved': synthetic_motion.move(fake, flow),
      'motion': ops.flow_colors(flow),
      'back to a': model.apply(params, 'gen_ba', fake),
      'b': b,
      'b to a': model.apply(params, 'gen_ba', b)})
