"""Log of a training run: metrics.jsonl, TensorBoard, progress bar.

`metrics.jsonl` is the source of truth: one line per logged step, flushed, cut back to the restored
step when a run goes on.
"""

import contextlib
import importlib.util
import json
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import NonFinite
from i2vjax.run import input_watch, training_curves


def averages(terms: Sequence[Mapping[str, Any]]) -> dict[str, float]:
  """Mean of each logged term over the steps that have it.

  Args:
    terms: {name: scalar} of each step.
  """
  values: dict[str, list] = {}
  for step in terms:
    for name, value in step.items():
      values.setdefault(name, []).append(value)
  # In NumPy: on the device a mean is some operations and a wait for each term.
  return {name: float(np.mean(np.asarray(values[name], np.float32))) for name in sorted(values)}


def check_finite(first_step: int, terms: Sequence[Mapping[str, Any]]) -> None:
  """Raises NonFinite naming the first step and the terms that are not finite."""
  for step, values in enumerate(terms, first_step):
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    if bad:
      raise NonFinite(f'step {step}: {", ".join(sorted(bad))} is not finite')


def cut_back(path: str | pathlib.Path, step: int) -> None:
  """Drop the lines of `path` after `step`, and a half-written last one."""
  path = pathlib.Path(path)
  if not path.is_file():
    return
  lines = [line + '\n' for line, entry in training_curves.entries(path) if entry['step'] <= step]
  files.save_text(path, ''.join(lines))


def _event_writer(folder, tensorboard):
  """clu's writer where TensorFlow is installed, else tensorboardX; None if not `tensorboard`."""
  if not tensorboard:
    return None
  if importlib.util.find_spec('tensorflow') and importlib.util.find_spec('tensorboard'):
    from clu import metric_writers
    return metric_writers.SummaryWriter(str(folder))
  import tensorboardX
  return tensorboardX.SummaryWriter(str(folder))


class MetricLogger:
  """The numbers of a run, written on the main process alone.

  Attributes:
    watch: is told of each step, and knows how long devices wait for input.
  """

  def __init__(self, workdir: str | pathlib.Path, config: ConfigDict, step: int, total: int,
               show: bool = True, active: bool = True) -> None:
    """Open the log, cut back to `step`.

    Args:
      workdir: run folder.
      config: the run's config.
      step: steps done.
      total: steps of the whole run.
      show: progress bar on the terminal.
      active: False on all processes but the main one: nothing is written.
    """
    self.active = active
    self.clock, self.clock_step = time.perf_counter(), step
    self.watch, self.advice = input_watch.InputWatch(active), input_watch.Advice(config)
    if not active:
      return
    path = pathlib.Path(workdir) / 'metrics.jsonl'
    cut_back(path, step)
    self.lines = open(path, 'a', buffering=1)  # noqa: SIM115
    self.events = _event_writer(workdir, config.log.tensorboard)
    self.bar = tqdm.tqdm(total=total, initial=step, unit='step', disable=not show,
                         dynamic_ncols=True, smoothing=0.1)

  def write(self, step: int, values: Mapping[str, float]) -> None:
    """One line of numbers for `step`."""
    if not self.active:
      return
    self.lines.write(json.dumps({'step': step, **values}) + '\n')
    if hasattr(self.events, 'write_scalars'):
      self.events.write_scalars(step, values)
    elif self.events:
      for name, value in values.items():
        self.events.add_scalar(name, value, step)

  def progress(self, step: int, values: Mapping[str, float], frames_per_step: int) -> None:
    """Move the bar and write the line, with the speed since the last one.

    `input_wait` is the share of the time in which devices had nothing to do, as no batch was there;
    where it is large, one line says what helps.

    Args:
      step: steps done.
      values: {name: number}.
      frames_per_step: source frames a step learns from.
    """
    now, waited = time.perf_counter(), self.watch.taken()
    elapsed, steps = max(now - self.clock, 1e-9), max(step - self.clock_step, 1)
    seconds = elapsed / steps
    self.clock, self.clock_step = now, step
    if line := self.advice.after(steps, waited, elapsed):
      self.say(line)
    speed = {'seconds_per_step': seconds, 'frames_per_second': frames_per_step / seconds,
             'input_wait': waited / elapsed}
    self.write(step, {**values, **speed})
    if self.active:
      shown = {name: f'{value:.3g}' for name, value in values.items() if '/' not in name}
      shown['frames/s'] = f"{speed['frames_per_second']:.1f}"
      self.bar.set_postfix(shown, refresh=False)
      self.bar.update(step - self.bar.n)

  def say(self, text: str) -> None:
    """A line above the progress bar."""
    if self.active:
      self.bar.write(text) if not self.bar.disable else print(text, flush=True)

  def close(self) -> None:
    """Flush and close."""
    self.watch.close()
    if not self.active:
      return
    self.bar.close()
    with contextlib.suppress(OSError):   # a full disk: writing a line has said so
      self.lines.close()
    if self.events:
      with contextlib.suppress(OSError):
        self.events.close()
