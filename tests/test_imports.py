"""The arrows between the parts of the package: exactly these, all downwards, no circle."""

import ast
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parents[1]
PACKAGE = ROOT / 'i2vjax'
# From the ground up: a part imports what stands above it here, and nothing else.
FLOORS = (
    {'core', 'defaults', '__version__', 'Door'},
    {'fields', 'networks'},
    {'flow', 'losses', 'data.source'},
    {'pretrained', 'data.io', 'data.scenes'},
    {'methods', 'metrics', 'data.transforms'},
    {'data.sources'},
    {'data.annotations'},
    {'data'},
    {'data.loader', 'data.prepare'},
    {'run'},
    {'evaluation', 'interop', 'train'},
    {'evaluate', 'live', 'translate'},
    {'api', 'bench', 'compare'},
    {'app'},
    {'cli'},
    {'main'},
)
ARROWS = {
    'api': 'core data.io defaults evaluate fields methods run train translate',
    'app': 'api core',   # a user of the interface: nothing below it
    'bench': 'core data.loader methods pretrained run train',
    'cli': 'api app bench compare core data.prepare data.sources data.transforms defaults evaluate '
           'fields interop live methods pretrained run train translate',
    'live': 'core data.io data.sources data.transforms run',
    'compare': '__version__ core data.io data.loader evaluate evaluation fields interop '
               'methods pretrained run',
    'data': 'core data.annotations data.scenes data.source data.sources data.transforms',
    'data.annotations': 'core data.io data.source data.sources data.transforms',
    'data.io': 'core',
    'data.loader': 'core data data.source data.sources data.transforms',
    'data.prepare': 'core data.annotations data.io data.sources data.transforms',
    'data.scenes': 'core data.source',
    'data.source': 'core',
    'data.sources': 'core data.io data.source data.transforms',
    'data.transforms': 'core data.io data.source',
    'evaluate': '__version__ core data.io data.sources defaults evaluation metrics run',
    'evaluation': 'core data data.annotations data.io data.loader data.scenes data.source '
                  'data.sources data.transforms defaults fields flow losses metrics networks '
                  'pretrained run',
    'fields': 'defaults',
    'flow': 'core networks',
    'interop': '__version__ core data data.io defaults methods networks pretrained run',
    'losses': 'core',
    'main': 'cli',
    'methods': 'core flow losses networks',
    'metrics': 'core flow networks',
    'networks': 'core',
    'pretrained': 'core flow networks',
    'run': 'core data.io data.loader data.sources data.transforms defaults fields losses methods '
           'metrics networks pretrained',
    'train': 'Door core data.loader methods run',
    'translate': 'core data.io data.sources data.transforms evaluation run',
}


def modules():
  """{dotted name without 'i2vjax': path} of the package."""
  names = {}
  for path in sorted(PACKAGE.rglob('*.py')):
    parts = path.relative_to(PACKAGE).with_suffix('').parts
    names['.'.join(parts[:-1] if parts[-1] == '__init__' else parts)] = path
  return names


MODULES = modules()


def part(module):
  """'networks' for networks.conv, 'data.io' for data.io.images, 'run' for run.load."""
  names = module.split('.')
  return '.'.join(names[:2]) if names[0] == 'data' and len(names) > 1 else names[0]


def imported(path):
  """Modules of the package that a file imports, wherever the import stands.

  Names in strings count too: whoever imports by importlib writes the module's name.
  """
  targets = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'i2vjax':
      base = node.module.removeprefix('i2vjax').lstrip('.')
      for alias in node.names:
        full = f'{base}.{alias.name}'.lstrip('.')
        targets.add(full if full in MODULES else base or alias.name)
    elif isinstance(node, ast.Import):
      targets |= {a.name.removeprefix('i2vjax.') for a in node.names
                  if a.name.startswith('i2vjax.')}
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
      name = node.value.removeprefix('i2vjax.')
      # `python -m i2vjax.main` is another process.
      if node.value.startswith('i2vjax.') and name in MODULES and name != 'main':
        targets.add(name)
  return targets


def arrows():
  """{part: parts it imports}."""
  found = {}
  for module, path in MODULES.items():
    if module:
      targets = {part(target) for target in imported(path)} - {part(module)}
      found.setdefault(part(module), set()).update(targets)
  return found


def test_arrows_are_exactly_these():
  """One more or one less: change the table, and look at the plan."""
  assert {name: sorted(targets) for name, targets in arrows().items() if targets} == {
      name: sorted(targets.split()) for name, targets in ARROWS.items()}


def test_arrows_point_downwards():
  floor = {name: level for level, names in enumerate(FLOORS) for name in names}
  upwards = [f'{name} -> {target}' for name, targets in arrows().items() for target in targets
             if floor[target] >= floor[name]]
  assert not upwards


@pytest.mark.parametrize('folder', sorted({part(name) for name in MODULES if '.' in name}))
def test_no_circle_among_the_files_of_a_folder(folder):
  graph = {name: {x for x in imported(path) if part(x) == folder and x != name}
           for name, path in MODULES.items() if part(name) == folder}
  done, above = set(), []

  def visit(name):
    assert name not in above, f'{" -> ".join(above)} -> {name}'
    if name not in done:
      above.append(name)
      for target in graph.get(name, ()):
        visit(target)
      above.pop()
      done.add(name)
  for name in graph:
    visit(name)


def test_configs_import_only_defaults():
  for path in (ROOT / 'configs').glob('*.py'):
    assert imported(path) <= {'defaults'}, path


def test_only_parallel_and_start_up_know_devices_and_processes():
  words = ('jax.devices(', 'local_device_count', 'jax.process_', 'jax.pmap', 'multihost_utils')
  for path in PACKAGE.rglob('*.py'):
    if path.name not in ('parallel.py', 'start_up.py'):
      text = path.read_text()
      assert not [word for word in words if word in text], path


def test_there_are_few_doors_and_named_wings():
  entries = [x for x in PACKAGE.iterdir() if x.is_file() or (x / '__init__.py').is_file()]
  assert sorted(x.name for x in entries) == [
      '__init__.py', 'api.py', 'app', 'bench', 'cli', 'compare', 'core', 'data', 'defaults.py',
      'evaluate.py', 'evaluation', 'fields.py', 'flow', 'interop', 'live.py', 'losses', 'main.py',
      'methods', 'metrics', 'networks', 'pretrained', 'py.typed', 'run', 'train.py', 'translate.py']
