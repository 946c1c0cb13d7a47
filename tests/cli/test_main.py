"""The command line: what it accepts, and its answers to mistakes."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from i2vjax import main
from i2vjax.cli import commands, errors, flags, parse
from i2vjax.core.errors import NonFinite, UserError
from i2vjax.data.io import output_paths
from i2vjax.run import load

ROOT = pathlib.Path(__file__).parents[2]
DEMO = str(ROOT / 'configs' / 'cyclegan.py') + ':demo'
CPTRANS = str(ROOT / 'configs' / 'cptrans.py') + ':demo'


def test_train_is_the_command_when_none_is_named():
  command, flag, config = parse.parse(['i2vjax', '--config', DEMO, '--workdir', 'x'])
  assert (command, flag.workdir, config.method, config.variant) == ('train', 'x', 'cyclegan',
                                                                    'demo')


def test_overrides_reach_the_config_and_it_is_locked():
  _, _, config = parse.parse(['i2vjax', 'train', f'--config={DEMO}', '--config.weights.cycle=0',
                             '--config.data.crop_size=32'])
  assert config.weights.cycle == 0 and config.data.crop_size == 32
  with pytest.raises((AttributeError, KeyError)):
    config.wieghts = 1


def test_stored_config_serves_the_other_commands(tmp_path):
  from i2vjax.run import folder
  _, _, config = parse.parse(['i2vjax', '--config', DEMO])
  folder.write_config(tmp_path, config)
  command, _, folder = parse.parse(['i2vjax', 'evaluate', '--workdir', str(tmp_path),
                                   '--config.eval.batch=3', '--config.data.cache_dir=here'])
  assert (command, folder.eval.batch, folder.data.cache_dir) == ('evaluate', 3, 'here')
  assert folder.weights.cycle == config.weights.cycle


@pytest.mark.parametrize(('given', 'said'), [
    (['trian'], "Did you mean 'train'?"),
    ([], 'train needs --config configs/cptrans.py:demo'),
    (['translate'], 'translate needs --workdir RUN'),
    (['--config', 'configs/nothing.py'], 'no such file'),
    (['--config', DEMO, '--config.train.stepps=3'], "train.stepps. Did you mean 'steps'"),
    (['--config', DEMO, '--config.trian.steps=3'], "Did you mean 'train'"),
    (['--config', CPTRANS, '--config.weights.cnt=0'], "weights.cnt. Did you mean 'ctn'"),
    (['--config', DEMO, '--config.weights.zzz=0'], 'weights.zzz. There are adversarial, cycle'),
    (['--config', DEMO, '--config.seed.x=0'], 'seed.x, since seed is a value'),
    (['--config', DEMO, '--config.train.steps=many'], "'many'"),
    (['--config', DEMO, '--config.data.crop_size=abc'], '--config.data.crop_size=abc: write a'),
    (['--config', str(ROOT / 'README.md')], 'README.md is no config'),
    (['--config', CPTRANS.replace('demo', 'tiny')], 'choose paper, demo, street, small'),
    (['--config', DEMO, '--nonsense=1'], "'nonsense'"),
    (['--config', DEMO, 'stray'], "what is 'stray'"),
    (['translate', '--workdir', 'nowhere', '--input', 'x'], 'is no run folder'),
    (['fetch', 'vgg99'], 'vgg99'),
    (['fetch', 'vgg19', '--file', 'nowhere.pth'], 'nowhere.pth'),
    (['import', '--from', 'x'], '--source is missing: choose one of cyclegan'),
    (['import', '--source', 'x'], '--source x: choose one of cyclegan'),
    (['import', '--source', 'cyclegan', '--workdir', 'x'], '--from is missing'),
])
def test_mistakes_end_with_one_plain_line_and_exit_code_2(given, said, capsys):
  assert main.main(['i2vjax', *given]) == 2
  error = capsys.readouterr().err
  assert said in error and 'Traceback' not in error


def test_doctor_lists_versions_devices_methods_and_weights(capsys):
  assert main.main(['i2vjax', 'doctor']) == 0
  said = capsys.readouterr().out
  assert 'jax ' in said and 'devices' in said and 'cyclegan' in said and 'vit_b16_384' in said


def reshaped():
  np.zeros(3).reshape(2, 2)   # a ValueError from inside a library


def unpacked():
  _, _ = [1]


def plain():
  raise ValueError('a mistake of ours')


@pytest.mark.parametrize(('mistake', 'said'), [
    (reshaped, 'reshape'), (unpacked, 'unpack'), (plain, 'a mistake of ours'),
    (lambda: int('x'), 'invalid literal'), (lambda: list(zip([1], [], strict=True)), 'zip')])
def test_our_own_mistakes_keep_their_traceback(monkeypatch, capsys, mistake, said):
  def broken(*_):
    mistake()
  monkeypatch.setitem(commands.COMMANDS, 'doctor', broken)
  with pytest.raises(ValueError, match=said) as caught:
    main.main(['i2vjax', 'doctor'])
  assert caught.traceback[-1].name != 'main' and not capsys.readouterr().err


def test_a_mistake_of_ours_inside_the_package_has_a_traceback_and_exit_code_1():
  """int('x') inside `ops.hw`, called by a command."""
  program = (
      'import sys; from i2vjax import main; from i2vjax.cli import commands; '
      'from i2vjax.core import ops; commands.COMMANDS["doctor"] = lambda *_: ops.hw("xy"); '
      'sys.exit(main.main(["i2vjax", "doctor"]))')
  done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True, cwd=ROOT)
  assert done.returncode == 1
  assert 'Traceback' in done.stderr and 'ops.py' in done.stderr and "int() with" in done.stderr


@pytest.mark.parametrize(('error', 'said', 'code'), [
    (UserError('no such field'), 'error: no such field', 2),
    (OSError('x.png: the disk is full'), 'error: x.png: the disk is full', 2),
    (FileNotFoundError('runs/x is no run folder'), 'error: runs/x is no run folder', 2),
    (NonFinite('step 3: cycle'), 'error: step 3: cycle', 3),
    (KeyboardInterrupt(), 'stopped: no half-written file is left', 130)])
def test_the_class_of_an_error_decides_what_it_becomes(error, said, code):
  assert errors.explain(error) == (said, code)


@pytest.mark.parametrize('error', [ValueError('x'), TypeError('x'), KeyError('x'),
                                   AssertionError('x'), ZeroDivisionError('x')])
def test_every_other_error_is_ours(error):
  assert errors.explain(error) is None


@pytest.mark.parametrize(('text', 'said'), [
    ('get_config = (', 'config.py, line 1'), ('x = 1', 'config.py has no function get_config')])
def test_a_file_that_is_no_config_is_told(tmp_path, capsys, text, said):
  (tmp_path / 'config.py').write_text(text)
  assert main.main(['i2vjax', '--config', str(tmp_path / 'config.py'), '--config.seed=1']) == 2
  assert said in capsys.readouterr().err


@pytest.mark.parametrize('text', ['{}', '[]', '3'])
def test_a_run_folder_whose_config_is_none_is_told(tmp_path, capsys, text):
  (tmp_path / 'config.json').write_text(text)
  assert main.main(['i2vjax', 'export', '--workdir', str(tmp_path), '--output', 'x']) == 2
  said = capsys.readouterr().err
  assert 'config.json' in said and 'is not the config of a training run' in said


def test_home_is_written_out_in_every_flag_but_fields_of_the_config(monkeypatch):
  monkeypatch.setenv('HOME', '/home/me')
  _, flag, _ = parse.parse(['i2vjax', 'compare', '--output=~/x', '--runs=~/a,b,~/c',
                           "--row=NAME=a.py --config.data.root=~/d"])
  assert flag.output == '/home/me/x' and flag.runs == ['/home/me/a', 'b', '/home/me/c']
  assert flag.row == ['NAME=a.py --config.data.root=~/d']
  _, flag, config = parse.parse(['i2vjax', 'prepare', '--input', '~/in',
                                 '--config.data.clip_regex=~/d'])
  assert flag.input == '/home/me/in' and config.data.clip_regex == '~/d'


@pytest.mark.parametrize(('said', 'expected'), [
    ('', 'stopped: no half-written file is left'), ('out holds 3', 'stopped: out holds 3')])
def test_an_interrupted_command_has_not_succeeded(monkeypatch, capsys, said, expected):
  def interrupted(*_):
    raise KeyboardInterrupt(*[said] * bool(said))
  monkeypatch.setitem(commands.COMMANDS, 'doctor', interrupted)
  assert main.main(['i2vjax', 'doctor']) == 130
  assert expected in capsys.readouterr().err


def test_sigterm_ends_a_command_as_ctrl_c_does(monkeypatch, tmp_path):
  def killed(*_):
    with output_paths.scratch(tmp_path):
      os.kill(os.getpid(), signal.SIGTERM)
      time.sleep(5)
  before = signal.getsignal(signal.SIGTERM)
  monkeypatch.setitem(commands.COMMANDS, 'doctor', killed)
  assert main.main(['i2vjax', 'doctor']) == 130
  assert not list(tmp_path.iterdir()) and signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize('arguments', [
    ['--config', DEMO, '--workdir=gs://bucket/x'], ['prepare', '--output=gs://bucket/x']])
def test_an_address_in_place_of_a_folder_is_refused(arguments, capsys, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert main.main(['i2vjax', *arguments]) == 2
  assert 'gs://bucket/x: this writes to folders alone' in capsys.readouterr().err
  assert not list(tmp_path.iterdir())


def test_fetch_alone_lists_every_known_file(capsys):
  assert main.main(['i2vjax', 'fetch']) == 0
  said = capsys.readouterr().out
  assert 'vgg19-dcbb9e9d.pth' in said and 'Apache-2.0' in said


def test_help_names_every_command_and_flag(capsys):
  assert main.main(['i2vjax', '--help']) == 0
  said = capsys.readouterr().out
  assert all(name in said for name in [*commands.COMMANDS, 'side_by_side', '--on_damage'])


def test_help_on_a_command_shows_its_own_flags_and_an_example(capsys):
  assert sorted(flags.USES) == sorted(commands.COMMANDS)
  for command, (example, names) in flags.USES.items():
    assert main.main(['i2vjax', command, '--help']) == 0
    said = capsys.readouterr().out
    assert f'i2vjax.main {command} {example}'.rstrip() in said and 'main --help' in said
    shown = [line.split()[0] for line in said.splitlines() if line.startswith('  --')]
    assert [name for name in shown if 'config' not in name] == [
        f'--{name}' for name in names if 'config' not in name]
  main.main(['i2vjax', 'evaluate', '--help'])
  assert 'The frames it was made from.\n' in capsys.readouterr().out


def test_a_flag_says_what_it_does_in_each_command():
  network = flags.FLAGS['network']
  assert flags.about('export', network) == 'Which network.'
  assert flags.about('evaluate', network).startswith('Which generator, gen_ba leads back.')
  assert flags.overall_about(network).startswith('export: Which network. translate, evaluate: Wh')
  assert flags.about('train', flags.FLAGS['workdir']) == (
      'Run folder. May be left out, then runs/METHOD-VARIANT.')
  assert flags.about('translate', flags.FLAGS['chunk']).endswith('device. Default: 8.')


def test_every_command_of_a_flag_has_the_flag():
  assert {name for _, names in flags.USES.values() for name in names} == set(flags.FLAGS)
  for name, flag in flags.FLAGS.items():
    for text in flag.about:
      commands_of_text = [] if text == flags.ALL else text.split(', ')
      assert all(name in flags.USES[command][1] for command in commands_of_text), name


def test_the_command_that_goes_on_survives_a_shell():
  line = commands.resume_command(['i2vjax', '--workdir', 'my runs', '--config.seed=1'])
  assert line == "python -m i2vjax.main --workdir 'my runs' --config.seed=1"


def test_an_override_that_no_checkpoint_fits_is_at_fault(monkeypatch, tmp_path, capsys):
  from i2vjax.run import folder

  def unreadable(*_):
    raise ValueError('checkpoint 3 cannot be read')
  monkeypatch.setattr(load, 'load', unreadable)
  folder.write_config(tmp_path, parse.row_config([f'--config={DEMO}']))
  command = ['i2vjax', 'evaluate', '--workdir', str(tmp_path)]
  assert main.main([*command, '--config.gen.blocks=7', '--config.eval.batch=3']) == 2
  said = capsys.readouterr().err
  assert '--config.gen.blocks=7 (trained with' in said and 'eval' not in said
  with pytest.raises(ValueError, match='checkpoint 3 cannot be read'):
    main.main([*command, '--config.eval.batch=3'])
