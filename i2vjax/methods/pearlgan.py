"""PearlGAN (T-ITS 2022): night-time thermal frames to daytime color, told where to look.

ToDayGAN (ICRA 2019) is where it starts from, and a variant of this method: encoders E and renderers
R of both domains, crossed, and a critic of three views for each. With x frames, y translations and
z what came back,

  y_b = R_b(E_a(x_a))    z_a = R_a(E_b(y_b))      y_a = R_a(E_b(x_b))    z_b = R_b(E_a(y_a))

  L = rel(D(x), D(y))            adversarial: y more real than x, on every map of scores
    + 10 smooth-L1(z, x)         cycle
    + (1 - SSIM(z, x))           cycle_ssim, from an epoch on
    + 5 TV(y)                    tv: thermal noise is not to become texture
    + 0.5 L_sga(edges(x), y)     sga: structured gradient alignment, y is steep where x has an edge
    + L_ad(W)                    ad: the attention maps W of E(x) share out the frame
    + L_accs(E(x), E(y), W)      accs: and look at alike things in both domains, from an epoch on

each summed over both domains. `gen_ab` holds E_a and R_b, `gen_ba` E_b and R_a (networks/combogan).
ToDayGAN is the first two lines; with smooth frames, group norm and spectral norm it is the
ToDayGAN-TIR that PearlGAN and MornGAN compare with.

Edge maps e come with the batch as `edges_a` and `edges_b` ([B, T, H, W] uint8, 255 an edge) where
`data` names a folder of them, else they are drawn from its frames (losses/edges).

Public code: FuyaLuo/PearlGAN and AAnoosheh/ToDayGAN, whose domain A, visible, is our b.
"""

import functools

import jax
import jax.numpy as jnp

from i2vjax.core import image_pool, ops
from i2vjax.core.state import apply_gradients, name_key, update, weighted
from i2vjax.losses import attention_maps, edges, gradients, reconstruction, relativistic
from i2vjax.networks import combogan, multi_view_critic, spectral

PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
device_state = image_pool.of_both_domains
SIDES = (('a', 'b'), ('b', 'a'))   # read, drawn


def networks(config):
  """Two generators, two critics of three views."""
  a, b = config.data.channels_a, config.data.channels_b
  return {
    'gen_ab': combogan.generator(config, a, b),
    'gen_ba': combogan.generator(config, b, a),
    'disc_a': multi_view_critic.critics(config, a),
    'disc_b': multi_view_critic.critics(config, b),
  }


def example_inputs(config):
  """One frame of the domain each network reads."""
  a, b = (jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
          for channels in (config.data.channels_a, config.data.channels_b))
  return {'gen_ab': (a,), 'gen_ba': (b,), 'disc_a': (a,), 'disc_b': (b,)}


def model_state(config):
  """The vectors of the spectral norm, {'spectral': {critic: vectors}}; {} without that norm."""
  if config.disc.norm != 'spectral':
    return {}
  nets, examples, key = networks(config), example_inputs(config), jax.random.key(config.seed)
  shapes = {name: jax.eval_shape(nets[name].init, key, *examples[name])['params']
            for name in PLAYERS['disc']}
  return {'spectral': {name: spectral.vectors(tree, name_key(key, f'spectral_{name}'))
                       for name, tree in shapes.items()}}


def batch_fields(config):
  """Edge maps of the domains that have a folder of them; its field is named after the files."""
  swapped = config.data.direction == 'b2a'
  return tuple(f'edges_{x}' for x, y in SIDES
               if config.weights.sga and config.data.get(f'edges_{y if swapped else x}', ''))


# ---- The step


def step(model, state, batch, key):
  """The generators move against the critics as they are, then both critics.

  The critics judge real frames once, for both moves, and earlier fakes or those just made.
  """
  config = model.config
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  critics, after = in_use(config, state.params, state.model_state)
  scores, pull = real_scores(model, state, real)
  found = edge_maps(config, batch)

  def gen_loss(params):
    made = translations(model, params, real)
    total, terms = weighted(
        objectives(model, critics, state.step, real, made, scores, found, key),
        config.weights)
    return total, (terms, made['fake'])
  state, (terms, fake) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, terms['disc'] = critic_move(model, state, scores, pull, fake, key)
  return state.replace(model_state=after), terms


def translations(model, params, real):
  """All that the generators draw of a batch, and what they see on the way, in three calls.

  Args:
    real: {'a': x_a [B, H, W, C], 'b': x_b}, as many of one as of the other.

  Returns:
    {kind: {domain of what is read or drawn: array}}: 'code' E_d(x_d), 'maps' its four attention
    maps (None without attention), 'fake' y_d, 'again' E_d(y_d), 'back' z_d.
  """
  ab, ba = (functools.partial(model.apply, params, f'gen_{x}{y}') for x, y in SIDES)
  code_b, maps_b = ba(real['b'], method='encode')
  fake_a = ba(code_b, method='decode')
  both, maps = ab(jnp.concatenate([real['a'], fake_a]), method='encode')   # E_a reads x_a and y_a
  seen, drawn = (jnp.split(x, 2) for x in (both, ab(both, method='decode')))
  again_b, _ = ba(drawn[0], method='encode')
  return {'code': {'a': seen[0], 'b': code_b},
          'maps': {'a': None if maps is None else jnp.split(maps, 2)[0], 'b': maps_b},
          'fake': {'a': fake_a, 'b': drawn[0]},
          'again': {'a': seen[1], 'b': again_b},
          'back': {'a': ba(again_b, method='decode'), 'b': drawn[1]}}


def objectives(model, critics, step, real, made, scores, found, key):
  """{term: function that computes it}, of the generators.

  Args:
    critics: parameters of the critics as of `in_use`, constants.
    step: steps done, for what begins at an epoch.
    made: of `translations`. scores: of `judged`. found: of `edge_maps`.
    key: of the step and device.
  """
  config = model.config
  sga = config.sga

  def both(term):
    return sum(term(x, y) for x, y in SIDES)

  def aligned(x, y):
    return gradients.alignment(name_key(key, f'patch_{x}'), found[x],
                               gradients.magnitude(made['fake'][y]), sga.grid, sga.threshold)
  return {
      'adversarial': lambda: both(lambda x, y: relativistic.over_branches(
          jax.lax.stop_gradient(scores[y]), model.apply(critics, f'disc_{y}', made['fake'][y]), 1)),
      'cycle': lambda: both(lambda x, y: reconstruction.smooth_l1(made['back'][x], real[x])),
      'cycle_ssim': lambda: ramp(config, step, 'ssim') * both(
          lambda x, y: reconstruction.dissimilarity(made['back'][x], real[x])),
      'tv': lambda: both(lambda x, y: gradients.total_variation(made['fake'][y])),
      'sga': lambda: both(aligned),
      **attentional(config, step, made)}


def attentional(config, step, made):
  """{'ad', 'accs'}, of the maps of real frames alone; without attention there are none.

  Features are constants: W of the other domain lies over E(y) because y keeps its frame's geometry.
  """
  if not config.gen.attention:
    return {}
  W = {x: maps[..., 1:] for x, maps in made['maps'].items()}   # M2, M3, M4: not the coarsest
  return {
      'ad': lambda: sum(attention_maps.diversity(W[x]) for x in 'ab'),
      'accs': lambda: ramp(config, step, 'accs') * sum(
          attention_maps.conditional_similarity(made['code'][x], W[x], made['again'][x], W[y])
          for x, y in SIDES)}


def ramp(config, step, name):
  """1.0 from the first step of epoch `start.<name>` on (counted from 1), before it 0.0."""
  return jnp.float32(step >= (config.start[name] - 1) * config.train.per_epoch)


def edge_maps(config, batch):
  """{domain: e [B T, H, W] in [0, 1]}, constants; None where nothing is aligned with them."""
  if not config.weights.sga:
    return None
  infrared = 'a' if config.data.direction == 'a2b' else 'b'

  def one(x):
    if f'edges_{x}' in batch:
      return ops.fold(batch[f'edges_{x}']).astype(jnp.float32) / 255
    return (edges.contours if x == infrared else edges.canny)(ops.fold(batch[x]))
  return {x: one(x) for x in 'ab'}


# ---- The critics


def in_use(config, params, extra):
  """The critics' parameters as they judge, and `extra` after the step that this is part of.

  Every pass of a step starts from the same vectors, so that all see the same norm (public code
  moves them three times).

  Args:
    params: with those of the critics. extra: of the state.
  """
  if config.disc.norm != 'spectral':
    return {name: params[name] for name in PLAYERS['disc']}, extra
  found = {name: spectral.normalize(params[name], extra['spectral'][name])
           for name in PLAYERS['disc']}
  weights, vectors = ({name: pair[i] for name, pair in found.items()} for i in (0, 1))
  return weights, {**extra, 'spectral': vectors}


def real_scores(model, state, real):
  """Scores of real frames, and the way back from their gradient to the critics' parameters.

  Returns:
    ({domain: {view: maps}}, function of as much that returns ({critic: gradient},)).
  """
  def scores(own):
    critics, _ = in_use(model.config, own, state.model_state)
    return {x: model.apply(critics, f'disc_{x}', real[x]) for x in 'ab'}
  return jax.vjp(scores, {name: state.params[name] for name in PLAYERS['disc']})


def critic_move(model, state, scores, pull, fake, key):
  """Both critics move: real frames score more than fakes from the pools, by 1.

  Args:
    scores, pull: of `judged`, with the parameters that the critics still have.
    fake: {domain: [B, H, W, C]}, just made.

  Returns:
    (state, loss).
  """
  config = model.config
  pools, shown = dict(state.device_state), {}
  for x in 'ab':
    name = f'pool_{x}'
    pools[name], shown[x] = image_pool.query(pools[name], name_key(key, name), fake[x])

  def loss(own, scores):
    critics, _ = in_use(config, own, state.model_state)
    return config.gan.d_scale * sum(relativistic.over_branches(
        scores[x], model.apply(critics, f'disc_{x}', shown[x]), -1) for x in 'ab')
  own = {name: state.params[name] for name in PLAYERS['disc']}
  value, (grads, back) = jax.value_and_grad(loss, (0, 1))(own, scores)
  grads = jax.tree.map(jnp.add, grads, *pull(back))
  return apply_gradients(model, state.replace(device_state=pools), 'disc', grads), value


# ---- Use


def translate(model, params, model_state, carry, frames):
  """Frame by frame with gen_ab. [B, T, H, W, C] -> the same.

  With `eval.stretch='minmax'` each frame is stretched to the whole range, as the published scores
  have it; over time that flickers.
  """
  del model_state
  fake = model.apply(params, 'gen_ab', ops.fold(frames))
  if model.config.eval.stretch == 'minmax':
    low, high = (f(fake, axis=(1, 2, 3), keepdims=True) for f in (jnp.min, jnp.max))
    fake = 2 * (fake - low) / jnp.maximum(high - low, 1e-6) - 1
  return carry, ops.unfold(fake, frames.shape[1])


def sample_rows(model, params, model_state, batch, key):
  """Rows of the sample sheet: both ways and back, edges, and the finest attention."""
  config = model.config
  del model_state, key
  first = {x: batch[x][:, :1] for x in 'ab'}
  first |= {name: value[:, :1] for name, value in batch.items() if name.startswith('edges_')}
  real = {x: first[x][:, 0] for x in 'ab'}
  made, found = translations(model, params, real), edge_maps(config, first)
  rows = {}
  for x, y in SIDES:
    rows |= {x: real[x], f'{x} to {y}': made['fake'][y], f'back to {x}': made['back'][x]}
    if found:
      rows[f'edges of {x}'] = 2 * found[x][..., None] - 1
    if config.gen.attention:
      finest = ops.resize(made['maps'][x][..., 3:], real[x].shape[1:3])
      rows[f'attention of {x}'] = 2 * finest - 1
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}
