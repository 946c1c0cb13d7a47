"""Every command of docs/papers.md, planned and run on small copies of the published sets."""

import pathlib
import shlex
import types

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
  """A folder with downloads of all sets, records of them, and class maps: as the page has it."""
  top = tmp_path_factory.mktemp('papers')
  paper_sets.make(top / 'downloads', top / 'maps')
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(top)
    for name in paper_tables.DATASETS:
      words = arguments_of(papers.prepare_line(name))
      assert main.main(['i2vjax', *words, f'--data_dir={top}/records', '--show=false']) == 0, name
  return top


@pytest.fixture
def at_home(published, monkeypatch):
  """In the folder of `published`, whose records are found as those at home are."""
  monkeypatch.chdir(published)
  monkeypatch.setenv('TFDS_DATA_DIR', str(published / 'records'))
  return published


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
               'visible by night')
  for table in paper_tables.TABLES:
    ours = ' '.join(line for command in table.commands for line in command.lines())
    for rows in table.printed.values() if ' compare ' in ours and table.key != 'stc-4' else ():
      for name in rows:
        assert f"'{name}=" in ours or any(word in name for word in elsewhere), (table.key, name)


# ---- planned ----------------------------------------------------------------------------------


def test_every_table_is_planned(at_home, all_weights):
  """Options, configs, data, protocol: no row is refused, and later commands fit the earlier."""
  runs, translated = {}, set()
  for table in paper_tables.TABLES:
    for command in table.commands:
      for line in command.lines():
        words = arguments_of(line)
        if words[0] == 'compare':
          items, notes, _ = plan(line)
          assert not any('Not comparable' in note for note in notes), line
          runs |= {str(item.workdir): item.config for item in items}
        elif words[0] == 'translate':
          check_translate(words, runs)
          translated.add(flags.flag_value(words, 'output'))
        elif words[0] == 'evaluate':
          parse.parse(['i2vjax', *words])
          assert flags.flag_value(words, 'result').removesuffix('/result') in translated, line
        else:
          assert set(label_transfer.parser().parse_args(words).runs) <= set(runs), line
  assert len(runs) > 200


def check_translate(words, runs):
  """A `translate` names a run that an earlier command trains, and the command line is right."""
  workdir = flags.flag_value(words, 'workdir')
  assert workdir in runs, f'no command trains {workdir}'
  pathlib.Path(workdir).mkdir(parents=True, exist_ok=True)
  run_folder.write_config(pathlib.Path(workdir), runs[workdir])
  parse.parse(['i2vjax', *words])


def test_rows_of_table_1_of_cptrans_have_other_steps_and_the_same_epochs(at_home, all_weights):
  line = next(line for key, line in COMPARED if key == 'cptrans-1')
  items, _, protocol = plan(line)
  assert {item.total // item.per_epoch for item in items} == {100}
  assert protocol[0].startswith('trained for 100 epochs')
  assert 'KID of degree 3, 21' in protocol[2]


# ---- run --------------------------------------------------------------------------------------


SMALL = '--config.data.load_size=36 --config.data.crop_size=32 --config.log.samples_every=0 '
SMALL += '--config.train.checkpoint_minutes=99 --config.gen.width=4 --config.disc.width=4 '
BLOCKS = '--config.gen.blocks=1 '
HALVES = '--config.gen.blocks_enc=1 --config.gen.blocks_dec=1 --config.gen.groups=4 '
HALVES += '--config.disc.stages=2 --config.sga.grid=2 '
TAPS = "--config.nce.taps=('rgb','down_1') "
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
    'roma': f'{BLOCKS}--config.backbone=none ', 'cptrans': f'{BLOCKS}--config.backbone=none ',
    'stc': f'{BLOCKS}--config.perceptual=none --config.flow.name=lk ',
    'pearlgan': HALVES,
    'morngan': f'{HALVES}--config.seg.width=4 --config.seg.sizes=(32,) ',
    'gtc': '--config.gen.levels=5 --config.gen.hidden=4 --config.disc.hidden=4 '
           '--config.flow.name=lk ',
}


def shrunk(line, epochs=True):
  """The arguments of `compare`, rows of a few steps at 32 pixels that need no weight files."""
  words = arguments_of(line)
  length = ' --config.train.epochs=1 --config.train.epochs_decay=0 '
  if '--config.train.steps=200000' in words:
    length = ' --config.train.steps=1 '
  for k, word in enumerate(words):
    if k and words[k - 1] == '--row':
      method = pathlib.Path(word.partition('=')[2].split(':')[0]).stem
      words[k] = f'{word} {SMALL}{OF_METHOD[method]}{length}'
    elif word.startswith('--config.eval.epochs'):
      words[k] = '--config.eval.epochs=1'
  return [*words, '--show=false', '--config.log.tensorboard=false']
