"""A linear toy method, compiled at once, for tests of the machinery.

Run as a program it trains some steps on the devices it finds and prints the result as JSON:
  python tests/helpers/toy.py WORKDIR STEPS
"""

import json
import sys

import flax.linen as nn
import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import optax

from i2vjax.core import model, parallel, start_up, state
from i2vjax.core.model import Model
from i2vjax.run import averaging, checkpoint

GLOBAL_BATCH = 8
PLAYERS = {'gen': ('gen',), 'disc': ('disc',)}
INFERENCE_NETWORKS = ('gen',)


def settings(ema=0.9, accumulate=1):
  return ml_collections.ConfigDict(dict(train=dict(ema=ema), optim=dict(accumulate=accumulate)))


def toy_state(tx, nets, ema=0.9):
  params = state.init_params(nets, {name: (jnp.zeros((1, 3)),) for name in nets},
                             jax.random.key(1))
  opt = {player: tx[player].init({name: params[name] for name in names})
         for player, names in PLAYERS.items()}
  local = parallel.per_device({'pool': jnp.zeros(2)})
  averages = averaging.fresh(sys.modules[__name__], params, settings(ema).train)
  return state.State(params, opt, {'seen': jnp.zeros(())}, local, np.int32(0), jax.random.key(2),
                     averages)


def toy_step(nets, tx, ema=0.9):
  def step(s, batch, fixed, key):
    def gen_loss(params):
      fake = model.apply(nets, params, 'gen', batch['x'])
      return jnp.mean((model.apply(nets, params, 'disc', fake) - fixed['target']) ** 2), fake

    s, fake = state.update(Model({}, {}, tx), s, 'gen', PLAYERS['gen'], gen_loss)

    def disc_loss(params):
      loss = jnp.mean(model.apply(nets, params, 'disc', fake) ** 2)
      return loss, {'disc': loss}

    s, terms = state.update(Model({}, {}, tx), s, 'disc', PLAYERS['disc'], disc_loss)
    noise = jax.random.uniform(state.device_key(key), (2,))
    s = averaging.update_averages(s, settings(ema))
    return s.replace(device_state={'pool': s.device_state['pool'] + noise},
                     model_state={'seen': s.model_state['seen'] + jnp.mean(batch['x'])}), terms
  return step


def batch_of(step):
  """This process's part of the global batch of a step."""
  index, count = parallel.process()
  rows = np.random.default_rng(step).standard_normal((GLOBAL_BATCH, 3)).astype(np.float32)
  share = GLOBAL_BATCH // count
  return {'x': rows[index * share:(index + 1) * share]}


def train(workdir, steps, ema=0.9):
  """(state on the host, terms of the last step), going on from the checkpoint in `workdir`."""
  nets = {'gen': nn.Dense(3), 'disc': nn.Dense(1)}
  tx = {player: optax.adam(1e-2, b1=0.5) for player in PLAYERS}
  s = toy_state(tx, nets, ema)
  checkpoints = checkpoint.manager(workdir)
  found = checkpoint.restore(checkpoints, s)
  s, position = found or (s, {'next_index': 0})
  s = parallel.place(s)
  mapped = parallel.map_step(toy_step(nets, tx, ema))
  fixed, terms = parallel.replicate({'target': jnp.ones(())}), {}
  for step in range(position['next_index'], steps):
    s, terms = mapped(s, parallel.shard(batch_of(step)), fixed)
    jax.block_until_ready(terms)
  checkpoint.save(checkpoints, s, {'next_index': steps})
  checkpoint.finish(checkpoints)
  checkpoints.close()
  return s, terms


def summary(s, terms):
  """What a run came to, as plain numbers."""
  def numbers(tree):
    return np.concatenate([leaf.ravel() for leaf in jax.tree.leaves(parallel.to_host(tree))])
  return {
    'params': numbers(s.params).tolist(),
    'ema': numbers(s.ema).tolist(),
    'local': np.asarray(parallel.gather_local(s.device_state)['pool']).tolist(),
    'seen': float(s.model_state['seen']),
    'step': int(s.step),
    'devices': parallel.device_count(),
    'disc': float(terms['disc']),
  }


if __name__ == '__main__':
  jax.config.update('jax_cpu_enable_async_dispatch', False)
  start_up.initialize()
  parallel.GATHERED_AT_ONCE = 16   # bytes: so that pools of two processes come in two slices
  result = summary(*train(sys.argv[1], int(sys.argv[2])))
  print(json.dumps(result), flush=True)
