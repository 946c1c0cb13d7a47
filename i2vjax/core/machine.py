"""Cores and memory that this process may use."""

import os
import pathlib

GROUPS = pathlib.Path('/sys/fs/cgroup')   # limits of a container or a Slurm step, on Linux
CPUINFO = pathlib.Path('/proc/cpuinfo')
MOST_THREADS = 16


def cores() -> int:
  """Cores that this process may use, at least 1: its affinity, and the quota of its container."""
  count = os.cpu_count() or 1
  if hasattr(os, 'sched_getaffinity'):   # Linux: what Slurm and taskset leave
    count = len(os.sched_getaffinity(0))
  return max(1, min(count, int(_quota() or count)))


def _quota():
  """Cores' worth of time that the container gets; None: no limit."""
  try:
    limit, period = (GROUPS / 'cpu.max').read_text().split()
    return None if limit == 'max' else int(limit) / int(period)
  except (OSError, ValueError):
    pass
  try:   # the older layout
    limit = int((GROUPS / 'cpu/cpu.cfs_quota_us').read_text())
    return limit / int((GROUPS / 'cpu/cpu.cfs_period_us').read_text()) if limit > 0 else None
  except (OSError, ValueError):
    return None


def intel() -> bool:
  """True if Linux says that its processors are Intel's."""
  try:
    return 'GenuineIntel' in CPUINFO.read_text()
  except OSError:
    return False


def memory() -> int:
  """Bytes of memory that this process may use: the machine's, or the limit of its container."""
  try:
    total = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
  except (AttributeError, ValueError, OSError):   # Windows: a usual laptop
    total = 8 * 2**30
  limits = [total]
  for name in ('memory.max', 'memory/memory.limit_in_bytes'):
    try:
      limits.append(int((GROUPS / name).read_text()))
    except (OSError, ValueError):   # no such file, or 'max'
      continue
  return min(limits)


def threads(most: int = MOST_THREADS) -> int:
  """Threads that keep the cores busy with decoding or encoding: one a core, at most `most`."""
  return min(most, cores())
