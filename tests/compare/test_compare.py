"""compare: what is run, what is not run again, and what the numbers become."""

import json
import os
import pathlib
import re
import shutil
import signal
import types

import numpy as np
import pytest

from i2vjax import evaluate, main
from i2vjax.cli import flags, parse
from i2vjax.compare import compare, experiments, figures, tables
from i2vjax.core import files
from i2vjax.run import folder as run_folder

ROOT = pathlib.Path(__file__).parents[2]
CYCLEGAN, CUT = (str(ROOT / 'configs' / f'{name}.py') + ':demo' for name in ('cyclegan', 'cut'))
REFERENCES = {'source': {'psnr': 10.0}, 'untrained': {'psnr': 11.0}, 'constant': {'psnr': 16.0},
              'ceiling': {'psnr': 21.0}}


class Commands:
  """Stands in for the processes: writes what training and scoring would leave behind."""

  def __init__(self, stop_at=None, fail=(), code=1, averaged=()):
    self.calls, self.stop_at, self.fail, self.code = [], stop_at, fail, code
    self.averaged = averaged   # run folders whose averages of weights are scored

  def __call__(self, arguments):
    self.calls.append(arguments)
    name, workdir = arguments[0], pathlib.Path(flags.flag_value(arguments, 'workdir'))
    if self.stop_at == len(self.calls):
      return 0, '', True
    if workdir.name in self.fail:
      return self.code, 'out of luck', False
    (self.train if name == 'train' else self.score)(arguments, workdir)
    return 0, '', False

  def train(self, arguments, workdir):
    given = [text for text in arguments if text.startswith('--config')]
    config = experiments.settle.settle(parse.row_config(given))
    workdir.mkdir(parents=True)
    run_folder.write_config(workdir, config)
    (workdir / 'checkpoints' / str(config.train.steps)).mkdir(parents=True)
    lines = [{'step': step, 'seconds_per_step': seconds}
             for step, seconds in ((1, 9.0), (2, 0.5), (3, 5.0))]   # compiled, plain, scored before
    lines += [{'step': step, 'eval/psnr': 10.0 * step + config.seed} for step in (2, 3)]
    (workdir / 'metrics.jsonl').write_text(''.join(json.dumps(x) + '\n' for x in lines))

  def score(self, arguments, workdir):
    config = parse.run_config([f'--workdir={workdir}', *flags.split_fields(arguments)[1]])
    value = 14 + 2 * config.seed
    files.save_json(pathlib.Path(flags.flag_value(arguments, 'output')) / 'scores.json', {
        'run': {'step': config.train.steps, 'config': evaluate.config_hash(config)},
        'protocol': {'clips': 2, 'frames': 10, 'height': 8, 'width': 8,
                     'weights': 'ema' if workdir.name in self.averaged else 'raw'}, 'skipped': {},
        'rows': {'translated': {'psnr': value, 'warping_mse': 0.002}, **REFERENCES}})


@pytest.fixture
def run(tmp_path, monkeypatch):
  """(Commands) -> exit code of a table of two configs and two seeds, nothing really trained."""
  def pictures(item):
    frame = np.full((8, 8, 3), 90, np.uint8)
    return 1234, {'titles': ['clip, frame 1'], 'source': [frame], 'translated': [frame]}
  monkeypatch.setattr(figures, 'cached_pictures', pictures)

  def table(commands, *more, configs=f'{CYCLEGAN},{CUT}'):
    monkeypatch.setattr(compare, 'call', commands)
    usual = ['--seeds=0,1', '--config.train.steps=3']
    return main.main(['i2vjax', 'compare', '--output', str(tmp_path / 'table'), '--configs',
                      configs, *experiments.with_changes(usual, more)])
  return table


def read(tmp_path):
  return json.loads((tmp_path / 'table' / 'table.json').read_text())


# ---- mistakes ------------------------------------------------------------------------------


def test_mistakes_are_told_before_anything_is_trained(run, capsys):
  commands = Commands()
  for more, said in ((('--row', f'cut demo={CUT}'), 'two rows would share'),
                     (('--config.seed=3',), '--seeds'),
                     (('--config.train.stepps=3',), "Did you mean 'steps'"),
                     (('--seeds', 'many'), 'whole numbers'),
                     (('--runs', 'nowhere'), 'is no run folder')):
    assert run(commands, *more) == 2
    assert said in capsys.readouterr().err
  assert not commands.calls


def test_an_output_that_cannot_be_written_is_told_before_anything_is_trained(
    run, tmp_path, capsys):
  (tmp_path / 'table').write_text('a file')
  commands = Commands()
  assert run(commands) == 2 and not commands.calls
  assert 'table is a file: name a folder' in capsys.readouterr().err


def test_a_folder_without_a_checkpoint_holds_no_run_yet(run, tmp_path):
  assert run(Commands()) == 0
  for place in tmp_path.glob('table/*/checkpoints'):
    shutil.rmtree(place)
  assert run(Commands(), '--config.optim.lr=0.1') == 0


def test_a_folder_of_another_run_is_refused(run, capsys):
  assert run(Commands()) == 0
  assert run(Commands(), '--config.optim.lr=0.1') == 2
  assert 'optim.lr: 0.0004 there, 0.1 asked for' in capsys.readouterr().err
  assert run(Commands(), '--config.train.steps=9') == 2   # its decay would not be that of 9 steps
  assert 'train.steps: 3 there, 9 asked for' in capsys.readouterr().err


def test_epochs_are_the_budget_of_rows_with_other_batches(run, tmp_path, capsys):
  """Twelve windows: six batches of two, twelve of one."""
  epochs = ('--row', f'one={CUT} --config.data.batch=1', '--config.train.steps=0',
            '--config.train.epochs=1', '--config.train.epochs_decay=0',
            '--config.data.scenes.clips=2', '--config.data.scenes.clip_length=6')
  commands = Commands()
  assert run(commands, *epochs) == 2 and not commands.calls
  assert 'steps is 6 in cyclegan demo, cut demo and 12 in one' in capsys.readouterr().err
  run(commands, *epochs, '--budget', 'epochs')
  assert commands.calls   # their scores do not matter here
  text = (tmp_path / 'table' / 'table.md').read_text()
  assert ('- Every row: trained for 1 epoch (6 steps in cyclegan demo, cut demo and 12 in one)'
          in text)
  assert 'Not comparable' not in text


# ---- the work ---------------------------------------------------------------------------------


def test_table_has_mean_and_spread_and_reference_rows(run, tmp_path, capsys):
  assert run(Commands()) == 0
  table = read(tmp_path)
  row = table['rows'][0]
  assert (row['mean']['psnr'], row['spread']['psnr']) == (15, pytest.approx(2 ** 0.5))
  assert (row['parameters'], row['seconds_per_step']) == (1234, 0.5)
  assert list(table['references']) == ['ceiling', 'constant', 'source', 'untrained']
  text = (tmp_path / 'table' / 'table.md').read_text()
  assert '| cyclegan demo | 15.00 ± 1.41 | 2.000 | 1,234 | 0.5 | 2 |' in text
  assert '| mean color per class | 21.00 | – |' in text
  assert text in capsys.readouterr().out


def test_page_needs_nothing_from_outside_and_has_frames_and_curves(run, tmp_path):
  run(Commands(), '--row', f'a <b> | c={CUT} --config.nce.tau=0.1')
  page = (tmp_path / 'table' / 'index.html').read_text()
  assert page.count('src="data:image/png;base64,') == 2
  assert not re.search(r'(src|href)="?(http|//|\.|/)', page)
  assert 'a &lt;b&gt; | c' in page and '<b> |' not in page
  assert 'a &lt;b> \\| c' in (tmp_path / 'table' / 'table.md').read_text()


def test_what_is_done_is_not_done_again(run):
  first, again, scored = Commands(), Commands(), Commands()
  assert run(first) == run(again) == run(scored, '--overwrite') == 0
  assert [call[0] for call in first.calls] == ['train', 'evaluate'] * 4
  assert again.calls == []
  assert [call[0] for call in scored.calls] == ['evaluate'] * 4


def test_other_scores_are_made_without_training_again(run):
  run(Commands())
  commands = Commands()
  assert run(commands, '--config.eval.max_clips=1') == 0
  assert [call[0] for call in commands.calls] == ['evaluate'] * 4
  assert '--config.eval.max_clips=1' in commands.calls[0]


def test_a_field_younger_than_the_run_does_not_spoil_it(run, tmp_path):
  run(Commands())
  for path in (tmp_path / 'table').glob('*/config.json'):
    config = json.loads(path.read_text())
    del config['data']['flip_time']
    path.write_text(json.dumps(config))
  commands = Commands()
  assert run(commands, '--overwrite') == 0
  assert [call[0] for call in commands.calls] == ['evaluate'] * 4
  assert read(tmp_path)['rows'][0]['count'] == 2


def test_scores_that_are_missing_after_scoring_are_a_failure(run, tmp_path, monkeypatch):
  commands = Commands()
  commands.score = lambda *_: None
  assert run(commands) == 1
  assert 'holds no scores' in (tmp_path / 'table' / 'table.md').read_text()


def test_stopped_table_says_how_to_go_on_and_goes_on(run, tmp_path, capsys):
  assert run(Commands(stop_at=4)) == 0
  said = capsys.readouterr().out
  assert 'Go on with:\n  python -m i2vjax.main compare --output' in said
  assert '1 of 2' in (tmp_path / 'table' / 'table.md').read_text()
  rest = Commands()
  assert run(rest) == 0
  assert [call[0] for call in rest.calls] == ['evaluate', *['train', 'evaluate'] * 2]


def test_a_failure_is_named_and_the_rest_still_done(run, tmp_path, capsys):
  assert run(Commands(fail=['cut-demo-0', 'cut-demo-1'])) == 1
  assert 'cut demo, seed 0 failed: out of luck' in capsys.readouterr().err
  text = (tmp_path / 'table' / 'table.md').read_text()
  assert '| cut demo | failed | – | – | – | 0 of 2 |' in text
  assert '- cut demo, seed 1 failed: out of luck' in text
  assert read(tmp_path)['rows'][0]['count'] == 2


def test_failures_that_are_all_the_users_exit_with_2(run):
  assert run(Commands(fail=['cut-demo-0'], code=2)) == 2


def test_runs_that_are_there_are_scored_and_share_a_row_over_seeds(run, tmp_path):
  commands = Commands()
  run(commands)
  commands.calls.clear()
  folders = [str(tmp_path / 'table' / f'cut-demo-{seed}') for seed in (0, 1)]
  assert main.main(['i2vjax', 'compare', '--output', str(tmp_path / 'other'), '--runs',
                    ','.join(folders)]) == 0
  assert [call[0] for call in commands.calls] == ['evaluate'] * 2
  table = json.loads((tmp_path / 'other' / 'table.json').read_text())
  assert [(row['name'], row['count']) for row in table['rows']] == [('cut-demo', 2)]


def test_the_weights_of_the_package_are_scored_as_they_are(run, tmp_path):
  commands = Commands()
  run(commands)
  commands.calls.clear()
  assert main.main(['i2vjax', 'compare', '--output', str(tmp_path / 'other'), '--runs',
                    'starter']) == 0
  assert [call[0] for call in commands.calls] == ['evaluate']
  assert '--checkpoint=6000' in commands.calls[0]
  assert f'--workdir={run_folder.STARTER_FOLDER}' in commands.calls[0]


def test_runs_that_are_there_are_scored_on_other_data(run, tmp_path):
  commands, field = Commands(), '--config.data.scenes.weather=rain'
  run(commands)
  commands.calls.clear()
  place = ['i2vjax', 'compare', '--output', str(tmp_path / 'other'), '--runs',
           str(tmp_path / 'table' / 'cut-demo-0')]
  assert main.main([*place, field]) == 0
  assert [call[0] for call in commands.calls] == ['evaluate'] and field in commands.calls[0]
  assert main.main([*place, field]) == 0 and len(commands.calls) == 1   # scored already
  assert main.main(place) == 0 and len(commands.calls) == 2             # but not so


def test_what_trains_nothing_takes_no_fields_and_no_seeds(run, tmp_path, capsys):
  place = ['i2vjax', 'compare', '--output', str(tmp_path / 'other'), '--runs', 'a,b']
  for more in ('--config.trian.steps=3', '-config.train.steps=3', '--noconfig.log.x',
               '--seeds=1'):
    assert main.main([*place, more]) == 2
    assert 'nothing where no row is trained: --runs are scored' in capsys.readouterr().err


@pytest.mark.parametrize('words', [['-config.weights.cycle=7'], ['--config.weights.cycle', '7']])
def test_a_field_reaches_the_rows_however_it_is_written(run, tmp_path, words):
  assert run(Commands(), *words, configs=CYCLEGAN) == 0
  assert run_folder.read_config(tmp_path / 'table/cyclegan-demo-0').weights.cycle == 7


def test_caption_says_which_weights_were_scored(run, tmp_path):
  assert run(Commands()) == 0
  text = (tmp_path / 'table' / 'table.md').read_text()
  assert 'Scored with the weights of the last step (raw).' in text
  assert 'the scored networks' not in text


def test_rows_with_other_weights_are_noted(run, tmp_path):
  assert run(Commands(averaged=['cut-demo-0', 'cut-demo-1'])) == 0
  text = (tmp_path / 'table' / 'table.md').read_text()
  assert 'Scored with different kinds of weights, see below.' in text
  assert ('- Differs: the scored networks have averages of weights over training (ema) in cut demo '
          'and weights of the last step (raw) in cyclegan demo') in text
  assert 'Differs: the scored networks' in (tmp_path / 'table' / 'index.html').read_text()


def test_scores_of_a_version_that_did_not_say_their_weights_have_a_caption():
  runs = [{'row': 'a', 'seed': 0, 'steps': 3, 'state': 'done', 'protocol': {}}]
  table = {'rows': [{'name': 'a', 'runs': runs}], 'protocol': {}}
  assert tables.caption(table) == '3 steps; one seed (0), so no spread.'
  runs.append(runs[0] | {'seed': 2})
  assert tables.caption(table) == f'3 steps; seeds 0, 2; mean ± {tables.SPREAD}.'


def test_scores_on_other_frames_are_noticed():
  runs = [{'references': {'constant': {'psnr': value}}} for value in (16.0, 16.5)]
  assert 'different test frames' in tables.odd_references(runs)[0]
  assert tables.odd_references(runs[:1] * 2) == []


def test_spread_of_rounding_alone_is_not_shown():
  row = {'mean': {'psnr': 16.0, 'warping_mse': 1e-20}, 'spread': {'psnr': 1e-12,
                                                                  'warping_mse': 1e-20}}
  assert tables.cell(row, 'psnr', 2) == '16.00'
  assert tables.cell(row, 'warping_mse', 3) == '0.000'
  row['spread']['psnr'] = 0.004
  assert tables.cell(row, 'psnr', 2) == '16.00 ± 0.00'


@pytest.mark.parametrize('spread', [{}, {'psnr': float('nan')}, {'psnr': None}])
def test_a_score_that_is_no_number_has_no_spread(spread):
  """Of one seed and of several."""
  row = {'mean': {'psnr': float('nan')}, 'spread': spread}
  assert tables.cell(row, 'psnr', 2) == 'nan'


# ---- processes --------------------------------------------------------------------------------


def child(monkeypatch, code):
  """`call` with a Python program in place of our command."""
  start = compare.subprocess.Popen
  monkeypatch.setattr(compare, 'subprocess', types.SimpleNamespace(
      DEVNULL=-3, PIPE=-1, Popen=lambda command, **more: start(
          [command[0], '-c', code], **more)))
  return compare.call([])


def test_reason_of_a_failure_is_the_commands_own_message(monkeypatch, capsys):
  code = 'import sys; print("bar 3/4\\rerror: no such\\n  field", file=sys.stderr); sys.exit(2)'
  assert child(monkeypatch, code) == (2, 'no such field', False)
  assert 'bar 3/4' in capsys.readouterr().err


def test_reasons_without_a_message():
  assert compare.why(-9, '') == 'killed by SIGKILL (out of memory?)'
  assert compare.why(1, 'Traceback\n  x\nTypeError: odd\n') == 'TypeError: odd'
  assert compare.why(3, '') == 'exit code 3'


def test_ctrl_c_before_the_run_is_there_stops_it_too(monkeypatch):
  start = compare.subprocess.Popen

  def late(command, **more):
    os.kill(os.getpid(), signal.SIGINT)
    return start([command[0], '-c', 'import time; time.sleep(30)'], **more)
  monkeypatch.setattr(compare, 'subprocess',
                      types.SimpleNamespace(DEVNULL=-3, PIPE=-1, Popen=late))
  code, _, stopped = compare.call([])
  assert stopped and code == -signal.SIGTERM


def test_ctrl_c_reaches_the_run_once_as_a_request_to_save(monkeypatch):
  code = ('import os, signal, sys, time\n'
          'signal.signal(signal.SIGTERM, lambda *_: (print("saved", file=sys.stderr), '
          'sys.exit(0)))\n'
          'os.kill(os.getppid(), signal.SIGINT)\ntime.sleep(30)')
  before = signal.getsignal(signal.SIGINT)
  assert child(monkeypatch, code) == (0, 'saved', True)
  assert signal.getsignal(signal.SIGINT) is before


# ---- frames and curves ------------------------------------------------------------------------


def test_pictures_are_made_once_and_kept(tmp_path, monkeypatch):
  item, = experiments.plan(tmp_path, [experiments.parse_row(CUT)], (0,), (), parse.row_config)
  item.report.mkdir(parents=True)
  run_folder.write_config(item.workdir, item.config)
  pictures = {'titles': ['a, frame 1', 'b, frame 1'],
              'source': [np.zeros((4, 6, 1), np.uint8), np.ones((8, 8, 1), np.uint8)]}
  monkeypatch.setattr(figures.load, 'load', lambda *_: types.SimpleNamespace(
      params={'gen': {'kernel': np.zeros((2, 3))}}))
  monkeypatch.setattr(figures, 'frames', lambda run: pictures)
  assert figures.cached_pictures(item)[0] == 6
  monkeypatch.delattr(figures.load, 'load')
  parameters, again = figures.cached_pictures(item)
  assert parameters == 6
  assert [str(title) for title in again['titles']] == pictures['titles']
  for old, new in zip(pictures['source'], again['source'], strict=True):
    np.testing.assert_array_equal(old, new)


def test_curves_are_taken_where_all_seeds_have_them(tmp_path):
  for seed, steps in ((0, (1, 2, 3)), (1, (2, 3, 4))):
    lines = [{'step': step, 'eval/psnr': 10 * seed + step, 'nce': 1.0} for step in steps]
    (tmp_path / str(seed)).mkdir()
    (tmp_path / str(seed) / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))
  found = figures.curves([tmp_path / '0', tmp_path / '1'])
  assert list(found) == ['psnr']
  assert found['psnr'][0] == [2, 3]
  np.testing.assert_array_equal(found['psnr'][1], [[2, 3], [12, 13]])
  assert figures.plot({'x': {'curves': {}}}) is None


def test_a_row_has_the_kid_of_its_own_degrees_and_the_scale_that_some_row_asks_for():
  def row(name, mean, **protocol):
    return {'name': name, 'mean': mean, 'spread': {}, 'count': 1, 'parameters': None,
            'seconds_per_step': None, 'runs': [{'state': 'done', 'protocol': protocol}]}
  fid = {'fid': 29.36, 'fid_div100': 0.2936, 'kid_mean': 0.01}
  table = {'rows': [row('a', fid), row('b', {**fid, 'kid21_mean': 1.918}, paper_scale='yes')],
           'references': {}}
  headings, lines = tables.grid(table)
  assert headings[1:5] == ['FID', 'FID / 100', 'KID', 'KID, degree 21']
  assert [line[1:5] for line in lines] == [['29.36', '0.2936', '0.01000', '–'],
                                           ['29.36', '0.2936', '0.01000', '1.91800']]
  table['rows'].pop()
  assert tables.grid(table)[0][1:3] == ['FID', 'KID']


def test_scored_curves_have_a_line_for_each_row_where_its_runs_agree():
  def run(at, values):
    curve = {'axis': 'threshold', 'at': at, 'rows': {'translated': values}}
    return {'state': 'done', 'curves': {'apce': curve}}
  runs = [run([1, 2, 3], [0.1, 0.2, None]), run([2, 3], [0.4, 1])]
  table = {'rows': [{'name': 'x', 'runs': runs}, {'name': 'y', 'runs': [{'state': 'failed'}]}]}
  (column, axis, lines), = figures.scored_panels(table)
  assert (column.heading, axis, list(lines), lines['x'][0]) == ('APCE', 'threshold', ['x'], [2, 3])
  np.testing.assert_array_equal(lines['x'][1], [[0.2, np.nan], [0.4, 1]])
  assert figures.plot_panels([(column, axis, lines)], ['x', 'y']).shape[-1] == 3


@pytest.mark.slow
def test_a_real_table_of_two_methods(tmp_path, tiny):
  """Two steps at 32 pixels, with the processes and pictures that the other tests replace."""
  common = [text for text in tiny(CUT, tmp_path) if text.startswith('--config.')
            and not text.startswith(('--config.data.source', '--config.data.root'))]
  arguments = ['i2vjax', 'compare', '--output', str(tmp_path), '--configs', f'{CYCLEGAN},{CUT}',
               '--config.train.steps=2', '--config.data.scenes.test_clips=1',
               '--config.data.scenes.clip_length=4', '--show=false', *common]
  assert main.main(arguments) == 0
  table = json.loads((tmp_path / 'table.json').read_text())
  assert [row['count'] for row in table['rows']] == [1, 1]
  assert all(np.isfinite(row['mean']['psnr']) and row['parameters'] for row in table['rows'])
  assert not any('Not comparable' in note for note in table['notes'])
  assert 'src="data:image/png' in (tmp_path / 'index.html').read_text()
