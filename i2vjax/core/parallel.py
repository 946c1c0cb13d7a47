"""Devices and processes: no other file deals with them, but for `start_up`.

A step is written for one device of an axis named `state.AXIS`. `map_step` maps it with
`jax.shard_map` over the devices of every process; the state has no device axis (only `device_state`
has), the batch gets its own here. Arrays are global: those of several processes are parts of one.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from i2vjax.core import host_memory, machine
from i2vjax.core.errors import UserError
from i2vjax.core.state import AXIS, State, pmean

T = TypeVar('T')

GATHERED_AT_ONCE = 256 * 2**20   # bytes
LARGE_FRAME = 256 * 256          # pixels


def process() -> tuple[int, int]:
  """(index of this process, number of processes)."""
  return jax.process_index(), jax.process_count()


def joined() -> bool:
  """True if this process has joined others; touches no device."""
  return bool(jax.distributed.is_initialized()) and process()[1] > 1


def is_main() -> bool:
  """True on the one process that writes logs and pictures."""
  return jax.process_index() == 0


def device_count() -> int:
  """Devices of all processes together."""
  return jax.device_count()


def describe() -> str:
  """One line for logs and reports: '32 x NVIDIA H100 (4 processes of 8)'."""
  kind = jax.devices()[0].device_kind
  _, count = process()
  each = f' ({count} processes of {jax.local_device_count()})' if count > 1 else ''
  return f'{device_count()} x {kind}{each}'


def peak_memory() -> int:
  """Bytes that the first device here held at most; 0 where it keeps no account, as CPUs."""
  return int((jax.local_devices()[0].memory_stats() or {}).get('peak_bytes_in_use', 0))


def local_batch(batch: int) -> int:
  """Windows per process for a global `batch`; refuses what the devices cannot share evenly."""
  if batch % device_count():
    next_larger = -(-batch // device_count()) * device_count()
    raise UserError(f'data.batch={batch} windows cannot be shared by {device_count()} devices: '
                     f'try --config.data.batch={next_larger}')
  return batch // jax.process_count()


def mesh_of(devices: Sequence[Any] = ()) -> Mesh:
  """A mesh of one axis over these devices; (): over those of all processes."""
  return Mesh(np.array(devices or jax.devices()), (AXIS,))


def place(state: State) -> State:
  """State on all devices: replicated, `device_state` dealt one entry a device."""
  device_state = _placed(state.device_state, PartitionSpec(AXIS))
  return _placed(state.replace(device_state={}), PartitionSpec()).replace(device_state=device_state)


def replicate(tree: T) -> T:
  """Any tree on all devices (frozen networks)."""
  return _placed(tree, PartitionSpec())


def _placed(tree, spec):
  """A tree of what this process holds as global arrays."""
  sharding = NamedSharding(mesh_of(), spec)
  if jax.process_count() == 1:
    return jax.device_put(tree, sharding)

  def one(x):
    if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
      return jax.random.wrap_key_data(one(jax.random.key_data(x)), impl=jax.random.key_impl(x))
    return jax.make_array_from_process_local_data(sharding, np.asarray(x))
  return jax.tree.map(one, tree)


def on_first(tree: T) -> T:
  """The copy that the first local device has of a replicated tree, for programs of one device."""
  return jax.tree.map(lambda x: x.addressable_data(0), tree)


def per_device(tree: Any) -> Any:
  """One copy of a per-device tree for each local device: [devices, ...]."""
  count = jax.local_device_count()
  return jax.tree.map(lambda x: jnp.broadcast_to(x, (count, *jnp.shape(x))), tree)


def shard(batch: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """[b, ...] host arrays of this process -> [devices, b / devices, ...] of all of them."""
  count = jax.local_device_count()
  batch = jax.tree.map(lambda x: x.reshape((count, x.shape[0] // count, *x.shape[1:])), batch)
  return batch if jax.process_count() == 1 else _placed(batch, PartitionSpec(AXIS))


def map_step(step: Callable, mesh: Mesh | None = None, pixels: int = 0) -> jax.stages.Wrapped:
  """Map `step(state, batch, frozen, key) -> (state, terms)` over all devices.

  Each device gets its share of the batch, and all get the same key for this step
  (`core.state.sample_keys`); terms and `model_state` come back averaged. The state is donated:
  never touch the one that was passed in.

  Args:
    mesh: devices that are not here, which the step is only compiled for; None: all that are.
    pixels: of a frame, by which XLA's products are chosen on CPUs.

  Returns:
    (state, batch, frozen) -> (state, terms).
  """
  def body(state, batch, frozen):
    # 0: as the first device drew when each had a key of its own; a run of one goes on as before.
    key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 0)
    state, terms = step(state, batch, frozen, key)
    return state.replace(step=state.step + 1, model_state=pmean(state.model_state)), pmean(terms)
  return _mapped(mesh or mesh_of(), body, pixels)


def _mapped(mesh, body, pixels):
  """`body`, which knows one device, over the one axis of `mesh`."""
  def on_device(state, batch, frozen):
    first = jax.tree.map(lambda x: x[0], (state.device_state, batch))
    state, terms = body(state.replace(device_state=first[0]), first[1], frozen)
    each = jax.tree.map(lambda x: x[None], state.device_state)
    return state.replace(device_state=each), terms

  def specs(wrap):
    everywhere, each = wrap(PartitionSpec()), wrap(PartitionSpec(AXIS))
    state = {field.name: everywhere for field in dataclasses.fields(State)}
    return State(**state | {'device_state': each}), each, everywhere   # alone has a device axis
  in_specs = specs(lambda spec: spec)
  mapped = jax.shard_map(on_device, mesh=mesh, in_specs=in_specs,
                         out_specs=(in_specs[0], in_specs[2]), check_vma=False)
  options = _options(mesh.devices.flat[0].platform, pixels >= LARGE_FRAME and machine.intel())
  return jax.jit(mapped, donate_argnums=0, compiler_options=options,
                 in_shardings=specs(lambda spec: NamedSharding(mesh, spec)))


@functools.cache
def _options(platform, plain_products=False):
  """Compiler options of a step on a CPU; those that this version of XLA does not have are left out.

  The order of operations is that which needs the least memory: XLA's own begins what it can as
  early as it can, and holds up to three times as much.

  Args:
    plain_products: products by Eigen, not by YNNPACK, for which XLA holds up to a quarter more in
      steps on large frames, in as much time or more on Intel's CPUs; small ones are quicker by it
      (docs/performance.md).
  """
  if platform != 'cpu':
    return None
  wanted = {'xla_cpu_scheduler_type': 'CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED'}
  if plain_products:
    wanted['xla_cpu_experimental_ynn_fusion_type'] = ''
  return {name: value for name, value in wanted.items() if _is_known(name, value)}


def _is_known(name, value):
  try:
    jax.jit(lambda: jnp.zeros(()), compiler_options={name: value}).lower().compile()
  except jax.errors.JaxRuntimeError:
    return False
  return True


def compiled(program: jax.stages.Wrapped, *args: Any) -> jax.stages.Compiled:
  """`program` of `map_step`, compiled ahead of its first call, for arguments like these.

  What the compiler took, often more than a step does, goes back to the system.
  """
  ready = program.lower(*args).compile()
  host_memory.hand_back()
  return ready


def one_by_one(ready: jax.stages.Compiled) -> Callable:
  """A compiled step; on CPUs it returns when its memory is free for the next (host_memory.py)."""
  plan = ready.memory_analysis() if jax.default_backend() == 'cpu' else None
  return host_memory.until_freed(ready, plan.temp_size_in_bytes) if plan else ready


def to_host(tree: Any) -> Any:
  """NumPy copy of a replicated tree, safe from donation."""
  return jax.tree.map(lambda x: np.array(x), tree)


def gather_local(tree: Any) -> Any:
  """Per-device trees of all processes as one NumPy tree [all devices, ...], equal everywhere."""
  if jax.process_count() == 1:
    return to_host(tree)
  return jax.tree.map(_gathered, tree)


def _gathered(x):
  """A leaf in slices along its second axis: each is on every device for a moment.

  The pools of 64 chips, 78 MB each at 256 pixels, would take 5 GB on every one of them.
  """
  if x.ndim < 2 or x.nbytes <= GATHERED_AT_ONCE:
    return multihost_utils.process_allgather(x, tiled=True)
  rows = max(1, GATHERED_AT_ONCE * x.shape[1] // x.nbytes)
  parts = [multihost_utils.process_allgather(x[:, i:i + rows], tiled=True)
           for i in range(0, x.shape[1], rows)]
  return np.concatenate(parts, axis=1)


def own_share(tree: Any) -> Any:
  """This process's part of a tree [all devices, ...]."""
  count = jax.local_device_count()
  start = jax.process_index() * count
  return jax.tree.map(lambda x: x[start:start + count], tree)


def barrier(name: str) -> None:
  """Wait for the other processes."""
  if jax.process_count() > 1:
    multihost_utils.sync_global_devices(name)


def any_process(flag: bool) -> bool:
  """True everywhere as soon as it is true on one process (a stop signal, say)."""
  if jax.process_count() == 1:
    return bool(flag)
  return bool(np.max(multihost_utils.process_allgather(np.asarray(flag))))


def gather_text(text: str) -> list[str]:
  """The texts of all processes, in their order; equal everywhere."""
  if jax.process_count() == 1:
    return [text]
  own = np.frombuffer(text.encode(), np.uint8)
  lengths = np.asarray(multihost_utils.process_allgather(np.asarray(len(own)))).ravel()
  padded = np.zeros(max(1, int(lengths.max())), np.uint8)
  padded[:len(own)] = own
  rows = np.asarray(multihost_utils.process_allgather(padded))
  return [bytes(row[:length]).decode() for row, length in zip(rows, lengths, strict=True)]


def together(work: Callable[[], T]) -> T:
  """`work()` on every process: a mistake that one of them finds ends all, and all say what it is.

  Args:
    work: must not ask other processes anything.

  Raises:
    UserError, OSError: of this process, or a UserError that tells the mistake of another.
  """
  found: UserError | OSError | None = None
  try:
    result = work()
  except (UserError, OSError) as error:
    found = error
  others = gather_text(str(found) or type(found).__name__ if found else '')
  if found:
    raise found
  for number, text in enumerate(others):
    if text:
      raise UserError(f'process {number} of this run stopped: {text}')
  return result


def main_first(work: Callable[[], T]) -> T:
  """Run `work()` on the main process while the others wait, then on the others.

  Raises:
    UserError, OSError: see `together`.
  """
  if jax.process_count() == 1:
    return work()
  result = together(lambda: work() if is_main() else None)
  rest = together(lambda: None if is_main() else work())
  return result if is_main() else rest   # type: ignore[return-value]


