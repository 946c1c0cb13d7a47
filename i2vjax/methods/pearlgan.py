"""PearlGAN (T-ITS 2022): night-time thermal frames to daytime color, with guided attention.

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
    + L_accs(E(x), E(y), W)      accs: and attend to like things in both domains, from an epoch on

each summed over both domains. `gen_ab` holds E_a and R_b, `gen_ba` E_b and R_a (networks/combogan).
ToDayGAN is the first two lines; with smooth frames, group norm and spectral norm it is the
ToDayGAN-TIR that PearlGAN and MornGAN compare with.

Edge maps e come with the batch as `edges_a` and `edges_b` ([B, T, H, W] uint8, 255 an edge) where
`data` names a folder of them, else they are drawn from its frames (losses/edges).

Public code: FuyaLuo/PearlGAN and AAnoosheh/ToDayGAN, whose domain A, visible, is our b.

Left open by the paper:
  - The texts of PearlGAN and ToDayGAN were not at hand: public code, and the MornGAN paper on
    them.
  - How edges are found: Canny for visible frames without its numbers, a contour detector in
    MATLAB for thermal ones. Maps may be given; else both are drawn here (losses/edges), ours.
  - How frames are resized to 500 x 400 before the cut: bicubic, ours.
  - Batches: the public code has 1 alone; here all terms are those of each sample, then a mean.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.model import Model
from i2vjax.core.state import State, apply_gradients, name_key, update, weighted
from i2vjax.losses import attention_maps, edges, gradients, reconstruction, relativistic
from i2vjax.methods import shared
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import combogan, multi_view_critic, spectral

YEAR = 2022
PLAYERS = {'gen': ('gen_ab', 'gen_ba'), 'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
device_state = image_pool.of_both_domains


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two generators, two critics of three views."""
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen_ab': combogan.generator(config, a, b), 'gen_ba': combogan.generator(config, b, a),
          'disc_a': multi_view_critic.critics(config, a),
          'disc_b': multi_view_critic.critics(config, b)}


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """One frame of the domain each network reads."""
  a, b = shared.example_frames(config)
  return {'gen_ab': (a,), 'gen_ba': (b,), 'disc_a': (a,), 'disc_b': (b,)}


def model_state(config: ConfigDict) -> Any:
  """The vectors of the spectral norm, {'spectral': {critic: vectors}}; {} without that norm."""
  if config.disc.norm != 'spectral':
    return {}
  nets, examples, key = networks(config), example_inputs(config), jax.random.key(config.seed)
  shapes = {name: jax.eval_shape(nets[name].init, key, *examples[name])['params']
            for name in PLAYERS['disc']}
  return {'spectral': {name: spectral.vectors(tree, name_key(key, f'spectral_{name}'))
                       for name, tree in shapes.items()}}


def batch_fields(config: ConfigDict) -> tuple[str, ...]:
  """Edge maps of the domains that have a folder of them; its field is named after the files."""
  if not config.weights.sga:
    return ()
  swapped = config.data.direction == 'b2a'
  folders = {x: config.data.get(f'edges_{y if swapped else x}', '') for x, y in DIRECTIONS}
  return tuple(f'edges_{x}' for x in 'ab' if folders[x])


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """The generators move against the critics as they are, then both critics.

  The critics judge real frames once, for both moves, and earlier fakes or those just made.
  """
  config = model.config
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  critics, model_state = normalized_critics(config, state.params, state.model_state)
  scores, pull_back = real_scores(model, state, real)
  edges_of = edge_maps(config, batch)

  def gen_loss(params):
    outputs = translations(model, params, real)
    total, terms = weighted({
        **adversarial_term(model, critics, scores, outputs['fake']),
        **cycle_terms(config, state.step, real, outputs['back']),
        **gradient_terms(config, outputs['fake'], edges_of, key),
        **attention_terms(config, state.step, outputs),
    }, config.weights)
    return total, (terms, outputs['fake'])
  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, terms['disc'] = update_critics(model, state, scores, pull_back, fakes, key)
  return state.replace(model_state=model_state), terms


def translations(model, params, real):
  """All images and features that the generators make of a batch, in three calls of encoders.

  Args:
    real: {'a': x_a [B, H, W, C], 'b': x_b}, equally many of both.

  Returns:
    {kind: {domain d: array}}: 'code' E_d(x_d), 'maps' its four attention maps (None without
    attention), 'fake' y_d, 'again' E_d(y_d), 'back' z_d.
  """
  ab, ba = (functools.partial(model.apply, params, f'gen_{x}{y}') for x, y in DIRECTIONS)
  code_b, maps_b = ba(real['b'], method='encode')
  fake_a = ba(code_b, method='decode')
  both, maps = ab(jnp.concatenate([real['a'], fake_a]), method='encode')   # E_a reads x_a and y_a
  code_a, again_a = jnp.split(both, 2)
  fake_b, back_b = jnp.split(ab(both, method='decode'), 2)
  again_b, _ = ba(fake_b, method='encode')
  return {'code': {'a': code_a, 'b': code_b},
          'maps': {'a': None if maps is None else jnp.split(maps, 2)[0], 'b': maps_b},
          'fake': {'a': fake_a, 'b': fake_b},
          'again': {'a': again_a, 'b': again_b},
          'back': {'a': ba(again_b, method='decode'), 'b': back_b}}


# ---- Terms of the generators, each the sum of both domains: {term: function that computes it}


def adversarial_term(model, critics, scores, fake):
  """y is to be more real than x, on every map of scores.

  Args:
    critics: parameters as `normalized_critics` returns them, constants.
    scores: of real frames, as `real_scores` returns them; constants here.
    fake: {d: y_d}.
  """
  def of_domain(d):
    return relativistic.over_branches(
        jax.lax.stop_gradient(scores[d]), model.apply(critics, f'disc_{d}', fake[d]), 1)
  return {'adversarial': lambda: of_domain('b') + of_domain('a')}


def cycle_terms(config, step, real, back):
  """What came back equals the frame it began with.

  Args:
    step: steps done; `cycle_ssim` begins with an epoch.
    real, back: {d: x_d} and {d: z_d}.
  """
  def cycle():
    return sum(reconstruction.smooth_l1(back[d], real[d]) for d in 'ab')

  def cycle_ssim():
    differences = sum(reconstruction.dissimilarity(back[d], real[d]) for d in 'ab')
    return ramp(config, step, 'ssim') * differences
  return {'cycle': cycle, 'cycle_ssim': cycle_ssim}


def gradient_terms(config, fake, edges_of, key):
  """Translations are smooth, but steep where their source has an edge.

  Args:
    fake: {d: y_d}.
    edges_of: as `edge_maps` returns them.
    key: of the step.
  """
  def tv():
    return sum(gradients.total_variation(fake[y]) for _, y in DIRECTIONS)

  def alignment(x, y):
    return gradients.alignment(name_key(key, f'patch_{x}'), edges_of[x],
                               gradients.magnitude(fake[y]), config.sga.grid, config.sga.threshold)

  def sga():
    return sum(alignment(x, y) for x, y in DIRECTIONS)
  return {'tv': tv, 'sga': sga}


def attention_terms(config, step, outputs):
  """On the attention maps of real frames alone; {} for generators without attention.

  Features are constants: W of the other domain fits E(y) because y keeps its frame's geometry.

  Args:
    step: steps done; `accs` begins with an epoch.
    outputs: as `translations` returns them.
  """
  if not config.gen.attention:
    return {}
  code, again = outputs['code'], outputs['again']
  W = {x: maps[..., 1:] for x, maps in outputs['maps'].items()}   # M2, M3, M4: not the coarsest

  def ad():
    return sum(attention_maps.diversity(W[x]) for x in 'ab')

  def accs():
    similarities = sum(attention_maps.conditional_similarity(code[x], W[x], again[x], W[y])
                       for x, y in DIRECTIONS)
    return ramp(config, step, 'accs') * similarities
  return {'ad': ad, 'accs': accs}


def ramp(config, step, name):
  """1.0 from the first step of epoch `start.<name>` on (counted from 1), before it 0.0."""
  return jnp.float32(step >= (config.start[name] - 1) * config.train.per_epoch)


def edge_maps(config, batch):
  """{domain: e [B T, H, W] in [0, 1]}, constants; None where nothing is aligned with them."""
  if not config.weights.sga:
    return None
  infrared = 'a' if config.data.direction == 'a2b' else 'b'

  def of_domain(x):
    if f'edges_{x}' in batch:
      return ops.fold(batch[f'edges_{x}']).astype(jnp.float32) / 255
    detect = edges.contours if x == infrared else edges.canny
    return detect(ops.fold(batch[x]))
  return {x: of_domain(x) for x in 'ab'}


# ---- The critics


def normalized_critics(config, params, model_state):
  """(the critics' parameters with spectral norm, `model_state` after this step).

  Every pass of a step starts from the same vectors, so that all see the same norm (public code
  moves them three times).

  Args:
    params: with those of the critics. model_state: of the state.
  """
  critics = {name: params[name] for name in PLAYERS['disc']}
  if config.disc.norm != 'spectral':
    return critics, model_state
  vectors = {}
  for name, weights in critics.items():
    critics[name], vectors[name] = spectral.normalize(weights, model_state['spectral'][name])
  return critics, {**model_state, 'spectral': vectors}


def real_scores(model, state, real):
  """Scores of real frames, and the way back from their gradient to the critics' parameters.

  Returns:
    ({domain: {view: maps}}, function of their gradients that returns ({critic: gradient},)).
  """
  def scores(params):
    critics, _ = normalized_critics(model.config, params, state.model_state)
    return {x: model.apply(critics, f'disc_{x}', real[x]) for x in 'ab'}
  return jax.vjp(scores, {name: state.params[name] for name in PLAYERS['disc']})


def update_critics(model, state, scores, pull_back, fakes, key):
  """Both critics move: real frames score more than fakes from the pools, by 1.

  Args:
    scores, pull_back: as `real_scores` returns them, of the parameters that critics still have.
    fakes: {domain: [B, H, W, C]}, just made.

  Returns:
    (state, loss).
  """
  config = model.config
  state, shown = shared.through_pools(state, key, {x: fakes[x] for x in 'ab'})

  def loss(params, scores):
    critics, _ = normalized_critics(config, params, state.model_state)
    return config.gan.d_scale * sum(relativistic.over_branches(
        scores[x], model.apply(critics, f'disc_{x}', shown[x]), -1) for x in 'ab')
  params = {name: state.params[name] for name in PLAYERS['disc']}
  value, (grads, of_scores) = jax.value_and_grad(loss, (0, 1))(params, scores)
  grads = jax.tree.map(jnp.add, grads, *pull_back(of_scores))
  return apply_gradients(model, state, 'disc', grads), value


# ---- Use


def translate(model: Model, params: Params, model_state: Any, carry: Any,
              frames: jax.Array) -> tuple[Any, jax.Array]:
  """Frame by frame with gen_ab. [B, T, H, W, C] -> the same.

  With `eval.stretch='minmax'` each frame is stretched to the whole range, as the published scores
  have it; over time that flickers.
  """
  del model_state
  fake = shared.per_frame(model, params, 'gen_ab', frames)
  if model.config.eval.stretch == 'minmax':
    low = jnp.min(fake, axis=(2, 3, 4), keepdims=True)
    high = jnp.max(fake, axis=(2, 3, 4), keepdims=True)
    fake = 2 * (fake - low) / jnp.maximum(high - low, 1e-6) - 1
  return carry, fake


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: both ways and back, edges, and the finest attention."""
  del model_state, key
  config = model.config
  first = {x: batch[x][:, :1] for x in 'ab'}
  first |= {name: value[:, :1] for name, value in batch.items() if name.startswith('edges_')}
  real = {x: first[x][:, 0] for x in 'ab'}
  outputs, edges_of, rows = translations(model, params, real), edge_maps(config, first), {}
  for x, y in DIRECTIONS:
    rows |= {x: real[x], f'{x} to {y}': outputs['fake'][y], f'back to {x}': outputs['back'][x]}
    if edges_of:
      rows[f'edges of {x}'] = 2 * edges_of[x][..., None] - 1
    if config.gen.attention:
      finest = ops.resize(outputs['maps'][x][..., 3:], real[x].shape[1:3])
      rows[f'attention of {x}'] = 2 * finest - 1
  return shared.in_color(rows)
