"""MornGAN: who moves in which phase, where gradients go, sizes, memory, variants."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from method_tools import ToyGenerator, clips, config_of, fresh_state, moved, one_step
from morngan_toys import ToySegmenter

from i2vjax.core import state
from i2vjax.core.model import Model
from i2vjax.losses import pseudo_labels
from i2vjax.methods import morngan, pearlgan
from i2vjax.networks import atrous_segmenter, combogan, multi_view_critic

KEY, RATE, SIDE = jax.random.key(0), 1e-3, 8
BATCH = clips(1, batch=2, size=SIDE)
REAL = {x: BATCH[x][:, 0] for x in 'ab'}
BATCH['labels_b'] = jax.random.choice(
    jax.random.key(4), jnp.array([0, 2, 5, 8, 10, 11, 13, 255]), (2, 1, SIDE, SIDE))
GEN, ALL = {'gen_ab', 'gen_ba'}, {'gen_ab', 'gen_ba', 'seg_a', 'seg_b'}


class Halves(ToyGenerator):
  """Pixel by pixel; no attention."""

  def encode(self, x):
    return super().encode(x)[0], None


class ToyCritics(nn.Module):
  """Two views with a map of scores each."""

  @nn.compact
  def __call__(self, x):
    return {name: [nn.Dense(1, name=name)(x)[..., 0]] for name in ('rgb', 'grad')}


@pytest.fixture(autouse=True, scope='module')
def toys():
  """Networks that compile in no time, in the method itself."""
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(pearlgan.combogan, 'generator', lambda *_: Halves())
    patch.setattr(pearlgan.multi_view_critic, 'critics', lambda *_: ToyCritics())
    patch.setattr(morngan.atrous_segmenter, 'segmenter', lambda _, classes: ToySegmenter(classes))
    yield


def tiny(words='demo', **weights):
  config = config_of('morngan', words)
  config.data.update(load_size=SIDE, crop_size=SIDE)
  config.seg.sizes, config.sga.grid, config.gan.pool = (SIDE,), 2, 3
  config.train.per_epoch = 10
  config.weights.update(weights)
  return config


def setup_of(config):
  """(model, state without a device axis)."""
  optimizers = dict.fromkeys(morngan.PLAYERS, optax.adam(RATE))
  model = Model(config, morngan.networks(config), optimizers)
  return model, fresh_state(morngan, model)


@pytest.fixture(scope='module')
def ready(toys):
  config = tiny()
  return config, *setup_of(config)


def stepped(ready, phase, batch=None):
  """(state, terms) after a step of a phase on one device."""
  _, model, fresh = ready
  size = 0 if phase in ('translation', 'frozen') else SIDE
  return one_step(morngan, model.replace(phase=(phase, size)), fresh,
                  BATCH if batch is None else batch)


# ---- Phases

SEGMENTS = {'translation': (set(), set()), 'visible': ({'seg_b'}, {'ce_real_b'}),
            'both': ({'seg_a', 'seg_b'}, {'ce_real_b', 'boundary', 'ce_fake_a'}),
            'mining': ({'seg_a', 'seg_b'}, {'ce_real_b', 'boundary', 'ce_fake_a', 'ce_real_a',
                                            'sr_l1', 'sr_ssim'}),
            'frozen': (set(), {'ce_fake_a', 'ce_fake_b', 'aca', 'cgr', 'sr_l1', 'sr_ssim'})}
ALWAYS = {'adversarial', 'cycle', 'cycle_ssim', 'tv', 'sga', 'mono', 'temp', 'disc'}
CHEAP = ('frozen',)


@pytest.mark.parametrize('phase', [
    pytest.param(x, marks=[pytest.mark.slow] * (x not in CHEAP)) for x in morngan.PHASES])
def test_who_moves_and_what_is_counted_in_a_phase(ready, phase):
  """Who does not train keeps weights and moments; first updates are no longer than the rate."""
  fresh = ready[-1]
  after, terms = stepped(ready, phase)
  segmenters, counted = SEGMENTS[phase]
  assert moved(fresh, after) == GEN | {'disc_a', 'disc_b'} | segmenters
  assert {name for name in terms if '/' not in name} == ALWAYS | counted
  assert ('mined/all' in terms) == (phase in ('mining', 'frozen'))
  assert all(np.isfinite(value) for value in terms.values())
  for player in ('seg_a', 'seg_b'):
    same = jax.tree.map(lambda x, y: bool(jnp.all(x == y)), fresh.opt[player], after.opt[player])
    assert all(jax.tree.leaves(same)) == (player not in segmenters)
    far = jax.tree.map(lambda x, y: float(jnp.max(jnp.abs(x - y))), fresh.params[player],
                       after.params[player])
    assert max(jax.tree.leaves(far)) <= 1.01 * RATE


def test_steps_of_phases_and_sizes(ready):
  config = tiny()
  config.seg.sizes = (16, 24, 32)
  assert morngan.phases(config) == [(0, 'translation'), (20, 'visible'), (30, 'both'),
                                    (40, 'mining'), (80, 'frozen')]
  drawn = [morngan.step_variant(config, step) for step in range(100)]
  assert set(drawn[:20] + drawn[80:]) == {0} and set(drawn[20:80]) == {16, 24, 32}
  assert drawn == [morngan.step_variant(config, step) for step in range(100)]
  config.start.phases = ()
  assert morngan.phases(config) == [(0, 'translation')]


def test_rows_of_the_ablation_are_words():
  def counted(word):
    config = tiny(f'demo-{word}')
    return {term for _, phase in morngan.phases(config) for term in morngan.terms_of(config, phase)}
  classes = {'ce_real_b', 'boundary', 'ce_fake_a', 'ce_real_a', 'ce_fake_b'}
  assert counted('baseline') == counted('todaygan_ntir') == set()
  assert counted('sc') == counted('sdp') == counted('dlamgan') == classes
  assert counted('mgca') == classes | {'aca'} and counted('cgr') == classes | {'aca', 'cgr'}
  for words, thermal, visible in (('paper', 'paper', True), ('kaist', 'paper', True),
                                  ('paper-sdp', 'paper', True), ('paper-sc', 'none', False),
                                  ('paper-dlamgan', 'none', False), ('demo', 'paper', False)):
    config = config_of('morngan', words)   # both halves of semantic denoising
    assert (config.mining.sdp, config.data.labels_b_denoise) == (thermal, visible), words
  assert tiny('demo-mgca').memory.use and not tiny('demo-sdp').memory.use
  assert tiny('demo-cgr').weights.sr_l1 == 0 and tiny().weights.sr_l1 == 10
  assert config_of('morngan', 'paper-dlamgan').mining.theta_bg == 0.95


def test_only_who_is_taught_moves():
  assert morngan.movers(tiny(), 'visible') == ('gen', 'seg_b')
  assert morngan.movers(tiny(ce_real_b=0), 'visible') == ('gen',)
  assert morngan.movers(tiny(ce_fake_a=0), 'both') == ('gen', 'seg_b')
  assert morngan.movers(tiny('demo-baseline'), 'translation') == ('gen',)


def test_class_maps_are_asked_for_where_something_looks_at_them():
  assert morngan.batch_fields(tiny()) == ('labels_b', 'labels_a')     # scenes know the truth
  paper = config_of('morngan', 'paper')
  paper.data.labels_b = 'maps'
  assert morngan.batch_fields(paper) == ('labels_b',)
  assert morngan.batch_fields(tiny('demo-baseline')) == ('labels_b',)    # for the temperature
  config = tiny('demo-baseline', temp=0)
  assert morngan.batch_fields(config) == ()
  config.data.edges_a = 'folder'
  assert morngan.batch_fields(config) == ('edges_a',)


def test_folders_without_class_maps_lose_the_temperature_and_what_needs_classes_is_refused():
  baseline = config_of('morngan', 'paper-todaygan_ntir')
  assert baseline.weights.temp and morngan.batch_fields(baseline) == ()
  assert set(morngan.heat_terms(baseline, 0, REAL['a'], {})) == {'mono'}
  baseline.data.labels_b = 'maps'
  assert morngan.batch_fields(baseline) == ('labels_b',)
  with pytest.raises(ValueError, match='--config.data.labels_b=FOLDER, 8-bit PNGs'):
    morngan.batch_fields(config_of('morngan', 'paper-sc'))


def test_words_mean_the_same_in_any_order():
  def fields(words):
    return {**config_of('morngan', words).to_dict(), 'variant': ''}
  for words in (('dlamgan', 'demo'), ('literal', 'demo'), ('kaist', 'demo'), ('paper', 'demo'),
                ('raw', 'kaist'), ('baseline', 'demo'), ('slips', 'sdp', 'demo')):
    assert fields('-'.join(words)) == fields('-'.join(words[::-1])), words
  config = config_of('morngan', 'dlamgan-demo')
  assert config.mining.theta_fg == config.mining.theta_bg == 0.8   # one threshold
  config = config_of('morngan', 'demo-literal')
  assert (config.seg.sizes, config.seg.fill, config.start.temp) == ((64,), 0.0, 1)
  config = config_of('morngan', 'demo-kaist')
  assert (config.train.epochs, config.start.phases) == (10, (3, 4, 5, 9))
  assert config_of('morngan', 'demo-paper').data.resize == 'square'


def test_words_for_print_and_for_the_public_code():
  literal, release, slips = (config_of('morngan', x) for x in ('literal', 'release', 'slips'))
  assert literal.mining.phase4 == 'both_confident' and literal.aca.every
  assert (literal.start.ssim, literal.data.labels_b_denoise, literal.cgr.unlabeled) == (
      1, True, False)
  rest = set(range(19)) - set(literal.classes.foreground)
  assert set(literal.classes.background) == rest == {0, 1, 3, 4, 5, 8, 9, 10}
  assert release.classes.background == tuple(range(11)) and release.start.ssim == 11
  assert (slips.memory.top_k, release.memory.top_k) == (-10, 10)
  assert 'boundary' in morngan.terms_of(literal, 'visible')
  assert 'boundary' not in morngan.terms_of(release, 'visible')
  assert release.mining.phase3 == 'both_confident' and slips.mining.phase3 == 'first_confident'
  assert config_of('morngan', 'kaist').start.phases == (51, 91, 101, 146)
  with pytest.raises(ValueError, match='configs/morngan.py:demo-rain'):
    config_of('morngan', 'demo-rain')


def test_mistakes_are_named():
  config = tiny()
  config.mining.sdp = 'both'
  with pytest.raises(ValueError, match="mining.sdp='both': choose 'paper' or 'release' or 'none'"):
    morngan.networks(config)
  config = tiny()
  config.data.direction = 'b2a'
  with pytest.raises(ValueError, match='data.direction'):
    morngan.networks(config)
  config = tiny()
  config.data.crop_size = 20
  with pytest.raises(ValueError, match='multiples of 8'):
    morngan.networks(config)


def test_as_many_parameters_as_published():
  """68,654,744 while training; 46.7 MB, encoder and renderer, in use."""
  config = config_of('morngan')
  nets, examples = real_networks(config), morngan.example_inputs(config)
  sizes = {name: sum(x.size for x in jax.tree.leaves(jax.eval_shape(
      net.init, KEY, *examples[name])['params'])) for name, net in nets.items()}
  assert sum(sizes.values()) == 68_654_744 and sizes['gen_ab'] == 11_665_297


def real_networks(config):
  """Of the sizes in the config; the method's own names for them are toys here."""
  gen = combogan.ComboGenerator(3, config.gen.width, 4, 5, False, 32)
  critic = multi_view_critic.ThreeCritics(config.disc.width, config.disc.stages)
  segmenter = atrous_segmenter.AtrousSegmenter(config.data.label_classes, config.seg.width)
  return {'gen_ab': gen, 'gen_ba': gen, 'disc_a': critic, 'disc_b': critic, 'seg_a': segmenter,
          'seg_b': segmenter}


# ---- Where gradients go


def slopes(ready, phase, term):
  """Names of the networks that a term of a phase has a gradient for."""
  _, model, fresh = ready
  model = model.replace(phase=(phase, 0 if phase == 'frozen' else SIDE))
  labels = {'b': BATCH['labels_b'][:, 0]}

  def loss(params):
    outputs = pearlgan.translations(model, params, REAL)
    terms, _ = morngan.class_terms(model, params, REAL, outputs, labels, KEY)
    return terms[term]()

  params = {name: fresh.params[name] for name in ALL}
  grads = jax.jit(jax.grad(loss))(params)
  return {name for name in ALL if any(x.any() for x in jax.tree.leaves(grads[name]))}


def test_a_constant_translation_teaches_the_segmenter_alone(ready):
  assert slopes(ready, 'both', 'ce_fake_a') == {'seg_a'}
  assert slopes(ready, 'mining', 'ce_fake_a') == {'seg_a', 'gen_ba'}


def test_consistency_and_repair_reach_the_way_to_the_visible(ready):
  assert slopes(ready, 'frozen', 'cgr') == {'gen_ab'}
  assert slopes(ready, 'frozen', 'ce_fake_b') == {'gen_ab', 'seg_b'}   # S_b, frozen, is no player


def test_labels_of_thermal_frames_follow_the_rule_of_the_phase():
  config, first = tiny(), tiny()
  first.mining.phase3 = 'first_confident'
  sequence = pseudo_labels.confusions(config.classes, 'a')
  thresholds = pseudo_labels.thresholds(19, config.classes.foreground, 0.8, 0.9)
  calls = []

  @jax.jit
  def labels(frames, sure_a, sure_b):
    gray = frames @ jnp.array([[0.299], [0.587], [0.114]])

    def other():
      calls.append(1)
      return sure_b
    alone = morngan.mined(config, 'frozen', frames, sure_a, other)
    assert not calls
    both = morngan.mined(config, 'mining', frames, sure_a, other)
    one = morngan.mined(first, 'mining', frames, sure_a, other)
    expected = (pseudo_labels.confident(sure_a, 0.8),
                pseudo_labels.agreed(sure_a, sure_b, thresholds, thresholds))
    return alone, both, one, [pseudo_labels.all_denoised(x, gray, sequence) for x in expected]
  sure_a, sure_b = (jax.nn.softmax(8 * jax.random.normal(key, (2, SIDE, SIDE, 19)))
                    for key in jax.random.split(KEY))
  alone, both, one, expected = labels(REAL['a'], sure_a, 0.5 * (sure_a + sure_b))
  np.testing.assert_array_equal(alone, expected[0])
  np.testing.assert_array_equal(both, expected[1])
  assert 0 < (both != 255).sum() < (alone != 255).sum()
  assert (one != 255).sum() > (both != 255).sum()


# ---- Sizes


class Identity(nn.Module):
  """Times a parameter that is 1."""

  @nn.compact
  def __call__(self, x):
    return self.param('one', nn.initializers.ones, ()) * x


def test_scale_robustness_of_an_identity_on_flat_frames_is_0_at_both_sizes():
  model = Model(tiny(), {name: Identity() for name in morngan.PLAYERS['gen']})
  params = {name: {'one': jnp.ones(())} for name in model.networks}
  flat = {x: jnp.full((1, SIDE, SIDE, 3), 0.3) for x in 'ab'}

  @jax.jit
  def robustness(key, real):
    before = state.State(params, {}, {}, {}, jnp.int32(3), key)
    return morngan.robustness(model, before, real, {'a': real['b'], 'b': real['a']})
  values = {}
  for k in range(8):
    grads, terms = robustness(jax.random.key(k), flat)
    np.testing.assert_allclose(jnp.stack(list(terms.values())), 0, atol=1e-5)
    coin = bool(jax.random.bernoulli(state.name_key(jax.random.fold_in(jax.random.key(k), 3),
                                                    'sizes')))
    grads, terms = robustness(jax.random.key(k), REAL)
    assert set(grads) == GEN and all(np.isfinite(x) for x in jax.tree.leaves(grads))
    values.setdefault(coin, float(terms['sr_l1']))
  assert set(values) == {True, False}
  # Made small first, an identity is exact; made large and small again, it is not.
  assert values[True] < 1e-6 < values[False]


# ---- Memory


class ToyFeed:
  """A feed that shows what it is asked to keep: (table, whether it may be known already)."""

  def __init__(self, source):
    self.source = source

  def sweep(self):
    return self.source

  def kept_pairs(self, first, make, known):
    return make(), known

  def with_pairs(self, answer):
    return answer


def test_memory_is_what_the_segmenter_sees_in_every_window(ready):
  config, model, fresh = ready
  frames = jax.random.uniform(jax.random.key(7), (5, 2, SIDE, SIDE, 3), minval=-1)
  index = np.array([0, 1, 2, 3, 4, 4])
  source = [{'a': frames[index[k:k + 3]], 'index': index[k:k + 3],
             'corner': np.stack([index[k:k + 3], 9 - index[k:k + 3]], axis=1)} for k in (0, 3)]
  feed = ToyFeed(source)
  early = model.replace(phase=('mining', 8))
  assert morngan.training_feed(early, feed, fresh, 0) == (None, False)
  late = model.replace(phase=('frozen', 0))
  table, may_be_stored = morngan.training_feed(late, feed, fresh, 10 ** 6)
  assert may_be_stored
  assert table['top'] == 10 and tuple(table['classes']) == config.classes.small
  np.testing.assert_array_equal(table['corner'], [[k, 9 - k] for k in range(5)])
  for k in range(5):
    sure = jax.nn.softmax(model.apply(fresh.params, 'seg_a', frames[k]))
    labels = morngan.mined(config, 'frozen', frames[k], sure, None)
    direction = pseudo_labels.rare_direction(labels.reshape(1, -1, SIDE), config.classes.small)
    np.testing.assert_allclose(table['vector'][k], direction[0], atol=1e-6)
  assert table['vector'].any()
  without_memory = late.replace(config=tiny('demo-sdp'))
  assert morngan.training_feed(without_memory, feed, fresh, 0)[0] is None


@pytest.mark.slow
def test_sample_sheet_shows_classes(ready):
  _, model, fresh = ready
  rows = morngan.sample_rows(model, fresh.params, fresh.model_state, BATCH, KEY)
  assert {'a to b', 'back to a', 'classes of a', 'classes of b'} <= set(rows)
  assert all(x.shape == (2, SIDE, SIDE, 3) for x in rows.values())
