"""Devices and processes: no other file deals with them.

A step is written for one device of an axis named `state.AXIS`. `map_step` maps it with
`jax.shard_map` over the devices of every process; the state has no device axis (only `device_state`
has), the batch gets its own here. Arrays are global: those of several processes are parts of one.
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib.util
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from i2vjax.core import machine
from i2vjax.core.errors import UserError
from i2vjax.core.state import AXIS, State, pmean

T = TypeVar('T')

GATHERED_AT_ONCE = 256 * 2**20   # bytes
ACCELERATORS = ('jax_cuda12_plugin', 'jax_cuda13_plugin', 'libtpu')   # packages that bring one
SMALL_FRAME = 64 * 64   # pixels; a step with more was not measured with one thread
# What Slurm leaves visible to a task: NVIDIA's and AMD's variables.
VISIBLE = ('CUDA_VISIBLE_DEVICES', 'ROCR_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES')


def platform() -> str:
  """'cpu' where jax will find no accelerator, as far as its environment and packages tell."""
  return os.environ.get('JAX_PLATFORMS') or (
      'other' if any(map(importlib.util.find_spec, ACCELERATORS)) else 'cpu')


def leave_a_core_to_the_loader(pixels: int) -> bool:
  """On two CPU cores, have XLA compute steps on small frames with one thread (NPROC).

  Two threads share each of a step's many little operations, and whenever the loader is on one of
  the cores, the other waits (docs/performance.md has the seconds). Call before any device is used;
  whoever sets NPROC decides otherwise.

  Args:
    pixels: of a training frame.

  Returns:
    Whether it did.
  """
  if platform() != 'cpu' or machine.cores() != 2 or pixels > SMALL_FRAME or 'NPROC' in os.environ:
    return False
  os.environ['NPROC'] = '1'
  return True


def keep_memory() -> None:
  """On a Linux CPU, have glibc keep freed memory instead of handing it back after each call.

  Large temporary arrays otherwise come back as untouched pages in every step, and touching them
  anew costs up to half of its time. One arena, because the arenas of other threads hold 64 MB at
  most and take anything larger from the system. Call before any thread exists.
  """
  if sys.platform == 'linux' and platform() == 'cpu':
    with contextlib.suppress(AttributeError, OSError):   # another C library: nothing to set
      libc = ctypes.CDLL(None)
      libc.mallopt(-8, 1)            # M_ARENA_MAX
      libc.mallopt(-4, 0)            # M_MMAP_MAX: nothing from mmap
      libc.mallopt(-1, -1)           # M_TRIM_THRESHOLD: nothing handed back, however large


def prefer_library_products() -> None:
  """On NVIDIA GPUs, have XLA leave products of matrices to cuBLAS. Call before any device is used.

  XLA's own Triton kernels find no tiling for some products of CPTrans without a ViT and of
  MornGAN's mining phase (jax 0.10.2, 0.11.2, without autotuning), and then the step does not
  compile. Whoever sets --xla_gpu_enable_triton_gemm in XLA_FLAGS decides otherwise.
  """
  flags = os.environ.get('XLA_FLAGS', '')
  if 'xla_gpu_enable_triton_gemm' not in flags and any(
      importlib.util.find_spec(name) for name in ACCELERATORS if 'cuda' in name):
    os.environ['XLA_FLAGS'] = f'{flags} --xla_gpu_enable_triton_gemm=false'.strip()


def initialize(coordinator: str | None = None, processes: int | None = None,
               process_id: int | None = None) -> None:
  """Join the other processes of this run, if there are any. Call before any device is used.

  Explicit arguments win (or the environment variables I2VJAX_COORDINATOR, I2VJAX_PROCESSES,
  I2VJAX_PROCESS_ID); in a Slurm step of several tasks, or with I2VJAX_TPU_POD set on the hosts of a
  pod, jax finds the others itself.

  Raises:
    UserError: GPUs of a node cannot be shared by its tasks, or jax finds fewer devices than Slurm
      gives or than I2VJAX_LOCAL_DEVICES asks for (launch/slurm.sh sets it).
  """
  wanted = os.environ.get('I2VJAX_LOCAL_DEVICES')
  joined, own = _join(coordinator, processes, process_id)
  if own and os.environ.get('JAX_PLATFORMS', '') != 'cpu':
    wanted = wanted or str(len(own))
  if wanted and jax.local_device_count() != int(wanted):
    raise UserError(
        f'this process should have {wanted} devices, and jax finds {jax.local_device_count()} of '
        f'kind {jax.local_devices()[0].device_kind}: see what `python -m i2vjax.main doctor` and '
        'nvidia-smi say on that host, and ask for as many GPUs as it has')
  if joined:
    # The first collective connects all and, on CPUs, gives up after half a minute, which one may
    # spend in reading weights. Once connected, all wait as long as it takes.
    barrier('start')


def _join(coordinator, processes, process_id):
  """(True if there are other processes, numbers of this process's GPUs under Slurm or None)."""
  coordinator = coordinator or os.environ.get('I2VJAX_COORDINATOR')
  if coordinator:
    processes = int(processes or os.environ['I2VJAX_PROCESSES'])
    process_id = int(os.environ['I2VJAX_PROCESS_ID'] if process_id is None else process_id)
    if os.environ.get('JAX_PLATFORMS', '') == 'cpu':
      jax.config.update('jax_cpu_collectives_implementation', 'gloo')
    own = slurm_devices()
    jax.distributed.initialize(coordinator, processes, process_id, local_device_ids=own)
  elif int(os.environ.get('SLURM_STEP_NUM_TASKS', '1')) > 1:
    own = slurm_devices()
    jax.distributed.initialize(local_device_ids=own)
  elif os.environ.get('I2VJAX_TPU_POD'):
    own = None
    jax.distributed.initialize()
  else:
    return False, None
  return True, own


def slurm_devices() -> list[int] | None:
  """Numbers of the GPUs that belong to this task of a Slurm step, among those it can see.

  jax itself takes one GPU for each task, so that one task a node would leave all but one idle. Here
  the tasks of a node share its GPUs evenly; where Slurm binds GPUs to tasks (--gpus-per-task), a
  task sees its own and takes all of them.

  Returns:
    [numbers]; None outside Slurm, without GPUs, and where JAX_LOCAL_DEVICE_IDS says it.

  Raises:
    UserError: the tasks of this node cannot share its GPUs evenly.
  """
  environ = os.environ
  if 'SLURM_LOCALID' not in environ or environ.get('JAX_LOCAL_DEVICE_IDS'):
    return None
  node = int(environ.get('SLURM_GPUS_ON_NODE') or 0)
  listed = next((environ[name] for name in VISIBLE if environ.get(name)), None)
  visible = node if listed is None else len(listed.split(','))
  if not visible:
    return None
  tasks = _tasks_of_node(environ.get('SLURM_STEP_TASKS_PER_NODE', '1'),
                         int(environ.get('SLURM_NODEID') or 0))
  if visible < tasks or visible * tasks <= node:   # bound to this task, or its only one
    return list(range(visible))
  if visible % tasks:
    raise UserError(f'{visible} GPUs of a node cannot be shared by its {tasks} Slurm tasks: ask '
                    'for --ntasks-per-node=1, or one task for each GPU')
  share, place = visible // tasks, int(environ['SLURM_LOCALID'])
  return list(range(place * share, (place + 1) * share))


def _tasks_of_node(text, node):
  """Tasks on node number `node` as Slurm writes them: '2(x3),1' are 2, 2, 2 and 1."""
  counts = []
  for part in text.split(','):
    tasks, _, times = part.partition('(x')
    counts += [int(tasks)] * int(times.rstrip(')') or 1)
  return counts[min(node, len(counts) - 1)]


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


def map_step(step: Callable, mesh: Mesh | None = None) -> jax.stages.Wrapped:
  """Map `step(state, batch, frozen, key) -> (state, terms)` over all devices.

  Each device gets its share of the batch, and all get the same key for this step
  (`core.state.sample_keys`); terms and `model_state` come back averaged. The state is donated:
  never touch the one that was passed in.

  Args:
    mesh: devices that are not here, which the step is only compiled for; None: all that are.

  Returns:
    (state, batch, frozen) -> (state, terms).
  """
  def body(state, batch, frozen):
    # 0: as the first device drew when each had a key of its own; a run of one goes on as before.
    key = jax.random.fold_in(jax.random.fold_in(state.key, state.step), 0)
    state, terms = step(state, batch, frozen, key)
    return state.replace(step=state.step + 1, model_state=pmean(state.model_state)), pmean(terms)
  return _mapped(mesh or mesh_of(), body)


def _mapped(mesh, body):
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
  return jax.jit(mapped, donate_argnums=0, compiler_options=_options(mesh.devices.flat[0].platform),
                 in_shardings=specs(lambda spec: NamedSharding(mesh, spec)))


@functools.cache
def _options(platform):
  """Compiler options of a step: on CPUs the order of operations that needs the least memory.

  XLA's own order there begins what it can as early as it can, and holds up to three times as much.
  """
  if platform != 'cpu':
    return None
  options = {'xla_cpu_scheduler_type': 'CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED'}
  try:
    jax.jit(lambda: jnp.zeros(()), compiler_options=options).lower().compile()
  except jax.errors.JaxRuntimeError:   # another version of XLA, without this option
    return None
  return options


def compiled(program: jax.stages.Wrapped, *args: Any) -> jax.stages.Compiled:
  """`program` of `map_step`, compiled ahead of its first call, for arguments like these.

  What the compiler took, often more than a step does, goes back to the system.
  """
  ready = program.lower(*args).compile()
  if sys.platform == 'linux':
    with contextlib.suppress(AttributeError, OSError):   # another C library
      ctypes.CDLL(None).malloc_trim(0)
  return ready


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


