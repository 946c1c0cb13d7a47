"""I2V-GAN (ACM MM 2021): infrared to visible video, by cycles over time and patches that agree.

Domain x is translated to y (x, y = a, b and b, a, learned together); x0 x1 x2 are three frames in
a row, x' is a translation into x, x~ an image led back to x.

  y'0, y'1 = G_xy(x0), G_xy(x1)        y'2 = P_y(y'0, y'1)       predicted from generated frames
  x~i = G_yx(y'i)                      x2p = P_x(x0, x1)         predicted from real frames

  L = sum over both directions of
        sum_i gan(D_y(y'i), real)                                adversarial
    + 10  [VL(x~0, x0) + VL(x~1, x1)]                            cycle
    + 10   VL(x~2, x2)                                           recycle
    + 10   VL(x2p, x2)                                           recurrent
    + 0.1  sum_i EXS(xi, y'i)                                    exs: a patch recognizes its source
    + 40   INS(x0..2, y'0..2)                                    ins: change over time is kept
    + 5    [|G_xy(y0) - y0| + |G_xy(y1) - y1|]                   identity (public code only)

VL(x, y) = |x - y| + content and style distance of VGG-19 features. No gradient is stopped at a
translated frame: it passes through P_y into G_xy and through G_yx, P_y, G_xy in a row. Features for
EXS and INS are those of G_xy's encoder for the source and, again, for its own output.

Public code: BIT-DA/I2V-GAN, whose netG_B is our `gen_ab`, netP_B `pred_b`, netF_A `proj_ab`.
"""

import functools

import jax
import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.state import apply_gradients, init_params, name_key, update, weighted
from i2vjax.losses import adversarial, contrastive, perceptual, pixel
from i2vjax.methods import triplets
from i2vjax.networks import patchgan, projector, resnet, unet, vgg

PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'pred_a', 'pred_b'), 'proj': ('proj_ab', 'proj_ba'),
           'disc_a': ('disc_a',), 'disc_b': ('disc_b',)}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba', 'pred_a', 'pred_b')
device_state = image_pool.of_both_domains
SIDES = triplets.SIDES
VL_TERMS = ('cycle', 'recycle', 'recurrent')
VL_FIELDS = ('content', 'content_taps', 'style', 'style_taps', 'style_taps_weights')
EVAL_MODES = ('generator', 'predictor', 'average')


def networks(config):
  """Two generators, predictors, projections and critics."""
  a, b = config.data.channels_a, config.data.channels_b
  if a != b and (config.weights.identity or uses_nce(config)):
    raise UserError(f'gen_ab reads frames of both domains, so data.channels_a={a} must equal '
                     f'data.channels_b={b}, unless weights.identity, exs and ins are 0')
  return {'gen_ab': resnet.generator(config, a, b), 'gen_ba': resnet.generator(config, b, a),
          'pred_a': unet.predictor(config, a), 'pred_b': unet.predictor(config, b),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b),
          'proj_ab': projector.projector(config), 'proj_ba': projector.projector(config)}


def example_inputs(config):
  """A frame, two frames side by side, or patches (whose taps are checked if a term looks)."""
  example = {}
  for x, y in SIDES:
    channels = config.data[f'channels_{x}']
    frame = jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
    example |= {f'gen_{x}{y}': (frame,), f'disc_{x}': (frame,),
                f'pred_{x}': (jnp.concatenate([frame, frame], -1),),
                f'proj_{x}{y}': (projector.example(config, channels, uses_nce(config)),)}
  return example


def frozen_networks(config):
  """The frozen VGG-19, unless VL is the pixel distance alone."""
  if config.perceptual not in ('vgg', 'none', 'random'):
    raise UserError(f"perceptual={config.perceptual!r}: choose 'vgg', 'none' or 'random'")
  if not uses_vgg(config):
    return {}
  taps = sorted({*config.vgg.content_taps, *config.vgg.style_taps})
  return {'vgg19': (vgg.perceptual(config, taps), 'vgg19')}


def uses_vgg(config):
  """True if VL has its perceptual part, for a term that is in use."""
  used = any(config.weights.get(term, 0) for term in VL_TERMS)
  return bool(config.perceptual != 'none' and used and (config.vgg.content or config.vgg.style))


def uses_nce(config):
  """True if features of the generators are compared."""
  return bool(config.weights.get('exs', 0) or config.weights.get('ins', 0))


# ---- The step


def step(model, state, batch, key):
  """Generators and predictors move together; then both critics, with the fakes made before that.

  The projections stay as they were drawn, as in the public code, which clears their gradients
  before their optimizer moves; `nce.train_projection` trains them in the same backward pass.
  """
  config = model.config
  real = {x: three_frames(batch[x]) for x in 'ab'}
  players = ('gen', 'proj') if config.nce.train_projection else ('gen',)

  def gen_loss(own):
    params = {**state.params, **own}
    made = translations(model, params, real, key)   # every image and feature, once
    total, terms = weighted({
        **adversarial_terms(model, params, made),
        **cyclic_terms(model, made, real),
        **similarity_terms(model, params, made, key),
        **identity_term(made, real),
    }, config.weights)
    return total, (terms, for_critics(made))

  own = {name: state.params[name] for player in players for name in PLAYERS[player]}
  grads, (terms, fakes) = jax.grad(gen_loss, has_aux=True)(own)
  for player in players:   # one gradient, an optimizer for each
    state = apply_gradients(model, state, player, {name: grads[name] for name in PLAYERS[player]})
  state, critic_terms = critics(model, state, real, fakes, key)
  return state, {**terms, **critic_terms}


def three_frames(clips):
  """[B, 3, H, W, C] -> [x0, x1, x2] of [B, H, W, C]."""
  if clips.shape[1] != 3:
    raise UserError(f'data.frames={clips.shape[1]}: this method is trained on three frames in a '
                     'row, set --config.data.frames=3')
  return [clips[:, i] for i in range(3)]


def translations(model, params, real, key):
  """The images and features of a step that the terms in use ask for (networks/triplets.py)."""
  config = model.config
  weights = config.weights
  back = [i for i, weight in enumerate((weights.cycle, weights.cycle, weights.recycle)) if weight]
  taps = projector.taps(config) if uses_nce(config) else ()

  def call(purpose, name, *inputs, **options):
    block = config.pred if name.startswith('pred') else config.gen
    if block.get('dropout', False):
      options['rngs'] = {'dropout': name_key(key, purpose)}
    return model.apply(params, name, *inputs, **options)
  return triplets.translations(call, real, back, bool(weights.identity), taps)


# ---- Terms, each the sum of both directions


def adversarial_terms(model, params, made):
  """gan(D_x(x'i), real) summed over three frames; the prediction of real frames by wish."""
  def judged(x, images):
    score = model.apply(params, f'disc_{x}', jnp.concatenate(images))
    return len(images) * adversarial.generator_loss(score, model.config.gan.mode)
  # The second is off as published, although the critics are trained on these images as fakes.
  return {'adversarial': lambda: sum(judged(x, made[x]['fake']) for x in 'ab'),
          'predictor_adversarial': lambda: sum(judged(x, [made[x]['predicted']]) for x in 'ab')}


def cyclic_terms(model, made, real, pixel_distance=pixel.l1):
  """VL of what came back and of what was predicted from real frames; VGG in two calls for all."""
  def pairs(term):   # (domain, frame, image that should equal it)
    if term == 'recurrent':
      return [(x, 2, made[x]['predicted']) for x in 'ab']
    return [(x, i, made[x]['back'][i]) for x in 'ab' for i in ((0, 1) if term == 'cycle' else (2,))]

  wanted = [term for term in VL_TERMS if model.config.weights[term]]
  listed = [(term, *pair) for term in wanted for pair in pairs(term)]
  perceived = perceptual_distances(model, real, [pair[1:] for pair in listed])
  values = dict.fromkeys(wanted, 0.0)
  for (term, x, i, image), seen in zip(listed, perceived, strict=True):
    values[term] += pixel_distance(image, real[x][i]) + seen
  return {term: functools.partial(values.get, term) for term in wanted}


def perceptual_distances(model, real, pairs):
  """The perceptual part of VL of each (domain, frame, image); zeros without VGG."""
  config = model.config
  if not uses_vgg(config):
    return [0.0] * len(pairs)
  return perceptual.distances(
    functools.partial(model.apply, model.frozen, 'vgg19'),
    [(image, (x, i)) for x, i, image in pairs],
    {(x, i): real[x][i] for x, i in sorted({(x, i) for x, i, _ in pairs})},
    **{field: config.vgg[field] for field in VL_FIELDS},
  )


def similarity_terms(model, params, made, key):
  """EXS, summed over the frames, and INS of three, on features as `translations` makes them.

  EXS draws places for every frame, INS one set for all six images of a direction. INS reaches the
  encoder and generator only: a projection could satisfy it by making all patches alike.
  """
  config = model.config
  nce = config.nce

  def exs(x, y):
    keys, queries = made[x]['keys'], made[x]['queries']
    draw = jax.vmap(lambda key: projector.places(key, keys, nce.patches))
    ids = draw(jax.random.split(name_key(key, f'exs_{x}'), len(keys[0])))
    z, z_fake = (model.apply(params, f'proj_{x}{y}', jax.vmap(projector.patches)(maps, ids))
                 for maps in (keys, queries))
    return len(keys[0]) * contrastive.external_similarity(z_fake, z, nce.tau)

  def ins(x, y):
    heads = jax.lax.stop_gradient({f'proj_{x}{y}': params[f'proj_{x}{y}']})
    ids = projector.places(name_key(key, f'ins_{x}'), made[x]['keys'], nce.patches)
    z, z_fake = (model.apply(heads, f'proj_{x}{y}', projector.patches(made[x][kind], ids))
                 for kind in ('keys', 'queries'))
    real, fake = ([[layer[i] for layer in layers] for i in range(3)] for layers in (z, z_fake))
    return contrastive.internal_similarity(real, fake, nce.tau, config.ins.detach_keys)
  return {'exs': lambda: sum(exs(*side) for side in SIDES),
          'ins': lambda: sum(ins(*side) for side in SIDES)}


def with_projections(model, key):
  """(nets, {projection: parameters}) for EXS and INS in methods that have no projections.

  Random and never trained, as published. Drawn anew in every step from the run's own key, they are
  the same ones all the time, those an I2V-GAN of the same seed begins with.
  """
  config = model.config
  if not uses_nce(config):
    return model.networks, {}
  if config.nce.train_projection:
    raise UserError(f'nce.train_projection: the projections of {config.method} stay random; '
                     'config.method=i2vgan trains them')
  modules = {name: projector.projector(config) for name in PLAYERS['proj']}
  return {**model.networks, **modules}, init_params(modules, example_inputs(config), key)


def identity_term(made, real):
  """A frame of the target domain passes unchanged; L1 alone, frames 0 and 1."""
  return {'identity': lambda: sum(pixel.l1(image, frame) for x in 'ab' for image, frame in zip(
      made[x]['identity'], real[x], strict=False))}


# ---- Critics


def for_critics(made):
  """{x: [4 B, H, W, C]}: x'0, x'1, x'2 and the prediction of real frames, in this order."""
  return {x: jnp.concatenate([*made[x]['fake'], made[x]['predicted']]) for x in 'ab'}


def critics(model, state, real, fakes, key):
  """Both critics move, on fakes that went through the pools. Returns (state, {critic: loss})."""
  pools, terms = dict(state.device_state), {}
  for x in 'ab':
    name = f'disc_{x}'
    pools[f'pool_{x}'], shown = image_pool.query(
      pools[f'pool_{x}'], name_key(key, f'pool_{x}'), fakes[x]
    )
    state, terms[name] = update(model, state, name, PLAYERS[name], functools.partial(
        critic_loss, model, name=name, real=real[x], fakes=shown))
  return state.replace(device_state=pools), terms


def critic_loss(model, params, name, real, fakes):
  """Sum over the pairs (x0, x'0), (x1, x'1), (x2, x'2), (x2, x2p) of half real + half fake.

  One call for seven images: the real frame 2 counts twice.
  """
  config = model.config
  scores = model.apply(params, name, jnp.concatenate([*real, fakes]))
  count, mode = len(scores) * 3 // 7, config.gan.mode
  on_real = adversarial.patch_losses(scores[:count], True, mode).reshape(3, -1).mean(1)
  on_fake = adversarial.patch_losses(scores[count:], False, mode)
  return config.gan.d_scale * (on_real @ jnp.array([1.0, 1.0, 2.0]) + 4 * jnp.mean(on_fake))


# ---- Use


def translate(model, params, model_state, carry, frames):
  """[B, T, H, W, C] -> the same. Frame by frame with gen_ab, as published.

  `eval.mode='predictor'` shows P_b of the generator's two frames before, 'average' the mean of that
  and the generator's frame (both computed by the public code, used by none of its scripts). The
  first two frames of a clip are the generator's. Carry: those two frames and how many there are.
  """
  config = model.config
  del model_state
  mode = config.eval.mode
  if mode not in EVAL_MODES:
    raise UserError(f'eval.mode={mode!r}: choose one of {", ".join(EVAL_MODES)}')
  B, T = frames.shape[:2]
  fake = ops.unfold(model.apply(params, 'gen_ab', ops.fold(frames)), T)
  if mode == 'generator':
    return carry, fake
  before, count = carry or (jnp.zeros_like(fake, shape=(B, 2, *fake.shape[2:])), 0)
  line = jnp.concatenate([before, fake], 1)
  pairs = ops.fold(jnp.concatenate([line[:, :-2], line[:, 1:-1]], -1))
  predicted = ops.unfold(unet.any_size(functools.partial(model.apply, params, 'pred_b'), pairs,
                                       unet.multiple(config)), T)
  known = (count + jnp.arange(T) >= 2)[None, :, None, None, None]
  shown = predicted if mode == 'predictor' else (fake + predicted) / 2
  return (line[:, -2:], count + T), jnp.where(known, shown, fake)


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: both directions, the way back, and the predicted frame 2."""
  del model_state, key
  rows = {}
  for x, y in SIDES:
    first, second, third = (batch[x][:, i] for i in range(3))
    fake = [model.apply(params, f'gen_{x}{y}', frame) for frame in (first, second, third)]
    predicted = model.apply(params, f'pred_{y}', jnp.concatenate(fake[:2], -1))
    again = model.apply(params, f'pred_{x}', jnp.concatenate([first, second], -1))
    rows |= {x: third, f'{x} to {y}': fake[2], f'{x} to {y}, predicted': predicted,
             f'back to {x}': model.apply(params, f'gen_{y}{x}', fake[2]), f'{x}, predicted': again}
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}
