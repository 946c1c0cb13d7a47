"""STC-V2V: the recurrence by hand, what is visible, one frame after another."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import clips, config_of, parameter_counts
from stc_toys import BATCH, KEY, SIZE, B, K, batch_with, linear, tiny, translation_of

from i2vjax.core import ops
from i2vjax.core.model import Model
from i2vjax.core.state import init_params
from i2vjax.data.loader import batches
from i2vjax.methods import stc
from i2vjax.networks.vgg import VGG

# ---- The recurrence


def test_recurrence_by_hand():
  """p = W(y_1, f), m = F(|g - p|), y_2 = m p + (1 - m) g; the way back with the real frame."""
  clips_of_a, _ = translation_of(*linear(tiny()))
  f, x = BATCH['flow_a'][:, 0], BATCH['a']

  def fused(g, p, bias):
    m = jax.nn.sigmoid(bias + jnp.sum(jnp.abs(g - p), -1, keepdims=True))
    return m * p + (1 - m) * g
  y2 = fused(0.5 * x[:, 1], ops.warp(0.5 * x[:, 0], f), -0.3)
  y3 = fused(0.5 * x[:, 2], ops.warp(y2, f), -0.3)
  np.testing.assert_allclose(clips_of_a['fake'], jnp.stack([0.5 * x[:, 0], y2, y3], 1), atol=1e-6)
  r3 = fused(0.8 * y3, ops.warp(x[:, 1], f), 0.2)
  np.testing.assert_allclose(clips_of_a['again'][:, 1], r3, atol=1e-6)


def test_way_back_from_what_was_led_back_before():
  """`cycle.prev` 'recon': q_t = W(r_{t-1}, f), r_1 = I'(y_1)."""
  model, params = linear(tiny())
  model.config.cycle.prev = 'recon'
  recon, motion = translation_of(model, params)
  expected, _, _ = stc.recurrence(model, params, 'fuse_ba', 0.8 * recon['fake'], motion)
  np.testing.assert_allclose(recon['again'], expected[:, 1:], atol=1e-6)
  model.config.cycle.prev = 'real'
  real, _ = translation_of(model, params)
  assert float(jnp.max(jnp.abs(recon['again'] - real['again']))) > 1e-2


def test_mask_1_keeps_the_first_frame_where_nothing_moves_and_mask_0_makes_each_anew():
  still = batch_with((0.0, 0.0))
  frozen, _ = translation_of(*linear(tiny(), 100.0), batch=still)
  np.testing.assert_allclose(frozen['fake'], jnp.repeat(frozen['fake'][:, :1], K, 1), atol=1e-6)
  new, _ = translation_of(*linear(tiny(), -100.0), batch=still)
  np.testing.assert_allclose(new['fake'], 0.5 * still['a'], atol=1e-6)


def test_way_back_with_mask_1_and_no_motion_is_the_real_frame_before():
  still = batch_with((0.0, 0.0))
  back, _ = translation_of(*linear(tiny(), bias_ba=100.0), batch=still)
  np.testing.assert_allclose(back['again'], still['a'][:, :-1], atol=1e-6)


def test_the_block_sees_the_size_of_the_difference_or_its_sign():
  new, before = jnp.full((1, 4, 4, 3), 0.2), jnp.zeros((1, 4, 4, 3))
  visible = jnp.ones((1, 4, 4, 1))
  masks = {'abs': [], 'signed': []}
  for kind in masks:
    model, params = linear(tiny(input=kind), 0.0)
    for g, p in ((new, before), (before, new)):
      _, mask = stc.fuse(model, params, 'fuse_ab', g, p, visible)
      masks[kind].append(float(mask[0, 0, 0, 0]))
  expected = [1 / (1 + math.exp(-0.6)), 1 / (1 + math.exp(0.6))]
  np.testing.assert_allclose(masks['signed'], expected, rtol=1e-5)
  np.testing.assert_allclose(masks['abs'], [expected[0]] * 2, rtol=1e-5)


def test_ablations_average_and_the_rule():
  average, _ = translation_of(*linear(tiny(kind='average')))
  np.testing.assert_array_equal(average['mask'], 0.5)
  rule, motion = translation_of(*linear(tiny(kind='mask')))
  np.testing.assert_array_equal(rule['mask'], motion['visible'])
  np.testing.assert_array_equal(rule['mask_back'], motion['visible'])
  assert 0.01 < float(jnp.mean(rule['mask'])) < 0.99


def test_generators_see_all_frames_of_a_clip_in_one_call_with_the_same_result():
  config = tiny()
  config.gen.update(width=4, blocks=1)
  model = Model(config, {'gen_ab': stc.networks(config)['gen_ab'].clone(impl='plain')})
  params = init_params(model.networks, stc.example_inputs(config), KEY)
  frames = ops.fold(BATCH['a'])
  call = jax.jit(lambda x: model.apply(params, 'gen_ab', x))
  one_by_one = jnp.concatenate([call(frame[None]) for frame in frames])
  np.testing.assert_allclose(call(frames), one_by_one, atol=1e-5)


# ---- Visibility


def test_visibility_finds_what_the_street_hides():
  """Area under the curve of O_t against the true visibility, over 0.9, in color by day."""
  config = tiny()
  config.mask.alpha = 50.0
  config.data.update(load_size=128, crop_size=128, frames=2)
  config.data.scenes.update(clips=2, clip_length=8)
  source = batches.train_windows(config.data, ('flow',))[1]
  picks = [source[i] for i in range(0, len(source), 5)]
  batch = {x: jnp.stack([jnp.asarray(p['frames'], jnp.float32) / 127.5 - 1 for p in picks])
           for x in 'ab'}
  batch |= {f'flow_{x}': jnp.stack([p['flow'] for p in picks]) for x in 'ab'}
  visible = stc.motions(Model(config, {}), batch)['b']['visible'].ravel()
  truth = np.stack([source.frames.flow(int(source.starts[i]))['backward_visible']
                    for i in range(0, len(source), 5)]).ravel() > 0
  rank = np.argsort(np.argsort(visible)) + 1
  hidden = (~truth).sum()
  area = (rank[truth].sum() - truth.sum() * (truth.sum() + 1) / 2) / (truth.sum() * hidden)
  assert area > 0.9 and np.median(visible[truth]) > 4 * np.median(visible[~truth])


# ---- Use


@pytest.fixture(scope='module')
def translator():
  config = tiny()
  config.flow.update(name='tvl1', levels=1, warps=1, inner=2)
  model, params = linear(config, 0.5)

  @jax.jit
  def call(carry, frames):
    return stc.translate(model, params, {}, carry, frames)
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
  model, params = linear(tiny())
  model.config.flow.name = 'lk'

  def lines(length):
    frames = jnp.zeros((1, length, SIZE, SIZE, 3))
    return len(jax.make_jaxpr(
        lambda x: stc.translate(model, params, {}, None, x))(frames).eqns)
  assert lines(2) == lines(9)


def test_flow_is_estimated_before_the_recurrence():
  """Of all frames of a chunk at once: the loop over frames holds no loop of TV-L1."""
  model, params = linear(tiny())
  model.config.flow.update(name='tvl1', levels=1, warps=1, inner=2)
  frames = jnp.zeros((1, 4, SIZE, SIZE, 3))
  program = jax.make_jaxpr(lambda x: stc.translate(model, params, {}, None, x))(frames)
  over_frames = [eqn for eqn in program.eqns
                 if eqn.primitive.name == 'scan' and eqn.params['length'] == 4]
  assert len(over_frames) == 1
  assert ' scan[' not in str(over_frames[0].params['jaxpr'])
  assert ' scan[' in str(program)


def test_translating_is_the_recurrence_of_the_training():
  model, params = linear(tiny())
  model.config.flow.update(name='lk', levels=1, warps=1)
  trained, _ = translation_of(model, params)
  _, shown = stc.translate(model, params, {}, None, BATCH['a'])
  np.testing.assert_allclose(shown, trained['fake'], atol=1e-5)


def test_a_new_scene_begins_anew_if_asked():
  model, params = linear(tiny(), 100.0)
  model.config.flow.name = 'zero'
  a = BATCH['a'][:, 0]
  cut = jnp.stack([a, a, -a], 1)
  for limit, expected in ((0.0, 0.5 * a), (0.5, -0.5 * a)):
    model.config.mask.cut = limit
    _, shown = stc.translate(model, params, {}, None, cut)
    np.testing.assert_allclose(shown[:, 1], 0.5 * a, atol=1e-6)
    np.testing.assert_allclose(shown[:, 2], expected, atol=1e-6)


# ---- Config


def test_trainable_parameters_of_the_paper():
  config = config_of('stc', 'paper')
  expected = 2 * (7_837_699 + 213_377 + 2_764_737)
  assert sum(parameter_counts(stc, config).values()) == expected
  assert (config.mask.alpha, config.mask.norm, config.fuse.input) == (50, 'l2', 'abs')


def test_paper_asks_for_raft_and_vgg_and_gt_for_the_true_flow():
  frozen = stc.frozen_networks(config_of('stc', 'paper'))
  assert {name: weights for name, (_, weights) in frozen.items()} == {
      'flow': 'raft_small', 'vgg': 'vgg16'}
  module = frozen['vgg'][0]
  assert (module.depth, module.taps, module.input_norm) == (16, ('relu5_3',), 'imagenet')
  assert not config_of('stc', 'paper').flow.stretch   # frames are color
  assert stc.batch_fields(config_of('stc', 'paper')) == ()
  assert stc.batch_fields(config_of('stc', 'demo')) == () != stc.batch_fields(tiny())


def test_content_before_the_last_relu():
  """`vgg.layer` 'conv5_3' is what the ReLU makes 'relu5_3' of."""
  net = VGG(16, ('conv1_2', 'relu1_2'), width=2, impl='plain')   # the same in every block
  x = jax.random.uniform(KEY, (1, 8, 8, 3))
  maps = net.apply(net.init(KEY, x), x)
  assert float(jnp.min(maps['conv1_2'])) < 0
  np.testing.assert_array_equal(jax.nn.relu(maps['conv1_2']), maps['relu1_2'])
  config = config_of('stc', 'paper')
  config.vgg.layer = 'conv5_3'
  module, _ = stc.frozen_networks(config)['vgg']
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
    stc.frozen_networks(config)


def test_a_choice_that_an_older_run_lacks_is_not_missed():
  config = tiny('paper')
  del config.cycle
  stc.check(config)
