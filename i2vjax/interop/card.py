"""The card of an export.

What it is, what goes in and out, how it was checked, how it is run.
"""

import importlib.metadata
import json
import shlex

import numpy as np

from i2vjax import __version__
from i2vjax.methods import base
from i2vjax.pretrained import registry
from i2vjax.run import direction

FILE = 'card.json'
JAX_LINES = ('import jax, numpy, pathlib',
             "net = jax.export.deserialize(bytearray(pathlib.Path('network.jax').read_bytes()))",
             'call = jax.jit(net.call)   # compiled once for each size',
             '{arrays} = {zeros}',
             '{result} = call({arrays})')
ONNX_LINES = ('import numpy, onnxruntime',
              "net = onnxruntime.InferenceSession('network.onnx')",
              '{arrays} = {zeros}',
              '{result} = net.run(None, dict(zip([x.name for x in net.get_inputs()], ({arrays},))))'
              )
LINES = {'jax': JAX_LINES, 'onnx': ONNX_LINES}
CHANNELS = {1: 'one: gray', 3: 'three: red, green, blue (gray repeated)'}


def describe(run, network, formats, programs):
  """The content of card.json.

  Args:
    run: load.Run, in the direction of `network`.
    network: name in the run folder.
    formats: {format: facts of its file}.
    programs: {format: portable.Program}, of those that are programs.
  """
  config = run.config
  card = {'method': config.method, 'variant': config.variant, 'network': network,
          'step': int(run.step), 'weights': run.weights, 'direction': config.data.direction,
          'formats': formats, 'versions': versions(),
          'weight_files_it_stands_on': licenses(run), 'scores': scores(run, network),
          'config': json.loads(config.to_json_best_effort())}
  for name, program in programs.items():
    card['formats'][name] |= {'inputs_and_outputs': signature(program),
                              'use': use(name, program)}
  return card


def versions():
  """{package: version} of what wrote it."""
  names = ('jax', 'jaxlib', 'flax', 'numpy')
  return {'i2vjax': __version__, **{name: importlib.metadata.version(name) for name in names}}


def licenses(run):
  """[{id, file, license, inside}]: pretrained networks of the method; if the export has them."""
  frozen = base.hook(run.method, 'frozen_networks')(run.config)
  found = []
  for name, (_, weight_id) in frozen.items():
    item = registry.entry(weight_id)
    found.append({'id': weight_id, 'file': item.file, 'license': item.license,
                  'inside': name in run.method.INFERENCE_NETWORKS})
  return found


def scores(run, network=None):
  """Scores of just these weights in this direction that the run's folder has.

  Args:
    run: load.Run, in the direction of `network`.
    network: name of what is exported.

  Returns:
    {'from': file, score: value} of a report or card; {'none': why, with the command by which they
    come}; None for a network that does not translate, or a run without a folder.
  """
  if run.workdir is None or network not in (None, *direction.GENERATORS):
    return None
  back = network == 'gen_ba'
  others = []
  places = () if back else ('report/scores.json', 'card.json')
  for place in (f'report-{network}/scores.json', *places):
    try:
      content = json.loads((run.workdir / place).read_text())
      rows = content.get('rows') or content['scores']
      values, other = dict(rows['translated']), _differs(run, content, place)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
      continue   # there is none, or another program's
    if not other:
      return {'from': place, **values}
    others += other
  return {'none': '; '.join(others) or 'it was not scored', 'command': _command(run, back)}


def _differs(run, content, place):
  """What a file of scores was made from, where that is not this run; [] where it is.

  A report tells it in `run` and `protocol`; the card of a starter in itself and `protocol`. Every
  version wrote them: one who does not tell is not believed.
  """
  told = {**content, **content.get('run', {}), **content.get('protocol', {})}
  own = {'step': int(run.step), 'weights': run.weights, 'direction': run.config.data.direction}
  other = [f'{name} {told.get(name, "unknown")}' for name in own if told.get(name) != own[name]]
  return [f'{place} has those of {", ".join(other)}'] if other else []


def _command(run, back):
  """The command line that scores just these weights; without the path, as cards are published."""
  words = ['python', '-m', 'i2vjax.main', 'evaluate', '--workdir', run.workdir.name]
  words += ['--checkpoint', str(int(run.step)), '--weights', run.weights]
  words += ['--network', 'gen_ba'] if back else []
  return shlex.join([*words, '--overwrite'])


def signature(program):
  """Inputs and outputs in their order."""
  specs = program.specs(program.symbolic())
  out = program.run.config.data.channels_b
  sides = ('height {} and width {}, no other'.format(*program.size) if program.size else
           f'height and width: multiples of {program.multiple}, at least '
           f'{program.multiple * program.least}')
  frames = {'name': 'frames', 'dtype': 'float32', 'range': [-1, 1], 'layout': 'batch, height, '
            'width, channels', 'shape': _words(specs[0].shape),
            'channels': CHANNELS.get(program.channels, str(program.channels)), 'sides': sides}
  if program.reason:
    frames['why_it_is_fixed'] = program.reason
  carried = [{'name': name, 'dtype': str(np.dtype(spec.dtype)), 'shape': _words(spec.shape),
              'at_the_start_of_a_clip': 'zeros'}
             for name, spec in zip(program.carried, specs[1:], strict=True)]
  result = {**frames, 'name': 'new_frames', 'channels': CHANNELS.get(out, str(out)),
            'shape': [*frames['shape'][:3], out]}
  return {'inputs': [frames, *carried],
          'outputs': [result, *({**item, 'name': 'new_' + item['name']} for item in carried)]}


def _words(shape):
  return [size if isinstance(size, int) else str(size) for size in shape]


def use(name, program):
  """Lines of Python that run the file on a black frame, or on the first one of a clip."""
  height, width = program.size or (8 * program.multiple, 8 * program.multiple)
  specs = program.specs((program.batch or 1, height, width, program.channels))
  arrays = ', '.join(('frames', *program.carried))
  zeros = ', '.join(f"numpy.zeros({tuple(spec.shape)}, '{np.dtype(spec.dtype)}')"
                    for spec in specs)
  # One output comes as a list of one.
  result = arrays if program.carried else 'frames,'
  return [line.format(arrays=arrays, zeros=zeros, result=result) for line in LINES[name]]
