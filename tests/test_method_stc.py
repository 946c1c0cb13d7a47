"""STC-V2V: the recurrence and its terms by hand, passes, gradients, one frame after another."""

import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import clips, config_of, moved, one_step, passes, toy_setup

from i2vjax import ops
from i2vjax.data import windows
from i2vjax.losses import perceptual
from i2vjax.methods import stc
from i2vjax.networks.vgg import VGG
from i2vjax.state import init_params, run

KEY = jax.random.key(0)
B, K, SIZE = 2, 3, 16


def flows(shift, length=K - 1):
  return jnp.broadcast_to(jnp.array(shift, jnp.float32), (B, length, SIZE, SIZE, 2))


def batch_with(shift=(1.5, -0.5)):
  found = clips(K, batch=B, size=SIZE)
  for x in 'ab':
    found |= {f'flow_{x}': flows(shift), f'flow_fwd_{x}': -flows(shift)}
  return found


BATCH = batch_with()


def tiny(variant='demo', **fuse):
  config = config_of('stc', variant)
  config.data.update(load_size=SIZE, crop_size=SIZE)
  config.flow.name = 'gt+zero'
  config.mask.alpha = 2.0   # frames of noise would all be hidden at 50
  config.fuse.update(fuse)
  return config


class Gain(nn.Module):
  """gain * x."""

  value: float = 0.5

  @nn.compact
  def __call__(self, x):
    return x * self.param('gain', nn.initializers.constant(self.value), (1,))


class Mask(nn.Module):
  """sigmoid(bias + sum of the difference): -100 and 100 are masks of 0 and 1."""

  bias: float = 0.0

  @nn.compact
  def __call__(self, difference):
    return nn.sigmoid(self.param('bias', nn.initializers.constant(self.bias), (1,))
                      + jnp.sum(difference, -1, keepdims=True))


def linear(bias_ab=-0.3, bias_ba=0.2):
  """(nets, params) simple enough to be followed by hand."""
  nets = {'gen_ab': Gain(0.5), 'gen_ba': Gain(0.8), 'fuse_ab': Mask(bias_ab),
          'fuse_ba': Mask(bias_ba)}
  return nets, {name: net.init(KEY, BATCH['a'][:, 0])['params'] for name, net in nets.items()}


def made_of(config, nets, params, batch=BATCH, x='a', y='b'):
  motion = stc.motions(nets, config, {}, batch)
  return stc.translation(nets, config, params, x, y, batch[x], motion[x]), motion[x]


# ---- The recurrence


def test_recurrence_by_hand():
  """p = W(y_1, f), m = F(|g - p|), y_2 = m p + (1 - m) g; the way back with the real frame."""
  nets, params = linear()
  made, _ = made_of(tiny(), nets, params)
  f, x = BATCH['flow_a'][:, 0], BATCH['a']

  def fused(g, p, bias):
    m = jax.nn.sigmoid(bias + jnp.sum(jnp.abs(g - p), -1, keepdims=True))
    return m * p + (1 - m) * g
  y2 = fused(0.5 * x[:, 1], ops.warp(0.5 * x[:, 0], f), -0.3)
  y3 = fused(0.5 * x[:, 2], ops.warp(y2, f), -0.3)
  np.testing.assert_allclose(made['fake'], jnp.stack([0.5 * x[:, 0], y2, y3], 1), atol=1e-6)
  r3 = fused(0.8 * y3, ops.warp(x[:, 1], f), 0.2)
  np.testing.assert_allclose(made['again'][:, 1], r3, atol=1e-6)


def test_way_back_from_what_was_led_back_before():
  """`cycle.prev` 'recon': q_t = W(r_{t-1}, f), r_1 = I'(y_1)."""
  config, (nets, params) = tiny(), linear()
  config.cycle.prev = 'recon'
  made, motion = made_of(config, nets, params)
  expected, _, _ = stc.recurrence(nets, config, params, 'fuse_ba', 0.8 * made['fake'], motion)
  np.testing.assert_allclose(made['again'], expected[:, 1:], atol=1e-6)
  config.cycle.prev = 'real'
  assert float(jnp.max(jnp.abs(made['again'] - made_of(config, nets, params)[0]['again']))) > 1e-2


def test_mask_1_keeps_the_first_frame_where_nothing_moves_and_mask_0_makes_each_anew():
  still = batch_with((0.0, 0.0))
  kept, _ = made_of(tiny(), *linear(100.0), batch=still)
  np.testing.assert_allclose(kept['fake'], jnp.repeat(kept['fake'][:, :1], K, 1), atol=1e-6)
  new, _ = made_of(tiny(), *linear(-100.0), batch=still)
  np.testing.assert_allclose(new['fake'], 0.5 * still['a'], atol=1e-6)


def test_way_back_with_mask_1_and_no_motion_is_the_real_frame_before():
  still = batch_with((0.0, 0.0))
  made, _ = made_of(tiny(), *linear(bias_ba=100.0), batch=still)
  np.testing.assert_allclose(made['again'], still['a'][:, :-1], atol=1e-6)


def test_the_block_sees_the_size_of_the_difference_or_its_sign():
  nets, params = linear(0.0)
  new, before, seen = 0.2 * jnp.ones((1, 4, 4, 3)), jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 1))
  masks = {}
  for kind in ('abs', 'signed'):
    config = tiny(input=kind)
    masks[kind] = [float(stc.fuse(nets, config, params, 'fuse_ab', g, p, seen)[1][0, 0, 0, 0])
                   for g, p in ((new, before), (before, new))]
  expected = [1 / (1 + math.exp(-0.6)), 1 / (1 + math.exp(0.6))]
  np.testing.assert_allclose(masks['signed'], expected, rtol=1e-5)
  np.testing.assert_allclose(masks['abs'], [expected[0]] * 2, rtol=1e-5)


def test_ablations_average_and_the_rule():
  nets, params = linear()
  average, _ = made_of(tiny(kind='average'), nets, params)
  np.testing.assert_array_equal(average['mask'], 0.5)
  rule, motion = made_of(tiny(kind='mask'), nets, params)
  np.testing.assert_array_equal(rule['mask'], motion['seen'])
  np.testing.assert_array_equal(rule['mask_back'], motion['seen'])
  assert 0.01 < float(jnp.mean(rule['mask'])) < 0.99


def test_generators_see_all_frames_of_a_clip_in_one_call_with_the_same_result():
  config = tiny()
  config.gen.update(width=4, blocks=1)
  nets = {'gen_ab': stc.networks(config)['gen_ab'].clone(impl='plain')}
  params = init_params(nets, stc.inputs(config), KEY)
  frames = ops.fold(BATCH['a'])
  call = jax.jit(lambda x: run(nets, params, 'gen_ab', x))
  one_by_one = jnp.concatenate([call(frame[None]) for frame in frames])
  np.testing.assert_allclose(call(frames), one_by_one, atol=1e-5)


# ---- The terms


def toys_of(config):
  """`toy_setup` with blocks simple enough to compile in no time."""
  nets, _, fresh, fixed = toy_setup(stc, config)
  nets |= {'fuse_ab': Mask(0.3), 'fuse_ba': Mask(-0.2)}
  params = dict(fresh.params)
  for name in ('fuse_ab', 'fuse_ba'):
    params[name] = nets[name].init(KEY, BATCH['a'][:, 0])['params']
  tx = dict.fromkeys(stc.PLAYERS, optax.sgd(0.01))
  opt = {player: tx[player].init({name: params[name] for name in names})
         for player, names in stc.PLAYERS.items()}
  return nets, tx, fresh.replace(params=params, opt=opt), fixed


@pytest.fixture(scope='module')
def toys():
  config = tiny()
  config.perceptual = 'random'
  return config, toys_of(config)


@pytest.fixture(scope='module')
def stepped(toys):
  return one_step(stc, *toys, BATCH)


def test_terms_by_hand(toys, stepped):
  """Means over all elements; gan and content of t = 1 and of the mean over t > 1, 7 summed over t.
  """
  config, (nets, _, fresh, fixed) = toys
  params, expected = fresh.params, dict.fromkeys(config.weights, 0.0)
  motions = stc.motions(nets, config, fixed, BATCH)

  def mean(x):
    return float(jnp.mean(x))
  for x, y in (('a', 'b'), ('b', 'a')):
    made = stc.translation(nets, config, params, x, y, BATCH[x], motions[x])
    real, fake, f = BATCH[x], made['fake'], BATCH[f'flow_{x}'][:, 0]
    back = run(nets, params, f'gen_{y}{x}', fake)
    expected['cycle_2d'] += mean(jnp.abs(back[:, 0] - real[:, 0]))
    for t in range(K):
      share = 1 if t == 0 else 1 / (K - 1)
      score = run(nets, params, f'disc_{y}', fake[:, t])
      expected['gan'] += share * mean((score - 1) ** 2)
      seen = [run(nets, fixed, 'vgg', clip[:, t])['relu5_3'] for clip in (fake, real)]
      expected['content'] += share * mean(jnp.square(
          perceptual.standardise(seen[0]) - perceptual.standardise(seen[1])))
      if t:
        expected['cycle_3d'] += share * mean(jnp.abs(made['again'][:, t - 1] - real[:, t]))
        e = jnp.linalg.norm((real[:, t] - ops.warp(real[:, t - 1], f)) / 2, axis=-1, keepdims=True)
        mask = jnp.exp(-2 * e) * ops.inside(f)
        expected['temporal'] += mean(mask * jnp.abs(fake[:, t] - ops.warp(fake[:, t - 1], f)))
  _, terms = stepped
  for name, value in expected.items():
    np.testing.assert_allclose(terms[name], value, rtol=2e-5, err_msg=name)


def test_critics_loss_by_hand(toys, stepped):
  """Half of mean (D(x) - 1)^2 + mean D(y)^2 over all K frames, before either player moved."""
  config, (nets, _, fresh, fixed) = toys
  motions = stc.motions(nets, config, fixed, BATCH)
  made = stc.translation(nets, config, fresh.params, 'a', 'b', BATCH['a'], motions['a'])
  real, fake = (run(nets, fresh.params, 'disc_b', clip) for clip in (BATCH['b'], made['fake']))
  expected = 0.5 * (jnp.mean((real - 1) ** 2) + jnp.mean(fake ** 2))
  np.testing.assert_allclose(stepped[1]['disc_b'], expected, rtol=1e-5)


def test_all_networks_move(toys, stepped):
  before = toys[1][2]
  assert moved(before, stepped[0]) == set(before.params)


@pytest.mark.parametrize(('kind', 'used'), [('learned', True), ('average', False), ('mask', False)])
def test_an_ablation_leaves_the_blocks_alone(kind, used):
  config, (nets, params) = tiny(kind=kind), linear()

  def total(params):
    made, _ = made_of(config, nets, params)
    return jnp.sum(made['fake']) + jnp.sum(made['again'])
  grads = jax.grad(total)(params)
  for name in ('fuse_ab', 'fuse_ba'):
    assert bool(jnp.any(grads[name]['bias'] != 0)) is used
  assert jnp.any(grads['gen_ab']['gain'] != 0)


def test_a_term_of_weight_0_is_not_computed():
  config = tiny()
  config.perceptual = 'random'
  config.weights.update(content=0.0, temporal=0.0)
  assert not stc.perceives(config) and 'vgg' not in stc.fixed(config)
  _, terms = jax.eval_shape(lambda: one_step(stc, config, toy_setup(stc, config), BATCH))
  assert {'content', 'temporal'} & set(terms) == set() and 'cycle_3d' in terms


def test_passes_of_a_step(toys):
  """Generators twice with all frames; a block frame by frame there, all at once back."""
  config, _ = toys
  calls = passes(stc, config, BATCH)
  for side in ('ab', 'ba'):
    assert calls[f'gen_{side}', 'whole'] == [B * K] * 2
    assert sorted(calls[f'fuse_{side}', 'whole']) == [B] * (K - 1) + [B * (K - 1)]
  assert calls['vgg', 'whole'] == [2 * B * K] * 2
  assert calls['disc_a', 'whole'] == [B * K, 2 * B * K]


# ---- Gradients


def test_gradient_reaches_the_frame_before_unless_detached():
  """d y_3 / d g_1 through p_3 and p_2, and through the masks."""
  nets, params = linear()
  new = 0.5 * BATCH['a']
  for detach, reached in ((False, True), (True, False)):
    config = tiny(detach=detach)
    motion = stc.motions(nets, config, {}, BATCH)['a']
    def last(new, config=config, motion=motion):
      return jnp.sum(stc.recurrence(nets, config, params, 'fuse_ab', new, motion)[0][:, 2])
    grad = jax.grad(last)(new)
    assert bool(jnp.any(grad[:, 0] != 0)) is reached
    assert bool(jnp.any(grad[:, 2] != 0))


def test_temporal_term_moves_both_frames():
  motion = stc.motions({}, tiny(), {}, BATCH)['a']
  fake = 0.5 * BATCH['a']

  def term(fake):
    f = motion['flow'][:, 0]
    warped = jnp.stack([ops.warp(fake[:, t], f) for t in range(K - 1)], 1)
    return stc.temporal_term({'fake': fake, 'moved': warped}, motion)
  grad = jax.grad(term)(fake)
  assert all(bool(jnp.any(grad[:, t] != 0)) for t in range(K))


def test_flow_and_visibility_are_constants_of_the_real_frames():
  config = tiny()
  config.flow.update(name='lk', levels=1, warps=1)

  def total(a):
    return sum(jnp.sum(x) for x in jax.tree.leaves(
        stc.motions({}, config, {}, {**BATCH, 'a': a})))
  assert not jnp.any(jax.grad(total)(BATCH['a']))


def test_frozen_networks_belong_to_no_player():
  config = config_of('stc', 'paper')
  trained = {name for names in stc.PLAYERS.values() for name in names}
  assert set(stc.fixed(config)) == {'flow', 'vgg'} and not trained & {'flow', 'vgg'}
  assert set(stc.networks(config)) == trained and stc.TRANSLATES_WITH == ('flow',)


def test_temporal_term_falls_on_a_static_clip():
  """The same frame under other noise, no motion: 50 steps on the term alone."""
  config = tiny()
  config.weights.update(gan=0.0, cycle_2d=0.0, cycle_3d=0.0)
  frames = BATCH['a'][:, :1] + 0.1 * jax.random.normal(KEY, BATCH['a'].shape)
  batch = {'a': frames, 'b': frames, 'flow_a': flows((0, 0)), 'flow_b': flows((0, 0))}
  nets, _, fresh, fixed = toys_of(config)
  tx = dict.fromkeys(stc.PLAYERS, optax.sgd(0.02))

  def one(state, _):
    return stc.step(nets, tx, config, state, batch, fixed, KEY, 'train')
  run_all = jax.vmap(lambda _: jax.lax.scan(one, fresh, None, 50)[1], axis_name='data')
  values = jax.jit(run_all)(jnp.arange(1))['temporal'][0]
  assert float(values[-1]) < 0.8 * float(values[0])


# ---- Visibility


def test_visibility_finds_what_the_street_hides():
  """Area under the curve of O_t against the true visibility, over 0.9, in colour by day."""
  config = tiny()
  config.mask.alpha = 50.0
  config.data.update(load_size=128, crop_size=128, frames=2)
  config.data.scenes.update(clips=2, clip_length=8)
  source = windows.train_windows(config.data, ('flow',))[1]
  picks = [source[i] for i in range(0, len(source), 5)]
  batch = {x: jnp.stack([jnp.asarray(p['frames'], jnp.float32) / 127.5 - 1 for p in picks])
           for x in 'ab'}
  batch |= {f'flow_{x}': jnp.stack([p['flow'] for p in picks]) for x in 'ab'}
  seen = stc.motions({}, config, {}, batch)['b']['seen'].ravel()
  truth = np.stack([source.frames.flow(int(source.starts[i]))['backward_visible']
                    for i in range(0, len(source), 5)]).ravel() > 0
  rank = np.argsort(np.argsort(seen)) + 1
  hidden = (~truth).sum()
  area = (rank[truth].sum() - truth.sum() * (truth.sum() + 1) / 2) / (truth.sum() * hidden)
  assert area > 0.9 and np.median(seen[truth]) > 4 * np.median(seen[~truth])


# ---- Use


@pytest.fixture(scope='module')
def translator():
  config = tiny()
  config.flow.update(name='tvl1', levels=1, warps=1, inner=2)
  nets, params = linear(0.5)

  @jax.jit
  def call(carry, frames):
    return stc.translate(nets, config, params, {}, {}, carry, frames)
  return call


def test_chunks_equal_the_whole_clip_and_the_first_frame_is_the_image_generators(translator):
  clip = clips(5, batch=B, size=SIZE)['a']
  whole = translator(None, clip)[1]
  np.testing.assert_array_equal(whole[:, 0], 0.5 * clip[:, 0])
  carry, parts = None, []
  for part in (clip[:, :1], clip[:, 1:3], clip[:, 3:]):
    carry, shown = translator(carry, part)
    parts.append(shown)
  np.testing.assert_allclose(jnp.concatenate(parts, 1), whole, atol=1e-6)
  assert {name: x.shape for name, x in carry.items()} == {
      'x': (B, SIZE, SIZE, 3), 'y': (B, SIZE, SIZE, 3), 'started': (B, 1, 1, 1)}
  np.testing.assert_array_equal(carry['y'], parts[-1][:, -1])


def test_the_program_does_not_grow_with_the_clip():
  config, (nets, params) = tiny(), linear()
  config.flow.name = 'lk'

  def lines(length):
    frames = jnp.zeros((1, length, SIZE, SIZE, 3))
    return len(jax.make_jaxpr(
        lambda x: stc.translate(nets, config, params, {}, {}, None, x))(frames).eqns)
  assert lines(2) == lines(9)


def test_translating_is_the_recurrence_of_the_training():
  config, (nets, params) = tiny(), linear()
  config.flow.update(name='lk', levels=1, warps=1)
  made, _ = made_of(config, nets, params)
  _, shown = stc.translate(nets, config, params, {}, {}, None, BATCH['a'])
  np.testing.assert_allclose(shown, made['fake'], atol=1e-5)


def test_a_new_scene_begins_anew_by_wish():
  config, (nets, params) = tiny(), linear(100.0)
  config.flow.name = 'zero'
  a = BATCH['a'][:, 0]
  cut = jnp.stack([a, a, -a], 1)
  for limit, expected in ((0.0, 0.5 * a), (0.5, -0.5 * a)):
    config.mask.cut = limit
    _, shown = stc.translate(nets, config, params, {}, {}, None, cut)
    np.testing.assert_allclose(shown[:, 1], 0.5 * a, atol=1e-6)
    np.testing.assert_allclose(shown[:, 2], expected, atol=1e-6)


def test_samples_show_every_stage(toys):
  config, (nets, _, fresh, fixed) = toys
  rows = jax.eval_shape(lambda: stc.samples(nets, config, fresh.params, {}, fixed, BATCH, KEY))
  assert {'a', 'a to b', 'kept in b', 'flow of a', 'visible in a', 'back to a'} < set(rows)
  assert all(row.shape == (B, SIZE, SIZE, 3) for row in rows.values())


# ---- Config


def test_trainable_parameters_of_the_paper():
  config = config_of('stc', 'paper')
  nets, inputs = stc.networks(config), stc.inputs(config)
  shapes = {name: jax.eval_shape(nets[name].init, KEY, *inputs[name])['params'] for name in nets}
  expected = 2 * (7_837_699 + 213_377 + 2_764_737)
  assert sum(math.prod(x.shape) for x in jax.tree.leaves(shapes)) == expected
  assert (config.mask.alpha, config.mask.norm, config.fuse.input) == (50, 'l2', 'abs')


def test_paper_asks_for_raft_and_vgg_and_gt_for_the_true_flow():
  frozen = stc.fixed(config_of('stc', 'paper'))
  assert {name: weights for name, (_, weights) in frozen.items()} == {
      'flow': 'raft_small', 'vgg': 'vgg16'}
  module = frozen['vgg'][0]
  assert (module.depth, module.taps, module.input_norm) == (16, ('relu5_3',), 'imagenet')
  assert stc.batch_extras(config_of('stc', 'paper')) == ()
  assert stc.batch_extras(config_of('stc', 'demo')) == () != stc.batch_extras(tiny())


def test_content_before_the_last_relu():
  """`vgg.layer` 'conv5_3' is what the ReLU makes 'relu5_3' of."""
  net = VGG(16, ('conv1_2', 'relu1_2'), width=2, impl='plain')   # the same in every block
  x = jax.random.uniform(KEY, (1, 8, 8, 3))
  seen = net.apply(net.init(KEY, x), x)
  assert float(jnp.min(seen['conv1_2'])) < 0
  np.testing.assert_array_equal(jax.nn.relu(seen['conv1_2']), seen['relu1_2'])
  config = config_of('stc', 'paper')
  config.vgg.layer = 'conv5_3'
  module, _ = stc.fixed(config)['vgg']
  shapes = jax.eval_shape(lambda: module.init_with_output(KEY, jnp.zeros((1, 32, 32, 3)))[0])
  assert shapes['conv5_3'].shape == (1, 2, 2, 512)


@pytest.mark.parametrize(('field', 'value'), [
    ('fuse.kind', 'median'), ('fuse.input', 'square'), ('cycle.prev', 'next'), ('fuse.kernel', 4),
    ('vgg.net', 'resnet'), ('data.frames', 1)])
def test_unknown_choices_are_refused_by_name(field, value):
  config = tiny('paper')
  block, name = field.split('.')
  config[block][name] = value
  with pytest.raises(ValueError, match=field):
    stc.networks(config)
    stc.fixed(config)
