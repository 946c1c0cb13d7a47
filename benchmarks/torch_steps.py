"""Training steps of CycleGAN, CUT, Recycle-GAN and I2V-GAN in PyTorch.

The same config, networks, losses and number of passes as in i2vjax/methods, in efficient PyTorch:
frames folded into the batch, every image computed once, targets and keys under `no_grad`, critics
frozen while the generators are trained.
"""

import functools

import torch
import torch_parts as parts
from torch import nn
from torch.nn import functional
from torch_parts import by_layer, patches, sizes, squares

SIDES = (('a', 'b'), ('b', 'a'))
# {field of the config: the only value that is written in PyTorch}.
SUPPORTED = {'gan.mode': 'lsgan', 'gan.pool': 0, 'pred.kind': 'unet', 'pred.dropout': False,
             'gen.dropout': False, 'rec.norm': 'l1', 'vgg.input_norm': 'raw', 'nce.flip': False,
             'nce.mlp': True, 'nce.train_projection': False, 'ins.detach_keys': True,
             'weights.predictor_adversarial': 0.0, 'optim.accumulate': 1, 'compute': 'float32',
             'remat': False}

l1 = functional.l1_loss


def check(config):
  """Refuse configs that are not written in PyTorch."""
  if config.method not in STEPS:
    raise ValueError(f'no twin in PyTorch of {config.method}: there are {", ".join(STEPS)}; '
                     '--ours_only times the others')
  for field, supported in SUPPORTED.items():
    block = config
    for name in field.split('.'):
      block = block.get(name, None) if block is not None else None
    if block is not None and block != supported:
      raise ValueError(f'{field}={block!r}: the twin in PyTorch knows {supported!r} only')


def random_places(purpose, sizes, count):
  """Random places for each tap, without repetition: [[n_k] numbers on a map of h_k w_k]."""
  del purpose
  return [torch.randperm(size)[:count] for size in sizes]


def make(config, batch, places=random_places, optimizer=None):
  """(networks, step): `step()` updates all players once and returns {term: number}.

  Args:
    config: settled config of one of `STEPS`.
    batch: {'a': [x0, .. of [B, 3, H, W]], 'b': ...}, the frames of a window one by one.
    places: (purpose, sizes of the maps, count) -> numbers of the patches compared.
    optimizer: parameters -> optimizer; default Adam as in the config.
  """
  check(config)
  o = config.optim
  optimizer = optimizer or (lambda p: torch.optim.Adam(p, o.lr, (o.b1, o.b2), o.eps))
  nets = networks(config)
  players = {'disc_a': ['disc_a'], 'disc_b': ['disc_b'], 'proj': ['proj_ab'],
             'gen': [name for name in nets if name.startswith(('gen', 'pred'))]}
  if config.method != 'cut':
    del players['proj']   # never trained, as in our default
  tx = {}
  for player, names in players.items():
    if set(names) <= set(nets):
      trained_nets = nn.ModuleList([nets[name] for name in names])
      tx[player] = optimizer(list(trained_nets.parameters()))
  trained = {name for player in tx for name in players[player]}
  for name, net in nets.items():
    net.requires_grad_(name in trained)
  return nets, lambda: STEPS[config.method](nets, tx, config, batch, places)


def networks(config):
  """ModuleDict under our names."""
  nets = nn.ModuleDict()
  if config.method == 'cut':
    nets.update({'gen': parts.Generator(config.gen), 'disc_b': parts.Critic(config.disc)})
  else:
    for x, y in SIDES:
      nets.update({f'gen_{x}{y}': parts.Generator(config.gen),
                   f'disc_{x}': parts.Critic(config.disc)})
  if 'pred' in config:
    nets.update({f'pred_{x}': parts.Predictor(config.pred) for x in 'ab'})
  if compares(config):
    sides = ('ab',) if config.method == 'cut' else ('ab', 'ba')
    nets.update({f'proj_{side}': parts.Projection(parts.tap_channels(config), config.nce.width)
                 for side in sides})
  if config.perceptual != 'none':
    nets['vgg19'] = parts.VGG(config.vgg.width)
  return nets


def compares(config):
  """True if features of the generators are compared."""
  return any(config.weights.get(name, 0) for name in ('nce', 'nce_identity', 'exs', 'ins'))


# ---- Shared by the steps


def weighted(terms, weights):
  """Weighted sum of the terms, functions without arguments; those of weight 0 are not computed."""
  values = {name: term() for name, term in terms.items() if weights.get(name, 0)}
  return sum(weights[name] * value for name, value in values.items()), values


def move(tx, loss):
  """One step of the optimizers `tx` down the gradient of `loss`."""
  for one in tx:
    one.zero_grad()
  loss.backward()
  for one in tx:
    one.step()


def learn(nets, names, on):
  """Whether gradients go to these networks."""
  for name in names:
    nets[name].requires_grad_(on)


def numbers(terms):
  return {name: float(value.detach()) for name, value in terms.items()}


# ---- Steps


def critic_loss(config, critic, real, fake):
  """Real towards 1 and fake towards 0, in one call."""
  scores = critic(torch.cat([real, fake.detach()])).chunk(2)
  return config.gan.d_scale * (squares(scores[0], 1) + squares(scores[1], 0))


def cyclegan(nets, tx, config, batch, places):
  a, b = (torch.cat(batch[x]) for x in 'ab')
  count, weights = len(a), config.weights
  critics = ('disc_a', 'disc_b')
  learn(nets, critics, False)
  idt = bool(weights.identity)
  ab = nets['gen_ab'](torch.cat([a, b]) if idt else a)
  ba = nets['gen_ba'](torch.cat([b, a]) if idt else b)
  fake = {'a': ba[:count], 'b': ab[:count]}
  loss, terms = weighted({
      'adversarial': lambda: sum(squares(nets[f'disc_{x}'](fake[x]), 1) for x in 'ba'),
      'cycle': lambda: l1(nets['gen_ba'](fake['b']), a) + l1(nets['gen_ab'](fake['a']), b),
      'identity': lambda: l1(ab[count:], b) + l1(ba[count:], a)}, weights)
  move([tx['gen']], loss)
  learn(nets, critics, True)
  for x, real in (('a', a), ('b', b)):
    terms[f'disc_{x}'] = critic_loss(config, nets[f'disc_{x}'], real, fake[x])
    move([tx[f'disc_{x}']], terms[f'disc_{x}'])
  return numbers(terms)


def cut(nets, tx, config, batch, places):
  a, b = (torch.cat(batch[x]) for x in 'ab')
  count, weights, nce = len(a), config.weights, config.nce
  gen, disc, proj = (nets[name] for name in ('gen', 'disc_b', 'proj_ab'))
  h, keys = gen.encode(torch.cat([a, b]) if weights.nce_identity else a, parts.taps(config))
  images = gen.decode(h)

  learn(nets, ['disc_b'], True)
  judged = critic_loss(config, disc, b, images[:count])
  move([tx['disc_b']], judged)
  learn(nets, ['disc_b'], False)

  queries = gen.encode(images, parts.taps(config), whole=False)[1]

  def contrast(part, purpose):
    ids = places(purpose, sizes(keys), nce.patches)
    with torch.no_grad():
      z = proj(patches([x[part] for x in keys], ids))
    return by_layer(proj(patches([x[part] for x in queries], ids)), z, nce.tau).mean()
  loss, terms = weighted({
      'adversarial': lambda: squares(disc(images[:count]), 1),
      'nce': lambda: contrast(slice(0, count), 'nce'),
      'nce_identity': lambda: contrast(slice(count, None), 'nce_identity')}, weights)
  move([tx['gen'], tx['proj']], loss)
  return numbers({**terms, 'disc_b': judged})


def triplets(nets, tx, config, batch, places):
  """Recycle-GAN and I2V-GAN: which of the two, the weights say."""
  critics = ('disc_a', 'disc_b')
  learn(nets, critics, False)
  outputs = translations(nets, batch, config)
  loss, terms = weighted({
      'adversarial': lambda: sum(3 * squares(nets[f'disc_{x}'](torch.cat(outputs[x]['fake'])), 1)
                                 for x in 'ab'),
      **cyclic_terms(nets, config, outputs, batch),
      'exs': lambda: sum(exs(nets, config, outputs, x, y, places) for x, y in SIDES),
      'ins': lambda: sum(ins(nets, config, outputs, x, y, places) for x, y in SIDES),
      'identity': lambda: sum(l1(image, frame) for x in 'ab' for image, frame in zip(
          outputs[x]['identity'], batch[x], strict=False))}, config.weights)
  move([tx['gen']], loss)
  learn(nets, critics, True)
  for x in 'ab':
    fakes = torch.cat([*outputs[x]['fake'], outputs[x]['predicted']]).detach()
    scores = nets[f'disc_{x}'](torch.cat([*batch[x], fakes])).unflatten(0, (7, -1))
    on_real = 2 * squares(scores[:2], 1) + 2 * squares(scores[2], 1)   # frame 2 counts twice
    terms[f'disc_{x}'] = config.gan.d_scale * (on_real + 4 * squares(scores[3:], 0))
    move([tx[f'disc_{x}']], terms[f'disc_{x}'])
  return numbers(terms)


def translations(nets, real, config):
  """The images and features of i2vjax/methods/triplets.py, in as many calls."""
  weights = config.weights
  taps = parts.taps(config) if compares(config) else ()
  back = [i for i, w in enumerate((weights.cycle, weights.cycle, weights.recycle)) if w]
  outputs = {'a': {}, 'b': {}}

  def encode(side, frames):
    h, maps = nets[f'gen_{side}'].encode(torch.cat(frames), taps)
    return h.chunk(len(frames)), [m.unflatten(0, (len(frames), -1))[:3] for m in maps]

  def decode(side, h):
    return list(nets[f'gen_{side}'].decode(torch.cat(h)).chunk(len(h)))
  for x, y in SIDES:
    # The third frame is only encoded, for its features: a predictor makes its translation.
    third = real[x][2:] if taps else []
    same = real[y][:2] if weights.identity else []
    h, outputs[x]['keys'] = encode(x + y, [*real[x][:2], *third, *same])
    images = decode(x + y, h[:2] + h[2 + len(third):])
    outputs[y]['fake'], outputs[y]['identity'] = images[:2], images[2:]
  for x in 'ab':
    pairs = torch.cat([torch.cat(two, 1) for two in (outputs[x]['fake'], real[x][:2])])
    fake_third, outputs[x]['predicted'] = nets[f'pred_{x}'](pairs).chunk(2)
    outputs[x]['fake'].append(fake_third)
  for x, y in SIDES:
    fakes = outputs[y]['fake'] if taps else []
    frames, outputs[y]['back'] = [*fakes, *(outputs[x]['fake'][i] for i in back)], {}
    if frames:
      h, outputs[x]['queries'] = encode(x + y, frames)
    if back:
      outputs[y]['back'] = dict(zip(back, decode(x + y, h[len(fakes):]), strict=True))
  return outputs


def cyclic_terms(nets, config, outputs, real):
  """{term: function} of VL; VGG in two calls for all of them."""
  pairs = {'cycle': [(x, i, outputs[x]['back'].get(i)) for x in 'ab' for i in (0, 1)],
           'recycle': [(x, 2, outputs[x]['back'].get(2)) for x in 'ab'],
           'recurrent': [(x, 2, outputs[x]['predicted']) for x in 'ab']}
  listed = []
  for term in pairs:
    if config.weights[term]:
      listed += [(term, *pair) for pair in pairs[term]]
  distances = perceptual(nets, config, real, [pair[1:] for pair in listed])

  def total(term):
    values = [l1(image, real[x][i]) + distance
              for (name, x, i, image), distance in zip(listed, distances, strict=True)
              if name == term]
    return sum(values)
  return {term: functools.partial(total, term) for term in pairs}


def perceptual(nets, config, real, pairs):
  """Content and style distance of each (domain, frame, image); zeros without VGG."""
  if config.perceptual == 'none':
    return [0.0] * len(pairs)
  vgg, block = nets['vgg19'], config.vgg

  def features(images):
    by_image = [{} for _ in images]
    for tap, value in vgg(torch.cat(images)).items():
      for image, part in zip(by_image, value.chunk(len(images)), strict=True):
        image[tap] = part
    return by_image

  def distance(x, y):
    content = sum(l1(x[tap], y[tap]) for tap in block.content_taps)
    style = sum(w * functional.mse_loss(parts.gram(x[tap]), parts.gram(y[tap]))
                for tap, w in zip(block.style_taps, block.style_taps_weights, strict=True))
    return block.content * content + block.style * style
  targets = sorted({(x, i) for x, i, _ in pairs})
  with torch.no_grad():
    of_targets = dict(zip(targets, features([real[x][i] for x, i in targets]), strict=True))
  predictions = features([image for _, _, image in pairs])
  return [distance(p, of_targets[x, i]) for p, (x, i, _) in zip(predictions, pairs, strict=True)]


def exs(nets, config, outputs, x, y, places):
  """External similarity of three frames, each at its own places."""
  keys, count = outputs[x]['keys'], config.nce.patches
  ids = [places(f'exs_{x}_{i}', sizes(keys), count) for i in range(3)]

  def project(maps):
    frames = []
    for i in range(3):
      frames.append(patches([m[i] for m in maps], ids[i]))
    return nets[f'proj_{x}{y}']([torch.cat(layer) for layer in zip(*frames, strict=True)])
  with torch.no_grad():
    z = project(keys)
  return 3 * by_layer(project(outputs[x]['queries']), z, config.nce.tau).mean()


def ins(nets, config, outputs, x, y, places):
  """Internal similarity: 1 - cosine of the rates of change, all six images at the same places."""
  ids = places(f'ins_{x}', sizes(outputs[x]['keys']), config.nce.patches)

  def rate(maps):
    z = nets[f'proj_{x}{y}'](patches([m.flatten(0, 1) for m in maps], ids))
    first, second, third = zip(*(layer.chunk(3) for layer in z), strict=True)
    return (by_layer(second, third, config.nce.tau)
            / (by_layer(first, second, config.nce.tau) + 1e-8))
  with torch.no_grad():
    r = rate(outputs[x]['keys'])
  return (1 - functional.cosine_similarity(r, rate(outputs[x]['queries']), dim=1)).mean()


STEPS = {'cyclegan': cyclegan, 'cut': cut, 'recyclegan': triplets, 'i2vgan': triplets}
