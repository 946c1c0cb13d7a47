"""The Colab notebooks run from top to bottom, and are stored without outputs."""

import pathlib
import re

import nbclient
import nbformat
import pytest

ROOT = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / 'notebooks').glob('*.ipynb'))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path):
  cells = nbformat.read(path, as_version=4).cells
  assert cells and all(not c.outputs and c.execution_count is None
                       for c in cells if c.cell_type == 'code')


@pytest.mark.slow
def test_quickstart_trains_looks_translates_and_scores(tmp_path):
  notebook = nbformat.read(ROOT / 'notebooks' / 'quickstart.ipynb', as_version=4)
  for cell in notebook.cells:   # a shorter run in a folder of its own
    cell.source = re.sub(r'^STEPS = 0', 'STEPS = 2', cell.source, flags=re.M)
    cell.source = cell.source.replace("'runs/quickstart'", repr(str(tmp_path / 'run')))
    cell.source = cell.source.replace('--output {RUN}/held_out',
                                      '--output {RUN}/held_out --size 32 --frames 4')
  client = nbclient.NotebookClient(notebook, timeout=400, kernel_name='python3',
                                   resources={'metadata': {'path': str(ROOT / 'notebooks')}})
  client.execute()
  assert (tmp_path / 'run' / 'side_by_side.mp4').stat().st_size > 1000
  assert list((tmp_path / 'run' / 'samples').glob('*.png'))
  shown = [output for cell in notebook.cells if cell.cell_type == 'code'
           for output in cell.outputs]
  kinds = {kind for output in shown for kind in output.get('data', {})}
  assert 'image/png' in kinds
  assert any('<video' in output.get('data', {}).get('text/html', '') for output in shown)
  text = ''.join(output.get('text', '') for output in shown)
  assert 'error:' not in text and 'trained 2 steps' in text
