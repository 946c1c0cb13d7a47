"""Five training steps of ours and of the public code bases' losses in PyTorch: equal.

Every term of every step, and all parameters after them, from the same weights, frames and random
places, with Adam, in 64 bits. The twins are released_steps.py. Where ours departs on purpose, the
public code's way is set in the config here:

  pools       the published commands have none (I2V-GAN, Recycle-GAN, CUT); CycleGAN's of 50 images
              returns what it is given in the first 50 steps, so it is on
  batch       one window: for more, public I2V-GAN mixes the images of a batch in one Gram matrix
              and one rate of change; ours treats every image by itself
  schedule    the rate of the first epoch: 'linear' and 'legacy' differ later
"""

import jax
import jax.numpy as jnp
import pytest
from method_tools import config_of

from i2vjax import methods, pretrained
from i2vjax.core.state import name_key
from i2vjax.losses import similarity
from i2vjax.networks import vit

torch = pytest.importorskip('torch')

import released_roma
import released_steps as released
import torch_twins as twins
import torch_vit
import training_parity as parity

pytestmark = pytest.mark.parity
SLOW = pytest.mark.slow
SIZE, VGG_PLAN = 32, [w for count, width in zip((2, 2, 4, 4, 1), (4, 8, 16, 32, 32), strict=True)
                      for w in (*[width] * count, 'M')]


def tiny(name, variant=None, **changes):
  config = config_of(name, variant)
  config.data.update(crop_size=SIZE)
  config.gen.update(width=4, blocks={'i2vgan': 3}.get(name, 2))
  config.disc.update(width=4, layers=2)
  config.perceptual = 'random' if name == 'i2vgan' else 'none'
  if 'pred' in config:
    config.pred.update(width=4, downs=4)
  if 'vgg' in config:
    config.vgg.width = 4
  if 'nce' in config:
    config.nce.update(width=8, patches=16)
    if name == 'cut':   # two blocks, the second in place of the middle one of nine
      config.nce.taps = (*config.nce.taps[:-1], 'res_1')
  config.train.ema = 0.0
  config.update_from_flattened_dict(changes)
  return config


def compare(config, nets, step, still=(), frozen=None, tables=None, **options):
  """Five steps of both; `frozen`: our parameters of other networks."""
  batches, tables = parity.frames(config, SIZE), tables or {}
  before = parity.converted(nets, **tables)
  ours, our_terms = parity.ours(methods.get(config.method), config, before, batches, frozen or {})
  terms = released.train(nets, config, step, map(parity.in_torch, batches),
                         map(parity.places, parity.step_keys()), **options)
  parity.same_terms(our_terms, terms)
  parity.same_moves(before, ours, parity.converted(nets, **tables), still=still)
  return terms


@pytest.mark.parametrize('variant', [None, pytest.param('fastcut', marks=SLOW)])
def test_cut(variant):
  """FastCUT's coin falls both ways in these steps."""
  with parity.doubles():
    config = tiny('cut', variant)
    nets = parity.drawn(released.cut_networks(config))
    coins = [bool(variant and jax.random.bernoulli(name_key(key, 'mirror')))
             for key in parity.step_keys()]
    assert set(coins) == ({True, False} if variant else {False})
    compare(config, nets, released.cut_step, mirrored=coins)


@pytest.mark.parametrize('variant', [None, pytest.param('paper_cycle', marks=SLOW)])
def test_recyclegan(variant):
  """The published model, and the variant with cycle and identity terms that I2V-GAN builds on."""
  with parity.doubles():
    config = tiny('recyclegan', variant)
    terms = compare(config, parity.drawn(released.video_networks(config)), released.video_step)
    assert ('cycle' in terms[0]) == ('identity' in terms[0]) == bool(variant)


@SLOW
def test_cyclegan():
  with parity.doubles():
    config = tiny('cyclegan')
    assert config.gan.pool >= parity.STEPS
    compare(config, parity.drawn(released.video_networks(config)), released.cyclegan_step)


@SLOW
def test_i2vgan():
  """With VGG-19 of random weights; the projections stay as drawn."""
  with parity.doubles():
    config = tiny('i2vgan')
    vgg = parity.drawn(twins.Vgg(VGG_PLAN)).requires_grad_(False)
    compare(config, parity.drawn(released.video_networks(config)), released.video_step,
            still=('proj_ab', 'proj_ba'), frozen=parity.converted({'vgg19': vgg}),
            vgg=[vgg] * parity.STEPS)


def test_roma(tmp_path, monkeypatch):
  """With a small ViT. Its critic's regions reach one row too far, as published; ours need not."""
  width, layers = torch_vit.WIDTH, (0, 1)
  with parity.doubles():
    net = torch_vit.twin().float()   # 32 bits, as a file has them
    net.taps = layers
    torch.save(net.state_dict(), tmp_path / 'vit.pth')
    module = vit.ViT(width, torch_vit.HEADS, torch_vit.HIDDEN, depth=2,
                     image_size=torch_vit.SIZE, dtype=jnp.float64)
    monkeypatch.setattr(vit, 'backbone', lambda config: module)
    config = tiny('roma')
    config.update_from_flattened_dict({
        'backbone': 'vit', 'vit.weights': str(tmp_path / 'vit.pth'), 'optim.lr': 1e-5,
        'disc.hidden': 16, 'disc.out_channels': 8, 'disc.scales': (2, 4),
        'disc.roma_window_quirk': True, 'cs.local_nums': 16, 'cs.side': 3,
        'cs.layers': layers})
    weights = jax.tree.map(jnp.float64, pretrained.load('vit_b16_384', module, None, config))
    ids = [similarity.random_ids(name_key(key, 'windows'), 64, 16).tolist()
           for key in parity.step_keys()]
    compare(config, parity.drawn(released_roma.networks(config, width)), released_roma.step,
            frozen={'vit': weights}, tables={'disc_b': {'dense_0': '0', 'dense_1': '2'}},
            players=released_roma.PLAYERS, vit=[net.double()] * parity.STEPS, ids=ids)
