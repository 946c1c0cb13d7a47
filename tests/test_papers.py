"""Every command of docs/papers.md, planned and run on small copies of the published sets."""

import functools
import json
import pathlib
import shlex
import shutil

import label_transfer
import paper_sets
import paper_tables
import papers
import pytest

from i2vjax import main
from i2vjax.cli import flags, parse
from i2vjax.compare import compare, experiments
from i2vjax.pretrained import registry
from i2vjax.run import folder as run_folder

ROOT = pathlib.Path(__file__).parents[1]
TABLES = {table.key: table for table in paper_tables.TABLES}
COMPARED = [(table.key, line) for table in paper_tables.TABLES for command in table.commands
            for line in command.lines() if ' compare ' in line]

# The copies are smaller than what was published, which is said each time.
pytestmark = pytest.mark.filterwarnings('ignore:.*published are', 'ignore:.*look like the training')


def arguments_of(line):
  """The words of a command after the program, paths of configs made absolute."""
  words = shlex.split(line)
  skip = 3 if words[:3] == ['python', '-m', 'i2vjax.main'] else 2
  return [word.replace('configs/', f'{ROOT}/configs/') for word in words[skip:]]


@pytest.fixture(scope='module')
def published(tmp_path_factory):
  """A folder with downloads of all sets, class maps, and room for records: as the page has it."""
  top = tmp_path_factory.mktemp('papers')
  paper_sets.make(top / 'downloads', top / 'maps')
  return top


@pytest.fixture
def at_home(published, monkeypatch):
  """In the folder of `published`, whose records are found as those at home are."""
  monkeypatch.chdir(published)
  monkeypatch.setenv('TFDS_DATA_DIR', str(published / 'records'))
  monkeypatch.setenv('PYTHONPATH', str(ROOT))   # of the processes that train
  return published


def prepare(names):
  """Make the records of these sets, as the page does, where they are not there already."""
  for name in names:
    if not list(pathlib.Path('records', name).glob('*')):
      words = arguments_of(papers.prepare_line(name))
      assert main.main(['i2vjax', *words, '--data_dir=records', '--show=false']) == 0, name


@pytest.fixture
def all_weights(monkeypatch):
  """Every weight file seems to be here."""
  monkeypatch.setattr(registry, 'find', lambda item, config: pathlib.Path('weights') / item.file)


def plan(line):
  """The runs of a `compare` command, after all that is checked before the first training."""
  words = arguments_of(line)
  _, flag, _ = parse.parse(['i2vjax', *words])
  rows = [experiments.parse_row(text) for text in [*flag.configs, *flag.row]]
  common = [text for text in words if text.startswith('--config.')]
  return compare.prepare(pathlib.Path(flag.output), rows, list(map(int, flag.seeds)), (), common,
                         parse.row_config, flag.budget, flag.allow_different)


# ---- the page ---------------------------------------------------------------------------------


def test_the_page_is_what_the_program_writes():
  assert (ROOT / 'docs/papers.md').read_text() == papers.page(), (
      'run python benchmarks/papers.py --page docs/papers.md')


def test_the_commands_of_a_table_are_printed(capsys):
  papers.main(['stc-4'])
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].startswith('python -m i2vjax.main prepare --dataset viper/img_512x256')
  assert any(line.startswith('python benchmarks/label_transfer.py') for line in lines)
  with pytest.raises(SystemExit, match='no such table. There are i2vgan-main'):
    papers.main(['cptrans-99'])


def test_printed_figures_stand_in_rows_that_exist_or_cannot_be_had():
  """A row of the paper's own is a row of the command, or it is one that we cannot have."""
  elsewhere = ('PCSGAN', 'CyCADA', 'BT', 'itself', 'alone', 'best of', 'STC-V2V, forward',
               'visible by night', 'DlamGAN')
  for table in paper_tables.TABLES:
    ours = ' '.join(line for command in table.commands for line in command.lines())
    for rows in table.printed.values() if ' compare ' in ours and table.key != 'stc-4' else ():
      for name in rows:
        assert f"'{name}=" in ours or any(word in name for word in elsewhere), (table.key, name)


# ---- planned ----------------------------------------------------------------------------------


@pytest.fixture
def quick_records(monkeypatch):
  """Each set of records is opened once; opening takes longer than all the rest."""
  import tensorflow_datasets as tfds
  monkeypatch.setattr(tfds, 'builder_from_directory', functools.cache(tfds.builder_from_directory))


def plan_tables(tables, first_alone):
  """Options, configs, data, protocol: no row is refused, and later commands fit the earlier.

  Returns:
    {run folder: config} of all rows.
  """
  runs, translated = {}, set()
  for table in tables:
    for command in table.commands:
      for line in command.lines()[:1 if first_alone and command.variable == 'data' else None]:
        words = arguments_of(line)
        if words[0] == 'compare':
          items, notes, protocol = plan(line)
          assert not any('Not comparable' in note for note in notes), line
          assert 'frames of scenes' in protocol[1] or '(' in protocol[1], protocol   # which
          runs |= {str(item.workdir): item.config for item in items}
        elif words[0] == 'prepare':
          assert main.main(['i2vjax', *words, '--overwrite', '--show=false']) == 0, line
        elif words[0] == 'translate':
          if not first_alone or flags.flag_value(words, 'workdir') in runs:
            check_translate(words, runs)
          translated.add(flags.flag_value(words, 'output'))
        elif words[0] == 'evaluate':
          parse.parse(['i2vjax', *words])
          assert flags.flag_value(words, 'result').removesuffix('/result') in translated, line
        else:
          assert set(label_transfer.parser().parse_args(words).runs) <= set(runs), line
  return runs


def test_tables_of_each_kind_are_planned_on_their_first_data(at_home, all_weights, quick_records):
  """Rows of ten methods, records and folders, maps and boxes; the rest takes longer: below."""
  prepare(['irvi/traffic', 'infrared_city_lite/city_clearday', 'flir_ntir2dc',
           paper_tables.DAVIS])
  keys = ('cptrans-1', 'cptrans-6', 'morngan-flir', 'gtc-segmentation', 'gtc-color')
  runs = plan_tables([TABLES[key] for key in keys], True)
  assert len(runs) == 9 + 7 + 2 + 2 + 6 + 4 + 4


@pytest.mark.slow
def test_every_table_is_planned_on_all_its_data(at_home, all_weights, quick_records):
  prepare(paper_tables.DATASETS)
  assert len(plan_tables(paper_tables.TABLES, False)) > 200


def check_translate(words, runs):
  """A `translate` names a run that an earlier command trains, and the command line is right."""
  workdir = flags.flag_value(words, 'workdir')
  assert workdir in runs, f'no command trains {workdir}'
  pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  run_folder.write_config(pathlib.Path(workdir), runs[workdir])
  parse.parse(['i2vjax', *words])


def test_rows_of_table_1_of_cptrans_have_other_steps_and_the_same_epochs(
    at_home, all_weights, quick_records):
  prepare(['irvi/traffic'])
  line = next(line for key, line in COMPARED if key == 'cptrans-1')
  items, _, protocol = plan(line)
  assert {item.total // item.per_epoch for item in items} == {100}
  assert protocol[0].startswith('trained for 100 epochs')
  assert 'KID of degree 3, 21' in protocol[2]
  assert 'batches of 1, generators of 9 residual blocks' in protocol


# ---- run --------------------------------------------------------------------------------------


SMALL = '--config.data.load_size=36 --config.data.crop_size=32 --config.log.samples_every=0 '
SMALL += '--config.train.checkpoint_minutes=99 --config.gen.width=4 --config.disc.width=4 '
BLOCKS = '--config.gen.blocks=1 '
HALVES = '--config.gen.blocks_enc=1 --config.gen.blocks_dec=1 --config.gen.groups=4 '
HALVES += '--config.disc.stages=2 --config.sga.grid=2 '
TAPS = """ "--config.nce.taps=('rgb','down_1')" """
OF_METHOD = {   # besides SMALL; no weight files
    'cyclegan': BLOCKS, 'cut': f'{BLOCKS}--config.nce.width=8 ',
    'lsesim': f'{BLOCKS}--config.perceptual=none ',
    'recyclegan': f'{BLOCKS}{TAPS}--config.pred.downs=5 --config.pred.width=4 '
                  '--config.perceptual=none ',
    'mocyclegan': f'{BLOCKS}{TAPS}--config.motion.width=4 --config.flow.name=lk '
                  '--config.perceptual=none ',
    'unsup_recycle': f'{BLOCKS}--config.perceptual=none ',
    'i2vgan': f'{BLOCKS}{TAPS}--config.pred.downs=5 --config.pred.width=4 '
              '--config.perceptual=none ',
    'roma': f'{BLOCKS}--config.backbone=none ',
    'cptrans': f'{BLOCKS}--config.backbone=none --config.co.grad_params=last ',
    'stc': f'{BLOCKS}--config.perceptual=none --config.flow.name=lk ',
    'pearlgan': HALVES,
    'morngan': f'{HALVES}--config.seg.width=4 --config.seg.sizes=(32,) ',
    'gtc': '--config.gen.levels=5 --config.gen.hidden=4 --config.disc.hidden=4 '
           '--config.flow.name=lk ',
}


def row_with(word, changes):
  """'NAME=FILE --config.FIELD=VALUE ...' with other values; each field once."""
  head, *own = word.split(' --')
  fields = dict(text.strip().split('=', 1) for text in [*own, *f' {changes}'.split(' --')[1:]])
  return ' --'.join([head, *(f'{name}={value}' for name, value in fields.items())])


def shrunk(line):
  """The arguments of a command, rows of a few steps at 32 pixels that need no weight files."""
  words = arguments_of(line)
  length = ' --config.train.epochs=1 --config.train.epochs_decay=0'
  if any(word.startswith('--config.train.steps') for word in words):
    length = ' --config.train.steps=1'
  for k, word in enumerate(words):
    if k and words[k - 1] == '--row':
      method = pathlib.Path(word.partition('=')[2].split(':')[0]).stem
      words[k] = row_with(word, f'{SMALL}{OF_METHOD[method]}{length}')
    elif word.startswith('--config.eval.metrics'):   # the paper variants refuse random features
      names = word.partition('=')[2].split(',')
      words[k] = '--config.eval.metrics=' + ','.join(x for x in names if x not in ('fid', 'kid'))
    elif word.startswith('--config.eval.epochs'):
      words[k] = '--config.eval.epochs=1'
  if words[0] == 'compare':
    words = experiments.with_changes(words, (
        '--config.log.tensorboard=false', '--config.data.scenes.clips=2',
        '--config.data.scenes.test_clips=1', '--config.data.scenes.clip_length=4'))
  return [*words, '--show=false']


def other_programs(words):
  """What a parser, a detector or a person would leave where an `evaluate` looks for it."""
  result = pathlib.Path(flags.flag_value(words, 'result'))
  for field in ('labels', 'predictions'):
    place = flags.flag_value(words, f'config.eval.{field}')
    if place and not pathlib.Path(place).exists():
      for path in result.rglob('*.png'):
        target = pathlib.Path(place) / path.relative_to(result).parent
        paper_sets.class_maps(target, [path.stem])
  boxes = flags.flag_value(words, 'config.eval.boxes')
  if boxes and not pathlib.Path(boxes).exists():
    names = [str(path.relative_to(result)) for path in result.rglob('*.png')]
    tree = {'images': [{'id': k, 'file_name': name} for k, name in enumerate(names)],
            'categories': [{'id': 1, 'name': 'vehicle'}],
            'annotations': [{'id': k, 'image_id': k, 'bbox': [4, 4, 20, 20], 'category_id': 1,
                             'area': 400, 'iscrowd': 0} for k in range(len(names))]}
    pathlib.Path(boxes).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(boxes).write_text(json.dumps(tree))
  if boxes:
    found = pathlib.Path(flags.flag_value(words, 'config.eval.detections'))
    found.parent.mkdir(parents=True, exist_ok=True)
    kept = ('image_id', 'category_id', 'bbox')
    found.write_text(json.dumps([{**{key: box[key] for key in kept}, 'score': 0.9} for box in
                                 json.loads(pathlib.Path(boxes).read_text())['annotations']]))


def run_table(key):
  """A table from the downloads to its Markdown and its scores, on the first data, or traffic."""
  done = []
  for command in TABLES[key].commands:
    if 'label_transfer' not in command.text:
      lines = command.lines()
      if command.variable == 'data':   # cptrans-ap looks at the traffic of cptrans-1
        lines = [line for line in lines if '_lite/traffic' in line][:1] or lines[:1]
      prepare([name for name in TABLES[key].data if name in lines[0]])
      done += run_lines(lines)
  return done


def run_lines(lines):
  """Run command lines; returns their outputs."""
  outputs = []
  for line in lines:
    words = shrunk(line)
    outputs.append(pathlib.Path(flags.flag_value(words, 'output')))
    if words[0] in ('compare', 'translate', 'evaluate'):
      shutil.rmtree(outputs[-1], ignore_errors=True)
    if words[0] == 'evaluate':
      other_programs(words)
    anew = ['--overwrite'] if words[0] == 'prepare' else []
    assert main.main(['i2vjax', *words, *anew]) == 0, line
    if words[0] == 'compare':
      rows = json.loads((outputs[-1] / 'table.json').read_text())['rows']
      assert rows and all(row['count'] == 1 and row['mean'] for row in rows), line
      assert '- Every row: trained for ' in (outputs[-1] / 'table.md').read_text()
  return outputs


@pytest.mark.slow
def test_the_parts_of_cptrans_from_the_download_to_the_table(at_home):
  output, = run_table('cptrans-ablation')
  assert '| without CTN |' in (output / 'table.md').read_text()


@pytest.mark.slow
def test_classes_of_stc_from_the_download_to_the_scores(at_home):
  run_table('stc-2')
  scores = json.loads((run_table('stc-1')[-1] / 'scores.json').read_text())
  assert 0 <= scores['rows']['translated']['miou'] <= 1


@pytest.fixture
def one_process(monkeypatch):
  """Rows are trained and scored in this process: two starts a row less. Above, they have theirs."""
  def call(arguments):
    code = main.main(['i2vjax', *arguments])
    return code, f'exit code {code}', False
  monkeypatch.setattr(compare, 'call', call)


@pytest.mark.nightly
@pytest.mark.parametrize('keys', [
    ('i2vgan-main',), ('i2vgan-sub',), ('i2vgan-5',), ('cptrans-1', 'cptrans-ap'), ('cptrans-6',),
    ('morngan-flir', 'morngan-4', 'morngan-kaist', 'morngan-cross'), ('morngan-5',),
    ('morngan-k',), ('stc-3',), ('gtc-segmentation',), ('gtc-color',), ('gtc-superres',)],
    ids=lambda keys: keys[0])
def test_a_table_from_the_download_to_its_end(at_home, one_process, keys):
  for key in keys:
    run_table(key)


def test_every_table_with_commands_is_run():
  """Here or above: none is forgotten."""
  text = pathlib.Path(__file__).read_text()
  for table in paper_tables.TABLES:
    assert not table.commands or f"'{table.key}'" in text, table.key
