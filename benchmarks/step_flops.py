"""FLOPs of one training step, counted by XLA and by hand.

  python benchmarks/step_flops.py --config configs/i2vgan.py:paper [--config.FIELD=VALUE ...]

By hand: how often a step of the method applies each network, times the operations of one forward
pass (of the network by itself, as XLA counts it), times

  1  for the forward pass,
  1  more where the gradient reaches the input of the pass (each layer's output gradient times its
     weights, which is as much work as the layer itself),
  1  more where it reaches the weights (output gradient times input, as much again).

So 3 where a network is trained, 2 where only its input gets a gradient (a critic in the generator's
update, VGG on predictions), 1 without a backward pass (VGG on real frames). Not counted are patches
and their products, pools and Adam: 1 % of a step of 256 pixels, 6 % at 64. Counted in excess is the
input gradient of the first layer of a network that reads data. At 256 pixels, program / by hand:
I2V-GAN 1.011, Recycle-GAN (paper_cycle) 0.997, CycleGAN 0.997, CUT 1.000, FastCUT 1.000.

Nothing is compiled or run. Convolutions are in their plain form, so that the definition is counted;
nothing is recomputed (`remat` is off).
"""

import dataclasses
import sys

import jax
import jax.numpy as jnp

from i2vjax.bench import program
from i2vjax.cli import parse
from i2vjax.core import ops
from i2vjax.networks import projector


@dataclasses.dataclass(frozen=True)
class Pass:
  """Passes of one network.

  Attributes:
    network: its name.
    half: 'whole', 'encode', 'features' (only taps) or 'decode'.
    images: how many it is applied to.
    factor: work of each, in forward passes.
  """

  network: str
  half: str
  images: int
  factor: int


# ---- By hand, one function for each method: images of a step with a batch of one, all frames


def cyclegan(config):
  """Both directions, with identity images where these have a weight; two critics."""
  weights, rows = config.weights, []
  for x, y in ('ab', 'ba'):
    images = 1 + bool(weights.identity) + bool(weights.cycle)
    rows += [Pass(f'gen_{x}{y}', 'whole', images, 3), Pass(f'disc_{x}', 'whole', 1, 2),
             Pass(f'disc_{x}', 'whole', 2, 3)]
  return rows


def cut(config):
  """G of a and b, features of its outputs, and FastCUT's features of the unmirrored source."""
  images = 1 + bool(config.weights.nce_identity)
  keys = [Pass('gen', 'features', images, 1)] if config.nce.flip else []
  return [Pass('gen', 'whole', images, 3), *keys, Pass('gen', 'features', images, 3),
          Pass('disc_b', 'whole', 1, 2), Pass('disc_b', 'whole', 2, 3)]


def compares(config):
  """True if features of the generators are compared, so that taps are needed."""
  return any(config.weights.get(term, 0) for term in ('exs', 'ins', 'nce'))


def triplets(config):
  """Recycle-GAN and I2V-GAN: x0 and x1 translated, x2 predicted; see methods/triplets.py."""
  weights, rows, looks = config.weights, [], compares(config)
  same = 2 * bool(weights.identity)
  back = 2 * bool(weights.cycle) + bool(weights.recycle)
  for x, y in ('ab', 'ba'):
    encoded = 2 + same + looks + back + 3 * looks    # x0 x1, y0 y1, x2; what comes back, y'0..2
    rows += [Pass(f'gen_{x}{y}', 'encode', encoded, 3),
             Pass(f'gen_{x}{y}', 'decode', 2 + same + back, 3),
             Pass(f'pred_{x}', 'whole', 2, 3),
             Pass(f'disc_{x}', 'whole', 3 + bool(weights.predictor_adversarial), 2),
             Pass(f'disc_{x}', 'whole', 7, 3)]       # three real, four fakes
  if config.perceptual != 'none':
    recurrent = bool(weights.recurrent)
    targets = 2 * bool(weights.cycle) + (bool(weights.recycle) or recurrent)
    rows += [Pass('vgg19', 'whole', 2 * (back + recurrent), 2),
             Pass('vgg19', 'whole', 2 * targets, 1)]
  return rows


BY_HAND = {'cyclegan': cyclegan, 'cut': cut, 'recyclegan': triplets, 'i2vgan': triplets}


# ---- By XLA


def prepare(config):
  """(config, {name: plain module}, {name: example inputs}) of all networks, frozen ones included.

  Frozen networks without an example see a frame.
  """
  config = config.copy_and_resolve_references()
  config.remat = False
  method, model, frozen = program.abstract_model(config)
  nets = {name: net.clone(impl='plain') if hasattr(net, 'impl') else net
          for name, net in model.networks.items()}
  frame = jnp.zeros((1, *ops.hw(config.data.crop_size), 3))
  return config, nets, {**dict.fromkeys(frozen, (frame,)), **method.example_inputs(config)}


def flops(function, *inputs):
  """Operations of a function of abstract inputs, before any optimization."""
  return jax.jit(function).lower(*inputs).cost_analysis()['flops']


def pass_flops(config, nets, examples, network, half):
  """Operations of one image forward through a network, or half of it."""
  net, inputs = nets[network], examples[network]
  params = jax.eval_shape(net.init, jax.random.key(0), *inputs)['params']
  taps = projector.taps(config) if compares(config) else ()

  def encode(p, x):
    return net.apply({'params': p}, x, taps, method='encode')
  calls = {'whole': lambda p, x: net.apply({'params': p}, x), 'encode': encode,
           'features': lambda p, x: encode(p, x)[1],
           'decode': lambda p, h: net.apply({'params': p}, h, method='decode')}
  if half == 'decode':
    inputs = (jax.eval_shape(encode, params, *inputs)[0],)
  return flops(calls[half], params, *inputs)


def count(config):
  """(operations of a step, [(Pass, operations of one image forward)]) of a config."""
  parts = prepare(config)
  config = parts[0]
  rows = [dataclasses.replace(row, images=row.images * config.data.batch * framewise(config))
          for row in BY_HAND[config.method](config) if row.images]
  kinds = {(row.network, row.half) for row in rows}
  each = {kind: pass_flops(*parts, *kind) for kind in kinds}
  return program.flops(config), [(row, each[row.network, row.half]) for row in rows]


def framewise(config):
  """Images of a window: all its frames where a method sees them one by one."""
  return config.data.frames if config.method in ('cyclegan', 'cut') else 1


def total(rows):
  """Operations counted by hand."""
  return sum(row.images * row.factor * each for row, each in rows)


def main(argv):
  config = parse.parse(argv)[2]
  if config.method not in BY_HAND:
    raise SystemExit(f'counted by hand are {", ".join(BY_HAND)}, not {config.method}')
  program, rows = count(config)
  print(f'{"network":8} {"half":9} {"images":>6} {"GFLOP each":>11} {"times":>5} {"GFLOP":>9}')
  for row, each in rows:
    print(f'{row.network:8} {row.half:9} {row.images:6} {each / 1e9:11.3f} {row.factor:5} '
          f'{row.images * row.factor * each / 1e9:9.1f}')
  by_hand = total(rows)
  print(f'by hand {by_hand / 1e9:.1f} GFLOP, program {program / 1e9:.1f}, '
        f'program / by hand {program / by_hand:.3f}')


if __name__ == '__main__':
  main(sys.argv)
