"""GTC: losses by hand, one forward pass, the paper's table, translation."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import config_of, moved, on_one_device, one_step, parameter_counts

from i2vjax.core import ops, state
from i2vjax.core.model import Model
from i2vjax.flow import visibility
from i2vjax.losses import temporal_residuals
from i2vjax.methods import gtc
from i2vjax.run import load

RATE = 0.01


class ToyCritic(nn.Module):
  """A logit of each clip, in the place of the critic that takes half a minute to compile."""

  @nn.compact
  def __call__(self, frames, residuals=None):
    streams = [frames] if residuals is None else [frames, residuals]
    scores = [nn.Dense(1)(jnp.tanh(nn.Dense(4)(x))) for x in streams]
    return sum(jnp.mean(score, axis=(1, 2, 3, 4)) for score in scores)


def tiny(**weights):
  config = config_of('gtc', 'demo')
  config.data.update(crop_size=32, frames=3)
  config.gen.update(width=4, levels=2, hidden=4)
  config.disc.update(width=4, hidden=4)
  config.flow.name = 'gt'
  config.train.ema = 0.0   # a step alone leaves averages as they are
  config.weights.update(weights)
  return config


def batch(frames=3, size=32):
  """Clips, and a known flow of up to two pixels that agrees there and back in most places."""
  keys = jax.random.split(jax.random.key(0), 3)
  clips = jax.random.uniform(keys[0], (2, 1, frames, size, size, 3), minval=-1)
  coarse = 4 * jax.random.uniform(keys[1], (1, frames - 1, 1, 1, 2)) - 2
  flow = jnp.broadcast_to(coarse, (1, frames - 1, size, size, 2))
  return {'a': clips[0], 'b': clips[1], 'flow_a': flow,
          'flow_fwd_a': -flow.at[:, :, :4].multiply(3)}


def setup_of(config, **networks):
  """(model that learns by plain descent, with other networks by name; state before a step)."""
  nets = {**gtc.networks(config), **networks}
  model = Model(config, nets, dict.fromkeys(gtc.PLAYERS, optax.sgd(RATE)))
  return model, load.fresh_state(gtc, model)


@pytest.fixture(scope='module')
def stepped():
  """Model, batch, state before and after a step, terms; the critic is a toy."""
  model, before = setup_of(tiny(), disc=ToyCritic())
  data = batch()
  return model, data, before, *one_step(gtc, model, before, data)


@pytest.fixture(scope='module')
def again(stepped):
  """The same step written out, every gradient through a forward pass of its own."""
  model, data, before, after, _ = stepped
  gen, disc = model.networks['gen'], model.networks['disc']
  a, b, flow = data['a'], data['b'], data['flow_a']
  valid = visibility.reliable_mask(flow[0], data['flow_fwd_a'][0])[None]
  dropout = {'dropout': state.name_key(jax.random.key(0), 'dropout')}

  def forward(params):
    variables = {'params': params, 'batch_stats': before.model_state['gen']}
    (_, out), stats = gen.apply(variables, a, moments='train', rngs=dropout,
                                mutable=['batch_stats'])
    return out, stats['batch_stats']

  def residual(x):                         # E_t = V_t (x_t - x_{t-1}(p + b_t)), E_1 = 0
    late = [valid[:, t - 1] * (x[:, t] - ops.warp(x[:, t - 1], flow[:, t - 1])) for t in (1, 2)]
    return jnp.stack([0 * x[:, 0], *late], 1)

  def logit(params, x):
    return disc.apply({'params': params}, jnp.concatenate([x, a], -1), residual(x))

  def critic(params):
    out, _ = forward(before.params['gen'])
    real, fake = logit(params, b), logit(params, out)
    return jnp.mean(-jnp.log(jax.nn.sigmoid(real)) - jnp.log(1 - jax.nn.sigmoid(fake))) / 2

  def generator(params):
    out, stats = forward(params)
    parts = {'temporal': sum(jnp.mean(jnp.abs(residual(out)[:, t])) for t in range(3)) / 3,
             'spatial': sum(jnp.mean(jnp.abs(out - b)[:, t]) for t in range(3)) / 3,
             'adversarial': jnp.mean(-jnp.log(jax.nn.sigmoid(logit(after.params['disc'], out))))}
    total = parts['temporal'] + 100 * parts['spatial'] + parts['adversarial']
    return total, (parts, stats, jnp.mean(valid))
  return on_one_device(lambda _: (
      jax.value_and_grad(critic)(before.params['disc']),
      jax.value_and_grad(generator, has_aux=True)(before.params['gen'])), model)


def test_terms_by_hand(stepped, again):
  terms = stepped[-1]
  (disc, _), ((_, (parts, _, valid)), _) = again
  assert set(terms) == {'disc', 'temporal', 'spatial', 'adversarial', 'flow/valid'}
  for name, value in {**parts, 'disc': disc, 'flow/valid': valid}.items():
    np.testing.assert_allclose(terms[name], value, rtol=1e-4, err_msg=name)
  assert 0.4 < float(valid) < 0.95         # some are trusted, some are not


def test_the_critic_moves_by_its_own_loss_alone(stepped, again):
  _, _, before, after, _ = stepped
  (_, grads), _ = again
  expected = jax.tree.map(lambda p, g: p - RATE * g, before.params['disc'], grads)
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), after.params['disc'],
               expected)


def test_shared_forward_pass_gives_the_gradient_of_a_fresh_one(stepped, again):
  """Same dropout, the critic after its move; the generator moves by nothing else."""
  _, _, before, after, _ = stepped
  _, (_, grads) = again
  size = max(float(jnp.max(jnp.abs(g))) for g in jax.tree.leaves(grads))
  parts = map(jax.tree.leaves, (before.params['gen'], after.params['gen'], grads))
  for old, new, grad in zip(*parts, strict=True):
    np.testing.assert_allclose((old - new) / RATE, grad, atol=1e-4 * size)


def test_running_averages_move_once(stepped, again):
  _, _, before, after, _ = stepped
  _, ((_, (_, stats, _)), _) = again
  jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6), after.model_state['gen'],
               stats)
  assert jax.tree.structure(before.model_state) == jax.tree.structure(after.model_state)
  first = before.model_state['gen']['up_0']['norm']
  assert not first['mean'].any() and first['var'].tolist() == [1] * 4


def terms_of(config, data):
  """Terms of a step, by tracing."""
  return set(jax.eval_shape(lambda: one_step(gtc, *setup_of(config), data))[1])


VIDEO = {'disc.residual': False, 'weights.temporal': 0.0}
ROWS = {
    'image2image': (VIDEO | {'gen.recurrent': False, 'disc.recurrent': False}, 1,
                    {'spatial', 'adversarial', 'disc'}),
    'video2video': (VIDEO, 3, {'spatial', 'adversarial', 'disc'}),
    'local': ({'disc.residual': False}, 3,
              {'spatial', 'adversarial', 'disc', 'temporal', 'flow/valid'}),
    'no critic': ({'weights.adversarial': 0.0}, 3, {'spatial', 'temporal', 'flow/valid'}),
}


@pytest.mark.parametrize('row', ROWS)
def test_rows_of_the_table_by_config(row):
  changes, frames, terms = ROWS[row]
  config = tiny()
  config.update_from_flattened_dict(changes)
  config.data.frames = frames
  data = batch(frames) if 'temporal' in terms else clips_only(frames)
  assert terms_of(config, data) == terms
  assert bool(gtc.batch_fields(config)) == ('temporal' in terms)


def clips_only(frames):
  """No flow in the batch: who asks for it fails."""
  return {name: jnp.zeros((1, frames, 32, 32, 3)) for name in 'ab'}


def test_parameters_of_the_paper():
  config = config_of('gtc', 'paper')
  assert parameter_counts(gtc, config) == {'gen': 49_888_643, 'disc': 6_569_605}


def test_mistakes_are_named():
  config = tiny()
  config.data.frames = 1
  with pytest.raises(ValueError, match='weights.temporal=0 --config.disc.residual=false'):
    gtc.networks(config)
  config = tiny()
  config.data.crop_size, config.gen.levels = 36, 3
  with pytest.raises(ValueError, match='36x36.*multiples of 8, such as 32/40 x 32/40'):
    gtc.networks(config)
  config = tiny()
  config.norm.eval = 'train'
  with pytest.raises(ValueError, match="norm.eval='train'"):
    gtc.networks(config)
  with pytest.raises(ValueError, match='configs/gtc.py:demo-depth'):
    config_of('gtc', 'demo-depth')


def test_variants_are_words():
  config = config_of('gtc', 'demo-segmentation')
  assert (config.data.task, config.data.channels_b, config.gen.levels) == ('segmentation', 1, 5)
  paper = config_of('gtc', 'paper')
  assert (paper.data.task, paper.flow.name) == ('color', 'raft_small')
  assert config_of('gtc', 'superres-paper').data.task == 'superres'
  # Flow is estimated from stretched frames where these are infrared.
  stretched = {task: config_of('gtc', f'{task}-paper').flow.stretch
               for task in ('segmentation', 'superres', 'color', 'translate')}
  assert stretched == {'segmentation': False, 'superres': False, 'color': False,
                       'translate': True}


# ---- In use


@pytest.fixture(scope='module')
def used(stepped):
  """Function of (carry, frames, task): the generator after a step."""
  model, _, _, after, _ = stepped
  config = model.config

  def use(carry, frames, task='translate'):
    config.data.task = task
    result = gtc.translate(model, after.params, after.model_state, carry, frames)
    config.data.task = 'translate'
    return result
  return jax.jit(use, static_argnames='task')


def test_clip_in_chunks_equals_the_clip_whole(used):
  frames = batch(5)['a']
  carry, whole = used(None, frames)
  first, head = used(None, frames[:, :2])
  last, tail = used(first, frames[:, 2:])
  np.testing.assert_allclose(whole, jnp.concatenate([head, tail], 1), atol=1e-5)
  np.testing.assert_allclose(carry, last, atol=1e-5)
  assert carry.shape == (1, 8, 8, 4) and carry.any()


def test_what_comes_out_of_the_tasks(used):
  frames = batch()['a']
  _, plain = used(None, frames)
  mask = used(None, frames, task='segmentation')[1]
  assert np.array_equal(mask, np.where(plain > 0, 1, -1))
  gray = ops.match_channels(ops.luma(frames), 3)
  np.testing.assert_allclose(used(None, frames, task='color')[1], used(None, gray)[1], atol=1e-5)


def test_samples_show_the_residuals(stepped):
  model, data, _, after, _ = stepped
  rows = gtc.sample_rows(model, after.params, after.model_state, data, jax.random.key(0))
  assert list(rows) == ['a', 'a to b', 'b', 'residual of a to b', 'residual of b']
  valid = visibility.reliable_mask(data['flow_a'][0], data['flow_fwd_a'][0])[None]
  e = temporal_residuals.residuals(data['b'], data['flow_a'], valid)[:, -1]
  np.testing.assert_allclose(rows['residual of b'], np.abs(e).clip(0, 2) - 1, atol=1e-6)


@pytest.mark.slow
def test_one_clip_is_learned_by_heart():
  """L1 below 0.05 in 300 steps on one clip, 64 pixels."""
  config = tiny(adversarial=0.0, temporal=0.0)
  config.data.update(crop_size=64, frames=5)
  config.gen.update(width=16, levels=5, hidden=64, dropout=0.0)
  optimizers = {name: optax.adam(2e-3, b1=0.5) for name in gtc.PLAYERS}
  model = Model(config, gtc.networks(config), optimizers)
  s = load.fresh_state(gtc, model)
  a = jax.random.uniform(jax.random.key(0), (1, 5, 8, 8, 3), minval=-1)
  a = jax.image.resize(a, (1, 5, 64, 64, 3), 'linear')
  data = {'a': a, 'b': -a[..., ::-1]}
  step = jax.jit(jax.vmap(lambda s: gtc.step(model, s, data, jax.random.key(0)),
                          axis_name=state.AXIS))
  s, terms = jax.tree.map(lambda x: x[None], s), None
  first = jax.tree.map(lambda x: x[0], s)
  for _ in range(300):
    s, terms = step(s)
  assert float(terms['spatial'][0]) < 0.05
  assert moved(first, jax.tree.map(lambda x: x[0], s)) == {'gen'}


def test_image2image_is_pix2pix():
  """Its critic has a logit for each patch of a frame beside its input; U-Net without a memory."""
  config = config_of('gtc', 'paper-image2image')
  assert (config.data.frames, config.gen.recurrent, gtc.needs_flow(config)) == (1, False, False)
  assert parameter_counts(gtc, config)['disc'] == 2_767_809   # 70x70 with 6 channels in
  config = config_of('gtc', 'demo-image2image')
  config.data.crop_size, config.gen.width, config.disc.width = 32, 4, 4
  config.gen.update(levels=2, hidden=4)
  model = Model(config, gtc.networks(config))
  frames = jnp.zeros((2, 1, 32, 32, 3))
  inputs = gtc.critic_inputs(config, frames, frames, None)
  scores = jax.eval_shape(lambda x: model.networks['disc'].init_with_output(
      jax.random.key(0), x)[0], *inputs)
  assert inputs[0].shape == (2, 32, 32, 6) and scores.shape == (2, 2, 2, 1)


def test_what_a_critic_of_patches_cannot_have_is_named():
  config = config_of('gtc', 'demo-image2image')
  config.disc.residual, config.data.frames = True, 3
  with pytest.raises(ValueError, match="disc.kind='patch' judges single frames"):
    gtc.networks(config)
  config.disc.residual, config.critic.r1 = False, 1.0
  with pytest.raises(ValueError, match='--config.critic.r1=0'):
    gtc.networks(config)
  config.disc.kind = 'pixel'
  with pytest.raises(ValueError, match="disc.kind='pixel'"):
    gtc.networks(config)
