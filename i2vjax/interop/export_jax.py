"""A run's translation as one file of `jax.export`.

It runs where jax and flatbuffers are, without this package.
"""

import jax
from jax import export as jax_export

from i2vjax.core.errors import UserError
from i2vjax.interop import comparison, portable

FILE = 'network.jax'
PLATFORMS = ('cpu', 'cuda', 'tpu')


def write(path, program, size=None):
  """Write a Program, compared with the run.

  Batch, height and width stay open where the method allows it (height and width as multiples),
  else the batch alone, at the size of the run's crops.

  Args:
    path: pathlib.Path of the file.
    program: portable.Program.
    size: (height, width) where sizes cannot stay open; None: of the run's crops.

  Returns:
    (facts for the card, the Program as it was exported).

  Raises:
    UserError: this method cannot be exported. comparison.Differs: another result than the run's.
  """
  try:
    program, exported = portable.widest(program, size, trace)
  except Exception as error:
    raise UserError(f'method {program.run.config.method} cannot be exported for jax alone '
                    f'({portable.first_line(error)}): take --format orbax') from error
  path.write_bytes(exported.serialize())
  again = jax.jit(jax_export.deserialize(bytearray(path.read_bytes())).call)
  facts = {'file': path.name, 'bytes': path.stat().st_size, 'platforms': list(PLATFORMS),
           'calling_convention_version': exported.calling_convention_version,
           **comparison.compare(program, again)}
  return facts, program


def trace(program):
  """The jax.export.Exported of a Program."""
  specs = program.specs(program.symbolic())
  return jax_export.export(jax.jit(program.function), platforms=PLATFORMS)(*specs)
