"""What scorers get of a clip: its true motion."""

import numpy as np

from i2vjax import defaults, metrics
from i2vjax.data.loader import whole_clips
from i2vjax.data.source import Clip, FrameSource, Wrapper
from i2vjax.data.sources import records
from i2vjax.evaluation import eval_clips
from i2vjax.metrics import clips

SIZE, LENGTH = 32, 4
RANGE = np.array([0, 255], np.float32)


class Street(FrameSource):
  """A ground that moves left by 2, before it a square that moves right by 4; motion by VIPER's
  rule: known everywhere but in one corner, never said to be hidden."""

  clips, has_flow, knows_hidden = [Clip('a', 0, LENGTH)], True, False

  def __init__(self):
    rng = np.random.default_rng(0)
    self.ground = rng.integers(0, 256, (SIZE, SIZE + 2 * LENGTH, 3), np.uint8)
    self.square = rng.integers(0, 256, (8, 8, 3), np.uint8)

  def place(self, t):
    return slice(12, 20), slice(4 + 4 * t, 12 + 4 * t)

  def read(self, i):
    frame = self.ground[:, 2 * i:2 * i + SIZE].copy()
    frame[self.place(i)] = self.square
    return {'frame': frame}

  def flow(self, i):
    motion = {}
    for name, t, sign in (('forward', i, 1), ('backward', i + 1, -1)):
      flow = np.full((SIZE, SIZE, 2), (-2.0 * sign, 0), np.float32)
      flow[self.place(t)] = 4 * sign, 0
      flow[:2, :2] = np.nan
      motion |= {name: flow, f'{name}_visible': np.isfinite(flow[..., 0]).astype(np.float32)}
    return motion


def error(frames, motion):
  return clips.score(metrics.init(), frames, motion=motion, names=('warping',))[1]['warping_mse']


def test_a_perfect_video_has_no_error_where_motion_is_known_but_not_what_is_hidden():
  source = Street()
  frames = np.stack([source.read(i)['frame'] for i in range(LENGTH)])
  motion = eval_clips.true_motion(whole_clips.LoadedClip('a', frames, RANGE, source, 0))
  assert error(frames, motion) == 0
  known = np.stack([source.flow(i)['forward_visible'] for i in range(LENGTH - 1)])
  assert error(frames, (motion[0], known)) > 0.01   # what the square covers, and the left border
  seen = motion[1]
  assert not seen[:, :2, :2].any() and not seen[:, :, :2].any()
  assert not seen[0, 12:20, 14:18].any()            # ground that the square will cover
  assert seen[0, 13:19, 4:11].all() and seen.mean() > 0.7
  assert error(frames[::-1], motion) > 0.01


def test_exact_visibility_is_left_as_it_is():
  source = Street()
  source.knows_hidden = True
  frames = np.stack([source.read(i)['frame'] for i in range(LENGTH)])
  _, seen = eval_clips.true_motion(whole_clips.LoadedClip('a', frames, RANGE, source, 0))
  assert seen.sum() == (LENGTH - 1) * (SIZE * SIZE - 4)


def test_records_only_know_where_motion_is_known_and_wrappers_pass_it_on():
  assert records.TfdsFrames.knows_hidden is False
  assert Wrapper(Street()).knows_hidden is False
  assert FrameSource.knows_hidden is True


def test_no_clip_is_read_beyond_the_last_one_asked_for(monkeypatch):
  read = []

  def test_clips(config, domain, split):
    for name in 'ab':
      read.append(name)
      yield whole_clips.LoadedClip(name, np.zeros((1, 8, 8, 1), np.uint8), RANGE, Street(), 0)
  monkeypatch.setattr(whole_clips, 'test_clips', test_clips)
  clips_of_run = eval_clips.of_run(defaults.get_config(), False, with_motion=False, max_clips=1)
  assert [clip.name for clip in clips_of_run] == read == ['a']
