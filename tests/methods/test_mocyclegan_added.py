"""Mocycle-GAN with what I2V-GAN's ablation adds to it: perceptual distance, EXS, INS."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import config_of, drifting, moved, one_step, passes, with_resnet
from mocyclegan_toys import toys_of

from i2vjax.core import ops
from i2vjax.losses import contrastive, perceptual
from i2vjax.methods import feature_terms, mocyclegan
from i2vjax.methods.shared import DIRECTIONS
from i2vjax.networks import projector

B, SIZE = 2, 8
BATCH = drifting(3, B, SIZE, (1.5, -0.5), signs=(1, -1))


def tiny(frames=3, **weights):
  """The demo for frames of 8 pixels, of which every place is compared; few taps."""
  config = with_resnet(config_of('mocyclegan', 'demo'))
  config.data.update(load_size=SIZE, crop_size=SIZE, frames=frames)
  config.flow.name, config.gan.pool = 'gt+zero', 0
  config.motion.update(width=2, blocks=1)
  config.nce.update(width=8, patches=SIZE * SIZE, taps=('rgb', 'stem'))
  config.vgg.update(style_taps=('relu1_1', 'relu4_1'), style_taps_weights=(0.5, 1.0))
  config.weights.update(weights)
  return config


def frames_of(batch, count):
  """The first frames of each clip and the flow between them."""
  return {name: x[:, :count - ('flow' in name)] for name, x in batch.items()}


@pytest.fixture(scope='module')
def stepped():
  """(config, set-up, state and terms after a step) with all three additions, without motion."""
  config = tiny(exs=0.1, ins=40.0, **dict.fromkeys(mocyclegan.MOTION_TERMS, 0.0))
  config.perceptual = 'random'
  setup = toys_of(config)
  return config, setup, *one_step(mocyclegan, *setup, BATCH)


@pytest.fixture(scope='module')
def images(stepped):
  """{x: (x_k, x^_k in the other domain, x'_k)}, lists of three frames made one by one."""
  _, (model, before), *_ = stepped
  images = {}
  for x, y in DIRECTIONS:
    real = [BATCH[x][:, k] for k in range(3)]
    fake = [model.apply(before.params, f'gen_{x}{y}', frame) for frame in real]
    images[x] = real, fake, [model.apply(before.params, f'gen_{y}{x}', frame) for frame in fake]
  return images


def test_cycle_is_the_mean_of_vl_over_three_frames(stepped, images):
  config, (model, _), _, terms = stepped
  fields = {name: config.vgg[name] for name in feature_terms.VL_FIELDS}

  def vl(x, y):
    features = [model.apply(model.frozen, 'vgg19', image) for image in (x, y)]
    return jnp.mean(jnp.abs(x - y)) + perceptual.distance(*features, **fields)
  by_hand = sum(vl(again, frame) for real, _, back in images.values()
                for again, frame in zip(back, real, strict=True)) / 3
  np.testing.assert_allclose(terms['cycle'], by_hand, rtol=1e-4)


def test_similarity_of_all_fakes_by_hand(stepped, images):
  """EXS is summed over three frames and INS compares them, all made by the generator."""
  config, (model, before), _, terms = stepped
  model, heads = feature_terms.with_projections(model, before.key)
  taps = projector.taps(config)

  @functools.partial(jax.jit, static_argnums=0)
  def of_side(side, real, fake):
    def z(frame):
      _, maps = model.apply(before.params, f'gen_{side}', frame, taps, method='encode')
      flat = [maps[tap].reshape(B, SIZE * SIZE, -1) for tap in taps]
      return model.apply(heads, f'proj_{side}', flat)
    real, fake = ([z(frame) for frame in frames] for frames in (real, fake))
    return (sum(contrastive.external_similarity(q, k) for q, k in zip(fake, real, strict=True)),
            contrastive.internal_similarity(real, fake))
  values = [of_side(f'{x}{y}', *images[x][:2]) for x, y in DIRECTIONS]
  exs, ins = map(sum, zip(*values, strict=True))
  np.testing.assert_allclose(terms['exs'], exs, rtol=1e-4)
  np.testing.assert_allclose(terms['ins'], ins, rtol=1e-3)
  assert exs > 0 and ins > 0


def test_same_networks_as_without_and_what_is_taught_moves(stepped):
  _, (_, before), after, _ = stepped
  players = {name for names in mocyclegan.PLAYERS.values() for name in names}
  assert set(before.params) == players
  assert moved(before, after) == players - {'motion_ab', 'motion_ba'}   # no term has them move


def test_motion_of_three_frames_is_the_mean_of_both_pairs(stepped):
  _, (model, before), *_ = stepped

  @functools.partial(jax.jit, static_argnums=0)
  def terms_of(frames, batch):
    of_length, real = model.replace(config=tiny(frames)), {x: ops.fold(batch[x]) for x in 'ab'}
    fake, back, _ = mocyclegan.translations(of_length, before.params, real)
    flows = mocyclegan.motions(of_length, batch)
    terms = mocyclegan.motion_terms(of_length, before.params, flows, real, fake, back)
    return {name: term() for name, term in terms.items()}
  scale = jnp.array([1.0, 0.2])[:, None, None, None]   # one pair moves less than the other
  batch = {name: x * scale if 'flow' in name else x for name, x in BATCH.items()}
  first, second = (terms_of(2, frames_of({name: x[:, k:] for name, x in batch.items()}, 2))
                   for k in (0, 1))
  for name, value in terms_of(3, batch).items():
    np.testing.assert_allclose(value, (first[name] + second[name]) / 2, rtol=1e-5, err_msg=name)
    assert abs(first[name] / second[name] - 1) > 1e-2


def passes_of(config):
  return passes(mocyclegan, config, frames_of(BATCH, config.data.frames))


def test_what_is_only_looked_at_rides_along_in_the_second_call_of_an_encoder():
  calls = passes_of(tiny(2, exs=0.1))
  assert calls['gen_ab', 'encode'] == [2 * B, 4 * B]
  assert calls['gen_ab', 'decode'] == [2 * B, 2 * B]
  assert not [name for name, _ in calls if name == 'vgg19']


def test_vgg_sees_real_frames_and_those_led_back_and_no_generator_more():
  config = tiny(3)
  config.perceptual = 'random'
  calls = passes_of(config)
  assert calls['vgg19', 'whole'] == [6 * B, 6 * B]
  assert calls['gen_ab', 'encode'] == calls['gen_ab', 'decode'] == [3 * B, 3 * B]


def test_only_the_networks_that_a_term_reads_are_frozen_beside_it():
  config = config_of('mocyclegan', 'paper')
  config.perceptual = 'vgg'
  assert {name: weights for name, (_, weights) in mocyclegan.frozen_networks(config).items()} == {
      'vgg19': 'vgg19', 'flow': 'raft_small'}
  config.weights.cycle = 0.0
  assert set(mocyclegan.frozen_networks(config)) == {'flow'}
  config.perceptual = 'on'
  with pytest.raises(ValueError, match="perceptual='on': choose 'vgg'"):
    mocyclegan.frozen_networks(config)


def test_internal_similarity_asks_for_three_frames():
  with pytest.raises(ValueError, match='data.frames=2: weights.ins .*--config.data.frames=3'):
    mocyclegan.networks(tiny(2, ins=40.0))
  assert set(mocyclegan.networks(tiny(3))) == set(mocyclegan.networks(tiny(2)))


def test_unequal_channels_are_refused_where_encoders_read_both():
  config = tiny(2)
  config.data.channels_a = 1
  mocyclegan.networks(config)
  config.weights.exs = 0.1
  with pytest.raises(ValueError, match='data.channels_a=1 must equal data.channels_b=3'):
    mocyclegan.networks(config)


def test_samples_of_three_frames_show_the_second(stepped):
  _, (model, before), *_ = stepped
  model = model.replace(config=tiny(3))
  rows = jax.jit(lambda batch: mocyclegan.sample_rows(
      model, before.params, {}, batch, jax.random.key(0)))(BATCH)
  np.testing.assert_array_equal(rows['a'], BATCH['a'][:, 1])
  assert all(row.shape == (B, SIZE, SIZE, 3) for row in rows.values())


def test_runs_older_than_the_additions_can_still_be_opened():
  config = tiny(2)
  for block in ('nce', 'ins', 'vgg'):
    del config[block]
  del config.weights['exs'], config.weights['ins']
  assert mocyclegan.frozen_networks(config) == {} and 'gen_ab' in mocyclegan.networks(config)
  assert not feature_terms.uses_nce(config)
