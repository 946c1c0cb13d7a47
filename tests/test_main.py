"""The command line: what it understands, and what it says when it does not."""

import pathlib

import pytest

from i2vjax import commands, main

ROOT = pathlib.Path(__file__).parents[1]
DEMO = str(ROOT / 'configs' / 'cyclegan.py') + ':demo'


def test_train_is_the_command_when_none_is_named():
  command, flag, config = main.parse(['i2vjax', '--config', DEMO, '--workdir', 'x'])
  assert (command, flag.workdir, config.method, config.variant) == ('train', 'x', 'cyclegan',
                                                                    'demo')


def test_overrides_reach_the_config_and_it_is_locked():
  _, _, config = main.parse(['i2vjax', 'train', f'--config={DEMO}', '--config.weights.cycle=0',
                             '--config.data.crop_size=32'])
  assert config.weights.cycle == 0 and config.data.crop_size == 32
  with pytest.raises((AttributeError, KeyError)):
    config.wieghts = 1


def test_stored_config_serves_the_other_commands(tmp_path):
  from i2vjax import stored
  _, _, config = main.parse(['i2vjax', '--config', DEMO])
  stored.write_config(tmp_path, config)
  command, _, stored = main.parse(['i2vjax', 'evaluate', '--workdir', str(tmp_path),
                                   '--config.eval.batch=3', '--config.data.cache_dir=here'])
  assert (command, stored.eval.batch, stored.data.cache_dir) == ('evaluate', 3, 'here')
  assert stored.weights.cycle == config.weights.cycle


@pytest.mark.parametrize(('arguments', 'said'), [
    (['trian'], "Did you mean 'train'?"),
    ([], 'train needs --config configs/cptrans.py:demo'),
    (['translate'], 'translate needs --workdir RUN'),
    (['--config', 'configs/nothing.py'], 'no such file'),
    (['--config', DEMO, '--config.train.stepps=3'], 'Did you mean "steps"'),
    (['--config', DEMO, '--config.trian.steps=3'], 'Did you mean "train"'),
    (['--config', DEMO, '--config.train.steps=many'], "'many'"),
    (['--config', DEMO.replace('demo', 'tiny')], 'choose paper or demo'),
    (['--config', DEMO, '--nonsense=1'], "'nonsense'"),
    (['--config', DEMO, 'stray'], "what is 'stray'"),
    (['translate', '--workdir', 'nowhere', '--input', 'x'], 'is no run folder'),
    (['fetch', 'vgg99'], 'vgg99'),
    (['fetch', 'vgg19', '--file', 'nowhere.pth'], 'nowhere.pth'),
    (['import', '--from', 'x'], 'choose one of cyclegan'),
    (['import', '--source', 'cyclegan', '--workdir', 'x'], '--from is missing'),
])
def test_mistakes_end_with_one_plain_line_and_exit_code_2(arguments, said, capsys):
  assert main.main(['i2vjax', *arguments]) == 2
  error = capsys.readouterr().err
  assert said in error and 'Traceback' not in error


def test_doctor_lists_versions_devices_methods_and_weights(capsys):
  assert main.main(['i2vjax', 'doctor']) == 0
  said = capsys.readouterr().out
  assert 'jax ' in said and 'devices' in said and 'cyclegan' in said and 'vit_b16_384' in said


def test_our_own_mistakes_keep_their_traceback(monkeypatch):
  def broken(*_):
    import numpy as np
    np.zeros(3).reshape(2, 2)   # a ValueError from inside a library
  monkeypatch.setattr(commands, 'doctor', broken)
  with pytest.raises(ValueError, match='reshape'):
    main.main(['i2vjax', 'doctor'])


def test_ctrl_c_before_anything_was_made_exits_0(monkeypatch, capsys):
  def interrupted(*_):
    raise KeyboardInterrupt
  monkeypatch.setattr(commands, 'doctor', interrupted)
  assert main.main(['i2vjax', 'doctor']) == 0
  assert 'stopped' in capsys.readouterr().err


def test_fetch_alone_lists_every_known_file(capsys):
  assert main.main(['i2vjax', 'fetch']) == 0
  said = capsys.readouterr().out
  assert 'vgg19-dcbb9e9d.pth' in said and 'Apache-2.0' in said


def test_help_names_every_command_and_flag(capsys):
  assert main.main(['i2vjax', '--help']) == 0
  said = capsys.readouterr().out
  assert all(name in said for name in [*main.COMMANDS, 'side_by_side', '--on_damage'])


def test_the_command_that_goes_on_survives_a_shell():
  line = commands.resume_command(['i2vjax', '--workdir', 'my runs', '--config.seed=1'])
  assert line == "python -m i2vjax.main --workdir 'my runs' --config.seed=1"
