"""The arrows between the parts of the package point downwards only."""

import ast
import pathlib

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = {'train', 'translate', 'evaluate', 'comparing', 'export', 'importer', 'reporting',
            'prepare'}
SERVICES = {'methods', 'data', 'metrics', 'pretrained', 'checkpoint', 'runs', 'parallel', 'state',
            'schedules', 'ops', 'sheets', 'logbook', 'losses', 'stored', 'reverse', 'segmenter',
            'averaging'}
FILES = {'files'}   # below everything
ALLOWED = {
  'averaging': set(),
  'main': {'arguments', 'commands', 'defaults', 'importer', 'logbook', 'parallel', 'stored'},
  'arguments': set(),
  'commands': COMMANDS | SERVICES,
  'train': SERVICES | {'limits', 'resuming'},
  'translate': SERVICES,
  'export': SERVICES,
  'importer': SERVICES,
  'evaluate': SERVICES | {'scoring', 'reporting', 'defaults'},
  'scoring': SERVICES | {'defaults', 'networks', 'scoring', 'translate'},
  'reporting': {'data', 'reporting', 'sheets'},
  'comparing': SERVICES
  | {'comparing', 'defaults', 'evaluate', 'export', 'reporting', 'scoring', 'train'},
  'checkpoint': {'logbook', 'parallel', 'state'},
  'runs': {'averaging', 'checkpoint', 'methods', 'parallel', 'pretrained', 'state', 'stored'},
  'resuming': {'checkpoint', 'schedules', 'stored'},
  'limits': {'stored'},
  'stored': {'defaults'},
  'files': set(),
  'logbook': set(),
  'sheets': {'ops'},
  'defaults': set(),
  'ops': set(),
  'schedules': {'methods'},
  'reverse': set(),
  'prepare': {'data'},
  'segmenter': {'data', 'losses', 'metrics', 'networks', 'ops', 'state'},
  'parallel': {'state'},
  'state': {'ops'},
  'methods': {'networks', 'losses', 'ops', 'state', 'methods'},
  'metrics': {'networks', 'ops', 'metrics'},
  'pretrained': {'networks', 'pretrained', 'state'},
  'data': {'ops', 'data'},
  'networks': {'ops', 'networks'},
  'losses': {'ops', 'losses'},
}


def part_of(path):
  """'networks' for i2vjax/networks/conv.py, 'ops' for i2vjax/core/ops.py."""
  inner = path.relative_to(ROOT / 'i2vjax').parts
  return inner[0].removesuffix('.py')


def imported(path):
  """Parts of the package that a file imports, wherever the import stands."""
  found = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and (node.module or '').split('.')[0] == 'i2vjax':
      inner = node.module.split('.')[1:]
      found |= {inner[0]} if inner else {alias.name for alias in node.names}
    elif isinstance(node, ast.Import):
      found |= {a.name.split('.')[1] for a in node.names if a.name.startswith('i2vjax.')}
  return found


def test_arrows_point_downwards():
  broken = []
  for path in sorted((ROOT / 'i2vjax').rglob('*.py')):
    part = part_of(path)
    if part == '__init__':
      continue
    up = imported(path) - ALLOWED[part] - FILES - {'__version__'}
    broken += [f'{path.relative_to(ROOT)} imports {name}' for name in sorted(up)]
  assert not broken, '\n'.join(broken)


def test_a_method_imports_at_most_one_other_and_no_chain():
  borrowed = {}
  for path in (ROOT / 'i2vjax' / 'methods').glob('*.py'):
    tree = ast.parse(path.read_text())
    borrowed[path.stem] = {
        alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        and node.module == 'i2vjax.methods' for alias in node.names}
  assert all(len(names) <= 1 for names in borrowed.values()), borrowed
  assert not any(borrowed.get(name) for names in borrowed.values() for name in names), borrowed


def test_configs_import_only_defaults():
  for path in (ROOT / 'configs').glob('*.py'):
    assert imported(path) <= {'defaults'}, path


def test_only_parallel_knows_devices_and_processes():
  words = ('jax.devices(', 'local_device_count', 'jax.process_', 'jax.pmap', 'multihost_utils')
  for path in (ROOT / 'i2vjax').rglob('*.py'):
    if path.name not in ('parallel.py',):
      text = path.read_text()
      assert not [word for word in words if word in text], path
