"""The same networks and the same training step in PyTorch and in JAX, timed in turn.

  python launch/bench_torch.py [--size 256] [--width 64] [--blocks 9] [--rounds 5]
      [--impl auto|plain] [--what forward,train] [--keep_memory]

forward: one frame through the generator. train: one whole CycleGAN step (both generators with
identity images, both critics, pools left out, Adam), ours being i2vjax/methods/cyclegan.py as the
training loop runs it. Each round times one call of either side; minima and medians of wall time and
of processor time divided by the threads are printed, the second of which other programs on the
machine disturb less. The ratio is ours / PyTorch's minimum.
"""

import argparse
import time

import jax
import numpy as np
import torch
from ml_collections import config_dict
from torch import nn

from i2vjax import defaults, parallel, schedules
from i2vjax.methods import cyclegan
from i2vjax.networks import patchgan, resnet
from i2vjax.state import State, init_params


class Residual(nn.Module):
  """x + [conv, norm, ReLU, conv, norm] with reflected borders."""

  def __init__(self, width):
    super().__init__()
    self.body = nn.Sequential(
        nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width), nn.ReLU(True),
        nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3), nn.InstanceNorm2d(width))

  def forward(self, x):
    """[B, C, H, W] -> the same."""
    return x + self.body(x)


def torch_generator(width, blocks):
  """CycleGAN's generator: strided convolutions down, transposed convolutions up."""
  def after(channels):
    return nn.InstanceNorm2d(channels), nn.ReLU(True)
  w = width
  return nn.Sequential(
      nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), *after(w),
      nn.Conv2d(w, 2 * w, 3, 2, 1), *after(2 * w), nn.Conv2d(2 * w, 4 * w, 3, 2, 1), *after(4 * w),
      *(Residual(4 * w) for _ in range(blocks)),
      nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), *after(2 * w),
      nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), *after(w),
      nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())


def torch_critic(width):
  """PatchGAN with three strided layers."""
  layers, before = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)], width
  for factor, stride in ((2, 2), (4, 2), (8, 1)):
    after = factor * width
    layers += [nn.Conv2d(before, after, 4, stride, 1), nn.InstanceNorm2d(after),
               nn.LeakyReLU(0.2, True)]
    before = after
  return nn.Sequential(*layers, nn.Conv2d(before, 1, 4, 1, 1))


def torch_step(size, width, blocks):
  """Function without arguments that makes one CycleGAN step in PyTorch."""
  gen_ab, gen_ba = torch_generator(width, blocks), torch_generator(width, blocks)
  disc_a, disc_b = torch_critic(width), torch_critic(width)
  tx_gen, tx_disc = (torch.optim.Adam([*one.parameters(), *two.parameters()], 2e-4, (0.5, 0.999))
                     for one, two in ((gen_ab, gen_ba), (disc_a, disc_b)))
  a, b = (torch.rand(1, 3, size, size) * 2 - 1 for _ in range(2))

  def critics_learn(learn):
    for critic in (disc_a, disc_b):
      critic.requires_grad_(learn)

  def step():
    critics_learn(False)
    tx_gen.zero_grad()
    ab, ba = gen_ab(torch.cat([a, b])), gen_ba(torch.cat([b, a]))
    fake_b, fake_a = ab[:1], ba[:1]
    loss = ((disc_b(fake_b) - 1) ** 2).mean() + ((disc_a(fake_a) - 1) ** 2).mean()
    loss = loss + 10 * ((gen_ba(fake_b) - a).abs().mean() + (gen_ab(fake_a) - b).abs().mean())
    loss = loss + 5 * ((ab[1:] - b).abs().mean() + (ba[1:] - a).abs().mean())
    loss.backward()
    tx_gen.step()
    critics_learn(True)
    tx_disc.zero_grad()
    for critic, real, fake in ((disc_a, a, fake_a.detach()), (disc_b, b, fake_b.detach())):
      scores = critic(torch.cat([real, fake]))
      (0.5 * (((scores[:1] - 1) ** 2).mean() + (scores[1:] ** 2).mean())).backward()
    tx_disc.step()
  return step


def torch_forward(size, width, blocks):
  """Function without arguments that translates one frame in PyTorch."""
  gen, x = torch_generator(width, blocks), torch.rand(1, 3, size, size)

  def forward():
    with torch.no_grad():
      gen(x)
  return forward


def settings(size, width, blocks):
  """Config of our side, with the numbers of the CycleGAN paper."""
  config = defaults.get_config()
  config.data.crop_size = size
  config.gen = {'width': width, 'blocks': blocks, 'down': 'stride', 'up': 'deconv'}
  config.disc = {'width': width, 'layers': 3, 'down': 'stride'}
  config.gan = {'mode': 'lsgan', 'pool': 0, 'd_scale': 0.5}
  config.weights = {'adversarial': 1.0, 'cycle': 10.0, 'identity': 5.0}
  return config_dict.FrozenConfigDict(config)


def networks(config, impl):
  """Networks of cyclegan with a chosen form of the convolutions."""
  generator = resnet.generator(config, 3, 3, impl)
  critic = patchgan.discriminator(config, 3, impl)
  return {'gen_ab': generator, 'gen_ba': generator, 'disc_a': critic, 'disc_b': critic}


def jax_step(config, impl):
  """Function without arguments that makes one CycleGAN step in JAX, as the training loop does."""
  nets = networks(config, impl)
  tx = schedules.optimisers(config, cyclegan.PLAYERS, 100)
  params = init_params(nets, cyclegan.inputs(config), jax.random.key(0))
  opt = {player: tx[player].init({name: params[name] for name in names})
         for player, names in cyclegan.PLAYERS.items()}
  state = State(params, opt, {}, parallel.per_device(cyclegan.local(config)),
                np.int32(0), jax.random.key(1))
  size = config.data.crop_size
  rng = np.random.default_rng(0)
  batch = parallel.shard({name: rng.uniform(-1, 1, (1, 1, size, size, 3)).astype(np.float32)
                          for name in 'ab'})
  compiled = parallel.map_step(lambda state, batch, fixed, key: cyclegan.step(
      nets, tx, config, state, batch, fixed, key, None))
  held = [parallel.place(state)]

  def step():
    held[0], terms = compiled(held[0], batch, {})
    jax.block_until_ready((held[0].params, terms))
  return step


def jax_forward(config, impl):
  """Function without arguments that translates one frame in JAX."""
  gen, size = networks(config, impl)['gen_ab'], config.data.crop_size
  x = np.random.default_rng(0).random((1, size, size, 3), np.float32)
  params = jax.jit(gen.init)(jax.random.key(0), x)
  apply = jax.jit(gen.apply)
  return lambda: jax.block_until_ready(apply(params, x))


def alternate(sides, rounds):
  """{name: [rounds, 2]} wall and processor seconds per thread, the sides in turn."""
  times = {name: [] for name in sides}
  for step in sides.values():
    step()
  for _ in range(rounds):
    for name, step in sides.items():
      began = time.perf_counter(), time.process_time()
      step()
      times[name].append((time.perf_counter() - began[0],
                          (time.process_time() - began[1]) / torch.get_num_threads()))
  return {name: np.asarray(pairs) for name, pairs in times.items()}


def report(what, times):
  """One table of minima, medians and ratios."""
  print(f'{what:8s} {"wall min":>9s} {"median":>9s} {"cpu min":>9s} {"median":>9s}   seconds')
  for name, values in times.items():
    least, middle = values.min(0), np.median(values, 0)
    print(f'  {name:6s} {least[0]:9.3f} {middle[0]:9.3f} {least[1]:9.3f} {middle[1]:9.3f}')
  ours, theirs = (times[name].min(0) for name in ('jax', 'torch'))
  print(f'  jax / torch: wall {ours[0] / theirs[0]:.2f}, processor {ours[1] / theirs[1]:.2f}',
        flush=True)


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  for name, value in (('size', 256), ('width', 64), ('blocks', 9), ('rounds', 5), ('threads', 0)):
    parser.add_argument(f'--{name}', type=int, default=value)
  parser.add_argument('--impl', default='auto')
  parser.add_argument('--what', default='forward,train')
  parser.add_argument('--keep_memory', action='store_true')
  options = parser.parse_args()
  if options.keep_memory:
    parallel.keep_memory()
  if options.threads:
    torch.set_num_threads(options.threads)
  sizes = (options.size, options.width, options.blocks)
  config = settings(*sizes)
  makers = {'forward': (torch_forward, jax_forward), 'train': (torch_step, jax_step)}
  for what in options.what.split(','):
    theirs, ours = makers[what]
    sides = {'torch': theirs(*sizes), 'jax': ours(config, options.impl)}
    report(what, alternate(sides, options.rounds))


if __name__ == '__main__':
  main()
