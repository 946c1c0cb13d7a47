"""The contract of a method: all that is asked of it.

A method is a module under `i2vjax/methods` that reads like the paper's method section. It offers
the names in `REQUIRED`; the others have the defaults that `hook` fills in. Training, translation,
evaluation and export know nothing else of it, but for the names of its networks:

  gen_ab, gen_ba, or gen alone   they translate (`--network`, exports)
  NAME_a, NAME_b                 partners, one of each domain: disc_a and disc_b, seg_a and seg_b
  NAME_ab, NAME_ba               partners, one of each direction: proj_ab and proj_ba

Where a run is used from b to a, partners change places (run/direction.py).

Shapes: B clips, T frames, H W C; frames are NHWC float32 in [-1, 1]. Domain a is the source, b the
target.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
from ml_collections import ConfigDict

from i2vjax.core.model import Model
from i2vjax.core.state import State

Batch = Mapping[str, jax.Array]
Params = Mapping[str, Any]


class Method(Protocol):
  """What a method file offers."""

  YEAR: int
  """Of the paper. A method may import one method that is not newer, and no parts of another."""

  PLAYERS: Mapping[str, tuple[str, ...]]
  """{player: names of the networks it trains}; each player has an optimizer of its own."""

  INFERENCE_NETWORKS: tuple[str, ...]
  """Networks that translating needs. Of the trained ones averages are kept (`train.ema`); frozen
  ones are loaded to translate, all others are not."""

  def networks(self, config: ConfigDict) -> dict[str, nn.Module]:
    """The trained networks. Raises UserError for choices that cannot be meant."""

  def example_inputs(self, config: ConfigDict) -> dict[str, tuple[jax.Array, ...]]:
    """{network: arrays it is called with}, for initial parameters and exports; frozen ones may be
    left out, they have examples of their own."""

  def step(self, model: Model, state: State, batch: Batch, key: jax.Array) -> tuple[State, dict]:
    """One training step of all players, in the paper's order; called by `train`, on one device of
    the axis `core.state.AXIS`.

    Args:
      model: networks, optimizers, frozen parameters, phase.
      state: params, optimizer states, `model_state`, `device_state` of this device; `state.step` is
        the number of steps done.
      batch: {'a': [B, T, H, W, C], 'b': ...} and the fields asked for by `batch_fields`.
      key: for this step, the same on all devices. What is drawn for each sample takes
        `core.state.sample_keys`, so that it does not depend on who holds the sample.

    Returns:
      (state, {term: scalar}). Terms of weight 0 are neither computed nor returned.
    """

  def translate(self, model: Model, params: Params, model_state: Any, carry: Any,
                frames: jax.Array) -> tuple[Any, jax.Array]:
    """A clip, or its next chunk: frames [B, T, H, W, C], T free, to the same in domain b.

    Args:
      carry: None at a clip's start, then what the call before returned: a clip in chunks equals the
        clip whole.
    """

  # ---- Optional, with the value that `hook` returns without them

  def frozen_networks(self, config: ConfigDict) -> dict[str, tuple[nn.Module, str]]:
    """{name: (module, id of its weight file)} of networks that are never trained.
    Default: {}."""

  def phases(self, config: ConfigDict) -> list[tuple[int, str]]:
    """[(first step, name), ...] of the training's phases, from step 0 on.
    Default: [(0, 'train')]."""

  def step_variant(self, config: ConfigDict, step: int) -> Hashable:
    """A static choice that the host makes for this step: one compiled program for each.
    Default: there is no choice, one program for each phase. What `model.phase` is with it and
    without it: run/phases.py, `program_key`."""

  def batch_fields(self, config: ConfigDict) -> tuple[str, ...]:
    """What a batch must bring besides frames: 'labels', 'edges', 'flow', 'index', with '_a' or '_b'
    for one domain (data/loader/batches.py). Default: ()."""

  def model_state(self, config: ConfigDict) -> Any:
    """Initial batch statistics, spectral-norm vectors, memories: averaged over devices.
    Default: {}."""

  def device_state(self, config: ConfigDict) -> Any:
    """Initial state of one device (image pools); never averaged. Default: {}."""

  def sample_rows(self, model: Model, params: Params, model_state: Any, batch: Batch,
                  key: jax.Array) -> dict[str, jax.Array]:
    """{label: [B, H, W, 3]} rows of the sample sheet.
    Default: input, translation, and a target frame (run/sample_sheet.py)."""

  def training_feed(self, model: Model, feed: Iterator, state: State, step: int) -> Iterator:
    """The batches from `step` on, as a phase begins or a run goes on (run/feed.py).
    Default: `feed`."""


REQUIRED = ('YEAR', 'PLAYERS', 'INFERENCE_NETWORKS', 'networks', 'example_inputs', 'step',
            'translate')
DEFAULTS: dict[str, Any] = {
    'frozen_networks': lambda config: {},
    'phases': lambda config: [(0, 'train')],
    'step_variant': None,
    'batch_fields': lambda config: (),
    'model_state': lambda config: {},
    'device_state': lambda config: {},
    'sample_rows': None,
    'training_feed': lambda model, feed, state, step: feed,
}


def hook(method: Method, name: str) -> Any:
  """An optional hook of a method, or its default; None for `step_variant` and `sample_rows`."""
  return getattr(method, name, DEFAULTS[name])
