"""A run's translation as ONNX, by jax2onnx (extra `onnx`).

It is compared with the run by onnxruntime on the CPU.

jax2onnx 0.13 is given what it can convert:
  - what JAX traced, never our functions: its own forms of `jnp.concatenate` and others have wrong
    shapes where sizes are open;
  - `stack`, which it does not know, as a concatenation; calls inlined;
  - an open size as a whole axis of an input, and ours are multiples: frames enter the converted
    part as [B, h, m, w, m, C], and a reshape is put in front of it.
"""

import contextlib
import copy
import importlib.metadata
import logging

import jax
import numpy as np
from jax.extend import core

from i2vjax.core.errors import UserError
from i2vjax.interop import comparison, portable

FILE = 'network.onnx'
OPSET = 21   # of ONNX 1.16 (2024): read by runtimes of two years
CALLS = {'jit': 'jaxpr', 'pjit': 'jaxpr', 'custom_jvp_call': 'call_jaxpr',   # their body's name
         'custom_vjp_call': 'call_jaxpr', 'closed_call': 'call_jaxpr', 'checkpoint': 'jaxpr'}
EXTRA = "install the extra: pip install 'i2vjax[onnx]'"


def libraries():
  """(jax2onnx, onnx, onnxruntime).

  Raises:
    UserError: the extra is not installed.
  """
  try:
    import jax2onnx
    import onnx
    import onnxruntime
  except ImportError as error:
    raise UserError(f'--format onnx needs jax2onnx and onnxruntime ({error}): {EXTRA}') from error
  return jax2onnx, onnx, onnxruntime


def write(path, program, size=None):
  """Write a Program as ONNX, compared with the run.

  Args:
    path: pathlib.Path of the file. program: portable.Program.
    size: (height, width) where sizes cannot stay open; None: of the run's crops.

  Returns:
    (facts for the card, the Program as it was exported).

  Raises:
    UserError: no jax2onnx, or an operation that it cannot convert. comparison.Differs.
  """
  _, onnx, onnxruntime = libraries()
  try:
    program, model = portable.widest(program, size, convert)
  except Exception as error:
    raise UserError(f'method {program.run.config.method}: jax2onnx cannot convert it '
                    f'({portable.first_line(error)}); take --format jax') from error
  onnx.checker.check_model(model)
  path.write_bytes(model.SerializeToString())
  options = onnxruntime.SessionOptions()
  options.log_severity_level = 3   # it warns of each constant that nothing reads
  session = onnxruntime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
  names = [item.name for item in session.get_inputs()]

  def call(*arrays):
    return session.run(None, dict(zip(names, map(np.asarray, arrays), strict=True)))
  facts = {'file': path.name, 'bytes': path.stat().st_size, 'opset': OPSET, 'inputs': names,
           'outputs': [item.name for item in session.get_outputs()],
           'jax2onnx': importlib.metadata.version('jax2onnx'), 'onnx': onnx.__version__,
           'onnxruntime': onnxruntime.__version__, **comparison.compare(program, call)}
  return facts, program


def convert(program):
  """The ModelProto of a Program."""
  jax2onnx, onnx, _ = libraries()
  shape, multiple = program.symbolic(), program.multiple
  if not program.batch:   # it copies shapes with their scope, which cannot be copied, nor need be
    scope = shape[0].scope
    scope.__deepcopy__ = lambda memo: scope
  inputs = list(program.specs(shape))
  if not program.size:
    batch, h, w = shape[0], shape[1] // multiple, shape[2] // multiple
    inputs[0] = jax.ShapeDtypeStruct((batch, h, multiple, w, multiple, shape[-1]), np.float32)

  def whole(blocks, *rest):
    return program.function(blocks.reshape(shape), *rest)
  closed = jax.make_jaxpr(program.function if program.size else whole)(*inputs)

  def traced(*arrays):
    return evaluate(closed.jaxpr, closed.consts, *arrays)
  names = ('frames', *program.carried)
  with quiet():
    model = jax2onnx.to_onnx(traced, inputs, model_name=program.run.config.method, opset=OPSET,
                             input_names=list(names),
                             output_names=[f'new_{name}' for name in names])
  return model if program.size else with_whole_frames(onnx, model, multiple, shape[-1])


@contextlib.contextmanager
def quiet():
  """Without the pages that jax2onnx prints on plugins, for other libraries, that it leaves out."""
  before = logging.root.manager.disable
  logging.disable(logging.WARNING)
  try:
    yield
  finally:
    logging.disable(before)


def evaluate(jaxpr, consts, *arguments):
  """As `jax.core.eval_jaxpr`, with calls inlined and `stack` as a concatenation."""
  values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *arguments], strict=True))

  def read(variable):
    return variable.val if isinstance(variable, core.Literal) else values[variable]
  for equation in jaxpr.eqns:
    inputs = [read(variable) for variable in equation.invars]
    values.update(zip(equation.outvars, _results(equation, inputs), strict=True))
  return [read(variable) for variable in jaxpr.outvars]


def _results(equation, inputs):
  name, params = equation.primitive.name, equation.params
  if name == 'stack':
    axis = params['axis']
    return [jax.lax.concatenate([jax.lax.expand_dims(x, (axis,)) for x in inputs], axis)]
  inner = params.get(CALLS.get(name))
  if inner is not None:
    return evaluate(getattr(inner, 'jaxpr', inner), getattr(inner, 'consts', ()), *inputs)
  results = equation.primitive.bind(*inputs, **params)
  return results if equation.primitive.multiple_results else [results]


def with_whole_frames(onnx, model, multiple, channels):
  """The model with frames [B, H, W, C] as its input instead of [B, h, m, w, m, C]."""
  model, helper = copy.deepcopy(model), onnx.helper
  graph = model.graph
  blocks = graph.input[0].name
  for node in graph.node:
    node.input[:] = ['frame_blocks' if name == blocks else name for name in node.input]
  constants = {'block_side': [multiple], 'block_channels': [channels], 'block_0': [0],
               'block_1': [1], 'block_2': [2], 'block_3': [3]}
  nodes = [helper.make_node('Shape', [blocks], ['block_shape'])]
  for axis in range(3):
    nodes.append(helper.make_node('Slice', ['block_shape', f'block_{axis}', f'block_{axis + 1}'],
                                  [f'block_size_{axis}']))
  for axis in (1, 2):
    nodes.append(helper.make_node('Div', [f'block_size_{axis}', 'block_side'],
                                  [f'block_count_{axis}']))
  nodes += [helper.make_node('Concat', ['block_size_0', 'block_count_1', 'block_side',
                                        'block_count_2', 'block_side', 'block_channels'],
                             ['block_target'], axis=0),
            helper.make_node('Reshape', [blocks, 'block_target'], ['frame_blocks'])]
  graph.initializer.extend(onnx.numpy_helper.from_array(np.array(value, np.int64), name)
                           for name, value in constants.items())
  old = list(graph.node)
  del graph.node[:]
  graph.node.extend(nodes + old)
  graph.input[0].CopyFrom(helper.make_tensor_value_info(
      blocks, onnx.TensorProto.FLOAT, ['batch', 'height', 'width', channels]))
  return model
