"""A run's weights as a repository on the Hugging Face hub.

It holds what a starter folder holds (run/starter.py), and the programs of an export.
"""

import functools
import json
import os
import pathlib
import shutil
import tempfile

from i2vjax.core import files
from i2vjax.interop import card, export_jax, export_onnx
from i2vjax.run import averaging, hub, starter
from i2vjax.run import folder as run_folder

PROGRAMS = (export_jax.FILE, export_onnx.FILE)


def publish(run, folder, address):
  """Put the networks that translate, and the programs of an export, into a repository.

  Paths of this machine are left out of its config.

  Args:
    run: load.Run. folder: of `export.export`. address: hf:OWNER/NAME.

  Returns:
    hf:OWNER/NAME@COMMIT, for --workdir.

  Raises:
    UserError, OSError: see `hub.publish`.
  """
  hub.check_published(address)
  folder = pathlib.Path(folder)
  with tempfile.TemporaryDirectory(prefix='i2vjax-publish-') as part:
    part = pathlib.Path(part)
    content = json.loads((folder / card.FILE).read_text())
    config = without_places(run.config)
    names = averaging.names(run.method)
    weights = starter.Weights({name: run.params[name] for name in names}, run.model_state,
                              int(run.step), run.weights)
    starter.write(part, config, weights, 'float32')
    content['config'] = json.loads(config.to_json_best_effort())
    files.save_json(part / card.FILE, content)
    for name in PROGRAMS:
      if (folder / name).is_file():
        shutil.copyfile(folder / name, part / name)
    files.save_text(part / 'README.md', page(content, address))
    return hub.publish(part, address, f'{content["method"]}, step {content["step"]}')


def without_places(config):
  """The config without folders and files of this machine."""
  config = config.copy_and_resolve_references()
  with config.unlocked():
    for name, value in run_folder.flatten(config).items():
      if isinstance(value, str) and os.path.isabs(os.path.expanduser(value)):
        block, _, field = name.rpartition('.')
        holder = functools.reduce(lambda tree, part: tree[part], block.split('.') if block else (),
                                  config)
        holder[field] = ''
  return config


def page(content, address):
  """README.md of the repository: the card for people."""
  lines = ['---', 'library_name: i2vjax', 'pipeline_tag: image-to-image', '---', '',
           f'# {content["method"]}, {content["step"]} steps', '',
           'Infrared video into daylight color video, learned from unpaired footage: i2vjax.', '',
           '```bash',
           f'i2vjax translate --workdir {address} --input infrared.mp4 --output day.mp4',
           '```', '']
  for name, facts in content['formats'].items():
    if 'use' in facts:
      frames = facts['inputs_and_outputs']['inputs'][0]
      lines += [f'`{facts["file"]}` ({name}): frames float32 in [-1, 1], {frames["channels"]}; '
                f'{frames["sides"]}.', '', '```python', *facts['use'], '```', '']
  licenses = content['weight_files_it_stands_on']
  lines += [f'Trained with `{item["file"]}`: {item["license"]}.' for item in licenses]
  lines += ['', 'What goes in and out, versions, config and scores: `card.json`.', '']
  return '\n'.join(lines)
