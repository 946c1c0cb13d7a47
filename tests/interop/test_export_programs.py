"""export --format jax, onnx: files that run without this package, and are compared first."""

import dataclasses
import json
import os
import subprocess
import sys
import venv

import export_runs
import jax
import numpy as np
import pytest
import stub_runs as stubs

from i2vjax import methods
from i2vjax.core import ops
from i2vjax.interop import card, comparison, export, export_jax, export_onnx, portable
from i2vjax.networks import conv

FREE = set(methods.names()) - {'stc', 'pearlgan'}   # methods whose sizes stay open
RECURRENT = {'stc': ('carry_started', 'carry_x', 'carry_y'), 'gtc': ('carry',)}


@pytest.fixture(scope='module')
def run():
  return stubs.halving_run()


@pytest.fixture(scope='module')
def exported(run, tmp_path_factory):
  return export.export(run, None, tmp_path_factory.mktemp('export') / 'net', formats=('jax',))


def content_of(folder):
  return json.loads((folder / card.FILE).read_text())


def read(folder):
  return jax.export.deserialize(bytearray((folder / export_jax.FILE).read_bytes()))


def whole(run, frames):
  """What the run itself gives for a clip."""
  translate = jax.jit(lambda x: run.method.translate(run.model, run.params, run.model_state, None,
                                                     x)[1])
  return np.asarray(translate(frames))


# ---- Any program --------------------------------------------------------------------------------


def test_the_file_takes_any_batch_and_multiples_of_its_stride(run, exported):
  net = read(exported)
  assert set(net.platforms) == {'cpu', 'cuda', 'tpu'}
  for shape in ((1, 16, 24, 3), (3, 40, 16, 3)):
    frames = np.random.default_rng(1).uniform(-1, 1, shape).astype(np.float32)
    result, = net.call(frames)
    np.testing.assert_allclose(result, whole(run, frames[:, None])[:, 0], atol=1e-5)
  with pytest.raises(ValueError, match='divisib|8'):
    net.call(np.zeros((1, 20, 16, 3), np.float32))


def test_the_card_says_what_goes_in_and_out(run, exported):
  content = content_of(exported)
  assert (content['method'], content['network'], content['step']) == ('stub', 'gen_ab', 7)
  facts = content['formats']['jax']
  frames, = facts['inputs_and_outputs']['inputs']
  assert frames['shape'] == ['batch', '8*h', '8*w', 3] and frames['range'] == [-1, 1]
  assert frames['sides'] == 'height and width: multiples of 8, at least 16'
  assert facts['largest_difference'] <= facts['tolerance'] == comparison.TOLERANCE
  assert facts['frames'] == 12 and content['versions']['jax'] == jax.__version__
  assert content['config']['method'] == 'stub' and content['weight_files_it_stands_on'] == []


def test_the_five_lines_of_the_card_run_without_this_package(exported):
  lines = content_of(exported)['formats']['jax']['use']
  assert len(lines) == 5
  program = '\n'.join([*lines, 'import sys', 'assert frames.shape == (1, 64, 64, 3)',
                       "assert not [x for x in sys.modules if x.split('.')[0] in "
                       "('i2vjax', 'flax', 'orbax')]"])
  subprocess.run([sys.executable, '-c', program], check=True, cwd=exported, timeout=300)


def test_what_is_carried_goes_in_and_out(tmp_path):
  run = stubs.make(stubs.counting)
  program = portable.program(run)
  assert program.carried == ('carry',)
  facts, program = export_jax.write(tmp_path / 'x.jax', program)
  assert facts['largest_difference'] < 1e-6
  frames, number = card.signature(program)['inputs']
  assert number['shape'] == [] and number['at_the_start_of_a_clip'] == 'zeros'
  assert card.signature(program)['outputs'][1]['name'] == 'new_carry'
  assert 'frames, carry = call(frames, carry)' in card.use('jax', program)


def test_a_program_that_differs_is_refused_and_nothing_is_left(run, tmp_path, monkeypatch):
  make = portable.program

  def bent(*arguments):
    program = make(*arguments)
    return dataclasses.replace(
        program, function=lambda x, *rest: (program.function(x, *rest)[0] + 0.01,))
  monkeypatch.setattr(portable, 'program', bent)
  with pytest.raises(comparison.Differs, match='differs from the network by 0.01'):
    export.export(run, None, tmp_path / 'x', formats=('orbax', 'jax'))
  assert not list(tmp_path.iterdir())


def test_another_shape_is_refused():
  run = stubs.make(stubs.negative)
  with pytest.raises(comparison.Differs, match=r'gives \(1, 2\) where'):
    comparison.compare(portable.program(run), lambda frames: (np.zeros((1, 2)),))


def test_sizes_that_are_asked_for_are_the_only_ones(run, tmp_path):
  folder = export.export(run, None, tmp_path / 'x', formats=('jax',), size=(16, 32))
  frames, = content_of(folder)['formats']['jax']['inputs_and_outputs']['inputs']
  assert frames['shape'] == ['batch', 16, 32, 3] and frames['why_it_is_fixed'] == 'asked for'
  with pytest.raises(ValueError, match='do not fit this network'):
    portable.program(run, (20, 32))


def test_a_method_that_needs_to_know_sizes_gets_those_of_its_crops(tmp_path):
  def translate(model, params, model_state, carry, frames):
    return carry, stubs.match(frames * int(frames.shape[2]) / 32, model.config)
  facts, program = export_jax.write(tmp_path / 'x.jax', portable.program(stubs.make(translate)))
  assert program.size == (32, 32) and program.batch is None and facts['sizes'] == [
      [1, 32, 32], [2, 32, 32]]
  assert 'constant' in program.reason


@pytest.mark.parametrize(('network', 'formats', 'said'), [
    ('gen_ab', ('tflite',), '--format tflite: choose from orbax, jax, onnx'),
    ('gen_ab', (), '--format : choose from'),
    ('gen_ba', ('orbax',), 'this run has gen_ab')])
def test_what_cannot_be_exported_is_told(run, tmp_path, network, formats, said):
  with pytest.raises(ValueError, match=said):
    export.export(run, network, tmp_path / 'x', formats=formats)
  assert not list(tmp_path.iterdir())


def test_a_critic_is_no_translation():
  with pytest.raises(ValueError, match='--network disc_a: jax hold a translation'):
    export.check_formats(('jax',), 'disc_a')


def test_without_the_extra_the_remedy_is_told(monkeypatch):
  monkeypatch.setitem(sys.modules, 'onnxruntime', None)
  with pytest.raises(ValueError, match=r'--format onnx needs .*i2vjax\[onnx\]'):
    export.check_formats(('jax', 'onnx'), 'gen')


def report(folder, psnr, step=7, weights='raw', direction='a2b'):
  folder.mkdir(exist_ok=True)
  (folder / 'scores.json').write_text(json.dumps({
      'rows': {'translated': {'psnr': psnr}}, 'run': {'step': step},
      'protocol': {'weights': weights, 'direction': direction}}))


def test_scores_of_the_run_are_on_the_card(run, tmp_path):
  scored = dataclasses.replace(run, workdir=tmp_path)
  assert card.scores(run) is None and card.scores(scored, 'disc_a') is None
  assert card.scores(scored, 'gen_ab')['none'] == 'it was not scored'
  (tmp_path / 'card.json').write_text(json.dumps({
      'step': run.step, 'weights': 'raw', 'protocol': {'direction': 'a2b'},
      'scores': {'translated': {'psnr': 18.0}}}))
  assert card.scores(scored, 'gen_ab') == {'from': 'card.json', 'psnr': 18.0}
  report(tmp_path / 'report', 19.0, step=run.step)
  assert card.scores(scored, 'gen_ab') == {'from': 'report/scores.json', 'psnr': 19.0}


def test_scores_of_other_weights_are_not_on_the_card(run, tmp_path):
  scored = dataclasses.replace(run, workdir=tmp_path / 'street', step=2401, weights='raw')
  (tmp_path / 'street').mkdir()
  for other, why in ((dict(step=2824), 'step 2824'), (dict(weights='ema'), 'weights ema'),
                     (dict(direction='b2a'), 'direction b2a')):
    report(tmp_path / 'street/report', 19.0, **{'step': 2401, **other})
    assert card.scores(scored, 'gen_ab') == {
        'none': f'report/scores.json has those of {why}',
        'command': 'python -m i2vjax.main evaluate --workdir street --checkpoint 2401 --weights '
                   'raw --overwrite'}


def test_the_way_back_has_scores_of_its_own(run, tmp_path):
  back = dataclasses.replace(run, workdir=tmp_path)
  back = back.with_config(back.config.copy_and_resolve_references())
  back.config.data.direction = 'b2a'
  report(tmp_path / 'report', 19.0, step=run.step, direction='b2a')   # of a folder used otherwise
  found = card.scores(back, 'gen_ba')
  assert found['none'] == 'it was not scored' and '--network gen_ba' in found['command']
  report(tmp_path / 'report-gen_ba', 17.0, step=run.step, direction='b2a')
  assert card.scores(back, 'gen_ba') == {'from': 'report-gen_ba/scores.json', 'psnr': 17.0}


# ---- The form of convolutions -------------------------------------------------------------------


@pytest.mark.parametrize(('k', 'stride', 'pad', 'padding'), [
    (3, 1, 'zero', 1), (3, 1, 'reflect', 1), (7, 1, 'reflect', 3), (4, 2, 'zero', 1),
    (3, 2, 'reflect', 1), (1, 1, 'none', 0), (3, 1, 'none', 0)])
def test_portable_convolutions_equal_the_plain_ones(k, stride, pad, padding):
  draw = np.random.default_rng(0)
  x, kernel = draw.normal(size=(2, 12, 16, 3)), draw.normal(size=(k, k, 3, 5))
  forms = [conv.conv(x, kernel, stride, pad, padding, form) for form in ('portable', 'plain')]
  np.testing.assert_allclose(*forms, atol=1e-4)


@pytest.mark.parametrize('k', [3, 4])
def test_portable_transposed_convolutions_equal_the_plain_ones(k):
  draw = np.random.default_rng(0)
  x, kernel = draw.normal(size=(2, 6, 5, 3)), draw.normal(size=(k, k, 4, 3))
  np.testing.assert_allclose(*(conv.transposed(x, kernel, form) for form in ('portable', 'plain')),
                             atol=1e-4)


def test_auto_is_portable_inside_and_afterwards_as_before():
  before = conv.settled('auto')
  with pytest.raises(KeyError), conv.portable():
    assert conv.settled('auto') == 'portable' and conv.settled('fast') == 'fast'
    raise KeyError
  assert conv.settled('auto') == before != 'portable'


# ---- ONNX ---------------------------------------------------------------------------------------


def test_a_traced_program_is_evaluated_with_calls_inlined():
  def function(x):
    pair = jax.numpy.stack([x, jax.nn.relu(x)], axis=1)
    return jax.jit(lambda y: jax.numpy.concatenate([y, 2 * y]))(pair), ops.fold(pair[:, None])
  x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
  closed = jax.make_jaxpr(function)(x)
  for ours, theirs in zip(export_onnx.evaluate(closed.jaxpr, closed.consts, x), function(x),
                          strict=True):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
@pytest.mark.parametrize(('method', 'gen'), [
    ('cyclegan', {}), ('cptrans', {}), ('gtc', {})], ids=['resnet', 'unet', 'recurrent'])
def test_onnx_of_the_kinds_of_generators(method, gen, tmp_path):
  pytest.importorskip('jax2onnx')
  run = export_runs.tiny(method, 32, **gen)
  facts, program = export_onnx.write(tmp_path / export_onnx.FILE, portable.program(run))
  assert facts['largest_difference'] <= comparison.TOLERANCE
  assert program.size is None, program.reason
  assert facts['inputs'] == ['frames', *RECURRENT.get(method, ())]
  lines = card.use('onnx', program)
  check = "import sys; assert not [x for x in sys.modules if x in ('i2vjax', 'jax')]"
  subprocess.run([sys.executable, '-c', '\n'.join([*lines, check])], check=True, cwd=tmp_path,
                 timeout=300)


# ---- Every method -------------------------------------------------------------------------------


@pytest.mark.nightly
@pytest.mark.parametrize('method', methods.names())
def test_every_method_runs_with_jax_alone(method, tmp_path):
  run = export_runs.tiny(method)
  facts, program = export_jax.write(tmp_path / export_jax.FILE, portable.program(run))
  assert facts['largest_difference'] <= comparison.TOLERANCE
  assert program.carried == RECURRENT.get(method, ())
  assert (program.size is None) == (method in FREE), program.reason


@pytest.mark.nightly
def test_the_files_run_in_environments_that_hold_their_runtime_alone(tmp_path):
  """`pip install jax flatbuffers` (numpy comes with it), and `pip install onnxruntime`."""
  pytest.importorskip('jax2onnx')
  run = export_runs.tiny('cyclegan', 32)
  folder = export.export(run, None, tmp_path / 'net', formats=('jax', 'onnx'))
  frames = comparison.noise((1, 32, 48), 3)[0]
  np.save(folder / 'frames.npy', frames)
  expected = whole(run, frames[:, None])[:, 0]
  for name, packages in (('jax', ('jax', 'flatbuffers')), ('onnx', ('onnxruntime',))):
    place = tmp_path / f'venv-{name}'
    venv.create(place, with_pip=True)
    python = place / 'bin' / 'python'
    subprocess.run([python, '-m', 'pip', 'install', '-q', *packages], check=True, timeout=1800)
    *lines, _, call = content_of(folder)['formats'][name]['use']
    program = '\n'.join([*lines, "frames = numpy.load('frames.npy')", call,
                         "numpy.save('result.npy', frames)"])
    clean = {x: y for x, y in os.environ.items() if x != 'PYTHONPATH'}
    subprocess.run([python, '-c', program], check=True, cwd=folder, env=clean, timeout=600)
    np.testing.assert_allclose(np.load(folder / 'result.npy'), expected, atol=comparison.TOLERANCE)
