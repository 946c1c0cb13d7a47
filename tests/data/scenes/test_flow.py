"""The true flow of the procedural street, against the projection and against the frames."""

import numpy as np
import pytest
from ml_collections import ConfigDict

from i2vjax import defaults
from i2vjax.data.scenes import flow, open_split, render, world

SIZE = (96, 128)


def frames(domain='b', size=64, **fields):
  settings = defaults.data().to_dict()
  settings['scenes'].update(size=size, **fields)
  return open_split(ConfigDict(settings), 'test', domain)


@pytest.fixture(scope='module')
def scene():
  return world.build(11, 'driving', 'clear', 24)


def project(at, point):
  """Pixel of a world point (X, height above ground, Z) in a pose, from the written formula."""
  x, up, z = point
  depth = z - at.z
  return np.array([at.u0 + at.f * (x - at.x) / depth, at.v0 + at.f * (at.height - up) / depth])


def pick(mask):
  """The middle one of the marked pixels, as (row, column)."""
  places = np.argwhere(mask)
  return tuple(places[len(places) // 2])


def test_a_ground_point_moves_as_projected(scene):
  """u = u0 + f X / Z, v = v0 + f Y / Z at both frames, to 1e-9 pixels."""
  view = render.raster(scene, 4, SIZE)
  motion, _ = flow.between(scene, 4, 5, SIZE)
  row, column = pick(view.ids == world.GROUND)
  at = view.pose
  depth = at.f * at.height / (row - at.v0)
  point = (at.x + (column - at.u0) * depth / at.f, 0.0, at.z + depth)
  np.testing.assert_allclose(project(at, point), [column, row], atol=1e-9)
  moved = project(render.pose(scene, 5, SIZE), point)
  np.testing.assert_allclose(motion[row, column] + [column, row], moved, atol=1e-9)


def test_a_wall_point_moves_as_projected(scene):
  view = render.raster(scene, 4, SIZE)
  motion, _ = flow.between(scene, 4, 5, SIZE)
  walls = (view.wall != 0)[view.ids]
  row, column = pick(walls)
  at = view.pose
  lot = (view.ids[row, column] - world.HOUSES) // 2
  side, cell = divmod(lot, len(scene.cells))
  x = (2 * side - 1) * scene.lots.setback[side, cell]
  depth = at.f * (x - at.x) / (column - at.u0)
  point = (x, at.height - (row - at.v0) * depth / at.f, at.z + depth)
  moved = project(render.pose(scene, 5, SIZE), point)
  np.testing.assert_allclose(motion[row, column] + [column, row], moved, atol=1e-9)


def test_the_corner_of_a_moving_car_moves_as_projected(scene):
  """A pixel of a vehicle: its point on the part's plane, carried along by the vehicle."""
  view = render.raster(scene, 4, SIZE)
  motion, _ = flow.between(scene, 4, 5, SIZE)
  owner = scene.tables.owner[view.ids] - 1
  vehicles = (owner >= 0) & (owner < scene.moving) & (scene.tables.label[view.ids] == 13)
  row, column = np.argwhere(vehicles)[0]
  part = view.ids[row, column] - scene.first_part
  (x0, z0), (x1, z1) = (render.part_positions(scene, t) for t in (4, 5))
  at, depth = view.pose, z0[part] - view.pose.z
  point = np.array([at.x + (column - at.u0) * depth / at.f,
                    at.height - (row - at.v0) * depth / at.f, z0[part]])
  point += [x1[part] - x0[part], 0.0, z1[part] - z0[part]]
  moved = project(render.pose(scene, 5, SIZE), point)
  np.testing.assert_allclose(motion[row, column] + [column, row], moved, atol=1e-9)
  assert abs(z1[part] - z0[part]) > 0.05


def test_parts_are_drawn_where_their_corners_project(scene):
  """The pixels of a part that nothing hides fill the projected rectangle, neither more nor less."""
  x, z = render.part_positions(scene, 4)
  at = render.pose(scene, 4, SIZE)
  view = render.raster(scene, 4, SIZE)
  shown = np.unique(view.ids[view.ids >= scene.first_part]) - scene.first_part
  for part in shown:
    p = scene.parts
    left, top = project(at, (x[part] + p.left[part], p.high[part], z[part]))
    right, low = project(at, (x[part] + p.right[part], p.low[part], z[part]))
    rows, columns = np.nonzero(view.ids == part + scene.first_part)
    assert left <= columns.min() and columns.max() < right
    assert top <= rows.min() and rows.max() < low
  assert len(shown) > 30


def test_the_sky_moves_with_the_image_shift_alone(scene):
  view = render.raster(scene, 4, SIZE)
  motion, _ = flow.between(scene, 4, 5, SIZE)
  a, b = view.pose, render.pose(scene, 5, SIZE)
  sky = motion[view.ids == world.SKY]
  np.testing.assert_array_equal(sky, np.broadcast_to([b.u0 - a.u0, b.v0 - a.v0], sky.shape))
  assert a.u0 != b.u0


def test_no_motion_is_exactly_no_flow(scene):
  still = scene._replace(
      camera=scene.camera._replace(speed=0.0, sway=0.0, shift=(0.0, 0.0)),
      motion=np.where(np.arange(8) < 2, scene.motion, 0.0),
      parts=scene.parts._replace(swing=np.zeros_like(scene.parts.swing)))
  motion, visible = flow.between(still, 4, 5, SIZE)
  np.testing.assert_array_equal(motion, 0.0)
  assert visible.all()


def test_a_fixed_camera_sees_only_objects_move():
  b = frames(camera='monitoring', weather='overcast')
  truth, record = b.flow(3), b.read(3)
  background = np.isin(record['label'], (0, 1, 2, 5, 8, 10))
  np.testing.assert_array_equal(truth['forward'][background], 0.0)
  assert np.abs(truth['forward'][~background]).max() > 0.05


def bilinear(image, flow_xy):
  """image at p + flow(p), bilinear, edges clamped."""
  height, width = image.shape[:2]
  y, x = np.mgrid[:height, :width]
  x, y = (np.clip(c + flow_xy[..., k], 0, n - 1)
          for k, (c, n) in enumerate(((x, width), (y, height))))
  x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
  x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
  a, b = (x - x0)[..., None], (y - y0)[..., None]
  top = image[y0, x0] * (1 - a) + image[y0, x1] * a
  return top * (1 - b) + (image[y1, x0] * (1 - a) + image[y1, x1] * a) * b


@pytest.mark.parametrize('size', [64, 128])
@pytest.mark.parametrize('domain', 'ab')
@pytest.mark.parametrize('camera', ['driving', 'monitoring'])
def test_warping_the_next_frame_back_gives_this_frame(domain, camera, size):
  """frame_t(p) = frame_t+1(p + flow(p)) inside the mask: under 2 of 255 on average."""
  s = frames(domain, size, camera=camera, weather='clear', thermal_noise=0.0)
  for i in (2, 30, 110):
    truth = s.flow(i)
    here, there = (s.read(k)['frame'].astype(float) for k in (i, i + 1))
    for way, one, other in (('forward', here, there), ('backward', there, here)):
      mask = truth[f'{way}_visible'] > 0
      wrong = np.abs(bilinear(other, truth[way]) - one)[mask]
      assert wrong.mean() < 2.0
      assert mask.mean() > 0.4


@pytest.mark.parametrize('domain', 'ab')
def test_without_the_flow_houses_would_not_match(domain):
  """The small error above is the flow's doing: frames as they are differ more where windows are."""
  s = frames(domain, 128, camera='driving', weather='clear', thermal_noise=0.0)
  for i in (2, 30, 110):
    truth, here, there = s.flow(i), s.read(i), s.read(i + 1)['frame'].astype(float)
    mask = (truth['forward_visible'] > 0) & (here['label'] == 2)
    wrong, still = (np.abs(image - here['frame'])[mask].mean()
                    for image in (bilinear(there, truth['forward']), there))
    assert still > 1.5 * wrong


def test_there_and_back_again_is_where_it_began():
  s = frames(size=96, camera='driving')
  truth = s.flow(7)
  back = bilinear(truth['backward'].astype(float), truth['forward'])
  seen = bilinear(truth['backward_visible'][..., None].astype(float), truth['forward'])[..., 0]
  both = (truth['forward_visible'] > 0) & (seen == 1)
  assert both.mean() > 0.4
  error = np.abs(back + truth['forward'])[both]
  assert np.median(error) < 0.01
  assert np.quantile(error, 0.99) < 0.25


def test_what_leaves_the_frame_is_not_visible():
  s = frames(size=64, camera='driving')
  truth = s.flow(7)
  y, x = np.mgrid[:64, :64]
  u, v = x + truth['forward'][..., 0], y + truth['forward'][..., 1]
  outside = (u < 0) | (u > 63) | (v < 0) | (v > 63)
  assert outside.any()
  assert not truth['forward_visible'][outside].any()
  assert set(np.unique(truth['forward_visible'])) == {0.0, 1.0}


def test_moving_shadow_edges_drop_out(scene):
  """Ground that a car's shadow enters or leaves between two frames carries no truth."""
  a, b = (render.raster(scene, t, SIZE).ids for t in (4, 5))
  _, visible = flow.between(scene, 4, 5, SIZE)
  assert (a == world.SHADOW).any() and (b == world.SHADOW).any()
  edge = (a[:, 1:] == world.GROUND) & (a[:, :-1] == world.SHADOW)
  assert edge.any()
  assert not visible[:, 1:][edge].all()


def test_the_last_frame_of_a_clip_has_no_flow_to_the_next():
  with pytest.raises(IndexError, match='frame 23 is the last of its clip'):
    frames(size=32).flow(23)
