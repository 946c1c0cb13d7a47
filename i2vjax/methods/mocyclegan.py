"""Mocycle-GAN (ACM MM 2019), a reconstruction: motion has to survive translation.

Known to us are the paper's abstract and the caption of its overview; no code is public. From there:
two frames in a row are translated and led back; the flow of what came back must be the flow of the
real pair (motion cycle); a motion translator M turns the flow of one domain into that of the other,
along which the translated frames must agree, where points can be traced (motion translation). Every
formula, size and weight is ours, and figures of this file are not the authors'.

x is translated to y (a to b; b to a with networks of its own). x_1, x_2 are frames in a row, f is
the flow on x_2 back to x_1, W(y, f)(p) = y(p + f(p)), c = 1 where x_1 shows what x_2 does. A ^
marks what was translated, a ' what was led back.

  L = sum over both directions of
        mean_k gan(D(x^_k), real)                                   adversarial
    + 10  mean_k |x'_k - x_k|                                       cycle
    + 1   c |Flow(x'_2, x'_1) - Flow(x_2, x_1)|     in pixels       motion_cycle        either this
    + 10  c |x'_2 - W(x'_1, f)|                                     motion_cycle_warp   or that
    + 10  c |x^_2 - W(x^_1, f + M(f))|                              motion_transfer
    + .01 |M(f)|                           in pixels                motion_anchor

The caption warps the first frame along the forward flow. To fetch frame 2 from frame 1 takes the
flow defined on frame 2, as everywhere in this package. The first form of the motion cycle needs
gradients through the estimator, which only a learned one has to give (`motion.cycle`); both of its
flows are made by the same few corrections, f by as many as it takes or by who drew the frames. M
starts at 0; the anchor keeps it from explaining away flicker that is smooth. f, c and the flows of
real frames are constants.

I2V-GAN's ablation adds each of its terms (feature_terms.py) to this method and does not say how
(all ours):

  `perceptual`     the cycle is VL, as there: also a distance of VGG-19 features, mean over frames
  `weights.exs`    + .1  sum_k EXS(x_k, x^_k), features of the generator's encoder, as there
  `weights.ins`    + 40  INS(x_1..3, x^_1..3): `data.frames=3`, and the generator, for want of a
                         predictor, translates all three. Other terms are then means over three
                         frames or their two pairs. x^_3 is a key alone: no gradient, as there

Their projections stay random, as in that paper's public code. Without them nothing changes.

Left open by the paper:
  - All formulas, sizes and weights; known are the terms, that there is a motion translator, and
    that untraceable points do not count.
  - What keeps the motion translator honest: `weights.motion_anchor`, ours.
  - What is done without a learned estimator of flow: the warped form of the motion cycle, ours.
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from i2vjax.core import image_pool, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, update, weighted
from i2vjax.flow import estimate, visibility
from i2vjax.losses import adversarial, pixel
from i2vjax.methods import feature_terms, shared
from i2vjax.methods.base import Batch, Params
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import generators, motion_translator, patchgan

YEAR = 2019
PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'motion_ab', 'motion_ba'), 'disc': ('disc_a', 'disc_b')}
INFERENCE_NETWORKS = ('gen_ab', 'gen_ba')
device_state = image_pool.of_both_domains
translate = shared.framewise('gen_ab')   # motion is for training alone
MOTION_TERMS = ('motion_cycle', 'motion_cycle_warp', 'motion_transfer', 'motion_anchor')


def networks(config: ConfigDict) -> dict[str, nn.Module]:
  """Two ResNet generators, two motion translators, two PatchGAN critics."""
  frames, a, b = config.data.frames, config.data.channels_a, config.data.channels_b
  if config.weights.get('ins', 0) and frames != 3:
    raise UserError(f'data.frames={frames}: weights.ins compares three frames in a row, set '
                     '--config.data.frames=3')
  if frames not in (2, 3):
    raise UserError(f'data.frames={frames}: this method is trained on two frames in a row, set '
                     '--config.data.frames=2 (or 3, as weights.ins needs)')
  if a != b and feature_terms.uses_nce(config):
    raise UserError(f'for weights.exs and ins gen_ab reads frames of both domains, so '
                     f'data.channels_a={a} must equal data.channels_b={b}')
  return {
    'gen_ab': generators.generator(config, a, b),
    'gen_ba': generators.generator(config, b, a),
    'motion_ab': motion_translator.translator(config),
    'motion_ba': motion_translator.translator(config),
    'disc_a': patchgan.discriminator(config, a),
    'disc_b': patchgan.discriminator(config, b),
  }


def example_inputs(config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
  """One frame of the domain each network reads, or a flow."""
  a, b = shared.example_frames(config)
  flow = jnp.zeros((1, *ops.hw(config.data.crop_size), 2))
  return {'gen_ab': (a,), 'gen_ba': (b,), 'motion_ab': (flow,), 'motion_ba': (flow,),
          'disc_a': (a,), 'disc_b': (b,)}


def uses_flow(config):
  """True if a motion term is in use."""
  return any(config.weights[term] for term in MOTION_TERMS)


def frozen_networks(config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
  """The estimator of flow, where it has parameters and motion counts; VGG-19 with `perceptual`."""
  estimator = estimate.frozen_networks(config) if uses_flow(config) else {}
  return {**feature_terms.frozen_networks(config), **estimator}


def batch_fields(config: ConfigDict) -> tuple[str, ...]:
  """Known flow, where motion counts and `flow.name` takes it."""
  return estimate.batch_fields(config) if uses_flow(config) else ()


def cycle_term(config):
  """Name of the one motion cycle that is computed.

  `motion.cycle`: 'flow' estimates the flow of what came back, 'warp' moves that along the flow of
  the real pair. 'auto': 'flow' with a learned estimator. Which it was shows in the log.
  """
  learned = estimate.parse_name(config.flow.name)[1] in estimate.LEARNED
  kind = config.motion.cycle
  if kind not in ('auto', 'flow', 'warp'):
    raise UserError(f"motion.cycle={kind!r}: choose 'auto', 'flow' or 'warp'")
  if kind == 'flow' and not learned:
    raise UserError(f"motion.cycle='flow' needs the gradient of a learned estimator, and "
                     f'flow.name={config.flow.name!r} has none: set --config.flow.name=raft_small, '
                     'or --config.motion.cycle=warp')
  return 'motion_cycle' if kind != 'warp' and learned else 'motion_cycle_warp'


# ---- The step


def step(model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
  """Generators and motion translators move together; then both critics, on fakes made before."""
  config = model.config
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = motions(model, batch) if uses_flow(config) else {}
  model, projections = feature_terms.with_projections(model, state.key)

  def gen_loss(params):
    params = {**params, **projections}
    fake, back, features = translations(model, params, real)
    perceived = feature_terms.perceptual_distances(
        model, {x: [real[x]] for x in 'ab'}, [(x, 0, back[x]) for x in 'ab'])

    def adversarial_term(x):
      scores = model.apply(params, f'disc_{x}', fake[x])
      return adversarial.generator_loss(scores, config.gan.mode)
    total, terms = weighted({
        'adversarial': lambda: sum(adversarial_term(x) for x in 'ab'),
        'cycle': lambda: sum(pixel.l1(back[x], real[x]) + perceived[k]
                             for k, x in enumerate('ab')),
        **motion_terms(model, params, flows, real, fake, back),
        **feature_terms.similarity_terms(model, params, features, key),
    }, config.weights)
    return total, (terms, fake)

  state, (terms, fakes) = update(model, state, 'gen', PLAYERS['gen'], gen_loss)
  state, fakes = shared.through_pools(state, key, fakes)

  def disc_loss(params):
    losses = {f'disc_{x}': shared.critic_loss(model, params, f'disc_{x}', real[x], fakes[x])
              for x in 'ab'}
    return sum(losses.values()), losses
  state, critic_terms = update(model, state, 'disc', PLAYERS['disc'], disc_loss)
  figures = {f'motion/traced_{x}': jnp.mean(traced) for x, (_, traced) in flows.items()}
  return state, {**terms, **critic_terms, **figures}


def translations(model, params, real):
  """All frames there and back, and their features where EXS or INS asks for them.

  Two calls of each generator. In the second, gen_xy leads x' back and its encoder also reads the
  y^ that it made.

  Args:
    real: {x: [B T, H, W, C]}.

  Returns:
    (fake, back, features): {domain it looks like: frames} twice, and {x: {'keys', 'queries'}} of
    gen_xy on x and on y^, [T, B, h, w, C] for each tap, as I2V-GAN's terms read them.
  """
  length, taps = model.config.data.frames, feature_terms.taps(model.config)
  fake, back, features = {}, {}, {'a': {}, 'b': {}}

  def encode(x, y, images):
    h, maps = model.apply(params, f'gen_{x}{y}', images, taps, method='encode')
    of_first = [ops.unfold(maps[tap][:len(real[x])], length) for tap in taps]
    return h, [jnp.moveaxis(clips, 1, 0) for clips in of_first]

  for x, y in DIRECTIONS:
    h, features[x]['keys'] = encode(x, y, real[x])
    fake[y] = model.apply(params, f'gen_{x}{y}', h, method='decode')
  for x, y in DIRECTIONS:
    images = jnp.concatenate([fake[y], fake[x]]) if taps else fake[x]
    h, features[x]['queries'] = encode(x, y, images)
    back[y] = model.apply(params, f'gen_{x}{y}', last(h, len(fake[x])), method='decode')
  return fake, back, features


def last(h, count):
  """Of the last frames what an encoder gave of all: an array, or several of a U-Net."""
  return jax.tree.map(lambda maps: maps[-count:], h)


def motions(model, batch):
  """{x: (f [B (T - 1), H, W, 2], c [B (T - 1), H, W, 1])}: flow back to the frame before, and where
  it is traced.

  c: going there and back returns (`visibility.occlusion`), and the target is inside the frame.
  """
  estimates = estimate.flows_of_clips(
      model, batch, [(x, way) for x in 'ab' for way in ('backward', 'forward')])
  flows = {}
  for x in 'ab':
    there, back = ops.fold(estimates[x, 'backward']), ops.fold(estimates[x, 'forward'])
    traced = ~visibility.occlusion(there, back) & visibility.inside(there)
    flows[x] = there, jax.lax.stop_gradient(traced.astype(jnp.float32))
  return flows


def neighbors(config, frames):
  """[B T, H, W, C] -> (x_1, x_2), each [B (T - 1), H, W, C]."""
  clips = ops.unfold(frames, config.data.frames)
  return ops.fold(clips[:, :-1]), ops.fold(clips[:, 1:])


def motion_terms(model, params, flows, real, fake, back):
  """{term: function} of what moves, each the sum of both directions.

  Args:
    flows: as `motions` returns them; {} where no term is in use.
    real, fake, back: {domain it looks like: all frames of each clip [B T, H, W, C]}.
  """
  if not flows:
    return {}
  config = model.config
  added = {x: model.apply(params, f'motion_{x}{y}', flows[x][0]) for x, y in DIRECTIONS}

  def motion_cycle():
    true = jax.lax.stop_gradient(estimated(model, real))
    again = estimated(model, back)
    return sum(pixel.l1(flows[x][1] * again[x], flows[x][1] * true[x]) for x in 'ab')

  def agreement(frames, f, traced):
    """c |x_2 - W(x_1, f)|."""
    before, now = neighbors(config, frames)
    return pixel.l1(traced * now, traced * ops.warp(before, f))

  def motion_cycle_warp():
    return sum(agreement(back[x], *flows[x]) for x in 'ab')

  def motion_transfer():
    return sum(agreement(fake[y], flows[x][0] + added[x], flows[x][1]) for x, y in DIRECTIONS)

  def motion_anchor():
    return sum(jnp.mean(jnp.abs(added[x])) for x in 'ab')
  cycle = cycle_term(config)
  return {cycle: motion_cycle if cycle == 'motion_cycle' else motion_cycle_warp,
          'motion_transfer': motion_transfer, 'motion_anchor': motion_anchor}


def estimated(model, frames):
  """{x: Flow(x_2, x_1)} by `motion.iters` corrections, with the gradient into the frames.

  Both domains in one call. At 256 pixels RAFT, small, takes 5.2 GFLOP for a pair and 4 corrections,
  7.0 for 6: the estimate of the real pairs, which has no way back, is 10 GFLOP of a step of some
  2,700. It is not f, which may be known, or better by more corrections: a cycle that is perfect
  must cost nothing.

  Args:
    frames: {x: [B T, H, W, C]}.
  """
  config = model.config
  net = model.networks['flow'].clone(iterations=config.motion.iters)
  firsts, seconds = [], []
  for x in 'ab':
    first, second = neighbors(config, frames[x])
    second, first = estimate.stretch_contrast(config, x, second, first)
    firsts.append(ops.match_channels(first, 3))
    seconds.append(ops.match_channels(second, 3))
  flows = net.apply({'params': model.frozen['flow']}, jnp.concatenate(seconds),
                    jnp.concatenate(firsts))
  return dict(zip('ab', jnp.split(flows, 2), strict=True))


# ---- Use


def sample_rows(model: Model, params: Params, model_state: Any, batch: Batch,
                key: jax.Array) -> dict[str, jax.Array]:
  """Rows of the sample sheet: the second frame there and back, its motion, the other side's."""
  del model_state, key
  flows, rows = motions(model, batch) if uses_flow(model.config) else {}, {}
  for x, y in DIRECTIONS:
    now = batch[x][:, 1]
    fake = model.apply(params, f'gen_{x}{y}', now)
    rows |= {x: now, f'{x} to {y}': fake, f'back to {x}': model.apply(params, f'gen_{y}{x}', fake)}
    if flows:
      f, traced = (ops.unfold(part, batch[x].shape[1] - 1)[:, 0] for part in flows[x])
      other = f + model.apply(params, f'motion_{x}{y}', f)
      limit = jnp.max(jnp.linalg.norm(f, axis=-1))
      rows |= {f'motion of {x}': ops.flow_colors(f, limit), f'traced in {x}': 2 * traced - 1,
               f'motion of {x} to {y}': ops.flow_colors(other, limit)}
  return shared.in_color(rows)
