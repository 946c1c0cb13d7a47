"""What a run says while it trains, and how it is told to end: metrics.jsonl, TensorBoard, signals.

`metrics.jsonl` is the source of truth: one line per logged step, flushed, cut back to the restored
step when a run goes on.
"""

import importlib.util
import json
import os
import pathlib
import time

import numpy as np
import tqdm
from clu import metrics as clu_metrics

from i2vjax.core.errors import NonFinite


def averages(terms):
  """Mean of each logged term over some steps.

  Args:
    terms: list of {name: scalar}, one per step.
  """
  names = {name for step in terms for name in step}
  return {name: float(clu_metrics.Average.from_model_output(
      np.asarray([step[name] for step in terms if name in step], np.float32)).compute())
          for name in sorted(names)}


def check_finite(first_step, terms):
  """Raises NonFinite naming the first step and the terms that are not finite."""
  for step, values in enumerate(terms, first_step):
    bad = [name for name, value in values.items() if not np.isfinite(value)]
    if bad:
      raise NonFinite(f'step {step}: {", ".join(sorted(bad))} is not finite')


def cut(path, step):
  """Drop the lines of `path` after `step`, and a half-written last one."""
  path = pathlib.Path(path)
  if not path.is_file():
    return
  kept = []
  for line in path.read_text().splitlines():
    try:
      if json.loads(line)['step'] <= step:
        kept.append(line)
    except (ValueError, KeyError):
      continue   # the line a killed process was writing
  part = path.with_name(path.name + '.part')
  part.write_text(''.join(line + '\n' for line in kept))
  os.replace(part, path)


def _event_writer(folder, wanted):
  """clu's writer where TensorFlow is installed, else tensorboardX."""
  if not wanted:
    return None
  if importlib.util.find_spec('tensorflow') and importlib.util.find_spec('tensorboard'):
    from clu import metric_writers
    return metric_writers.SummaryWriter(str(folder))
  import tensorboardX
  return tensorboardX.SummaryWriter(str(folder))


class MetricLogger:
  """Writes a run's numbers and pictures. On processes other than the main one it writes nothing."""

  def __init__(self, workdir, config, step, total, show=True, active=True):
    self.active, self.total = active, total
    self.folder = pathlib.Path(workdir)
    self.clock, self.clock_step = time.perf_counter(), step
    if not active:
      return
    cut(self.folder / 'metrics.jsonl', step)
    self.lines = open(self.folder / 'metrics.jsonl', 'a', buffering=1)  # noqa: SIM115
    self.events = _event_writer(self.folder, config.log.tensorboard)
    self.bar = tqdm.tqdm(total=total, initial=step, unit='step', disable=not show,
                         dynamic_ncols=True, smoothing=0.1)

  def write(self, step, values):
    """One line of numbers for `step`."""
    if not self.active:
      return
    self.lines.write(json.dumps({'step': step, **values}) + '\n')
    if hasattr(self.events, 'write_scalars'):
      self.events.write_scalars(step, values)
    elif self.events:
      for name, value in values.items():
        self.events.add_scalar(name, value, step)

  def progress(self, step, values, frames_per_step, waited=0.0):
    """Move the bar and write the line, with the speed since the last one.

    Args:
      step: steps done.
      values: {name: number}.
      frames_per_step: source frames a step learns from.
      waited: seconds since the last line in which the device had no batch; logged as
        `input_wait`, a share of the time.
    """
    now = time.perf_counter()
    elapsed = max(now - self.clock, 1e-9)
    seconds = elapsed / max(step - self.clock_step, 1)
    self.clock, self.clock_step = now, step
    speed = {'seconds_per_step': seconds, 'frames_per_second': frames_per_step / seconds,
             'input_wait': waited / elapsed}
    self.write(step, {**values, **speed})
    if self.active:
      shown = {name: f'{value:.3g}' for name, value in values.items() if '/' not in name}
      shown['frames/s'] = f"{speed['frames_per_second']:.1f}"
      self.bar.set_postfix(shown, refresh=False)
      self.bar.update(step - self.bar.n)

  def say(self, text):
    """A line above the progress bar."""
    if self.active:
      self.bar.write(text) if not self.bar.disable else print(text, flush=True)

  def close(self):
    """Flush and close."""
    if self.active:
      self.bar.close()
      self.lines.close()
      if self.events:
        self.events.close()
