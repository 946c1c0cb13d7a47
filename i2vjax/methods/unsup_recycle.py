"""Unsupervised Recycle-GAN (AAAI 2022): consistency over time learned from single frames.

No flow is estimated and no second frame is needed. A smooth random motion is made up, one frame is
moved by it, and translation has to commute with the motion. With W(x, F) the frame x moved by F,
x~ the same plus a little noise, b' = G(a), a' = F(b) translations and F1 ... F4 four motions:

  L = gan(D_B(b'), real) + gan(D_A(a'), real)                                     adversarial
    + 10  |F(W~(b', F1)) - W(a, F1)|   + 10  |G(W~(a', F2)) - W(b, F2)|           urec_a, urec_b
    + 10  |G(W~(a, F3)) - W(b', F3)|   + 10  |F(W~(b, F4)) - W(a', F4)|           uspa_a, uspa_b
    +     |IN V(b') - IN V(a)|^2       +     |IN V(a') - IN V(b)|^2               content_a, _b
    +  0  |F(b') - a|                  +  0  |G(a') - b|                          cycle_a, cycle_b

urec, the unsupervised recycle loss, stands in for the cycle loss: without motion it is the cycle
loss. uspa is the unsupervised spatial loss. V is a frozen VGG-16, IN its features standardized per
channel. No gradient is stopped at a translated frame, also not where it is moved and then is the
target; motion and noise are constants. Every mean is over all elements.

Public code: wangkaihong/Unsup_Recycle_GAN, whose gen_ab is our `gen_ab` (G) and D_A our `disc_b`.
"""

import functools

import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import name_key, update, weighted
from i2vjax.flow import visibility
from i2vjax.losses import adversarial, perceptual, pixel, synthetic_motion
from i2vjax.methods import cyclegan
from i2vjax.networks import vgg

PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc_b': ('disc_b',), 'disc_a': ('disc_a',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
networks, example_inputs = cyclegan.networks, cyclegan.example_inputs   # two of each, as there
device_state = image_pool.of_both_domains
SIDES = (('a', 'b'), ('b', 'a'))
TAP = 'relu5_3'   # what V looks at


def uses_vgg(config):
  """True if features are compared."""
  if config.perceptual not in ('vgg', 'none', 'random'):
    raise UserError(f"perceptual={config.perceptual!r}: choose 'vgg', 'none' or 'random'")
  used = config.weights.content_a or config.weights.content_b
  return bool(config.perceptual != 'none' and used)


def frozen_networks(config):
  """The frozen VGG-16, unless the run does without the content terms."""
  return {'vgg16': (vgg.perceptual(config, (TAP,), 16), 'vgg16')} if uses_vgg(config) else {}


# ---- The step


def step(model, state, batch, key):
  """Both generators move together, then each critic, on fakes made before that."""
  config = model.config
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = motions(config, real, key)

  def gen_loss(params):
    made = translations(model, params, real, flows, key)
    total, terms = weighted({
        'adversarial': lambda: sum(adversarial.generator_loss(
            model.apply(params, f'disc_{y}', made['fake'][y]), config.gan.mode) for y in 'ab'),
        **commuting(config, made, real, flows),
        **content(model, made['fake'], real),
        'identity': lambda: sum(pixel.l1(made['identity'][x], real[x]) for x in 'ab'),
    }, config.weights)
    return total, (terms, made['fake'])

  state, (terms, fake) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  pools = dict(state.device_state)
  for x in 'ba':
    name = f'pool_{x}'
    pools[name], fake[x] = image_pool.query(pools[name], name_key(key, name), fake[x])
  state = state.replace(device_state=pools)
  for player, x in (('disc_b', 'b'), ('disc_a', 'a')):
    state, terms[player] = update(model, state, player, PLAYERS[player], functools.partial(
        cyclegan.critic_loss, model, name=player, real=real[x], fake=fake[x]))
  return state, terms


def motions(config, real, key):
  """{term: [B, H, W, 2] pixels}: F1 ... F4, those that are needed."""
  synth, x = config.synth, real['a']
  return {
    term: synthetic_motion.drift(
      name_key(key, term),
      len(x),
      x.shape[1:3],
      motion=synth.motion,
      shift=synth.shift,
      scale=synth.scale,
    )
    for term in ('urec_a', 'urec_b', 'uspa_a', 'uspa_b')
    if config.weights[term]
  }


def translations(model, params, real, flows, key):
  """Every image that the terms in use ask for, in two calls of each generator.

  First G on [a, W~(a, F3), b for identity], then, since it needs F's fakes, on [W~(a', F2), a'];
  F likewise. A kind without weight is left out.

  Returns:
    {kind: {domain that the image looks like: [B, H, W, C]}}, kinds 'fake', 'spatial', 'identity',
    'recycle', 'cycle'.
  """
  config = model.config
  weights, made = config.weights, {}

  def moved(frames, term):
    return synthetic_motion.add_noise(
      name_key(key, f'noise_{term}'),
      synthetic_motion.move(frames, flows[term]),
      config.synth.noise,
      spread=1.0,
    )

  def translate_all(x, y, images):
    images = {kind: make() for kind, (wanted, make) in images.items() if wanted}
    if images:
      shown = model.apply(params, f'gen_{x}{y}', jnp.concatenate(list(images.values())))
      for kind, image in zip(images, jnp.split(shown, len(images)), strict=True):
        made.setdefault(kind, {})[y] = image

  for x, y in SIDES:
    translate_all(x, y, {
        'fake': (True, lambda x=x: real[x]),
        'spatial': (weights[f'uspa_{x}'], lambda x=x: moved(real[x], f'uspa_{x}')),
        'identity': (weights.identity, lambda y=y: real[y])})
  for x, y in SIDES:   # what starts from a real frame of y, and comes back to y
    translate_all(x, y, {
        'recycle': (weights[f'urec_{y}'], lambda x=x, y=y: moved(made['fake'][x], f'urec_{y}')),
        'cycle': (weights[f'cycle_{y}'], lambda x=x: made['fake'][x])})
  return made


# ---- Terms


def commuting(config, made, real, flows):
  """{term: loss} of all that moves, and of the plain cycles; x is where a loss starts from."""
  def distance(term, image, still):
    """|image - W(still, F)|, by wish only where W(still, F) does not repeat the frame's edge."""
    flow = flows[term]
    seen = visibility.inside(-flow) if config.synth.mask_border else 1.0
    return pixel.l1(seen * image, seen * synthetic_motion.move(still, flow))
  terms = {}
  for x, y in SIDES:
    terms |= {
        f'urec_{x}': lambda x=x: distance(f'urec_{x}', made['recycle'][x], real[x]),
        f'uspa_{x}': lambda x=x, y=y: distance(f'uspa_{x}', made['spatial'][y], made['fake'][y]),
        f'cycle_{x}': lambda x=x: pixel.l1(made['cycle'][x], real[x])}
  return terms


def content(model, fake, real):
  """{'content_a', 'content_b'}: a translation fires the features of its source, place by place.

  V in two calls: on real frames, which need no gradient, and on translations.
  """
  config = model.config
  wanted = [side for side in SIDES if uses_vgg(config) and config.weights[f'content_{side[0]}']]
  if not wanted:
    return {}

  def features(images):
    stacked = jnp.concatenate([ops.match_channels(image, 3) for image in images])
    return jnp.split(model.apply(model.frozen, 'vgg16', stacked)[TAP], len(images))
  seen = features([fake[y] for _, y in wanted]), features([real[x] for x, _ in wanted])
  return {f'content_{x}': functools.partial(perceptual.standardized_distance, image, source)
          for (x, _), image, source in zip(wanted, *seen, strict=True)}


# ---- Use


def translate(model, params, model_state, carry, frames):
  """Frame by frame with gen_ab. [B, T, H, W, C] -> the same."""
  del model_state
  fake = model.apply(params, 'gen_ab', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: both directions, and a move before and after the translation."""
  del model_state
  a, b, synth = batch['a'][:, 0], batch['b'][:, 0], model.config.synth
  flow = synthetic_motion.drift(key, len(a), a.shape[1:3], motion=synth.motion, shift=synth.shift,
                        scale=synth.scale)
  fake = model.apply(params, 'gen_ab', a)
  rows = {
    'a': a,
    'a to b': fake,
    'moved, then translated': model.apply(params, 'gen_ab', synthetic_motion.move(a, flow)),
    'translated, then moved': synthetic_motion.move(fake, flow),
    'motion': ops.flow_colors(flow),
    'back to a': model.apply(params, 'gen_ba', fake),
    'b': b,
    'b to a': model.apply(params, 'gen_ba', b),
  }
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}
