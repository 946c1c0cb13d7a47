"""The Colab notebooks run from top to bottom, and are stored without outputs."""

import ast
import pathlib
import re

import nbclient
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))
notebooks = pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
TINY = {'data.load_size': 36, 'data.crop_size': 32, 'data.scenes.clips': 2,
        'data.scenes.test_clips': 1, 'data.scenes.clip_length': 4, 'data.scenes.cache_mb': 8,
        'gen.width': 4, 'disc.width': 4, 'eval.every': 0, 'train.steps': 2}
SHORT_CLIP = ("'--size', '128', '--frames', '48'", "'--size', '32', '--frames', '4'")


def code_cells(path):
  return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == 'code']


@notebooks
def test_outputs_are_stripped(path):
  cells = code_cells(path)
  assert cells and all(not c.outputs and c.execution_count is None for c in cells)


@notebooks
def test_cells_are_sound_and_use_the_interface_alone(path):
  """`import i2vjax`, its command line, its app: nothing below."""
  offered = {'i2vjax', 'i2vjax.main', 'i2vjax.app'}
  for cell in code_cells(path):
    magic = cell.source.startswith('%%')
    source = cell.source.partition('\n')[2] if magic else cell.source
    for node in ast.walk(ast.parse(TransformerManager().transform_cell(source))):
      if isinstance(node, ast.ImportFrom) and not magic:   # what is written to a file is a method
        names = {f'{node.module}.{alias.name}' for alias in node.names}
        assert not (node.module or '').startswith('i2vjax') or names <= offered, names
      elif isinstance(node, ast.Import):
        names = {alias.name for alias in node.names if alias.name.startswith('i2vjax')}
        assert names <= offered, names


@notebooks
def test_installing_asks_the_driver_and_looks_at_the_device(path):
  """The same cell everywhere: the extras by nvidia.py, then doctor, which stops it."""
  first, other = code_cells(path)[0].source, code_cells(NOTEBOOKS[0])[0].source
  assert first == other
  assert 'core/nvidia.py' in first and "'doctor', '--brief'" in first


def test_the_new_method_is_that_of_the_page():
  page = (ROOT / 'docs/adding_a_method.md').read_text(encoding='utf-8')
  cells = code_cells(ROOT / 'notebooks/new_method.ipynb')
  written = [cell.source.partition('\n')[2] for cell in cells
             if cell.source.startswith('%%writefile')]
  assert len(written) == 2 and all(f'```python\n{text}\n```' in page for text in written)


def execute(name, *replaced, timeout=400):
  """Run a notebook with texts replaced, each of which must be there; all that it printed."""
  notebook = nbformat.read(ROOT / 'notebooks' / f'{name}.ipynb', as_version=4)
  for old, new in replaced:
    assert any(old in cell.source for cell in notebook.cells), old
    for cell in notebook.cells:
      cell.source = cell.source.replace(old, new)
  client = nbclient.NotebookClient(notebook, timeout=timeout, kernel_name='python3',
                                   resources={'metadata': {'path': str(ROOT / 'notebooks')}})
  client.execute()
  shown = [output for cell in notebook.cells if cell.cell_type == 'code'
           for output in cell.outputs]
  return shown, ''.join(output.get('text', '') for output in shown)


def has_picture(shown):
  return any('image/png' in output.get('data', {}) for output in shown)


@pytest.mark.slow
def test_quickstart_trains_looks_translates_and_scores(tmp_path):
  shown, text = execute(   # a shorter run in a folder of its own
      'quickstart', ('STEPS = 0 ', 'STEPS = 2 '),
      ("'runs/quickstart'", repr(str(tmp_path / 'run'))),
      ('--output {RUN}/held_out', '--output {RUN}/held_out --size 32 --frames 4'))
  assert (tmp_path / 'run' / 'side_by_side.mp4').stat().st_size > 1000
  assert list((tmp_path / 'run' / 'samples').glob('*.png')) and has_picture(shown)
  assert any('<video' in output.get('data', {}).get('text/html', '') for output in shown)
  assert 'error:' not in text and 'trained 2 steps' in text and re.search('devices +1 x', text)


@pytest.mark.slow
def test_your_footage_trains_translates_and_scores(tmp_path):
  """On the films that take the place of footage; a method that compiles fast."""
  run = tmp_path / 'run'
  shown, text = execute(
      'your_footage', ("'runs/your_footage'", repr(str(run))), SHORT_CLIP,
      ("'cptrans:small'", "'cyclegan:demo'"), ("{'train.steps': 1500}", repr({
          **TINY, 'gen.blocks': 1, 'log.samples_every': 2})))
  assert (run / 'beside.mp4').is_file() and has_picture(shown)
  assert 'step 2' in text and re.search(r"translated \{'psnr': [\d.]+, 'ssim': -?[\d.]+\}", text)


@pytest.mark.slow
def test_a_new_method_trains_and_scores(tmp_path):
  shown, text = execute(
      'new_method', ("'runs/my_methods'", repr(str(tmp_path / 'mine'))),
      ("'runs/toygan'", repr(str(tmp_path / 'run'))),
      ("{'train.steps': 400}", repr({**TINY, 'log.samples_every': 0})),
      ("'--size', '64'", "'--size', '32'"))
  assert 'Translator(toygan, step 2' in text and has_picture(shown)
  assert re.search(r"translated \{'psnr': [\d.]+, 'ssim': -?[\d.]+\}", text)


@pytest.mark.slow
def test_comparing_methods_makes_a_table(tmp_path):
  """Two rows and one seed: each row is a process that compiles."""
  tiny = {**TINY, 'gen.blocks': 1, 'log.samples_every': 0, 'eval.metrics': 'psnr'}
  shown, text = execute(
      'comparing_methods', ("'runs/comparing'", repr(str(tmp_path))),
      ("SEEDS = '0,1'", "SEEDS = '0'"),
      ('configs/cut.py:demo,configs/cyclegan.py:demo', 'configs/cut.py:demo'),
      ("['--config.train.steps=400']", repr([f'--config.{k}={v}' for k, v in tiny.items()])),
      ("'--size', '64'", "'--size', '32'"))
  tables = [output['data']['text/markdown'] for output in shown
            if 'text/markdown' in output.get('data', {})]
  assert len(tables) == 1 and 'without identity' in tables[0] and 'best single color' in tables[0]
  assert has_picture(shown)
