"""Which frames are pairs: by the names that real data sets have, never by position."""

import json

import numpy as np
import pytest
from made_sets import build, put, read
from window_tools import Numbered, folders_config

from i2vjax import defaults
from i2vjax.data import open_source, source
from i2vjax.data.io import images, video_reader
from i2vjax.data.loader import batches
from i2vjax.data.sources import alignment
from i2vjax.data.transforms import tasks

PLAIN = ('0001', '0002', '0003')


def opened(place, names, data=None, split='test'):
  """A source of pictures of these names (with folders) below a folder."""
  for name in names:
    images.write_image(place / f'{name}.png', np.zeros((4, 6, 1), np.uint8))
  data = data or defaults.data()
  data.update(source='folders', **{f'{split}_a': str(place)})
  return open_source(data, split, 'a')


def apart(tmp_path, left, right):
  return alignment.mismatch(opened(tmp_path / 'ir', left), opened(tmp_path / 'vis', right))


@pytest.mark.parametrize(('left', 'right'), [
    (PLAIN, PLAIN),
    (('berlin', 'rome'), ('berlin', 'rome')),
    (('FLIR_00001_thermal', 'FLIR_00002_thermal'), ('FLIR_00001_RGB', 'FLIR_00002_RGB')),
    (('fake_0012', 'fake_0013'), ('real_12', 'real_13')),
    (('f_0001_8bit', 'f_0002_8bit'), ('f_0001', 'f_0002')),
    (('cam1_0001', 'cam1_0002'), ('cam2_0001', 'cam2_0002')),
    (('set00/V000/I00000', 'set00/V001/I00000'), ('set00/V000/I00000', 'set00/V001/I00000')),
    (('set00/V000/lwir/I00000', 'set00/V001/lwir/I00000'),
     ('set00/V000/visible/I00000', 'set00/V001/visible/I00000')),
    (('one/1', 'two/ir_7'), ('one/1', 'two/vis_7')),
    (('aachen_000000_000019_leftImg8bit', 'aachen_000000_000020_leftImg8bit'),
     ('aachen_000000_000019_gtFine_labelIds', 'aachen_000000_000020_gtFine_labelIds')),
])
def test_frames_of_the_same_name_or_number_are_pairs(tmp_path, left, right):
  assert apart(tmp_path, left, right) is None


@pytest.mark.parametrize(('left', 'right', 'message'), [
    (('c/0001', 'c/0002', 'c/0003'), ('c/0001', 'c/0003', 'c/0099'),
     'clip c: frame 0002 of .*ir.* and frame 0099 of .*vis.* have no partner'),
    (('a_0001', 'a_0002', 'a_0003'), ('b_0001', 'b_0003', 'b_0005'),
     'frame a_0002 of .* and frame b_0005 of'),
    (('FLIR_00000', 'FLIR_00001'), ('street_00500', 'street_00501'),
     'frame FLIR_00000 of .* and frame street_00500 of'),
    (('0', '1', '2'), ('1', '2', '3'), 'frame 0 of .* and frame 3 of'),
    (('berlin', 'rome'), ('berlin', 'paris'), 'frame rome of .* and frame paris of'),
    (PLAIN, PLAIN[:2], 'has 3 frames in .* and 2 in .*: frame 0003 of .* and no frame of'),
    (('one/1', 'two/1'), ('one/1', 'three/1'), 'clip two of .* and clip three of'),
    (('V0/lwir/1', 'V1/lwir/1'), ('V0/visible/1', 'V2/visible/1'), 'clip V1 of .* and clip V2 of'),
    (('one/1', 'two/1'), ('one/1', 'two/2'), 'clip two: frame 1 of .* and frame 2 of'),
    (('1', '2', '3', '4'), ('1', '2', '3', '99'),
     'clip ir of .* and clip 000 of .* nor have frame 4 and frame 99'),
])
def test_what_has_no_partner_is_named_on_both_sides(tmp_path, left, right, message):
  result = apart(tmp_path, left, right)
  assert np.all([x in result for x in ('not aligned', 'have no partner')])
  with pytest.raises(ValueError, match=message):
    alignment.check_frames(*(opened(tmp_path / x, ()) for x in ('ir', 'vis')))


def test_names_win_over_order_and_count(tmp_path):
  """B_0 to B_3 are the same files in both; by clip and number they would meet others."""
  left = [f'{x}_{k}' for x in 'AB' for k in range(4)]
  right = [f'{x}_{k}' for x in 'BC' for k in range(4)]
  reason = apart(tmp_path, left, right)
  assert 'frame B_0 is in both' in reason
  assert 'compared with C_0' in reason
  assert 'frame A_0 of the one and frame C_0 of the other have no partner' in reason


def test_a_number_that_is_the_same_everywhere_pairs_nothing(tmp_path):
  reason = apart(tmp_path, ('1_8', '2_8'), ('3_8', '4_8'))
  assert 'frame 1_8 of' in reason
  clips = [[f'c{k}/aachen_0_{number:06d}_left8' for k in range(2)] for number in (19, 20)]
  assert 'have no partner' in apart(tmp_path / 'one', *clips)


def test_wrappers_do_not_hide_names(tmp_path):
  a, b = opened(tmp_path / 'a', ('1', '2')), opened(tmp_path / 'b', ('2', '3'))
  for wrapped in (source.Wrapper(b), tasks.Derived(source.Wrapper(b), tasks.half, None)):
    assert 'frame 1 of' in alignment.mismatch(a, wrapped)
    assert alignment.mismatch(b, wrapped) is None


def film(path, count):
  with video_reader.VideoWriter(path, 10) as writer:
    for k in range(count):
      writer.write(np.full((32, 32, 3), 20 * k, np.uint8), None)
  return path


def test_frames_of_videos_answer_by_their_place(tmp_path):
  """And so do pictures numbered like them, from 0 or from 1; also once a video was unpacked."""
  data = defaults.data()
  data.update(source='folders', train_a=str(film(tmp_path / 'x.mp4', 3)),
              test_a=str(tmp_path / 'x.mp4'), cache_dir=str(tmp_path / 'cache'))
  pictures = [opened(tmp_path / name, names) for name, names in (
      ('from_0', ('f_00', 'f_01', 'f_02')), ('from_1', ('000001', '000002', '000003')))]
  for split in ('test', 'train'):
    film_frames = open_source(data, split, 'a')
    assert all(alignment.mismatch(film_frames, x) is None for x in (film_frames, *pictures))
    gap = opened(tmp_path / 'gap', ('1', '2', '4'))
    assert 'frame 2 (from 0) of' in alignment.mismatch(film_frames, gap)


@pytest.mark.parametrize('earlier', [False, True])
def test_records_tell_the_names_of_their_files(tmp_path, earlier):
  """`earlier`: records of a version that had no list of names yet."""
  for name, numbers in (('trainA', '12'), ('trainB', '12'), ('testA', '124'), ('testB', '134')):
    put(tmp_path / f'in/{name}/clip', [f'{name}_{k}.png' for k in numbers])
  folder, _ = build(tmp_path, 'frames_folder/mine')
  if earlier:
    index = json.loads((folder / 'clips.json').read_text())
    assert all(split.pop('names') for split in index.values())
    (folder / 'clips.json').write_text(json.dumps(index))
  a, b = (read(tmp_path, 'frames_folder/mine', 'test', x) for x in 'ab')
  assert 'frame testA_2 of' in (result := alignment.mismatch(a, b)) and 'frame testB_3 of' in result
  assert alignment.mismatch(*(read(tmp_path, 'frames_folder/mine', domain=x) for x in 'ab')) is None


def test_sources_without_names_are_pairs_if_their_clips_are_equally_long():
  assert alignment.mismatch(Numbered((5, 4)), Numbered((5, 4))) is None
  assert 'frame 4 (from 0) of' in alignment.mismatch(Numbered((5, 4)), Numbered((4, 5)))
  assert 'no clip' in alignment.mismatch(Numbered((5, 4)), Numbered((5,)))


def test_clips_of_other_names_are_not_pairs_unless_single():
  one, other = Numbered((5, 4)), Numbered((5, 4))
  other.clips = [source.Clip('x', 0, 5), source.Clip('y', 5, 4)]
  assert 'clip c0 of' in alignment.mismatch(one, other)
  other.clips = one.clips[::-1]
  assert 'different order' in alignment.mismatch(one, other)
  one.clips, other.clips = one.clips[:1], [source.Clip('x', 0, 5)]
  assert alignment.mismatch(one, other) is None


def test_paired_training_refuses_frames_without_partners(tmp_path):
  """Clips and lengths agree; a lacks frame 2 and b frame 4."""
  config = folders_config(tmp_path)
  for domain, names in (('a', '013'), ('b', '012')):
    opened(tmp_path / domain, [f'clip/{k}' for k in names])
  config.data.update(train_a=str(tmp_path / 'a'), train_b=str(tmp_path / 'b'), paired=True)
  with pytest.raises(ValueError, match='data.paired.*frame 3 of .* and frame 2 of'):
    batches.train_windows(config.data)
  config.data.paired = False
  assert [len(x) for x in batches.train_windows(config.data)] == [1, 1]
