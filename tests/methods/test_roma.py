"""ROMA: terms by hand on two frames, order of the step, single frames."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import ToyGenerator, clips, config_of, moved, parameter_counts, recorded

from i2vjax.core import state
from i2vjax.core.model import Model
from i2vjax.losses import descriptor, similarity
from i2vjax.methods import roma, shared_roma
from i2vjax.networks import vit
from i2vjax.run import load

KEY = jax.random.key(7)
# Each program here runs once or twice on tiny frames: compile fast, run slow.
FAST_COMPILE = {'xla_backend_optimization_level': 0, 'xla_llvm_disable_expensive_passes': True}
compiled = functools.partial(jax.jit, compiler_options=FAST_COMPILE)
BATCH = clips(2, batch=2, size=32)   # two windows of two frames
TERMS = {'adversarial', 'cs_global', 'cs_local', 'cs_motion', 'disc_b'}


def tiny(backbone='random', **weights):
  config = config_of('roma', 'demo')
  config.data.update(load_size=32, crop_size=32)
  config.disc.update(width=4, layers=1, hidden=8, out_channels=6, scales=(2, 3))
  config.backbone, config.vit.image_size = backbone, 64
  config.cs.update(layers=(0, 1), side=3, local_nums=5)
  config.weights.update(adversarial=1.0, cs_global=5.0, cs_local=5.0, cs_motion=1.0, identity=0.0)
  config.weights.update(weights)
  return config


def setup(config, rate=0.01):
  """(model with a generator that compiles in no time, fresh state)."""
  _, model = load.assemble(config)
  model = model.replace(networks={**model.networks, 'gen': ToyGenerator()},
                        optimizers=dict.fromkeys(roma.PLAYERS, optax.sgd(rate)))
  return model, load.fresh_state(roma, model)


def step_on(devices, model):
  """Compiled (state, batch) -> (state, terms) on simulated devices that share the batch."""
  def one(s, batch):
    return roma.step(model, s, batch, KEY)

  def step(s, batch):
    parts = jax.tree.map(lambda x: x.reshape(devices, -1, *x.shape[1:]), batch)
    s, terms = jax.vmap(one, (None, 0), axis_name=state.AXIS)(s, parts)
    return jax.tree.map(lambda x: x[0], s), jax.tree.map(jnp.mean, terms)
  return compiled(step)


@pytest.fixture(scope='module')
def stepped():
  """A step on random features: model, state before and after it, terms."""
  model, before = setup(tiny())
  return model, before, *step_on(1, model)(before, BATCH)


@pytest.fixture(scope='module')
def features(stepped):
  """Of one frame each: {('x' | 'fake' | 'y', window, frame): as `shared_roma.features` has it}."""
  model, before, _, _ = stepped
  features_of = compiled(functools.partial(shared_roma.features, model))
  features = {}
  for i in range(2):
    for t in range(2):
      x, y = BATCH['a'][i, t][None], BATCH['b'][i, t][None]
      fake = model.apply(before.params, 'gen', x)
      features['x', i, t] = features_of(x)
      features['fake', i, t] = features_of(fake)
      features['y', i, t] = features_of(y)
  return features


# ---- The step


def test_all_terms_are_there_and_both_players_move(stepped):
  _, before, after, terms = stepped
  assert set(terms) == TERMS and all(np.isfinite(value) for value in terms.values())
  assert moved(before, after) == {'gen', 'disc_b'}


def calls_of(config, batch):
  """[(network, method, frames)] of one step, by tracing."""
  model, before = setup(config)
  return recorded(step_on(1, model), before, batch)


def test_frames_fold_into_one_pass_of_the_generator_and_two_of_the_vit():
  calls = calls_of(tiny(), BATCH)
  assert [c for c in calls if c[0] == 'gen'] == [('gen', None, 4)]
  assert [c for c in calls if c[1] == 'tokens'] == [('vit', 'tokens', 4), ('vit', 'tokens', 8)]
  assert [c for c in calls if c[1] == 'tokens_local'] == [('vit', 'tokens_local', 4)] * 2
  assert [c for c in calls if c[0] == 'disc_b'] == [('disc_b', None, 8), ('disc_b', None, 4)]


def test_identity_rides_in_the_same_pass():
  calls = calls_of(tiny('none', identity=1.0), BATCH)
  assert [c for c in calls if c[0] == 'gen'] == [('gen', None, 8)]


def regions_score(stepped, features, params, key):
  model = stepped[0]
  tokens = vit.regions(features[key]['tokens'][-1], model.config.disc.scales)
  return model.apply(params, 'disc_b', tokens)


def test_critic_loss_by_hand(stepped, features):
  """L_C = 1/2 [mean C(T)^2 + mean (C(R) - 1)^2], both frames, the critic before its move."""
  score = functools.partial(regions_score, stepped, features, stepped[1].params)
  values = [jnp.mean(score(('fake', i, t))**2) + jnp.mean((score(('y', i, t)) - 1)**2)
            for i in range(2) for t in range(2)]
  assert stepped[-1]['disc_b'] == pytest.approx(0.5 * float(np.mean(values)), rel=1e-4)


def test_generator_meets_the_critic_just_moved(stepped, features):
  _, before, after, terms = stepped

  def loss(params):
    scores = [regions_score(stepped, features, params, ('fake', i, t))
              for i in range(2) for t in range(2)]
    return np.mean([jnp.mean((score - 1)**2) for score in scores])
  value = loss(before.params), loss(after.params)
  assert terms['adversarial'] == pytest.approx(float(value[1]), rel=1e-4)
  assert abs(value[0] - value[1]) > 1e-3 * value[1]


def distance(A, B):
  """mean_i |1 - cos(A_i, B_i)| in NumPy."""
  A, B = np.asarray(A, np.float64), np.asarray(B, np.float64)
  cosine = (A * B).sum(-1) / np.linalg.norm(A, axis=-1) / np.linalg.norm(B, axis=-1)
  return np.abs(1 - cosine).mean()


def test_global_term_by_hand(stepped, features):
  """1/2 sum over the frames, 1/L sum over the layers, of D(S_t, T_t), mean over the windows."""
  values = []
  for i in range(2):
    for t in range(2):
      layers = features['x', i, t]['tokens'], features['fake', i, t]['tokens']
      for S, T in zip(*layers, strict=True):
        S, T = np.asarray(S[0], np.float64), np.asarray(T[0], np.float64)
        values.append(distance(S @ T.T, T @ S.T))
  assert stepped[-1]['cs_global'] == pytest.approx(np.mean(values), rel=1e-3)


def test_local_term_takes_the_same_windows_in_all_frames(stepped, features):
  model, _, _, terms = stepped
  ids = similarity.random_ids(state.name_key(KEY, 'windows'), 16, 5)
  local = compiled(lambda x: model.apply(model.frozen, 'vit', x, ids, (0, 1), 3,
                                         method='tokens_local'))
  values = [similarity.cross_similarity(local(features['x', i, t]['frames']),
                                        local(features['fake', i, t]['frames']))
            for i in range(2) for t in range(2)]
  assert terms['cs_local'] == pytest.approx(float(np.mean(values)), rel=1e-3)


def test_motion_term_by_hand(stepped, features):
  """SUM over the layers of the distance of the rows of S_0 T_1^T and T_0 S_1^T."""
  total = 0
  for i in range(2):
    for k in range(2):
      S0, S1, T0, T1 = (np.asarray(features[who, i, t]['tokens'][k][0], np.float64)
                        for who in ('x', 'fake') for t in range(2))
      total += distance(S0 @ T1.T, T0 @ S1.T) / 2
  assert stepped[-1]['cs_motion'] == pytest.approx(total, rel=1e-3)


def test_gradient_through_one_pass_is_that_of_the_whole_loss(stepped):
  """Written as one function of G, with the weights of the config; source tokens are constants."""
  model, before, after, _ = stepped
  x = BATCH['a'].reshape(-1, 32, 32, 3)

  def loss(gen):
    fake = shared_roma.features(model, model.apply({'gen': gen}, 'gen', x))
    terms = roma.structure(model, shared_roma.features(model, x), fake, 2, KEY)
    return (jnp.mean((roma.scores(model, after.params, fake) - 1)**2)
            + 5 * terms['cs_global']() + 5 * terms['cs_local']() + terms['cs_motion']())
  gradient = compiled(jax.grad(loss))(before.params['gen'])
  moves = jax.tree.map(lambda old, new: (old - new) / 0.01, before.params['gen'],
                       after.params['gen'])
  for expected, value in zip(jax.tree.leaves(gradient), jax.tree.leaves(moves), strict=True):
    np.testing.assert_allclose(value, expected, atol=2e-3 * (1e-2 + np.abs(expected).max()))


# ---- Without a ViT, with one frame, on devices


@pytest.fixture(scope='module')
def without_vit():
  model, before = setup(tiny('none'))
  return model, before, *step_on(1, model)(before, BATCH)


def test_without_a_vit_all_terms_are_there(without_vit):
  model, before, after, terms = without_vit
  assert set(terms) == TERMS and all(np.isfinite(value) for value in terms.values())
  assert moved(before, after) == {'gen', 'disc_b'}
  assert model.networks['disc_b'].critic.out_channels == 1   # the 6 are those of the tokens


def test_without_a_vit_motion_compares_normalized_tokens_of_both_frames(without_vit):
  model, before, _, terms = without_vit
  x = BATCH['a'].reshape(-1, 32, 32, 3)
  fake = model.apply(before.params, 'gen', x)
  S, T = ([layer.reshape(2, 2, *layer.shape[1:]) for layer in descriptor.tokens(
      descriptor.maps(frames, **model.config.lss))] for frames in (x, fake))
  value = similarity.motion_similarity(*([layer[:, t] for layer in layers]
                                         for layers in (S, T) for t in range(2)))
  assert terms['cs_motion'] == pytest.approx(float(value), rel=1e-4)


def test_descriptors_are_made_once(monkeypatch):
  calls, original = [], descriptor.maps

  def counted(frames, **options):
    calls.append(len(frames))
    return original(frames, **options)
  monkeypatch.setattr(descriptor, 'maps', counted)
  calls_of(tiny('none'), BATCH)
  assert calls == [4, 4]


def test_single_frames_leave_out_motion():
  config = tiny('none')
  config.data.frames = 1
  model, before = setup(config)
  _, terms = jax.eval_shape(step_on(1, model), before, clips(1, size=32))
  assert set(terms) == TERMS - {'cs_motion'}


def test_equal_frames_cost_no_structure(without_vit):
  model = without_vit[0]
  same = shared_roma.features(model, BATCH['b'].reshape(-1, 32, 32, 3))
  terms = roma.structure(model, same, same, 2, KEY)
  assert all(terms[name]() < 1e-5 for name in ('cs_global', 'cs_local', 'cs_motion'))


def test_two_devices_equal_one(without_vit):
  model, before, after, terms = without_vit
  two = step_on(2, model)(before, BATCH)
  for name in TERMS:
    assert two[1][name] == pytest.approx(float(terms[name]), rel=1e-4)
  for x, y in zip(jax.tree.leaves(after.params), jax.tree.leaves(two[0].params), strict=True):
    np.testing.assert_allclose(x, y, atol=1e-5)


# ---- Numbers of the paper, use


@pytest.mark.parametrize(('backbone', 'critic', 'shape'), [
    ('vit', 1_181_184, (1, 785, 768)), ('none', 2_764_737, (1, 30, 30, 1))])
def test_parameters_and_scores_of_the_public_code(backbone, critic, shape):
  config = config_of('roma')
  config.backbone = backbone
  assert parameter_counts(roma, config) == {'gen': 11_378_179, 'disc_b': critic}
  model = Model(config, roma.networks(config))
  params = jax.eval_shape(lambda: load.fresh_params(roma, model))
  features = {'frames': jnp.zeros((1, 256, 256, 3)), 'tokens': [jnp.zeros((1, 576, 768))]}
  scores = jax.eval_shape(functools.partial(roma.scores, model), params, features)
  assert scores.shape == shape


def test_config_holds_the_numbers_of_the_published_command():
  config = config_of('roma', 'paper')
  assert (config.backbone, config.data.source, config.data.frames) == ('vit', 'folders', 2)
  assert (config.weights.cs_global, config.weights.cs_local, config.weights.cs_motion) == (5, 5, 1)
  assert (config.optim.lr_by_backbone.vit, config.cs.local_nums, config.cs.side) == (1e-5, 64, 7)
  assert roma.frozen_networks(config)['vit'][1] == 'vit_b16_384'
  assert config.data.finetune_no_crop   # whole frames at the end


def test_regions_of_the_public_code_are_one_switch_away():
  config = tiny()
  features = {'tokens': [jax.random.normal(KEY, (1, 16, 4))]}
  exact = roma.critic_input(config, features)
  config.disc.roma_window_quirk = True
  slip = roma.critic_input(config, features)
  np.testing.assert_array_equal(slip, vit.regions(features['tokens'][0], (2, 3), extra_row=True))
  assert exact.shape == slip.shape and np.any(exact != slip)


def test_translates_frame_by_frame_and_shows_both_frames(without_vit):
  model, before = without_vit[:2]
  carry, fake = roma.translate(model, before.params, {}, None, BATCH['a'])
  assert carry is None and fake.shape == BATCH['a'].shape
  rows = roma.sample_rows(model, before.params, {}, BATCH, KEY)
  assert list(rows) == ['infrared, frame 0', 'translated, frame 0', 'infrared, frame 1',
                        'translated, frame 1', 'visible, not of this scene']
  np.testing.assert_allclose(rows['translated, frame 1'], fake[:, 1], atol=1e-6)
