"""Time of a CPTrans step by parts, accuracy of its content weights.

  python benchmarks/profile_cptrans.py --config configs/cptrans.py:demo [--workdir RUN] [--crop 128]

Each part and the whole step are compiled and timed separately: minima of processor and of wall time
over --repeats. Parts share work in the step, so their sum differs from it. Then the patches that
each fast method selects are compared with those of 'vmap_grad', the definition.
"""

import argparse
import functools
import time

import jax
import jax.numpy as jnp

from i2vjax import train as trainer
from i2vjax.bench import clock, here
from i2vjax.core import parallel
from i2vjax.core.state import weighted
from i2vjax.data.loader import batches
from i2vjax.losses import adversarial
from i2vjax.methods import cptrans, shared_roma
from i2vjax.run import config_files, load, schedules, settle
from i2vjax.run import folder as run_folder


def timed(function, *inputs, repeats=5):
  """(wall, processor) seconds of one call, compiled before; minima."""
  call = {'': lambda: jax.block_until_ready(function(*inputs))}
  return clock.alternate(call, repeats)[''].min(0)


def parts(model, params, batch, key):
  """{name: (function, inputs)} of the parts of a step, as methods/cptrans.py composes them."""
  config = model.config
  x, y = batch['a'][:, 0], batch['b'][:, 0]
  features = functools.partial(shared_roma.features, model)
  fake = features(model.apply(params, 'gen', x))
  source, real = features(x), features(y)

  def weights(params):
    return cptrans.content_weights(model, params, real, fake, key)[:2]
  w, w_fake = jax.jit(weights)(params)

  def generate(gen, x):
    return model.apply({'gen': gen}, 'gen', x)

  def critic_part(disc, weight, label, frames):
    scores = cptrans.scores(model, {'disc_b': disc}, frames)
    losses = adversarial.patch_losses(scores, label, config.gan.mode)
    return cptrans.patch_mean(config, weight, losses)

  def critic(disc):
    return critic_part(disc, w, True, real) + critic_part(disc, w_fake, False, fake)

  def structure(fake):
    return weighted(shared_roma.structure(model, source, fake, key), config.weights)[0]

  def temporal(gen):
    flow, _ = cptrans.content_motion(config, w_fake, x, key)
    return cptrans.commutation(config, functools.partial(generate, gen), x, fake['frames'], flow,
                               key)

  def squares(gen):
    return jnp.sum(jnp.square(generate(gen, x)))
  return {'generator, forward': (jax.jit(generate), (params['gen'], x)),
          'generator, forward and backward': (jax.jit(jax.grad(squares)), (params['gen'],)),
          'critic': (jax.jit(jax.grad(critic)), (params['disc_b'],)),
          'content weights': (jax.jit(weights), (params,)),
          'structure': (jax.jit(jax.grad(structure)), (fake,)),
          'temporal term': (jax.jit(jax.grad(temporal)), (params['gen'],))}


def selections(model, params, batch, key, way):
  """Patches that `co.method` = `way` selects, [B, h, w] bool."""
  config = model.config.copy_and_resolve_references()
  config.co.method = way
  model = model.replace(config=config)
  fake = shared_roma.features(model, model.apply(params, 'gen', batch['a'][:, 0]))
  both = shared_roma.join(shared_roma.features(model, batch['b'][:, 0]), fake)

  @jax.jit
  def gradient_cosine(params):
    return cptrans.gradient_cosine(model, params, both, len(batch['a']), key)
  return cptrans.select(config, gradient_cosine(params)[0])


def read_config(options):
  """Settled config of the file, or of the run, with the size asked for."""
  if options.workdir:
    config = run_folder.read_config(options.workdir)
  else:
    config = config_files.read(options.config)
  if options.crop:
    config.data.update(crop_size=options.crop, load_size=options.crop)
  return settle.settle(config)


def input_seconds(config, count=20):
  """Seconds that the loop waits for a batch when nothing else happens between two."""
  feed = batches.train_iterator(config, parallel.local_batch(config.data.batch))
  next(feed)
  began = time.perf_counter()
  for _ in range(count):
    next(feed)
  return (time.perf_counter() - began) / count


def main():
  """Parse the command line, time, compare, print."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', default='configs/cptrans.py:demo')
  parser.add_argument('--workdir', help='take the networks of this run, not untrained ones')
  parser.add_argument('--crop', type=int, help='pixels; default: of the config')
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--compare', nargs='*', default=('auto',), help='methods to compare, or none')
  options = parser.parse_args()
  config = read_config(options)
  method, model = load.assemble(config)
  if options.workdir:
    params = load.load(options.workdir, config=config).params
  else:
    model = model.replace(optimizers=schedules.optimizers(config, method.PLAYERS, 1))
    params = load.fresh_state(method, model).params
  batch = trainer.on_device(batches.sample_windows(config, config.data.batch, 'train'), config)
  common = (model, params, batch, jax.random.key(1))
  step = here.training(config).step
  whole = timed(step, repeats=options.repeats)
  print(f'{parallel.describe()}, backbone {config.backbone}, {config.data.batch} x '
        f'{config.data.crop_size} pixels; wall s, processor s, share of the step')
  for name, (function, inputs) in parts(*common).items():
    seconds = timed(function, *inputs, repeats=options.repeats)
    print(f'{name:32} {seconds[0]:8.3f} {seconds[1]:8.3f} {seconds[1] / whole[1]:6.0%}')
  print(f'{"whole step":32} {whole[0]:8.3f} {whole[1]:8.3f}\n{"input, alone":32} '
        f'{input_seconds(config):8.3f}')
  for way in options.compare:
    exact, other = selections(*common, 'vmap_grad'), selections(*common, way)
    shared = jnp.sum(exact & other, (1, 2)) / jnp.sum(exact, (1, 2))
    print(f'{way}: shares {", ".join(f"{s:.2f}" for s in shared)} of the patches that vmap_grad '
          f'selects ({len(batch["a"])} translated, then as many real frames)')


if __name__ == '__main__':
  main()
