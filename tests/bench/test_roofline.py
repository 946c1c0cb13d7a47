"""The least time of kernels whose work is known."""

import dataclasses

import pytest

from i2vjax.bench import roofline, table, targets
from i2vjax.bench.hlo_counts import Kernel

# 1000 operations, 10 bytes and one launch take as long: 1 s.
CHIP = targets.Chip('a slow one', 'gpu', bfloat16=2000, float32=1000, exact=500, bandwidth=10,
                    memory=100, link=5, launch=1.0)
IDLE = Kernel('fusion', 1, 0, 0, 'float32', 0, '')


def test_a_kernel_takes_the_longest_of_launch_memory_and_arithmetic():
  def least(**work):
    return roofline.least(dataclasses.replace(IDLE, **work), CHIP)
  assert least() == 1
  assert least(bytes=30, flops=2000) == 3
  assert least(bytes=30, flops=4000) == 4
  assert least(bytes=30, flops=4000, factors='exact') == 8
  assert least(flops=4000, factors='bfloat16') == 2


def test_sums_count_every_run_of_a_kernel():
  kernels = [dataclasses.replace(IDLE, times=3, bytes=20), dataclasses.replace(IDLE, flops=5000)]
  found = roofline.estimate(kernels, CHIP)
  assert (found.kernels, found.bytes, found.flops) == (4, 60, 5000)
  assert (found.seconds, found.arithmetic, found.memory) == (3 * 2 + 5, 5, 6)
  assert not found.collectives and not found.transfer


def test_collectives_are_apart_and_go_round_a_ring():
  """Of 40 bytes each of 4 devices sends 3/4 twice to sum them, once to gather them."""
  kernels = [Kernel('all-reduce', 2, 99, 0, 'float32', 40, ''),
             Kernel('all-gather', 1, 99, 0, 'float32', 40, '')]
  found = roofline.estimate(kernels, CHIP, devices=4)
  assert found.kernels == 0 and found.seconds == 0
  assert found.collectives == {'all-gather': (1, 40), 'all-reduce': (2, 80)}
  assert found.transfer == pytest.approx((2 * 80 * 0.75 + 40 * 0.75) / 5)


def test_each_collective_sends_its_share():
  assert [roofline.sent(kind, 40, 4) for kind in (
      'all-reduce', 'all-gather', 'reduce-scatter', 'collective-permute')] == [60, 30, 120, 40]
  assert roofline.sent('all-reduce', 40, 1) == 0


def test_makers_state_less_for_more_exact_products():
  for chip in targets.CHIPS.values():
    assert chip.bfloat16 >= chip.float32 > chip.exact > 0 and chip.memory > 1e10


# ---- Tables


@pytest.mark.parametrize(('value', 'text'), [
    (0.012345, '0.0123'), (1.2345, '1.23'), (123.45, '123'), (12345.6, '12,346'), (0, '0'),
    (None, ''), (float('nan'), '')])
def test_numbers_have_three_digits(value, text):
  assert table.number(value) == text


def test_a_table_has_the_columns_that_something_was_measured_for():
  row = {'method': 'cut', 'phase': 'train', 'target': 'here', 'batch': 1, 'pixels': [64, 64],
         'step_s': 0.5, 'translate': {'64': {'frames_per_second': 20.0, 'latency_s': 0.05}}}
  text = table.markdown([row, {**row, 'method': 'morngan@77', 'phase': 'frozen'}])
  head, _, first, second = text.splitlines()
  assert head == '| method | batch | pixels | step, s | 64 px, frames/s | first, ms |'
  assert first == '| cut | 1 | 64x64 | 0.500 | 20.0 | 50.0 |'
  assert second.startswith('| morngan, frozen |')


def test_a_table_tells_what_did_not_compile():
  row = {'method': 'cut', 'phase': 'train', 'target': 'h100', 'batch': 1, 'compiles': False,
         'pixels': [8, 8], 'reason': 'INTERNAL: no tiling'}
  text = table.markdown([row, {'method': 'roma', 'target': 'here', 'error': 'killed'}])
  assert '| cut | h100 | no | 8x8 | 1 |' in text
  assert 'cut, h100: INTERNAL: no tiling' in text and 'roma, here: killed' in text
