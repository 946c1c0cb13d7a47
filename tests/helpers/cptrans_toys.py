"""CPTrans small enough for tests."""

import jax
from method_tools import config_of

KEY = jax.random.key(7)


def tiny(backbone='none', **weights):
  config = config_of('cptrans', 'demo')
  config.data.update(load_size=32, crop_size=32)
  config.gen.update(kind='resnet', width=4, blocks=1)
  config.critic.update(scales=1, lr=1.0)
  config.ctn.noise_std = 0.0
  config.disc.update(width=4, layers=1, hidden=8)
  config.init.update(kind='normal', gain=0.1)   # far from the start's near-constant frames
  config.backbone, config.vit.image_size = backbone, 64
  config.cs.update(layers=(0, 1), side=3)
  config.weights.update(adversarial=1.0, cs_global=6.0, cs_local=6.0, ctn=10.0, identity=0.0)
  config.weights.update(weights)
  return config
