"""I2V-GAN in use: what is refused, translation both ways, no projection."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from method_tools import clips, config_of, moved, one_step, toy_setup, with_resnet

from i2vjax.core.model import Model
from i2vjax.methods import i2vgan, recyclegan, triplets
from i2vjax.networks import projector
from i2vjax.run import checkpoint, direction, load


def tiny():
  """The demo for frames of 8 pixels."""
  config = with_resnet(config_of('i2vgan', 'demo'))
  config.data.update(load_size=8, crop_size=8)
  config.pred.downs = 2
  config.nce.update(width=8, patches=16)
  return config


def test_other_than_three_frames_are_refused():
  with pytest.raises(ValueError, match='data.frames=2.*data.frames=3'):
    triplets.three_frames(jnp.zeros((1, 2, 8, 8, 3)))


def test_unequal_channels_are_refused_where_encoders_read_both():
  config = tiny()
  config.data.channels_a = 1
  with pytest.raises(ValueError, match='data.channels_a=1 must equal data.channels_b=3'):
    i2vgan.networks(config)
  config.weights.update(identity=0.0, exs=0.0, ins=0.0)
  assert set(i2vgan.networks(config)) == {n for names in i2vgan.PLAYERS.values() for n in names}


def translated(mode, frames, chunks):
  config = tiny()
  config.eval.mode = mode
  model, fresh = toy_setup(i2vgan, config)
  carry, parts = None, []
  for part in jnp.split(frames, chunks, axis=1):
    carry, out = i2vgan.translate(model, fresh.params, {}, carry, part)
    parts.append(out)
  return model, fresh.params, jnp.concatenate(parts, 1)


@pytest.mark.parametrize('mode', ['generator', 'predictor', 'average'])
def test_clip_in_chunks_equals_the_clip_whole(mode):
  frames = jax.random.uniform(jax.random.key(3), (2, 5, 8, 8, 3), minval=-1)
  _, _, whole = translated(mode, frames, ())
  _, _, parts = translated(mode, frames, (1, 4))
  np.testing.assert_allclose(whole, parts, atol=1e-6)


def test_average_mode_predicts_from_the_generators_own_frames():
  """Not from averaged ones; the first two frames are the generator's. 6 x 7 pixels are padded."""
  frames = jax.random.uniform(jax.random.key(3), (1, 4, 6, 7, 3), minval=-1)
  model, params, out = translated('average', frames, ())
  fake = [model.apply(params, 'gen_ab', frames[:, i]) for i in range(4)]
  for i in range(4):
    predicted = fake[i]
    if i > 1:
      predicted = model.apply(params, 'pred_b', jnp.concatenate(fake[i - 2:i], -1))
    np.testing.assert_allclose(out[:, i], (fake[i] + predicted) / 2, atol=1e-5)


def test_an_unknown_mode_names_the_field():
  with pytest.raises(ValueError, match="eval.mode='both'.*average"):
    translated('both', jnp.zeros((1, 1, 8, 8, 3)), ())


def test_samples_show_both_directions_and_predictions():
  config = tiny()
  model, fresh = toy_setup(i2vgan, config)
  rows = i2vgan.sample_rows(model, fresh.params, {}, clips(3, batch=2), jax.random.key(0))
  assert list(rows)[:5] == ['a', 'a to b', 'a to b, predicted', 'back to a', 'a, predicted']
  assert len(rows) == 10 and all(images.shape == (2, 8, 8, 3) for images in rows.values())


@pytest.mark.parametrize('mode', ['predictor', 'average'])
def test_only_the_generators_frames_are_carried(mode):
  """Neither predicted nor averaged ones, which are all that is shown from frame 2 on."""
  config = tiny()
  config.eval.mode = mode
  model, fresh = toy_setup(i2vgan, config)
  frames = jax.random.uniform(jax.random.key(3), (1, 4, 8, 8, 3), minval=-1)
  (before, count), out = i2vgan.translate(model, fresh.params, {}, None, frames)
  fake = [model.apply(fresh.params, 'gen_ab', frames[:, i]) for i in (2, 3)]
  np.testing.assert_allclose(before, jnp.stack(fake, 1), atol=1e-6)
  assert count == 4 and float(jnp.abs(out[:, 2:] - before).max()) > 1e-3


def test_run_used_from_b_to_a_predicts_in_the_other_domain():
  """The frames of gen_ba, and pred_a on them."""
  config = tiny()
  config.eval.mode = 'predictor'
  model, fresh = toy_setup(i2vgan, config)
  run = direction.swap_domains(load.Run(i2vgan, model, fresh.params, {}, 0))
  frames = jax.random.uniform(jax.random.key(3), (1, 3, 8, 8, 3), minval=-1)
  _, out = i2vgan.translate(run.model, run.params, {}, None, frames)
  fake = [model.apply(fresh.params, 'gen_ba', frames[:, i]) for i in range(2)]
  np.testing.assert_allclose(out[:, 0], fake[0], atol=1e-6)
  np.testing.assert_allclose(
      out[:, 2], model.apply(fresh.params, 'pred_a', jnp.concatenate(fake, -1)), atol=1e-6)


def test_features_themselves_are_compared_without_a_projection(tmp_path):
  """nce.mlp=False: a player without parameters is stepped, saved and restored like others."""
  config = tiny()
  config.nce.update(mlp=False, train_projection=True)
  setup = toy_setup(i2vgan, config)
  after, terms = one_step(i2vgan, *setup, clips(3))
  assert after.params['proj_ab'] == after.params['proj_ba'] == {}
  assert moved(setup[1], after) == set(after.params) - {'proj_ab', 'proj_ba'}
  assert np.isfinite(terms['exs']) and np.isfinite(terms['ins'])
  checkpoints = checkpoint.manager(tmp_path)
  checkpoint.save(checkpoints, after.replace(step=np.int32(1), device_state={}), {})
  checkpoint.finish(checkpoints)
  restored, _ = checkpoint.restore(checkpoints, setup[1].replace(device_state={}))
  jax.tree.map(np.testing.assert_array_equal, restored.params, after.params)


def test_unused_projections_keep_their_shapes_whatever_the_generator():
  """Their parameters stay part of a run; taps are checked where a term needs them."""
  config = config_of('i2vgan')
  expected = [x.shape for x in i2vgan.example_inputs(config)['proj_ab'][0]]
  config.gen.blocks = 2
  with pytest.raises(ValueError, match='nce.taps: res_2 not in a generator with gen.blocks=2'):
    i2vgan.example_inputs(config)
  config.weights.update(exs=0.0, ins=0.0)
  assert [x.shape for x in i2vgan.example_inputs(config)['proj_ab'][0]] == expected


def test_eq_1_as_printed_and_as_published():
  """Sum over three frames of log(1 - D), or of the loss that has a gradient; critics alike."""
  config = config_of('i2vgan', 'demo')
  scores = {'a': jnp.array([-1.0, 0.5, 2.0]), 'b': jnp.array([0.3, -0.2, 1.5])}
  model = Model(config, {f'disc_{x}': Shown() for x in 'ab'})
  outputs = {x: {'fake': [v.reshape(1, 1, 1, 1) for v in s]} for x, s in scores.items()}

  def term():
    terms = recyclegan.adversarial_terms(model, {'disc_a': {}, 'disc_b': {}}, outputs)
    return terms['adversarial']()
  p = jax.nn.sigmoid(jnp.concatenate(list(scores.values())))
  config.gan.mode = 'vanilla'
  assert term() == pytest.approx(float(-jnp.log(p).sum()), rel=1e-5)
  config.gan.g_form = 'minimax'
  assert term() == pytest.approx(float(jnp.log(1 - p).sum()), rel=1e-5)
  config.gan.mode = 'lsgan'
  with pytest.raises(ValueError, match="gan.g_form='minimax' with gan.mode='lsgan'"):
    term()


class Shown(nn.Module):
  """A critic whose scores are its input."""

  def __call__(self, x):
    return x


def test_the_layers_compared_are_those_of_the_public_code_with_nine_blocks_too():
  config = config_of('i2vgan')
  assert projector.taps(config)[-1] == 'up_0.blur'
  config.gen.blocks = 9
  assert projector.taps(config)[3:] == ('res_2', 'res_6')
  assert projector.taps(config_of('i2vgan', 'cptrans-tables'))[-1] == 'res_6'
