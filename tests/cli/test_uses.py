"""What a command has no use for is refused, and nothing counts twice."""

import os
import pathlib

import pytest
from absl.flags import FlagValues

from i2vjax import defaults, main
from i2vjax.cli import flags, parse, uses
from i2vjax.core.errors import UserError
from i2vjax.run import config_files

ROOT = pathlib.Path(__file__).parents[2]
DEMO = f'{ROOT}/configs/cyclegan.py:demo'
TRAIN = ['train', '--config', DEMO]
TRANSLATE = ['translate', '--workdir=starter', '--output=x']
LIVE = [*TRANSLATE, f'--input={os.devnull}']   # a device, as a camera is
EVALUATE = ['evaluate', '--workdir=starter']
EXPORT = ['export', '--workdir=starter', '--output=x']
PREPARE = ['prepare', '--input=a', '--output=x']
RECORDS = ['prepare', '--dataset=irvi/traffic', '--manual_dir=a']


@pytest.mark.parametrize(('given', 'said'), [
    # flags of other commands
    ([*TRAIN, '--checkpoint=3'],
     '--checkpoint does nothing in train: it belongs to translate, evaluate, export, app. Leave'),
    ([*TRAIN, '--overwrite'], '--overwrite does nothing in train'),
    ([*EVALUATE, '--split=test'], '--split does nothing in evaluate: it belongs to translate.'),
    ([*EVALUATE, '--side_by_side'], '--side_by_side does nothing in evaluate'),
    (['compare', '--output=x', '--config', DEMO], '--config does nothing in compare: it belongs '
     'to train, evaluate, prepare, fetch, import, doctor. Leave it away, or write --configs'),
    ([*TRANSLATE, '--input=a', '--config', DEMO], '--config does nothing in translate'),
    (['bench', '--size=64'], 'Leave it away, or write --sizes'),
    ([*TRANSLATE, '--input=a', '--config.weights.adversarial=2', '--config.critic.scales=3'],
     '--config.weights.adversarial, --config.critic.scales do nothing once a run is trained'),
    # flags of other uses of the same command
    ([*TRAIN, '--processes=2'], '--processes does nothing without --coordinator HOST:PORT'),
    ([*TRANSLATE, '--split=test', '--input=a', '--chunk=8'],
     '--input, --chunk do nothing with --split, which writes the frames of the run'),
    ([*TRANSLATE, '--split=test', '--reconnect=9'], '--reconnect does nothing with --split'),
    ([*TRANSLATE, '--input=a', '--with_truth'], '--with_truth does nothing without --split'),
    ([*TRANSLATE, '--input=a.mp4', '--reconnect=9'], '--reconnect does nothing unless --input is '
                                                     'live'),
    ([*LIVE, '--on_damage=skip'], '--on_damage does nothing with a live --input'),
    ([*LIVE, '--rate=3', '--pad_to=8'], '--rate, --pad_to do nothing with a live --input'),
    ([*EVALUATE, '--reference=a'], '--reference does nothing without --result'),
    ([*EVALUATE, '--config', DEMO], '--config does nothing without --result'),
    (['evaluate', '--result=a', '--checkpoint=best'], '--checkpoint does nothing with --result'),
    ([*EVALUATE, '--result=a', '--config', DEMO], '--workdir does nothing beside --config'),
    (['compare', '--output=x', '--runs=a', '--seeds=1'], '--seeds does nothing where no row is'),
    ([*EXPORT, '--size=64x64'], '--size does nothing with --format orbax alone'),
    ([*PREPARE, '--limit=3'], '--limit does nothing without --dataset'),
    ([*RECORDS, '--domain=a', '--output=x'], '--domain, --output do nothing with --dataset'),
    (['fetch', '--file=x.pth'], '--file does nothing without the ID'),
    (['fetch', 'vgg19', '--file=x.pth', '--url=http://x'], '--url does nothing with --file'),
    (['bench', '--overwrite'], '--overwrite does nothing without --json'),
    (['bench', '--largest_batch'], '--largest_batch does nothing unless --target names'),
    (['bench', '--target=h100', '--rounds=2'], '--rounds does nothing unless --target has here'),
    (['bench', '--sizes=0', '--chunk=2'], '--chunk does nothing with --sizes 0'),
    # fields of the config
    (['compare', '--output=x', '--runs=a', '--config.trian.steps=1'],
     '--config.trian.steps does nothing where no row is trained'),
    ([*TRANSLATE, '--input=a', '--config.train.steps=1'],
     '--config.train.steps does nothing once a run is trained'),
    ([*TRANSLATE, '--input=a', '--config.data.max_gap=2', '--config.data.batch=64'],
     '--config.data.max_gap, --config.data.batch do nothing with --input, which names'),
    (['app', '--workdir=starter', '--config.data.max_gap=2'],
     '--config.data.max_gap does nothing where frames are dropped'),
    ([*TRANSLATE, '--input=a', '--config.eval.batch=1'],
     '--config.eval.batch does nothing where nothing is scored'),
    ([*EXPORT, '--config.optim.lr=1', '--config.log.every=3'],
     '--config.optim.lr, --config.log.every do nothing once a run is trained'),
    ([*EVALUATE, '--config.train.steps=1'], '--config.train.steps does nothing once'),
    (['evaluate', '--result=a', '--config.data.batch=1'],
     '--config.data.batch does nothing with --result'),
    ([*PREPARE, '--config.data.flip=true'], '--config.data.flip does nothing in prepare'),
    ([*RECORDS, '--config.data.max_gap=2'], '--config.data.max_gap does nothing with --dataset'),
    (['doctor', '--config.seed=3'], '--config.seed does nothing where only weight files'),
])
def test_what_a_command_has_no_use_for_is_refused(given, said, capsys):
  assert main.main(['i2vjax', *given]) == 2
  assert said in capsys.readouterr().err


@pytest.mark.parametrize('given', [
    [*TRAIN, '--noshow'], [*TRAIN, '--overwrite=false'],   # a switch as it is without
    [*TRANSLATE, '--split=test', '--config.eval.max_clips=1', '--with_truth'],
    [*TRANSLATE, '--split=test', '--side_by_side=false'],
    [*TRANSLATE, '--input=a', '--chunk=2', '--checkpoint=best', '--config.train.best=psnr'],
    [*TRANSLATE, '--input=a', '--config.data.prepare.resize=64x48', '--config.data.polarity=auto'],
    [*TRANSLATE, '--split=test', '--config.data.scenes.seed=3'],
    [*LIVE, '--reconnect=2', '--as_is', '--fuse'],
    [*EVALUATE, '--config.eval.epochs=1,2', '--config.train.per_epoch=4'],
    [*EVALUATE, '--result=a', '--config.pretrained_dir=b'],
    ['evaluate', '--result=a', '--source=b', '--config', DEMO],
    [*EXPORT, '--format=orbax,onnx', '--size=64x64'],
    ['compare', '--output=x', '--configs', DEMO, '--runs=a', '--config.data.flip', '--seeds=3'],
    [*PREPARE, '--config.data.frames_per_image=3'],
    ['fetch', 'vgg19', '--config.pretrained_dir=a'],
    ['bench', '--target=here,h100', '--rounds=1', '--largest_batch'],
])
def test_what_a_command_uses_is_taken(given):
  parse.parse(['i2vjax', *given])


def test_processes_are_read_where_the_environment_names_the_coordinator(monkeypatch):
  monkeypatch.setenv('I2VJAX_COORDINATOR', 'here:1')
  assert parse.parse(['i2vjax', *TRAIN, '--processes=2'])[1].processes == 2


def test_every_name_is_that_of_a_flag_or_field():
  config = defaults.get_config()
  of_methods = {'config.data.task', 'config.eval.mode', 'config.eval.stretch',
                'config.flow.weights', 'config.vit.weights'}
  for command, rules in uses.IDLE.items():
    for name in [name for rule in rules for name in rule.names]:
      if name.startswith('config.'):
        assert name == 'config.' or name.split('.')[1] in config, name
      else:
        assert uses.has(command, name) and (name in flags.FLAGS or name == 'config'), name
    for field in {name for rule in rules for name in rule.but} - of_methods:
      assert not config_files.unknown_field(config, field.removeprefix('config').strip('.')), field


# ---- Given twice


@pytest.mark.parametrize(('given', 'said'), [
    ([*TRAIN, '--workdir=a', '--workdir', 'b'], '--workdir is given twice, as a and as b'),
    ([*TRAIN, '--config.train.steps=3', '-config.train.steps', '4'],
     '--config.train.steps is given twice, as 3 and as 4: leave one away'),
    ([*TRAIN, '--config.data.flip', '--noconfig.data.flip'], 'flip is given twice, as true and'),
    ([*TRAIN, '--show', '--noshow'], '--show is given twice, as true and as false'),
    ([*TRAIN, '--config=cut:demo'], '--config is given twice'),
    (['translate', '--workdir=nowhere', '--workdir=starter'], 'as nowhere and as starter'),
    (['compare', '--output=x', '--configs=a', '--configs=b'], 'twice, as a and as b: write '
                                                              '--configs a,b'),
    (['compare', '--output=x', '--configs', DEMO, '--config.seed=1', '--config.seed=2'], 'twice'),
    (['fetch', 'vgg19', '--id=alexnet'], '--id is given twice, as vgg19 and as alexnet'),
    (['import', '--source=cut', '--source=cyclegan'], 'twice, as cut and as cyclegan'),
])
def test_what_is_given_twice_is_refused_with_both_values(given, said, capsys):
  assert main.main(['i2vjax', *given]) == 2
  assert said in capsys.readouterr().err


def test_the_same_twice_and_rows_are_no_mistake():
  _, flag, config = parse.parse(['i2vjax', *TRAIN, '--workdir=a', '--workdir=a',
                                 '--config.train.steps=3', '--config.train.steps=3'])
  assert (flag.workdir, config.train.steps) == ('a', 3)
  _, flag, _ = parse.parse(['i2vjax', 'compare', '--output=x', '--row=a', '--row=b'])
  assert flag.row == ['a', 'b']


# ---- Arguments as absl reads them


def test_arguments_are_read_as_absl_reads_them():
  words = ['--workdir=a=b', '-input', 'c d', '--output', '--odd', '--fuse', '--noshow', '--nofuse',
           '--lossless=false', '--chunk', '3', '--row=r', '--row', 's']
  values = FlagValues()
  flags.define_flags(values)
  assert values(['i2vjax', *words]) == ['i2vjax']
  last = {}
  for name, text in flags.given(words):
    last[name] = flags.spoken(text) if flags.FLAGS[name].kind is bool else text
  assert last == {name: 's' if name == 'row' else
                  str(values[name].value) if name == 'chunk' else values[name].value
                  for name in last}
  assert set(last) == {name for name in values if values[name].present}


def test_flags_in_a_file_are_looked_at_as_others(tmp_path):
  """--flagfile: what has no use is refused, what has is taken, and a missing file is named."""
  path = tmp_path / 'flags.txt'
  path.write_text('# a comment\n--seeds=1\n')
  with pytest.raises(UserError, match='--seeds does nothing in train'):
    parse.parse(['i2vjax', *TRAIN, f'--flagfile={path}'])
  path.write_text('--config.data.batch=3\n')
  assert parse.parse(['i2vjax', *TRAIN, f'--flagfile={path}'])[2].data.batch == 3
  with pytest.raises(UserError, match=f"^Unable to open flagfile: .*{tmp_path / 'none'}"):
    parse.parse(['i2vjax', *TRAIN, '--flagfile', str(tmp_path / 'none')])


@pytest.mark.parametrize('given', [
    ['--config.eval.kid_degrees[0]=5'], ['--config.eval.kid_degrees[7]', '5'],
    ['--config.data.load_size[0]=64'], ['--config.gen[0].width=3']])
def test_values_are_set_whole(given):
  with pytest.raises(UserError, match='one item of a value cannot be set; give the whole, as --co'):
    parse.parse(['i2vjax', *TRAIN, *given])


def test_fields_are_told_from_flags_however_they_are_written():
  others, fields = flags.split_fields([
      '--output', 'x', '-config.seed=1', '--config.train.steps', '3', '--config.data.flip',
      '--noconfig.remat', '--configs=a', '--config.weights.cycle', '-1', '--config.log.tensorboard',
      '-show', 'stray'])
  assert others == ['--output', 'x', '--configs=a', '-show', 'stray']
  assert fields == ['--config.seed=1', '--config.train.steps=3', '--config.data.flip=true',
                    '--config.remat=false', '--config.weights.cycle=-1',
                    '--config.log.tensorboard=true']


@pytest.mark.parametrize('field', ['data', 'data.scenes', 'gen', 'eval'])
def test_a_block_is_set_field_by_field(field):
  """Else all fields that the new block does not name would be gone."""
  with pytest.raises(UserError, match=f'config.{field}={{}}: this is a block of fields'):
    parse.row_config(['--config', DEMO, f'--config.{field}={{}}'])


@pytest.mark.parametrize('command', [['doctor'], TRAIN, EVALUATE, EXPORT])
def test_every_command_can_be_told_to_show_no_bars(command):
  assert not parse.parse(['i2vjax', *command, '--show=false'])[1].show
