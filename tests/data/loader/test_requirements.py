"""Maps that a method asks for and the frames lack: which, and what to set."""

import pytest
from window_tools import Numbered, folders_config

from i2vjax.data.loader import batches, windows


@pytest.mark.parametrize(('extra', 'direction', 'field', 'meaning'), [
    ('labels_b', 'a2b', 'labels_b', 'class ids'), ('labels_b', 'b2a', 'labels_a', 'class ids'),
    ('edges_a', 'a2b', 'edges_a', '255 where an edge is')])
def test_missing_maps_name_the_field_and_what_it_must_hold(tmp_path, extra, direction, field,
                                                           meaning):
  config = folders_config(tmp_path)
  config.data.direction = direction
  with pytest.raises(ValueError, match=rf'FolderFrames.* has no {extra[:-2]}, .*--config.data.'
                                       rf'{field}=FOLDER, 8-bit .*{meaning}'):
    batches.train_iterator(config, 2, fields=(extra,))


def test_a_single_frame_without_a_map_is_named():
  class Gap(Numbered):
    def read(self, i):
      return {name: x for name, x in super().read(i).items() if name == 'frame' or i != 2}
  source = windows.WindowSource(Gap((4,)), 2, fields=('labels',))
  assert source[0]['labels'].shape == (2, 8, 8)
  with pytest.raises(ValueError, match='clip c0, frame 2 has no labels'):
    source[1]
