"""Remedies against a critic that wins: augmented views and R1.

None of them is in the papers, so all are off in ':paper' variants. They hold for every method,
since they act on the networks named `disc_...` from outside of its step.
"""

from __future__ import annotations

import functools
import logging

import jax
import jax.numpy as jnp

from i2vjax import methods
from i2vjax.core import diff_augment, ops
from i2vjax.core.errors import UserError
from i2vjax.core.model import Model
from i2vjax.core.state import State, device_key, name_key, update
from i2vjax.losses import gradient_penalty
from i2vjax.networks import patchgan


def tell_idle(model: Model) -> None:
  """Warn of remedies that were asked for and do nothing: several scales, augmented views.

  Scales are of PatchGANs alone, and views of critics that see frames: not clips, nor tokens.
  """
  scales, nets = model.config.critic.scales, model.networks.values()
  if scales > 1 and not any(isinstance(net, patchgan.MultiScaleCritic) for net in nets):
    logging.warning('critic.scales=%d does nothing here: no critic of this %s is a PatchGAN',
                    scales, model.config.method)
  for network, kind in _idle_views(model):
    logging.warning('critic.augment: %s does nothing to %s of this %s, which sees no such pictures',
                    kind, network, model.config.method)


def _idle_views(model):
  """(critic, kind of `critic.augment`) where `diff_augment.augment` leaves the input as it is."""
  kinds = diff_augment.kinds(model.config.critic.augment)
  if not kinds:
    return []
  examples = methods.get(model.config.method).example_inputs(model.config)
  return [(name, kind) for name, inputs in sorted(examples.items()) if name.startswith('disc')
          for kind in kinds if not diff_augment.changes(kind, inputs[0].shape)]


def with_views(model: Model, key: jax.Array) -> Model:
  """The model whose critics see frames under random changes (`critic.augment`).

  A critic's real and translated frames are changed by draws of the same key: row by row alike where
  they come in calls of their own, each by its own where they come in one. Rows of such calls are
  no samples, so each device draws for itself: here two devices do not give what one gives.
  """
  names = diff_augment.kinds(model.config.critic.augment)
  if not names:
    return model

  def view(network, frames):
    return diff_augment.augment(name_key(device_key(key), f'view of {network}'), frames, names)
  return model.replace(critic_view=view)


def penalize(method, model: Model, state: State, batch) -> tuple[State, dict]:
  """An R1 step of every player that trains critics, once in `critic.r1_every` steps.

  The penalty is `critic.r1` * `critic.r1_every` * R1 at the real frames of each critic's domain.

  Returns:
    (state, {'r1': R1 where it was taken, times `r1_every`, else 0; {} without `critic.r1`}): its
    mean over steps is that of R1.
  """
  critic, accumulate = model.config.critic, model.config.optim.accumulate
  if not critic.r1:
    return state, {}
  if accumulate > 1:
    raise UserError(f'critic.r1={critic.r1} with optim.accumulate={accumulate}: the penalty is a '
                    'move of its own and would count as one of the steps whose gradients are '
                    'averaged; set one of them off (0, 1)')
  total = jnp.zeros(())
  for player, names in method.PLAYERS.items():
    judges = [name for name in names if name.startswith('disc')]
    if not judges:
      continue
    step = functools.partial(_r1_step, model, player, judges, batch)
    state, value = jax.lax.cond(state.step % critic.r1_every == 0, step,
                                lambda state: (state, jnp.zeros(())), state)
    total = total + value
  return state, {'r1': total}


def _r1_step(model, player, names, batch, state):
  every, strength = model.config.critic.r1_every, model.config.critic.r1

  def loss(params):
    value = sum(_of_critic(model, params, name, batch) for name in names)
    return strength * every * value, every * value
  return update(model, state, player, names, loss)


def _of_critic(model, params, name, batch):
  """R1 of one critic, by a form of its convolutions that has second derivatives."""
  net, domain = model.networks[name], name.rpartition('_')[2]
  if isinstance(net, patchgan.MultiScaleCritic):
    plain = net.clone(critic=net.critic.clone(impl='plain'))
  elif isinstance(net, patchgan.PatchDiscriminator):
    plain = net.clone(impl='plain')
  else:
    raise UserError(f'critic.r1={model.config.critic.r1}: {name} of {model.config.method} is no '
                    'critic of single frames (PatchGAN); set --config.critic.r1=0')
  return gradient_penalty.r1(lambda x: plain.apply({'params': params[name]}, x),
                             ops.fold(batch[domain]))
