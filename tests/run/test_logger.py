"""Numbers of a run: averaged, checked, cut back."""

import json

import numpy as np
import pytest

from i2vjax import defaults
from i2vjax.run import logger


def test_terms_are_averaged_by_name_over_the_steps_that_have_them():
  got = logger.averages([{'a': 1.0, 'b': 4.0}, {'a': 2.0}])
  assert got == {'a': 1.5, 'b': 4.0}


def test_first_bad_step_and_its_terms_are_named():
  with pytest.raises(logger.NonFinite, match='step 8: cycle, gan is not finite'):
    logger.check_finite(7, [{'gan': 1.0, 'cycle': 1.0}, {'gan': np.nan, 'cycle': np.inf}])


def test_log_is_cut_back_to_the_restored_step(tmp_path):
  path = tmp_path / 'metrics.jsonl'
  lines = [json.dumps({'step': step}) for step in (1, 2, 3)]
  path.write_text('\n'.join(lines) + '\n{"step": 4, "ad')
  logger.cut_back(path, 2)
  assert path.read_text().splitlines() == lines[:2]


def test_lines_and_tensorboard_files_are_written_without_tensorflow(tmp_path):
  book = logger.MetricLogger(tmp_path, defaults.get_config(), 0, 10, show=False)
  book.progress(5, {'gan': 0.25}, frames_per_step=2)
  book.close()
  line = json.loads((tmp_path / 'metrics.jsonl').read_text())
  assert line['step'] == 5 and line['gan'] == 0.25
  assert line['frames_per_second'] == pytest.approx(2 / line['seconds_per_step'])
  assert list(tmp_path.glob('events.out.tfevents*'))


def test_waiting_for_input_is_logged_and_told_once(tmp_path, monkeypatch, capsys):
  book = logger.MetricLogger(tmp_path, defaults.get_config(), 0, 10, show=False)
  monkeypatch.setattr(book.watch, 'taken', lambda: 1e6)
  for step in (20, 220, 420):
    book.progress(step, {}, frames_per_step=1)
  book.close()
  lines = [json.loads(line) for line in (tmp_path / 'metrics.jsonl').read_text().splitlines()]
  assert len(lines) == 3 and all(line['input_wait'] > 1 for line in lines)
  assert capsys.readouterr().out.count('waited for input') == 1


def test_other_processes_write_nothing(tmp_path):
  book = logger.MetricLogger(tmp_path, defaults.get_config(), 0, 10, active=False)
  book.progress(1, {'gan': 1.0}, 1)
  book.say('x')
  book.close()
  assert not list(tmp_path.iterdir())
