"""benchmarks/step_flops.py: the passes counted by hand explain the program that XLA is given."""

import dataclasses
import importlib.util
import pathlib

import pytest
from method_tools import config_of

ROOT = pathlib.Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location('step_flops', ROOT / 'benchmarks' / 'step_flops.py')
step_flops = importlib.util.module_from_spec(spec)
spec.loader.exec_module(step_flops)
pytestmark = pytest.mark.slow   # steps of the published sizes are lowered


@pytest.fixture(scope='module')
def i2vgan():
  """(operations of the program, rows counted by hand) of a step of the paper with VGG."""
  return step_flops.count(config_of('i2vgan'))


def test_passes_of_i2vgan_explain_its_step(i2vgan):
  """Within 3 %: patches, Adam and pools are about 1 % of a step of 256 pixels."""
  found, rows = i2vgan
  assert 0.97 < found / step_flops.total(rows) < 1.03


def test_one_encoder_pass_more_or_less_would_show(i2vgan):
  """The sharpest of the counts, 11 a side, could not be 10 or 12."""
  found, rows = i2vgan
  for change in (-1, 1):
    other = [(dataclasses.replace(row, images=row.images + change) if row.half == 'encode' else row,
              each) for row, each in rows]
    assert not 0.97 < found / step_flops.total(other) < 1.03


def test_cut_makes_its_images_once():
  """Within 1 %: G whole on two images, its encoder on two, the critic on one and two."""
  found, rows = step_flops.count(config_of('cut'))
  assert [(row.half, row.images, row.factor) for row, _ in rows] == [
      ('whole', 2, 3), ('features', 2, 3), ('whole', 1, 2), ('whole', 2, 3)]
  assert abs(found / step_flops.total(rows) - 1) < 0.01
