"""Any value of any field and flag is taken or refused in one line.

Counts of larger campaigns: docs/reliability.md.
"""

import pytest

pytest.importorskip('hypothesis')
import fuzz_archives
import fuzz_configs

from i2vjax import defaults
from i2vjax.run import bounds


@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', fuzz_configs.NAMES)
@pytest.mark.parametrize('count', [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_any_value_is_taken_or_refused(tmp_path, name, count):
  said = []
  found = fuzz_configs.campaign(name, tmp_path, count, said.append)
  assert set(found) <= {*fuzz_archives.GOOD} and sum(found.values()) >= count / 2, said or found


@pytest.mark.parametrize(('name', 'value'), [
    ('optim.lr', float('nan')), ('weights.x', float('inf')), ('seed', 2**32), ('eval.seed', -1),
    ('data.scenes.seed', -1), ('data.scenes.clips', 0), ('gen.blocks', 10**9),
    ('gen.width', 2**40), ('data.crop_size', (0, 64)), ('data.crop_size', 10**9),
    ('train.decay_fraction', 1.5), ('data.flip_time', -0.5)])
def test_numbers_that_cannot_be_meant_are_refused(name, value):
  config = defaults.get_config()
  block, _, field = name.rpartition('.')
  if block and '.' not in block and block not in config:
    config[block] = {}
  holder = config
  for part in block.split('.') if block else ():
    holder = holder[part]
  with holder.ignore_type():
    holder[field] = value
  with pytest.raises(ValueError, match=f'{name}='):
    bounds.check(config)
