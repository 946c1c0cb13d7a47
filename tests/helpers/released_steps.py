"""Training steps of I2V-GAN, Recycle-GAN, CycleGAN and CUT as their public code takes them.

In PyTorch, written plainly and in the order of the public code: frame by frame, pair by pair,
nothing shared between calls. benchmarks/torch_steps.py has the same losses in efficient form, and
i2vjax/methods folds frames into batches; this is what both must equal. Batch 1, as published.
Networks are those of torch_twins.py, and features are counted as in their flat lists of layers.
"""

import torch
import torch_twins as twins
from torch import nn
from torch.nn import functional
from training_parity import optimizers

SIDES = (('a', 'b'), ('b', 'a'))
CUT_LAYERS = (0, 4, 8, 12, 13)   # of two blocks: 13 is the last one, in place of 16 of nine
I2V_LAYERS = (0, 4, 8, 12, 13)   # of three blocks: 13 is the blur behind them, 16 with six
VGG_LAYERS = (1, 6, 11, 20, 29)  # relu1_1 .. relu5_1
l1 = functional.l1_loss


def video_networks(config):
  """Of I2V-GAN and Recycle-GAN, under our names."""
  nets = nn.ModuleDict()
  for x, y in SIDES:
    nets[f'gen_{x}{y}'] = twins.resnet(config.gen.width, config.gen.blocks, config.gen.down,
                                       config.gen.up)
    nets[f'disc_{x}'] = twins.patchgan(config.disc.width, config.disc.layers, config.disc.down)
    if 'pred' in config:
      nets[f'pred_{x}'] = twins.Named(twins.unet(6, 3, config.pred.width, config.pred.downs))
    if config.method == 'i2vgan':
      w = config.gen.width
      nets[f'proj_{x}{y}'] = twins.Projection((3, 2 * w, 4 * w, 4 * w, 4 * w), config.nce.width)
  return nets


def cut_networks(config):
  w = config.gen.width
  return nn.ModuleDict({
      'gen': twins.resnet(w, config.gen.blocks, 'blur', 'blur'),
      'disc_b': twins.patchgan(config.disc.width, config.disc.layers, 'blur'),
      'proj_ab': twins.Projection((3, 2 * w, 4 * w, 4 * w, 4 * w), config.nce.width)})


# ---- Shared


def gan(scores, real):
  """LSGAN."""
  return functional.mse_loss(scores, torch.full_like(scores, float(real)))


def features(net, x, layers):
  """The outputs of these layers of a flat list; stops behind the last one."""
  found = []
  for i, layer in enumerate(net.model):
    x = layer(x)
    if i in layers:
      found.append(x)
    if i == layers[-1]:
      break
  return found


def sampled(proj, maps, ids):
  """[[n, C] of unit length for each layer] of the maps of one image."""
  return proj([m.permute(0, 2, 3, 1).flatten(1, 2)[0, i] for m, i in zip(maps, ids, strict=True)])


def sizes(maps):
  return [m.shape[2] * m.shape[3] for m in maps]


def patch_nce(query, key, tau):
  """The positive in front, -10 in its place among the negatives, cross-entropy with label 0."""
  key = key.detach()
  positive = (query * key).sum(1, keepdim=True)
  negative = (query @ key.T).masked_fill(torch.eye(len(query), dtype=bool), -10.0)
  logits = torch.cat([positive, negative], 1) / tau
  return functional.cross_entropy(logits, torch.zeros(len(query), dtype=torch.long))


def critic_pair(critic, real, fake):
  return 0.5 * (gan(critic(real), True) + gan(critic(fake.detach()), False))


def numbers(terms):
  return {name: float(value.detach()) for name, value in terms.items()}


def total(terms, weights):
  return sum(weights[name] * value for name, value in terms.items())


def frozen(nets, names, on):
  for name in names:
    nets[name].requires_grad_(not on)


# ---- I2V-GAN and Recycle-GAN


def video_players(config):
  """One Adam for generators and predictors; the projections have their own."""
  players = {'gen': ['gen_ab', 'gen_ba', 'pred_a', 'pred_b'], 'disc_a': ['disc_a'],
             'disc_b': ['disc_b']}
  return players | ({'proj': ['proj_ab', 'proj_ba']} if config.method == 'i2vgan' else {})


def video_step(nets, tx, config, real, draw, vgg=None):
  """All generators by one loss, then both critics with the fakes made before that."""
  terms, fakes, weights = {}, {'a': [], 'b': []}, config.weights

  def add(name, value):
    if weights[name]:
      terms[name] = terms.get(name, 0.0) + value

  def vl(image, frame):
    return l1(image, frame) + (perceptual(vgg, config.vgg, image, frame) if vgg else 0.0)
  frozen(nets, ('disc_a', 'disc_b'), True)
  for x, y in SIDES:
    there, back, predict = nets[f'gen_{x}{y}'], nets[f'gen_{y}{x}'], nets[f'pred_{y}']
    fake = [there(real[x][0]), there(real[x][1])]
    fake.append(predict(torch.cat(fake, 1)))
    predicted = nets[f'pred_{x}'](torch.cat(real[x][:2], 1))
    for image in fake:
      add('adversarial', gan(nets[f'disc_{y}'](image), True))
    if weights.cycle:
      add('cycle', vl(back(fake[0]), real[x][0]) + vl(back(fake[1]), real[x][1]))
    add('recycle', vl(back(fake[2]), real[x][2]))
    add('recurrent', vl(predicted, real[x][2]))
    if config.method == 'i2vgan':
      add('exs', sum(exs(nets, config, x, y, i, real[x][i], fake[i], draw) for i in range(3)))
      add('ins', ins(nets, config, x, y, real[x], fake, draw))
    if weights.identity:
      add('identity', l1(there(real[y][0]), real[y][0]) + l1(there(real[y][1]), real[y][1]))
    fakes[y] = fake + fakes[y]
    fakes[x] = [*fakes[x], predicted]
  for one in tx.values():
    one.zero_grad()
  total(terms, weights).backward()
  tx['gen'].step()
  if 'proj' in tx:   # the public code clears these gradients before their Adam moves
    tx['proj'].zero_grad(set_to_none=False)
    tx['proj'].step()
  frozen(nets, ('disc_a', 'disc_b'), False)
  for x in 'ab':
    name = f'disc_{x}'
    tx[name].zero_grad()
    pairs = zip([*real[x], real[x][2]], fakes[x], strict=True)   # frame 2 twice: x'2 and x2p
    losses = [critic_pair(nets[name], *pair) for pair in pairs]
    for loss in losses:
      loss.backward()
    tx[name].step()
    terms[name] = sum(losses)
  return numbers(terms)


def exs(nets, config, x, y, frame, real, fake, draw):
  """External similarity of one frame: both images through the encoder of gen_xy."""
  net, proj = nets[f'gen_{x}{y}'], nets[f'proj_{x}{y}']
  keys = features(net, real, I2V_LAYERS)
  ids = draw(f'exs_{x}_{frame}', sizes(keys), config.nce.patches)
  queries = sampled(proj, features(net, fake, I2V_LAYERS), ids)
  pairs = zip(queries, sampled(proj, keys, ids), strict=True)
  return sum(patch_nce(q, k, config.nce.tau) for q, k in pairs) / len(queries)


def ins(nets, config, x, y, real, fake, draw):
  """Internal similarity: rates of change per layer, at the same places of all six images.

  Ours adds 1e-8 to the denominator of a rate, the public code nothing.
  """
  net, proj = nets[f'gen_{x}{y}'], nets[f'proj_{x}{y}']
  maps = [features(net, frame, I2V_LAYERS) for frame in [*real, *fake]]
  ids = draw(f'ins_{x}', sizes(maps[0]), config.nce.patches)
  z = [sampled(proj, m, ids) for m in maps]

  def change(first, second):
    return torch.stack([patch_nce(q, k, config.nce.tau)
                        for q, k in zip(z[first], z[second], strict=True)])
  rate = (change(1, 2) / change(0, 1)).detach()
  return 1 - functional.cosine_similarity(rate, change(4, 5) / change(3, 4), dim=0)


def perceptual(vgg, block, image, frame):
  """Content of relu4_1 and style of five layers; one Gram matrix for the batch, which is one."""
  x, y = vgg(image), vgg(frame.detach())

  def gram(f):
    flat = f.reshape(f.shape[0] * f.shape[1], -1)
    return flat @ flat.T / f.numel()
  style = sum(w * functional.mse_loss(gram(x[i]), gram(y[i]))
              for i, w in zip(VGG_LAYERS, block.style_taps_weights, strict=True))
  return block.content * l1(x[20], y[20]) + block.style * style


# ---- CycleGAN


def cyclegan_step(nets, tx, config, real, draw):
  a, b = real['a'][0], real['b'][0]
  frozen(nets, ('disc_a', 'disc_b'), True)
  ab, ba = nets['gen_ab'], nets['gen_ba']
  fake_b, fake_a = ab(a), ba(b)
  terms = {
      'adversarial': gan(nets['disc_b'](fake_b), True) + gan(nets['disc_a'](fake_a), True),
      'cycle': l1(ba(fake_b), a) + l1(ab(fake_a), b),
      'identity': l1(ab(b), b) + l1(ba(a), a)}
  tx['gen'].zero_grad()
  total(terms, config.weights).backward()
  tx['gen'].step()
  frozen(nets, ('disc_a', 'disc_b'), False)
  for name, frame, fake in (('disc_a', a, fake_a), ('disc_b', b, fake_b)):
    tx[name].zero_grad()
    terms[name] = critic_pair(nets[name], frame, fake)
    terms[name].backward()
    tx[name].step()
  return numbers(terms)


# ---- CUT and FastCUT


def cut_step(nets, tx, config, real, draw, mirrored=False):
  """The critic first; then generator and projection against the critic just moved.

  Args:
    mirrored: how FastCUT's coin fell.
  """
  a, b = real['a'][0], real['b'][0]
  gen, disc, proj = nets['gen'], nets['disc_b'], nets['proj_ab']
  nce, weights = config.nce, config.weights
  stack = torch.cat([a, b]) if weights.nce_identity else a
  images = gen(stack.flip(3) if mirrored else stack)
  fake, same = images[:1], images[1:]

  frozen(nets, ['disc_b'], False)
  tx['disc_b'].zero_grad()
  judged = 0.5 * (gan(disc(fake.detach()), False) + gan(disc(b), True))
  judged.backward()
  tx['disc_b'].step()
  frozen(nets, ['disc_b'], True)

  def contrast(source, target, purpose):
    queries = features(gen, target, CUT_LAYERS)
    queries = [q.flip(3) if mirrored else q for q in queries]
    keys = features(gen, source, CUT_LAYERS)
    ids = draw(purpose, sizes(keys), nce.patches)
    pairs = zip(sampled(proj, queries, ids), sampled(proj, keys, ids), strict=True)
    return sum(patch_nce(q, k, nce.tau) for q, k in pairs) / len(keys)
  terms = {'adversarial': gan(disc(fake), True), 'nce': contrast(a, fake, 'nce')}
  if weights.nce_identity:
    terms['nce_identity'] = contrast(b, same, 'nce_identity')
  tx['gen'].zero_grad()
  tx['proj'].zero_grad()
  total(terms, weights).backward()
  tx['gen'].step()
  tx['proj'].step()
  return numbers({**terms, 'disc_b': judged})


# ---- Several steps


PLAYERS = {
    'cyclegan': {'gen': ['gen_ab', 'gen_ba'], 'disc_a': ['disc_a'], 'disc_b': ['disc_b']},
    'cut': {'gen': ['gen'], 'disc_b': ['disc_b'], 'proj': ['proj_ab']}}


def players_of(config):
  return PLAYERS.get(config.method) or video_players(config)


def train(nets, config, step, batches, draws, players=None, **options):
  """[{term: number} of each step]; `options` holds a list of one value a step for each name."""
  tx, found = optimizers(nets, config, players or players_of(config)), []
  for i, (batch, draw) in enumerate(zip(batches, draws, strict=True)):
    own = {name: values[i] for name, values in options.items()}
    found.append(step(nets, tx, config, batch, draw, **own))
  return found
