"""The program that counts what a step is to the compiler."""

import importlib.util
import pathlib
import re

PATH = pathlib.Path(__file__).parents[2] / 'benchmarks' / 'step_program.py'
spec = importlib.util.spec_from_file_location('step_program', PATH)
step_program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(step_program)


def test_counts_of_a_step_in_a_table(monkeypatch, capsys):
  def tiny(name, size, original=step_program.read_config):
    config = original(name, size)
    config.gen.update(width=4, blocks=1)
    config.disc.update(width=4, layers=2)
    config.critic.scales = 1
    return config
  monkeypatch.setattr(step_program, 'read_config', tiny)
  step_program.main(['cut:demo', '--size', '32', '--quick', '--steps', '1'])
  head, _, row = capsys.readouterr().out.strip().splitlines()
  numbers = dict(zip(head.split(' | '), row.split(' | '), strict=True))
  assert int(numbers['lines out']) > int(numbers['kernels']) > 100
  assert float(numbers['compile s']) > 0
  assert re.fullmatch(r'[\d.]+ \|', numbers['resident GB |'])
