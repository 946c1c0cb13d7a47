"""Every method keeps the contract of base.py and imports older methods only."""

import ast
import datetime
import importlib
import inspect
import pathlib

import pytest
from method_tools import config_of

from i2vjax import methods
from i2vjax.methods import base

FOLDER = pathlib.Path(methods.__file__).parent
# Files beside the methods: the contract, and what methods share.
PARTS = sorted({path.stem for path in FOLDER.glob('*.py')} - {'__init__', *methods.names()})
HOOKS = {name: hook for name, hook in vars(base.Method).items()
         if inspect.isfunction(hook) and not name.startswith('_')}
FORMER = ('samples', 'inputs', 'fixed', 'extra', 'local', 'variant', 'pairing', 'batch_extras',
          'batches', 'TRANSLATES_WITH')   # names of hooks that nobody asks for any more
each = pytest.mark.parametrize('name', methods.names())
variants = pytest.mark.parametrize('variant', [None, 'paper', 'demo'])


# ---- The contract


def test_the_contract_says_which_hooks_have_a_default():
  assert set(HOOKS) | {'YEAR', 'PLAYERS', 'INFERENCE_NETWORKS'} == {*base.REQUIRED, *base.DEFAULTS}
  assert not set(base.REQUIRED) & set(base.DEFAULTS)


def parameters(function):
  return list(inspect.signature(function).parameters)


@each
def test_hooks_are_there_with_the_parameters_of_the_contract(name):
  method = methods.get(name)
  assert [part for part in base.REQUIRED if not hasattr(method, part)] == []
  assert [part for part in FORMER if hasattr(method, part)] == []
  for hook, contract in HOOKS.items():
    if hasattr(method, hook):
      assert parameters(getattr(method, hook)) == parameters(contract)[1:], hook   # less self


@each
@variants
def test_every_network_is_trained_by_one_player_and_has_an_example(name, variant):
  method, config = methods.get(name), config_of(name, variant)
  if config.get('backbone') == 'auto':
    config.backbone = 'vit'   # as settled where the file is there
  trained = [network for names in method.PLAYERS.values() for network in names]
  assert sorted(trained) == sorted(method.networks(config))
  assert set(trained) <= set(method.example_inputs(config))


@each
def test_inference_networks_are_trained_or_frozen_ones(name):
  method, config = methods.get(name), config_of(name, 'paper')
  trained = {network for names in method.PLAYERS.values() for network in names}
  frozen = set(base.hook(method, 'frozen_networks')(config))
  assert set(method.INFERENCE_NETWORKS) <= trained | frozen
  assert not trained & frozen


# ---- What a method imports


def imported(name):
  """Modules of i2vjax.methods that one of them imports, wherever the import is."""
  path = FOLDER / f'{name}.py'
  modules = set()
  for node in ast.walk(ast.parse(path.read_text())):
    if isinstance(node, ast.ImportFrom) and node.module == 'i2vjax.methods':
      modules |= {alias.name for alias in node.names}
    elif isinstance(node, ast.ImportFrom) and (node.module or '').startswith('i2vjax.methods.'):
      modules.add(node.module.split('.')[2])
    elif isinstance(node, ast.Import):
      modules |= {alias.name.split('.')[2] for alias in node.names
                  if alias.name.startswith('i2vjax.methods.')}
  return modules


def test_a_file_without_players_is_a_part():
  assert {'base', 'shared', 'shared_roma', 'triplets', 'feature_terms'} <= set(PARTS)
  assert not any(hasattr(importlib.import_module(f'i2vjax.methods.{part}'), 'PLAYERS')
                 for part in PARTS)


@each
def test_every_method_has_the_year_of_its_paper(name):
  assert 2014 <= methods.get(name).YEAR <= datetime.date.today().year   # the year of the first GAN


@each
def test_a_method_stands_on_one_older_method_at_most_and_no_chain(name):
  others = imported(name) - set(PARTS)
  assert len(others) <= 1, others
  for other in others:
    assert methods.get(other).YEAR <= methods.get(name).YEAR, f'{name} imports the newer {other}'
    assert imported(other) <= set(PARTS), f'{name} imports {other}, which imports methods'


@each
def test_parts_of_one_method_serve_no_other(name):
  """A part that begins with a method's name is that method's own."""
  others = [other for other in methods.names() if other != name]
  own_parts = {part for part in PARTS for other in others if part.startswith(f'{other}_')}
  assert not imported(name) & own_parts


@pytest.mark.parametrize('part', PARTS)
def test_parts_import_no_method(part):
  assert imported(part) <= set(PARTS)
