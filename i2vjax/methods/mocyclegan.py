"""Mocycle-GAN (Chen et al., ACM MM 2019), as a reconstruction: motion has to survive translation.

Known to us are the paper's abstract and the caption of its overview; no code is public. From there:
two frames in a row are translated and led back; the flow of what came back must be the flow of the
real pair (motion cycle); a motion translator M turns the flow of one domain into that of the other,
along which the translated frames must agree, where points can be traced (motion translation). Every
formula, size and weight is ours, and figures of this file are not the authors'.

x is translated to y (a to b; b to a with networks of its own). x_1, x_2 are frames in a row, f is
the flow on x_2 back to x_1, W(y, f)(p) = y(p + f(p)), c = 1 where x_1 shows what x_2 does. A ^
marks what was translated, a ' what was led back.

  L = sum over both directions of
        mean_k gan(D(x^_k), real)                                   gan
    + 10  mean_k |x'_k - x_k|                                       cycle
    + 1   c |Flow(x'_2, x'_1) - f|         in pixels                motion_cycle        either this
    + 10  c |x'_2 - W(x'_1, f)|                                     motion_cycle_warp   or that
    + 10  c |x^_2 - W(x^_1, f + M(f))|                              motion_transfer
    + .01 |M(f)|                           in pixels                motion_anchor

The caption warps the first frame along the forward flow. To fetch frame 2 from frame 1 takes the
flow that lies on frame 2, as everywhere in this package. The first form of the motion cycle needs
gradients through the estimator, which only a learned one has to give (`motion.cycle`). M starts at
0; the anchor keeps it from explaining away flicker that is smooth. f and c are constants.
"""

import jax
import jax.numpy as jnp

from i2vjax import ops
from i2vjax.losses import adversarial, pixel
from i2vjax.methods import cyclegan
from i2vjax.networks import flow, motion, patchgan, pool, resnet
from i2vjax.state import name_key, run, update, weighted

PLAYERS = {'gen': ('gen_ab', 'gen_ba', 'motion_ab', 'motion_ba'), 'disc': ('disc_a', 'disc_b')}
local = pool.of_both_domains
SIDES = (('a', 'b'), ('b', 'a'))
MOTION_TERMS = ('motion_cycle', 'motion_cycle_warp', 'motion_transfer', 'motion_anchor')


def networks(config):
  """Two ResNet generators, two motion translators, two PatchGAN critics."""
  if config.data.frames != 2:
    raise ValueError(f'data.frames={config.data.frames}: this method is trained on two frames in a '
                     'row, set --config.data.frames=2')
  a, b = config.data.channels_a, config.data.channels_b
  return {'gen_ab': resnet.generator(config, a, b), 'gen_ba': resnet.generator(config, b, a),
          'motion_ab': motion.translator(config), 'motion_ba': motion.translator(config),
          'disc_a': patchgan.discriminator(config, a), 'disc_b': patchgan.discriminator(config, b)}


def inputs(config):
  """One frame of the domain each network reads, or a flow."""
  a, b, field = (jnp.zeros((1, *ops.hw(config.data.crop_size), channels))
                 for channels in (config.data.channels_a, config.data.channels_b, 2))
  return {'gen_ab': (a,), 'gen_ba': (b,), 'motion_ab': (field,), 'motion_ba': (field,),
          'disc_a': (a,), 'disc_b': (b,)}


def moves(config):
  """True if a motion term is in use."""
  return any(config.weights[term] for term in MOTION_TERMS)


def fixed(config):
  """The estimator of flow, where it has parameters and motion counts."""
  return flow.fixed(config) if moves(config) else {}


def batch_extras(config):
  """Known flow, where motion counts and `flow.name` takes it."""
  return flow.extras(config) if moves(config) else ()


def cycle_term(config):
  """Name of the one motion cycle that is computed.

  `motion.cycle`: 'flow' estimates the flow of what came back, 'warp' moves that along the flow of
  the real pair. 'auto': 'flow' with a learned estimator. Which it was shows in the log.
  """
  learned = flow.plan(config.flow.name)[1] in flow.LEARNED
  kind = config.motion.cycle
  if kind not in ('auto', 'flow', 'warp'):
    raise ValueError(f"motion.cycle={kind!r}: choose 'auto', 'flow' or 'warp'")
  if kind == 'flow' and not learned:
    raise ValueError(f"motion.cycle='flow' needs the gradient of a learned estimator, and "
                     f'flow.name={config.flow.name!r} has none: set --config.flow.name=raft_small, '
                     'or --config.motion.cycle=warp')
  return 'motion_cycle' if kind != 'warp' and learned else 'motion_cycle_warp'


# ---- The step


def step(nets, tx, config, state, batch, fixed, key, phase):
  """Generators and motion translators move together; then both critics, on fakes made before."""
  del phase
  real = {x: ops.fold(batch[x]) for x in 'ab'}
  flows = motions(nets, config, fixed, batch) if moves(config) else {}

  def gen_loss(params):
    fake = {y: run(nets, params, f'gen_{x}{y}', real[x]) for x, y in SIDES}
    back = {x: run(nets, params, f'gen_{y}{x}', fake[y]) for x, y in SIDES}
    total, terms = weighted({
        'gan': lambda: sum(adversarial.generator_loss(run(nets, params, f'disc_{x}', fake[x]),
                                                      config.gan.mode) for x in 'ab'),
        'cycle': lambda: sum(pixel.l1(back[x], real[x]) for x in 'ab'),
        **motion_terms(nets, config, params, fixed, flows, fake, back),
    }, config.weights)
    return total, (terms, fake)

  state, (terms, fake) = update(state, 'gen', PLAYERS['gen'], tx, gen_loss)

  pools = dict(state.local)
  for x in 'ab':
    name = f'pool_{x}'
    pools[name], fake[x] = pool.query(pools[name], name_key(key, name), fake[x])
  state = state.replace(local=pools)

  def disc_loss(params):
    losses = {f'disc_{x}': cyclegan.judged(nets, config, params, f'disc_{x}', real[x], fake[x])
              for x in 'ab'}
    return sum(losses.values()), losses
  state, critic_terms = update(state, 'disc', PLAYERS['disc'], tx, disc_loss)
  figures = {f'motion/traced_{x}': jnp.mean(traced) for x, (_, traced) in flows.items()}
  return state, {**terms, **critic_terms, **figures}


def motions(nets, config, fixed, batch):
  """{x: (f [B, H, W, 2], c [B, H, W, 1])}: flow from frame 2 to frame 1, and where it is traced.

  c: going there and back returns (`ops.occlusion`), and the target lies in the frame.
  """
  wanted = [(x, way) for x in 'ab' for way in ('backward', 'forward')]
  found = flow.of_clips(nets, config, fixed, batch, wanted)
  flows = {}
  for x in 'ab':
    there, back = found[x, 'backward'][:, 0], found[x, 'forward'][:, 0]
    traced = ~ops.occlusion(there, back) & ops.inside(there)
    flows[x] = there, jax.lax.stop_gradient(traced.astype(jnp.float32))
  return flows


def motion_terms(nets, config, params, fixed, flows, fake, back):
  """{term: function} of what moves, each the sum of both directions.

  Args:
    flows: of `motions`; {} where no term is in use.
    fake, back: {domain it looks like: both frames of each clip [2 B, H, W, C]}.
  """
  if not flows:
    return {}
  pairs = {name: {x: ops.unfold(images[x], 2) for x in 'ab'}
           for name, images in (('fake', fake), ('back', back))}
  added = {x: run(nets, params, f'motion_{x}{y}', flows[x][0]) for x, y in SIDES}

  def motion_cycle(x):
    f, traced = flows[x]
    return pixel.l1(traced * estimated(nets, config, fixed, x, pairs['back'][x]), traced * f)

  def agreement(pair, f, traced):
    """c |x_2 - W(x_1, f)|."""
    return pixel.l1(traced * pair[:, 1], traced * ops.warp(pair[:, 0], f))
  cycles = {
      'motion_cycle': lambda: sum(map(motion_cycle, 'ab')),
      'motion_cycle_warp': lambda: sum(agreement(pairs['back'][x], *flows[x]) for x in 'ab')}
  chosen = cycle_term(config)
  return {
      chosen: cycles[chosen],
      'motion_transfer': lambda: sum(agreement(
          pairs['fake'][y], flows[x][0] + added[x], flows[x][1]) for x, y in SIDES),
      'motion_anchor': lambda: sum(jnp.mean(jnp.abs(added[x])) for x in 'ab')}


def estimated(nets, config, fixed, x, pair):
  """Flow(x'_2, x'_1), with the gradient through the estimator into the frames [B, 2, H, W, C].

  With few corrections (`motion.iters`): they cost as much backward as forward.
  """
  now, before = flow.stretched(config, x, pair[:, 1], pair[:, 0])
  net = nets['flow'].clone(iterations=config.motion.iters)
  return net.apply({'params': fixed['flow']}, now, before)


# ---- Use


def translate(nets, config, params, extra, fixed, carry, frames):
  """Frame by frame with gen_ab. [B, T, H, W, C] -> the same. Motion is for training alone."""
  del config, extra, fixed
  fake = run(nets, params, 'gen_ab', ops.fold(frames))
  return carry, ops.unfold(fake, frames.shape[1])


def samples(nets, config, params, extra, fixed, batch, key):
  """Rows of the sample sheet: the second frame there and back, its motion, that of the other side.
  """
  del extra, key
  flows, rows = motions(nets, config, fixed, batch) if moves(config) else {}, {}
  for x, y in SIDES:
    now = batch[x][:, 1]
    fake = run(nets, params, f'gen_{x}{y}', now)
    rows |= {x: now, f'{x} to {y}': fake, f'back to {x}': run(nets, params, f'gen_{y}{x}', fake)}
    if flows:
      f, traced = flows[x]
      other = f + run(nets, params, f'motion_{x}{y}', f)
      limit = jnp.max(jnp.linalg.norm(f, axis=-1))
      rows |= {f'motion of {x}': ops.flow_colours(f, limit), f'traced in {x}': 2 * traced - 1,
               f'motion of {x} to {y}': ops.flow_colours(other, limit)}
  return {name: ops.match_channels(images, 3) for name, images in rows.items()}
