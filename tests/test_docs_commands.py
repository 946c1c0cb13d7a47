"""Every command of the documentation: understood, planned where it needs data, run where cheap.

A line of a bash block that reads what is not there says so: a comment `# needs ...` in its block,
or a page all of whose commands another test runs (`RUN_ELSEWHERE`).
"""

import contextlib
import io
import pathlib
import re
import shlex
import subprocess
import tomllib

import pytest
from doc_pages import PAGES, ROOT, bash_blocks, inline_commands, package_arguments

from i2vjax import main
from i2vjax.cli import commands, parse
from i2vjax.run import folder

PAGES = [page for page in PAGES if page.name != 'CHANGELOG.md']   # tells of what was
pages = pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
RUN_ELSEWHERE = {
    'papers.md': 'tests/test_papers.py',            # on small copies of the published sets
    'adding_a_method.md': 'tests/test_docs_examples.py',   # with the files that the page shows
}
NEEDS = re.compile(r'#.*\bneeds\b')
# Flags and fields that name what a command reads.
READ = {'--input', '--result', '--reference', '--from', '--manual_dir', '--file', '--runs'}
READ_FIELDS = re.compile(r'--config\.(data\.(?:root|train_[ab]|test_[ab]|edges_[ab]|labels_[ab])|'
                         r'eval\.(?:labels|predictions|boxes|detections|fid_reference))$')
# What a command cannot do without: one of these sets of flags.
NEEDED = {
    'train': [{'config'}],
    'translate': [{'workdir', 'input', 'output'}, {'workdir', 'split', 'output'}],
    'evaluate': [{'workdir'}, {'result'}],
    'compare': [{'output', 'configs'}, {'output', 'row'}, {'output', 'runs'}],
    'export': [{'workdir', 'output'}],
    'prepare': [{'input', 'output'}, {'dataset', 'manual_dir'}],
    'import': [{'source', 'from', 'workdir'}],
}
TOOLS = ('ruff', 'mypy', 'pre-commit', 'mkdocs', 'time', 'source', 'git', 'done', 'do', 'ffmpeg',
         'hf')
DRY = ('launch/gpu.sh', 'launch/slurm.sh', 'launch/tpu_pod.sh')
CHEAP = (['fetch'], ['doctor'], ['prepare', '--dataset', 'list'])


@pytest.fixture
def runs(monkeypatch):
  """Any --workdir is a run: that of an earlier command of the page, else one of CPTrans."""
  monkeypatch.chdir(ROOT)
  trained = {}
  usual = parse.parse(['i2vjax', '--config', 'configs/cptrans.py'])[2]

  def stored(workdir):
    if workdir == folder.STARTER:
      return folder.read_config(workdir)
    return trained.get(workdir, usual).copy_and_resolve_references()
  monkeypatch.setattr(parse, 'stored_config', stored)
  return trained


def flag_values(arguments):
  """[(flag, value)] of a command line, --flag=value or --flag value."""
  after = [*arguments[1:], '']
  for word, following in zip(arguments, after, strict=True):
    if word.startswith('--'):
      name, sign, value = word.partition('=')
      yield name, value if sign else following


def planned(arguments, trained):
  """Parses a command, holds it against NEEDED; notes the config of a run that it would make."""
  if not arguments[0].startswith('-') and arguments[0] not in commands.COMMANDS:
    raise AssertionError(f'{arguments[0]} is no command')
  command, flags, config = parse.parse(['i2vjax', *arguments])
  given = {name.removeprefix('--') for name, _ in flag_values(arguments)}
  assert command not in NEEDED or any(wanted <= given for wanted in NEEDED[command]), arguments
  if command in ('train', 'import') and flags.workdir:
    trained[flags.workdir] = config


def missing(arguments, made):
  """What a command reads and nobody has: no file here, and not made by an earlier command."""
  out = []
  for name, value in flag_values(arguments):
    frames = name == '--source' and arguments[0] == 'evaluate'
    if frames or name in READ or READ_FIELDS.match(name):
      out += [part for part in value.split(',') if part and not is_there(part, made)]
    if name == '--config.data.source' and value == 'tfds':
      out.append('records')
  if arguments[0] == 'fetch' and len(arguments) > 1:
    out.append(f'a network, for {arguments[1]}')
  return out


def is_there(name, made):
  """True for what stands in the repository, or in something that an earlier command made."""
  path = pathlib.PurePath(name)
  return (ROOT / path).exists() or name in ('train_b', 'test_b', 'none') or any(
      pathlib.PurePath(place) in (path, *path.parents) for place in made)


@pages
def test_every_command_is_planned_and_says_what_it_needs(page, runs):
  made = set()
  for lines in bash_blocks(page):
    marked = any(NEEDS.search(line) for line in lines)
    for line in lines:
      arguments = package_arguments(line)
      if arguments is None or page.name in RUN_ELSEWHERE:
        understood(line)
        continue
      planned(arguments, runs)
      lacking = missing(arguments, made)
      assert marked or not lacking, (
          f'{page.name}: nobody has {", ".join(lacking)}. Add a comment "# needs ..." to the block '
          f'of {line!r}')
      made |= {value for name, value in flag_values(arguments) if name in ('--output', '--workdir')}


@pages
def test_commands_in_running_text_are_planned(page, runs):
  for line in inline_commands(page):
    arguments = package_arguments(line)
    if arguments and 'toygan' not in line and not set('[]|') & set(line):   # a synopsis
      planned(arguments, runs)


def understood(line):
  """Asserts that a line which is not a command of the package is one that can be right."""
  words = shlex.split(line, comments=True)
  if not words or words[0] in TOOLS or line.startswith('for '):
    return
  extras = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']['optional-dependencies']
  if words[0] in ('bash', 'python') and '/' in words[1]:
    assert (ROOT / words[1]).is_file(), line
    if words[1] == 'launch/setup.sh' and words[2:]:
      assert set(words[2].split(',')) <= set(extras), line
  elif words[:2] == ['pip', 'install']:
    for asked in re.findall(r'\[([\w,]+)\]', line):
      assert set(asked.split(',')) <= set(extras), line
  elif words[:2] == ['python', '-m']:
    assert words[2] in ('pytest', 'build', 'http.server', 'i2vjax.main'), line
  elif words[0] == 'cd':
    pass
  else:
    raise AssertionError(f'{line!r}: neither a command of the package nor one that is known here')


@pages
def test_launchers_say_what_they_would_do(page):
  for lines in bash_blocks(page):
    for line in lines:
      words = shlex.split(line, comments=True)
      if words[:1] == ['bash'] and words[1] in DRY:
        done = subprocess.run(['bash', words[1], '--dry-run', *words[2:]], cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, timeout=300)
        assert done.returncode == 0 and 'i2vjax.main' in done.stdout, line


@pages
def test_cheap_commands_run(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  every = [line for lines in bash_blocks(page) for line in lines] + inline_commands(page)
  for arguments in filter(None, map(package_arguments, every)):
    if arguments in CHEAP:
      said = io.StringIO()
      with contextlib.redirect_stdout(said):
        assert main.main(['i2vjax', *arguments]) == 0, arguments
      assert said.getvalue().strip()


def test_a_command_without_its_data_is_noticed():
  line = 'python -m i2vjax.main translate --workdir x --input no.mp4 --output day.mp4 | ffplay -'
  arguments = package_arguments(line)
  assert arguments[-2:] == ['--output', 'day.mp4']
  assert missing(arguments, set()) == ['no.mp4'] and not missing(arguments, {'no.mp4'})
  assert missing(['--config=x', '--config.data.train_a=a/b,README.md'], set()) == ['a/b']
  assert missing(['fetch', 'vgg19'], set()) and not missing(['fetch'], set())
  with pytest.raises(AssertionError):
    understood('frobnicate --all')
  with pytest.raises(AssertionError):
    understood('pip install -e ".[nothing]"')
