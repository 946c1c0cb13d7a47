"""The command `bench`: rows of this machine, kept as they come; a slice that is not here."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import pytest

from i2vjax import main
from i2vjax.bench import ahead, bench, cases, table, targets, twins
from i2vjax.cli import errors
from i2vjax.core.errors import UserError

ROOT = pathlib.Path(__file__).parents[2]
TINY = ('--config.data.crop_size=32', '--config.data.load_size=32', '--config.gen.width=4',
        '--config.gen.blocks=1', '--config.disc.width=4', '--config.disc.layers=1',
        '--config.data.scenes.clips=1')


def row(method='cut', target='here', **more):
  return {'method': method, 'phase': 'train', 'target': target, 'batch': 1, 'pixels': [8, 8],
          'step_s': 1.0, **more}


@pytest.fixture
def measured(monkeypatch):
  """(case, target) of each row that is measured; none takes any time."""
  asked = []

  def in_child(case, target, options, overrides=()):
    asked.append((case.name, target))
    return row(case.name, target)
  monkeypatch.setattr(bench, 'in_child', in_child)
  return asked


def test_rows_that_a_file_has_are_not_measured_again(measured, tmp_path):
  path = str(tmp_path / 'rows.json')
  listed = cases.read(('cut:demo', 'cyclegan:demo'))
  bench.all_of(listed[:1] * 2, ['here'], bench.Options(), path=path)
  rows = bench.all_of(listed, ['here'], bench.Options(), path=path)
  assert measured.count(('cyclegan:demo', 'here')) == 1
  assert [x['method'] for x in rows] == ['cut:demo', 'cyclegan:demo']
  assert json.loads((tmp_path / 'rows.json').read_text()) == rows
  bench.all_of(listed, ['here'], bench.Options(), path=path, overwrite=True)
  assert measured.count(('cyclegan:demo', 'here')) == 2


def test_rows_that_a_file_has_need_no_compiler(monkeypatch, tmp_path):
  def none_here(target):
    raise UserError(f'no compiler for {target.text}')
  monkeypatch.setattr(bench.targets, 'require', none_here)
  path, rows = ROOT / 'benchmarks' / 'ahead.json', tmp_path / 'rows.json'
  rows.write_text(path.read_text('utf-8'), 'utf-8')
  listed = cases.read(('cut', 'best'))
  found = bench.all_of(listed, ['h100', 'v5e:2x4'], bench.Options(batch=1), path=str(rows))
  assert found == json.loads(path.read_text('utf-8'))
  with pytest.raises(UserError, match='no compiler for h100'):
    bench.all_of(listed, ['h100'], bench.Options(batch=2), path=str(rows))


def test_what_is_asked_for_otherwise_is_another_row(measured, tmp_path):
  path, listed = str(tmp_path / 'rows.json'), cases.read(('cut:demo', 'cyclegan:demo'))
  for overrides in ((), ('--config.compute=bfloat16',)):
    rows = bench.all_of(listed, ['here'], bench.Options(), overrides, path=path)
  assert len(rows) == 4
  assert table.name(rows[-1]) == 'cyclegan:demo, compute=bfloat16'
  assert len(bench.all_of(listed, ['here'], bench.Options(rounds=9), path=path)) == 6


def test_rows_are_kept_when_a_later_one_is_interrupted(monkeypatch, tmp_path):
  def in_child(case, target, *_):
    if case.name == 'cyclegan:demo':
      raise KeyboardInterrupt
    return row(case.name, target)
  monkeypatch.setattr(bench, 'in_child', in_child)
  path = tmp_path / 'rows.json'
  with pytest.raises(KeyboardInterrupt):
    bench.all_of(cases.read(('cut:demo', 'cyclegan:demo')), ['here'], bench.Options(),
                 path=str(path))
  assert [x['method'] for x in json.loads(path.read_text())] == ['cut:demo']


def test_a_file_of_something_else_is_refused(tmp_path, capsys):
  path = tmp_path / 'other.json'
  path.write_text('{"a": 1}')
  assert main.main(['i2vjax', 'bench', '--methods=cut:demo', f'--json={path}']) == 2
  assert 'holds no measurements' in capsys.readouterr().err
  assert path.read_text() == '{"a": 1}'


def test_a_row_that_failed_shows_in_the_exit_code(monkeypatch, capsys):
  monkeypatch.setattr(bench, 'in_child', lambda case, target, *_: {
      'method': case.name, 'target': target, 'error': 'killed'})
  assert main.main(['i2vjax', 'bench', '--methods=cut:demo,cyclegan:demo']) == errors.OURS
  assert 'cyclegan:demo, here: killed' in capsys.readouterr().out


@pytest.mark.parametrize(('arguments', 'said'), [
    (['--methods=nothing'], 'nothing'), (['--target=h200'], 'choose here'),
    (['--sizes=big'], 'write whole numbers'), (['--methods=cut:paper'], 'on scenes'),
    (['--methods=cut:demo', '--config.gen.wdith=3'], "Did you mean 'width'")])
def test_mistakes_are_answered_in_one_line(arguments, said, capsys):
  assert main.main(['i2vjax', 'bench', *arguments]) == 2
  assert said in capsys.readouterr().err


def test_a_process_that_fails_leaves_a_row_that_says_why(monkeypatch):
  monkeypatch.setattr(sys, 'executable', 'false')
  found = bench.in_child(cases.case('cut:demo'), 'here', bench.Options())
  assert 'said nothing' in found['error']
  assert bench._reason('warning\nRuntimeError: it broke\n', 1) == 'RuntimeError: it broke'


def test_without_pytorch_a_twin_is_refused_with_the_remedy(monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None)
  with pytest.raises(UserError, match=r"'i2vjax\[parity\]'"):
    twins.step(cases.case('cut:demo').config)


def test_without_a_checkout_there_are_no_twins(monkeypatch, tmp_path):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda name: True)
  monkeypatch.setattr(twins, 'FOLDER', tmp_path)
  with pytest.raises(UserError, match='belong to a checkout'):
    twins.step(cases.case('cut:demo').config)


def test_beside_pytorch_both_sides_do_the_same():
  config = twins.comparable(cases.case('cyclegan').config)
  assert (config.train.ema, config.gan.pool) == (0.0, 0)


@pytest.mark.slow
def test_this_machine(tmp_path):
  """A tiny step and its translation; in a process of its own, whose memory is looked at."""
  path = tmp_path / 'rows.json'
  subprocess.run([sys.executable, '-m', 'i2vjax.main', 'bench', '--methods=cut:demo',
                  '--rounds=1', '--sizes=32', '--chunk=2', f'--json={path}', *TINY], check=True,
                 env={**os.environ, 'JAX_PLATFORMS': 'cpu'}, stdout=subprocess.PIPE)
  found, = json.loads(path.read_text())
  assert found['batch'] == 2 and found['pixels'] == [32, 32]
  assert 0 < found['step_s'] <= found['median_s'] and found['frames_per_second'] > 0
  assert 0 < found['planned'] < found['peak'] and 0 < found['share_products'] < 1
  assert found['translate']['32']['latency_s'] > 0


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec('libtpu') is None,
                    reason='libtpu, the compiler for TPUs, is not installed: i2vjax[bench]')
def test_a_step_compiles_for_a_slice_of_two_hosts():
  """CycleGAN on v5e 2x4: gradients of all players meet in all-reduces, at least a step's worth."""
  from i2vjax.cli import parse
  case = cases.case('cyclegan:demo', TINY, parse.row_config)
  found = ahead.measure(case, targets.parse('v5e:2x4'), batch=1)
  assert found['compiles'] and found['fits'] and found['devices'] == 8
  assert found['collectives']['all-reduce']['bytes'] >= 4 * found['parameters']
  assert found['flops'] > 0 and found['kernels'] > 50 and found['roofline_s'] > 0
