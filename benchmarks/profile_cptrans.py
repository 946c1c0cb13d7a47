"""Where the time of a CPTrans training step goes, and whether its cheap content weights are right.

  python benchmarks/profile_cptrans.py --config configs/cptrans.py:demo [--workdir RUN] [--crop 128]

Each part and the whole step are compiled and timed by themselves: minima of processor and of wall
time over --repeats. Parts share work in the step, so their sum differs from it. Then the patches
that each way chooses are compared with those that 'vmap_grad', the definition, chooses.
"""

import argparse
import functools
import runpy
import time

import jax
import jax.numpy as jnp
import numpy as np
import optax

from i2vjax import train as trainer
from i2vjax.core import parallel
from i2vjax.core.model import Model, apply
from i2vjax.core.state import weighted
from i2vjax.data.loader import batches as windows
from i2vjax.losses import adversarial
from i2vjax.methods import cptrans, vit_parts
from i2vjax.run import folder as run_folder
from i2vjax.run import load, schedules, settle


def timed(function, *inputs, repeats=5):
  """(processor, wall) seconds of one call, compiled before; minima."""
  jax.block_until_ready(function(*inputs))
  times = []
  for _ in range(repeats):
    began = time.process_time(), time.perf_counter()
    jax.block_until_ready(function(*inputs))
    times.append((time.process_time() - began[0], time.perf_counter() - began[1]))
  return np.min(times, axis=0)


def parts(config, nets, params, fixed, batch, key):
  """{name: (function, inputs)} of the parts of a step, as methods/cptrans.py composes them."""
  x, y = batch['a'][:, 0], batch['b'][:, 0]
  features = functools.partial(vit_parts.features, Model(config, nets, frozen=fixed))
  fake = features(apply(nets, params, 'gen', x))
  source, real = features(x), features(y)

  def weights(params):
    return cptrans.content_weights(Model(config, nets), params, real, fake, key)[:2]
  w, w_fake = jax.jit(weights)(params)

  def generate(gen, x):
    return apply(nets, {'gen': gen}, 'gen', x)

  def critic(disc):
    losses = [cptrans.patch_mean(config, weight, adversarial.patch_losses(
        cptrans.scores(Model(config, nets), {'disc_b': disc}, seen), label, config.gan.mode))
              for weight, label, seen in ((w, True, real), (w_fake, False, fake))]
    return sum(losses)

  def structure(fake):
    return weighted(
      vit_parts.structure(Model(config, nets, frozen=fixed), source, fake, key), config.weights
    )[0]

  def temporal(gen):
    flow, _ = cptrans.content_motion(config, w_fake, x, key)
    return cptrans.commutation(config, functools.partial(generate, gen), x, fake['frames'], flow,
                               key)
  squares = lambda gen: jnp.sum(jnp.square(generate(gen, x)))   # noqa: E731
  return {'generator, forward': (jax.jit(generate), (params['gen'], x)),
          'generator, forward and backward': (jax.jit(jax.grad(squares)), (params['gen'],)),
          'critic': (jax.jit(jax.grad(critic)), (params['disc_b'],)),
          'content weights': (jax.jit(weights), (params,)),
          'structure': (jax.jit(jax.grad(structure)), (fake,)),
          'temporal term': (jax.jit(jax.grad(temporal)), (params['gen'],))}


def whole_step(config, nets, params, fixed, batch, key):
  """(function, inputs) of the step on one device, without donation."""
  tx = dict.fromkeys(cptrans.PLAYERS, optax.adam(1e-6))
  state = load.fresh_state(cptrans, Model(config, nets, tx)).replace(params=params)

  def step(state, batch):
    return cptrans.step(
      Model(config, nets, optimizers=tx, frozen=fixed, phase='train'), state, batch, key
    )

  mapped = jax.pmap(step, axis_name='data', in_axes=(None, 0), devices=jax.local_devices()[:1])
  return mapped, (state, jax.tree.map(lambda v: v[None], batch))


def choices(config, nets, params, fixed, batch, key, method):
  """Patches of the translated frames that `method` chooses, [B, h, w] bool."""
  config = config.copy_and_resolve_references()
  config.co.method = method
  model = Model(config, nets, frozen=fixed)
  fake = vit_parts.features(model, apply(nets, params, 'gen', batch['a'][:, 0]))
  both = vit_parts.join(fake, vit_parts.features(model, batch['b'][:, 0]))
  delta, _ = jax.jit(lambda params: cptrans.deviation(
      model, params, both, len(batch['a']), key))(params)
  return cptrans.select(config, delta)


def read_config(options):
  """Settled config of the file, or of the run, with the size asked for."""
  if options.workdir:
    config = run_folder.read_config(options.workdir)
  else:
    path, _, variant = options.config.partition(':')
    config = runpy.run_path(path)['get_config'](variant or None)
  if options.crop:
    config.data.update(crop_size=options.crop, load_size=options.crop)
  return settle.settle(config)


def wait(config, batches=20):
  """Seconds that the loop waits for a batch when it asks for them one after the other."""
  feed = windows.train_iterator(config, parallel.local_batch(config.data.batch))
  next(feed)
  began = time.perf_counter()
  for _ in range(batches):
    next(feed)
  return (time.perf_counter() - began) / batches


def main():
  """Parse the command line, time, compare, print."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--config', default='configs/cptrans.py:demo')
  parser.add_argument('--workdir', help='take the networks of this run, not untrained ones')
  parser.add_argument('--crop', type=int, help='pixels; default: of the config')
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--compare', nargs='*', default=('auto',), help='ways to compare, or none')
  options = parser.parse_args()
  config = read_config(options)
  method, model = load.assemble(config)
  nets, fixed = model.networks, model.frozen
  tx = schedules.optimizers(config, method.PLAYERS, 1)
  params = (load.load(options.workdir, config=config).params if options.workdir
            else load.fresh_state(method, Model(config, nets, tx)).params)
  batch = trainer.on_device(windows.sample_windows(config, config.data.batch, 'train'), config)
  key = jax.random.key(1)
  common = (config, nets, params, fixed, batch, key)
  whole = timed(*(lambda f, inputs: (f, *inputs))(*whole_step(*common)), repeats=options.repeats)
  print(f'{parallel.describe()}, backbone {config.backbone}, {config.data.batch} x '
        f'{config.data.crop_size} pixels; processor s, wall s, share of the step')
  for name, (function, inputs) in parts(*common).items():
    own = timed(function, *inputs, repeats=options.repeats)
    print(f'{name:32} {own[0]:8.3f} {own[1]:8.3f} {own[0] / whole[0]:6.0%}')
  print(f'{"whole step":32} {whole[0]:8.3f} {whole[1]:8.3f}\n{"input, alone":32} {"":8} '
        f'{wait(config):8.3f}')
  for way in options.compare:
    exact, other = (choices(*common, name) for name in ('vmap_grad', way))
    shared = jnp.sum(exact & other, (1, 2)) / jnp.sum(exact, (1, 2))
    print(f'{way}: shares {", ".join(f"{s:.2f}" for s in shared)} of the patches that vmap_grad '
          f'chooses ({len(batch["a"])} translated, then as many real frames)')


if __name__ == '__main__':
  main()
