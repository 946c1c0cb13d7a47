"""The rows of a table: how they are written, what their runs are, and which may stand together."""

import pathlib
import subprocess
import sys

import pytest

from i2vjax.cli import parse
from i2vjax.compare import budgets, experiments, preflight
from i2vjax.run import folder as run_folder
from i2vjax.run import settle

ROOT = pathlib.Path(__file__).parents[2]
CYCLEGAN, CUT, I2VGAN, PEARLGAN = (str(ROOT / 'configs' / f'{name}.py') + ':demo'
                                   for name in ('cyclegan', 'cut', 'i2vgan', 'pearlgan'))


def line_up(tmp_path, *rows, seeds=(0, 1), common=(), budget='steps'):
  return experiments.plan(tmp_path, [experiments.parse_row(row) for row in rows], seeds, common,
                          parse.row_config, budget)


# ---- rows -------------------------------------------------------------------------------------


def test_rows_have_names_and_overrides():
  row = experiments.parse_row('I2V-GAN, no INS=configs/i2vgan.py:demo --config.weights.ins=0')
  assert row == experiments.Row('I2V-GAN, no INS', 'configs/i2vgan.py:demo',
                           ('--config.weights.ins=0',))
  assert experiments.slug(row.name) == 'i2v-gan-no-ins'
  assert experiments.parse_row('configs/cut.py:demo').name == 'cut demo'
  assert experiments.parse_row('configs/cut.py --config.nce.tau=1').name == 'cut nce.tau=1'


@pytest.mark.parametrize('text', ['', 'name=', '--config.x=1', 'a=configs/cut.py --weights.x=1'])
def test_rows_that_cannot_be_read_show_how_they_are_written(text):
  with pytest.raises(ValueError, match="write --row 'NAME=configs"):
    experiments.parse_row(text)


def test_common_overrides_reach_every_row_and_a_row_has_the_last_word(tmp_path):
  items = line_up(tmp_path, CUT, f'mine={CUT} --config.weights.nce=3', seeds=(4,),
                  common=('--config.weights.nce=2', '--config.train.steps=5'))
  assert [item.config.weights.nce for item in items] == [2, 3]
  assert [(item.total, item.seed, item.config.seed) for item in items] == [(5, 4, 4)] * 2
  # Each once, since a field that is given twice is refused.
  assert items[1].arguments[1:] == ('--config.train.steps=5', '--config.weights.nce=3',
                                    '--config.seed=4')


def test_first_seed_of_all_rows_comes_first(tmp_path):
  items = line_up(tmp_path, CYCLEGAN, CUT, seeds=(1, 0))
  assert [item.workdir.name for item in items] == ['cyclegan-demo-1', 'cut-demo-1',
                                                   'cyclegan-demo-0', 'cut-demo-0']


def test_epochs_are_counted_in_steps(tmp_path):
  item, = line_up(tmp_path, CYCLEGAN, seeds=(0,), common=(
      '--config.train.steps=0', '--config.train.epochs=3', '--config.train.epochs_decay=0',
      '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=5'))
  assert item.total == 3 * 10 // 2


def test_planning_leaves_the_device_to_the_runs():
  """Fresh interpreter: an accelerator that this process held could not be used by its children."""
  code = ('import pathlib; from jax._src import xla_bridge; from i2vjax import main; '
          'from i2vjax.cli import parse; '
          'from i2vjax.compare import experiments, preflight; '
          f'items = experiments.plan(pathlib.Path("x"), [experiments.parse_row({CUT!r})], [0], [], '
          'parse.row_config, "epochs"); experiments.check_alike(items, False, "epochs"); '
          'preflight.check(items); '
          'print(xla_bridge.backends_are_initialized())')
  said = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                        check=True)
  assert said.stdout.strip() == 'False'


# ---- runs that were trained before ------------------------------------------------------------


def trained(folder, *changes, seed=0, steps=100):
  """A run folder as training leaves it, without weights."""
  config = settle.settle(parse.row_config([
      f'--config={CUT}', f'--config.train.steps={steps}', f'--config.seed={seed}', *changes]))
  config.train.per_epoch = 4   # filled in as training starts
  run_folder.write_config(folder, config)
  (folder / 'checkpoints' / str(steps)).mkdir(parents=True)
  return str(folder)


def rows_of(items):
  return [(item.row, item.seed) for item in items]


def test_runs_of_other_settings_have_rows_of_their_own_under_like_names(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  place = pathlib.Path('.')
  runs = [trained(place / 'x' / 'cut-0'),
          trained(place / 'y' / 'cut-1', '--config.optim.lr=0.01', seed=1),
          trained(place / 'y' / 'cut-2', '--config.optim.lr=0.01', seed=2),
          trained(place / 'z' / 'cut-1', seed=1)]
  items = experiments.trained_runs(tmp_path / 'table', runs)
  assert rows_of(items) == [('cut', 0), ('y/cut', 1), ('y/cut', 2), ('cut', 1)]
  experiments.unique_folders(items)


def test_runs_on_other_data_are_refused_under_like_names(tmp_path):
  runs = [trained(tmp_path / 'x' / 'cut-0'), trained(
      tmp_path / 'y' / 'cut-1', '--config.data.scenes.weather=rain', seed=1)]
  items = experiments.trained_runs(tmp_path, runs)
  with pytest.raises(ValueError, match='weather is clear in cut and rain in'):
    experiments.check_alike(items, False)


def test_how_runs_were_trained_is_noted_where_they_are_scored_alike(tmp_path):
  """Nothing can change it any more: other frames and steps in training are no reason to refuse."""
  runs = [trained(tmp_path / 'cut-0'), trained(
      tmp_path / 'less-1', '--config.data.scenes.val_clips=9', seed=1, steps=50)]
  items = experiments.trained_runs(tmp_path, runs)
  notes = experiments.check_alike(items, False)
  clips, steps = (note for note in notes if note.startswith('Their own configs differ: '))
  assert 'data.scenes.val_clips is ' in clips and clips.endswith('in cut and 9 in less')
  assert steps == 'Their own configs differ: steps is 100 in cut and 50 in less'
  planned = line_up(tmp_path / 'table', CUT, seeds=(0,))
  with pytest.raises(ValueError, match='steps is .* in cut demo'):   # which can be changed
    experiments.check_alike([*planned, *items], False)


def test_of_the_street_the_judge_depends_on_the_training_clips(tmp_path):
  items = experiments.trained_runs(tmp_path, [trained(tmp_path / 'cut-0'), trained(
      tmp_path / 'less-1', '--config.data.scenes.clips=9', seed=1)])
  with pytest.raises(ValueError, match='data.scenes.clips is .* in cut and 9 in less'):
    experiments.check_alike(items, False)


def test_folders_that_were_trained_on_may_differ_where_test_frames_are_named(tmp_path):
  places = ['--config.data.test_a=a', '--config.data.test_b=b']
  runs = [trained(tmp_path / f'cut-{k}', '--config.data.source=folders',
                  f'--config.data.root={tmp_path}/{k}', *tests, seed=k)
          for k, tests in enumerate((places, places))]
  items = experiments.trained_runs(tmp_path, runs)
  notes = experiments.check_alike(items, False)
  assert any('configs differ: data.root is ' in note for note in notes)


def test_runs_are_scored_on_the_data_that_all_rows_are_given(tmp_path):
  runs = [trained(tmp_path / 'x' / 'cut-0'), trained(
      tmp_path / 'y' / 'cut-1', '--config.data.scenes.weather=rain', '--config.eval.max_clips=1',
      seed=1)]
  common = ['--config.data.scenes.weather=snow', '--config.eval.max_clips=2']
  items = experiments.trained_runs(tmp_path, runs, common=common, read=parse.run_config)
  for item in items:
    assert (item.config.data.scenes.weather, item.config.eval.max_clips) == ('snow', 2)
    assert item.changes == tuple(common) and experiments.scored_config(item) is item.config
  # What they were trained on stays what it was: rows of their own, and a note.
  assert [row.partition('/')[0] for row, _ in rows_of(items)] == ['cut', '']
  note, = (note for note in experiments.check_alike(items, False) if ' configs differ: ' in note)
  assert 'data.scenes.weather is clear in cut and rain in' in note


def test_scores_alone_make_no_rows_that_differ(tmp_path):
  runs = [trained(tmp_path / 'cut-0'), trained(tmp_path / 'cut-1', '--config.eval.max_clips=1',
                                               seed=1)]
  items = experiments.trained_runs(tmp_path, runs, common=['--config.eval.max_clips=2'],
                                   read=parse.run_config)
  assert rows_of(items) == [('cut', 0), ('cut', 1)] and experiments.check_alike(items, False) == []


def test_epochs_are_those_of_the_data_that_were_trained_on(tmp_path):
  run = trained(tmp_path / 'cut-0')
  before, = experiments.trained_runs(tmp_path, [run], 'epochs')
  after, = experiments.trained_runs(tmp_path, [run], 'epochs', (), [
      '--config.data.scenes.clip_length=7'], parse.run_config)
  assert after.per_epoch == before.per_epoch and after.config.data.scenes.clip_length == 7


def test_a_mistyped_field_of_runs_is_named(tmp_path):
  with pytest.raises(ValueError, match=r"no such config field: data\.tset_a.*test_a"):
    experiments.trained_runs(tmp_path, [trained(tmp_path / 'cut-0')],
                             common=['--config.data.tset_a=x'], read=parse.run_config)


@pytest.mark.parametrize('field', ['data.flip=true', 'data.frames=3', 'data.crop_size=32'])
def test_runs_alone_take_no_fields_of_training(tmp_path, field):
  run, text = trained(tmp_path / 'x' / 'cut-0'), f'--config.{field}'
  with pytest.raises(ValueError, match=f'{text} does nothing where no row is trained'):
    experiments.trained_runs(tmp_path, [run], common=[text], read=parse.run_config)
  item, = line_up(tmp_path / 'table', CUT, seeds=(0,))
  found, = experiments.trained_runs(tmp_path, [run], planned=[item], common=[text],
                                    read=parse.run_config)
  assert found.changes == ()   # it is the planned row's


def test_a_run_joins_a_planned_row_of_its_config_alone(tmp_path):
  planned = line_up(tmp_path / 'table', f'cut={CUT} --config.train.steps=100', seeds=(0,))
  runs = [trained(tmp_path / 'x' / 'cut-1', seed=1),
          trained(tmp_path / 'y' / 'cut-1', '--config.optim.lr=0.01', seed=1)]
  items = experiments.trained_runs(tmp_path / 'table', runs, planned=planned)
  assert rows_of(items) == [('cut', 1), (str(tmp_path / 'y' / 'cut'), 1)]


def test_seeds_that_logged_otherwise_share_a_row(tmp_path):
  runs = [trained(tmp_path / 'cut-0'),
          trained(tmp_path / 'cut-1', '--config.log.every=7', '--config.data.threads=3', seed=1)]
  assert rows_of(experiments.trained_runs(tmp_path, runs)) == [('cut', 0), ('cut', 1)]


def test_one_seed_twice_is_two_rows_and_one_folder_twice_is_refused(tmp_path):
  run, again = (trained(tmp_path / name / 'cut-0') for name in 'xy')
  items = experiments.trained_runs(tmp_path, [run, again])
  assert rows_of(items) == [('cut', 0), ('cut-0', 0)]
  with pytest.raises(ValueError, match="is in the table already, as row 'cut', seed 0"):
    experiments.unique_folders(experiments.trained_runs(tmp_path, [run, run]))


def test_the_weights_of_the_package_are_a_row_as_a_run_is(tmp_path):
  items = experiments.trained_runs(tmp_path, ['starter', trained(tmp_path / 'x' / 'starter-0')])
  assert rows_of(items) == [('starter', 0), (str(tmp_path / 'x' / 'starter'), 0)]
  assert (items[0].workdir, items[0].total) == (run_folder.STARTER_FOLDER, 6000)
  assert items[0].arguments is None   # it is scored, never trained


# ---- what may stand in one table --------------------------------------------------------------


@pytest.mark.parametrize(('field', 'value'), [
    ('data.crop_size', '32'), ('data.scenes.camera', 'monitoring'), ('data.scenes.size', '40'),
    ('eval.max_clips', '1'), ('train.steps', '7')])
def test_other_data_length_or_protocol_is_refused_by_name(tmp_path, field, value):
  items = line_up(tmp_path, CUT, f'other={CUT} --config.{field}={value}')
  name = field.split('.')[-1]
  with pytest.raises(ValueError, match=f'{name}.* in cut demo .*{value}.* in other'):
    experiments.check_alike(items, False)
  assert experiments.check_alike(items, True)[0].startswith('Not comparable: ')


def test_what_belongs_to_a_method_is_noted_only(tmp_path):
  items = line_up(tmp_path, CUT, I2VGAN, common=('--config.data.scenes.size=64',
                                                 '--config.train.steps=5'))
  notes = experiments.check_alike(items, False)
  assert 'data.batch is 2 in cut demo and 1 in i2vgan demo' in notes
  assert not any('Not comparable' in note for note in notes)


def test_rows_of_other_tasks_are_refused(tmp_path):
  """GTC alone has the field; any other method translates."""
  color, superres = (f'{task}={ROOT}/configs/gtc.py:demo-{task}' for task in ('color', 'superres'))
  common = ('--config.train.steps=5', '--config.data.channels_b=3')
  items = line_up(tmp_path, color, superres, seeds=(0,), common=common)
  with pytest.raises(ValueError, match='data.task is color in color and superres in superres'):
    experiments.check_alike(items, False)
  items = line_up(tmp_path, color, f'cut={CUT}', seeds=(0,), common=common)
  with pytest.raises(ValueError, match='data.task is color in color and translate in cut'):
    experiments.check_alike(items, False)
  ours = f'gtc={ROOT}/configs/gtc.py:demo --config.data.task=translate'
  items = line_up(tmp_path, ours, f'cut={CUT}', seeds=(0,), common=common)
  assert not any('data.task' in line for line in experiments.check_alike(items, True))


def test_stretched_frames_are_told(tmp_path):
  """As what differs, where some rows are stretched; as what rows share, where all are."""
  common = ('--config.data.scenes.size=64', '--config.train.steps=5')
  stretched = f'x={PEARLGAN} --config.eval.stretch=minmax'
  items = line_up(tmp_path, f'cut={CUT}', f'y={PEARLGAN}', stretched, common=common, seeds=(0,))
  assert ('eval.stretch is none in cut, y and minmax in x'
          in experiments.check_alike(items, False))
  assert not any('eval.stretch' in note for note in experiments.check_alike(items[:2], False))
  said = 'each translated frame is stretched to the whole range before it is scored'
  for some, expected in ((items, False), (items[2:], True)):
    assert (said in preflight.protocol(some, preflight.check(some), 'steps')) == expected


def test_a_size_and_its_pair_are_the_same(tmp_path):
  items = line_up(tmp_path, CUT, f'pair={CUT} --config.data.crop_size=(64,64)')
  assert experiments.check_alike(items, False) == []


# ---- budgets ----------------------------------------------------------------------------------

EPOCHS = ('--config.train.steps=0', '--config.train.epochs=2', '--config.train.epochs_decay=1',
          '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=6',
          '--config.data.scenes.size=64')


def test_rows_of_as_many_epochs_may_have_other_steps(tmp_path):
  """12 frames: 6 batches of two for CUT; 8 windows of three, one a step, for I2V-GAN."""
  items = line_up(tmp_path, CUT, I2VGAN, common=EPOCHS, seeds=(0,), budget='epochs')
  assert [(item.total, item.per_epoch) for item in items] == [(18, 6), (24, 8)]
  notes = experiments.check_alike(items, False, 'epochs')
  assert not any('Not comparable' in note for note in notes)
  with pytest.raises(ValueError, match='steps is 18 in cut demo and 24 in i2vgan demo'):
    experiments.check_alike(items, False)
  assert budgets.statement(items, 'epochs') == (
      '3 epochs (18 steps in cut demo and 24 in i2vgan demo)')


def test_other_numbers_of_epochs_are_refused_with_the_steps_to_give(tmp_path):
  items = line_up(tmp_path, CUT, f'longer={I2VGAN} --config.train.epochs=3', common=EPOCHS,
                  seeds=(0,), budget='epochs')
  with pytest.raises(ValueError, match=r'epochs is 3 in cut demo and 4 in longer .*'
                                       r'--config.train.steps=24 in cut demo'):
    experiments.check_alike(items, False, 'epochs')
  items = line_up(tmp_path, f'{CUT} --config.train.steps=24',
                  f'longer={I2VGAN} --config.train.epochs=3', common=EPOCHS, seeds=(0,),
                  budget='epochs')
  assert not any('Not comparable' in x for x in experiments.check_alike(items, False, 'epochs'))


def test_frames_may_differ_by_less_than_a_step(tmp_path):
  """CUT has two frames a step, I2V-GAN three."""
  def rows(steps):
    return line_up(tmp_path, f'{CUT} --config.train.steps={steps}',
                   f'{I2VGAN} --config.train.steps=7', common=EPOCHS[3:], seeds=(0,))
  experiments.check_alike(rows(10), False, 'frames')   # 20 and 21
  with pytest.raises(ValueError, match=r'frames is 16 in .* and 21 in .*steps=10 in cut demo'):
    experiments.check_alike(rows(8), False, 'frames')


def test_a_budget_that_is_none_is_named(tmp_path):
  with pytest.raises(ValueError, match='choose one of steps, epochs, frames'):
    budgets.check('hours')


# ---- before anything is trained ---------------------------------------------------------------


def test_what_training_or_scoring_would_refuse_is_refused_at_once(tmp_path, footage):
  """Every row with its own reason: maps, a weight file, a score, the bounds of a field."""
  folders = (f'--config.data.source=folders --config.data.root={footage} '
             '--config.data.crop_size=32 --config.data.load_size=36')
  morngan, stc = (str(ROOT / 'configs' / f'{name}.py') + ':demo' for name in ('morngan', 'stc'))
  absent = f'--config.pretrained_dir={tmp_path}'
  items = line_up(tmp_path, f'fine={CUT} {folders}', f'maps={morngan} {folders}',
                  f'file={stc} {folders} --config.perceptual=vgg {absent}',
                  f'score={CUT} {folders} --config.eval.metrics=fid {absent}',
                  f'bound={CUT} {folders} --config.log.every=0', seeds=(0,))
  with pytest.raises(ValueError, match='nothing was trained') as refusal:
    preflight.check(items)
  reasons = str(refusal.value).split('\n  ')
  for name, reason in (('maps', 'labels_b=FOLDER'), ('file', 'vgg16'), ('score', 'fid'),
                       ('bound', 'log.every=0')):
    assert any(line.startswith(f'{name}: ') and reason in line for line in reasons), name
  assert 'fine: ' not in str(refusal.value)


def test_a_row_that_is_trained_already_needs_no_training_data(tmp_path, footage):
  common = ('--config.data.source=folders', f'--config.data.root={footage}',
            '--config.data.crop_size=32', '--config.data.load_size=36')
  items = line_up(tmp_path, f'{CUT} --config.log.every=0', seeds=(0,), common=common)
  assert list(preflight.check(items, done=items)) == ['cut demo log.every=0']


def test_what_rows_have_in_common_is_said(tmp_path, footage):
  common = ('--config.data.source=folders', f'--config.data.root={footage}',
            '--config.data.crop_size=32', '--config.data.load_size=36',
            '--config.eval.weights=random', '--config.eval.metrics=auto,fid,kid',
            '--config.train.steps=4')
  items = line_up(tmp_path, CUT, CYCLEGAN, common=common, seeds=(0,))
  lines = preflight.protocol(items, preflight.check(items), 'steps')
  assert lines[0] == 'trained for 4 steps'
  assert 'crops of 32 × 32 pixels' in lines[1]
  assert lines[2] == ('FID and KID as pytorch_fid has them, against test_b, KID of degree 3, '
                      'random features')
