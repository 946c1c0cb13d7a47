"""Set before a device is used: threads, memory, compilers, other processes."""

import importlib.util
import os

import jax

from i2vjax.core import host_memory, machine, parallel
from i2vjax.core.errors import UserError

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
  """On a CPU, have freed memory kept (host_memory.py). Call before any thread exists."""
  if platform() == 'cpu':
    host_memory.keep()


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


# ---- The other processes


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
    parallel.barrier('start')


def _join(coordinator, processes, process_id):
  """(True if there are other processes, numbers of this process's GPUs under Slurm or None)."""
  coordinator = coordinator or os.environ.get('I2VJAX_COORDINATOR')
  if coordinator:
    processes = _number('processes', processes, coordinator)
    process_id = _number('process_id', process_id, coordinator)
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


def _number(name, value, coordinator):
  """--processes or --process_id, or its environment variable."""
  variable = f'I2VJAX_{name.upper()}'
  text = os.environ.get(variable, '') if value is None else str(value)
  if not text.isdecimal():
    given = f', not {variable if value is None else "--" + name}={text}' if text else ''
    raise UserError(f'--coordinator={coordinator} needs --{name}, a whole number{given}')
  return int(text)


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
