"""TV-L1 and Lucas-Kanade: their parts by hand, and made-up textures whose motion is known."""

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from i2vjax.flow import tvl1

RNG = np.random.default_rng(0)


def texture(rng, size):
  """Gray values about 127 with detail at three scales."""
  layers = [s * cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), s) for s in (1.5, 4, 10)]
  x = sum(layers)
  return (127 + 45 * (x - x.mean()) / x.std()).astype(np.float32)


def fetch(image, flow):
  """image(p + flow(p)), cubic, edges repeated."""
  y, x = np.mgrid[:image.shape[0], :image.shape[1]].astype(np.float32)
  return cv2.remap(image, x + flow[..., 0].astype(np.float32), y + flow[..., 1].astype(np.float32),
                   cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def smooth_scene(rng, size=256, mean=7.5):
  """(a, b, flow) of one surface that bends, moving by `mean` pixels on average."""
  flow = np.stack([cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), 40) for _ in 'xy'], -1)
  flow *= mean / np.linalg.norm(flow, axis=-1).mean()
  b = texture(rng, size)
  return fetch(b, flow), b, flow


def disc_scene(rng, size=256):
  """(a, b, flow) of a disc that moves by (6, -3) over a background that moves by (-4, 2)."""
  y, x = np.mgrid[:size, :size]
  inside = np.hypot(x - size / 2, y - size / 2) < size / 4
  flow = np.where(inside[..., None], (6.0, -3.0), (-4.0, 2.0))
  front, back = texture(rng, size), texture(rng, size)
  still = np.zeros((size, size, 2))
  a = np.where(inside, front, back)
  there = np.hypot(x - 6 - size / 2, y + 3 - size / 2) < size / 4
  b = np.where(there, fetch(front, still - (6.0, -3.0)), fetch(back, still - (-4.0, 2.0)))
  return a, b, flow


def frame(x, rng=None, noise=0.0):
  """Gray values as [1, H, W, 1] in [-1, 1], noise added, clipped."""
  x = x + noise * rng.normal(size=x.shape) if noise else x
  return jnp.asarray(np.clip(x, 0, 255) / 127.5 - 1, jnp.float32)[None, ..., None]


def error(found, flow, border=16):
  """Mean end-point error in pixels, the border left out."""
  distance = np.linalg.norm(np.asarray(found[0]) - flow, axis=-1)
  return distance[border:-border, border:-border].mean()


# ---- Parts


def test_median_equals_scipy():
  x = RNG.normal(size=(2, 7, 9, 2)).astype(np.float32)
  expected = scipy.ndimage.median_filter(x, (1, 3, 3, 1), mode='nearest')
  np.testing.assert_array_equal(tvl1.median(jnp.asarray(x)), expected)


def test_divergence_is_minus_the_adjoint_of_the_gradient():
  """<grad u, p> = -<u, div p> for fields p that are 0 at the end."""
  u, p = RNG.normal(size=(2, 1, 5, 6))
  for axis, last in ((1, np.s_[:, -1]), (2, np.s_[:, :, -1])):
    q = p.copy()
    q[last] = 0
    left = np.sum(tvl1.forward_difference(jnp.asarray(u), axis) * q)
    right = -np.sum(u * tvl1.backward_difference(jnp.asarray(q), axis))
    np.testing.assert_allclose(left, right, rtol=1e-5)


def test_coarsest_level_has_twelve_pixels_or_more():
  assert [tvl1.level_count((n, 2 * n)) for n in (8, 12, 24, 64, 256, 2000)] == [1, 1, 2, 3, 5, 5]


def test_pyramid_rounds_odd_sizes_up_and_keeps_a_constant():
  levels = tvl1.pyramid(jnp.ones((1, 45, 30, 1)), 3, 1.04)
  assert [x.shape[1:3] for x in levels] == [(45, 30), (23, 15), (12, 8)]
  np.testing.assert_allclose(levels[-1], 1, rtol=1e-5)


def literally(a, moved, u0, steps, lam=0.15, theta=0.3, tau=0.25):
  """One warp of the published scheme, written pixel by pixel."""
  H, W = a.shape
  b, gx, gy = moved
  u, p = u0.copy(), np.zeros((2, 2, H, W))   # component, direction
  for _ in range(steps):
    v = np.zeros_like(u)
    for i in range(H):
      for j in range(W):
        g = np.array([gx[i, j], gy[i, j]])
        square = g @ g + 1e-6
        r = b[i, j] + g @ (u[:, i, j] - u0[:, i, j]) - a[i, j]
        if r < -lam * theta * square:
          k = lam * theta
        elif r > lam * theta * square:
          k = -lam * theta
        else:
          k = -r / square
        v[:, i, j] = u[:, i, j] + k * g
    for c in range(2):
      for i in range(H):
        for j in range(W):
          left = p[c, 0, i, j - 1] if j else 0
          above = p[c, 1, i - 1, j] if i else 0
          u[c, i, j] = v[c, i, j] + theta * (p[c, 0, i, j] - left + p[c, 1, i, j] - above)
      dx = np.array([[u[c, i, j + 1] - u[c, i, j] if j + 1 < W else 0 for j in range(W)]
                     for i in range(H)])
      dy = np.array([[u[c, i + 1, j] - u[c, i, j] if i + 1 < H else 0 for j in range(W)]
                     for i in range(H)])
      length = 1 + tau / theta * np.hypot(dx, dy)
      p[c] = (p[c] + tau / theta * np.stack([dx, dy])) / length
  return u


def test_a_warp_of_the_published_scheme_pixel_by_pixel():
  a, b, gx, gy = 20 * RNG.normal(size=(4, 6, 7))
  u0 = RNG.normal(size=(2, 6, 7))
  moved = jnp.stack([jnp.asarray(x, jnp.float32) for x in (b, gx, gy)], -1)[None]
  u = jnp.asarray(u0, jnp.float32)
  data = tvl1._data_step(jnp.asarray(a, jnp.float32)[None], moved, jnp.stack(list(u), -1)[None],
                         0.15 * 0.3)
  zero = jnp.zeros((1, 6, 7))
  found, _ = tvl1._smooth(data, (u[0][None], u[1][None]), ((zero, zero), (zero, zero)), 12, 0.3,
                          0.25)
  expected = literally(a, (b, gx, gy), u0, 12)
  assert np.abs(expected - u0).max() > 0.2
  np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)


# ---- Known motion


estimators = pytest.mark.parametrize('estimator', [tvl1.tvl1, tvl1.lucas_kanade])


@pytest.fixture(scope='module')
def small():
  """{estimator: compiled on two pairs of 64 x 64}."""
  return {f: jax.jit(functools.partial(f, levels=3)) for f in (tvl1.tvl1, tvl1.lucas_kanade)}


@estimators
def test_a_shift_is_found_and_pairs_do_not_see_each_other(estimator, small):
  """a(p) = b(p + u): what moved right and up by (3, -2) from a to b."""
  b = texture(np.random.default_rng(3), 64)
  pairs = [(fetch(b, np.full((64, 64, 2), shift)), shift) for shift in ((3.0, -2.0), (0.0, 0.0))]
  found = small[estimator](jnp.concatenate([frame(a) for a, _ in pairs]),
                           jnp.concatenate([frame(b), frame(b)]))
  assert error(found[:1], np.array(pairs[0][1])) < 0.1
  np.testing.assert_array_equal(found[1], 0)


def test_unrolled_rounds_change_nothing(monkeypatch):
  """On accelerators six of the inner steps are one round of the loop."""
  a, b = (frame(texture(np.random.default_rng(i), 24)) for i in range(2))
  found = []
  for steps in (1, tvl1.UNROLLED):
    monkeypatch.setattr(tvl1, '_unrolled', lambda steps=steps: steps)
    found.append(jax.jit(functools.partial(tvl1.tvl1, levels=1, warps=2, inner=12))(a, b))
  assert np.abs(found[0]).max() > 0.1
  np.testing.assert_allclose(*found, atol=1e-3)


def test_color_is_seen_as_its_luma_of_0_to_255():
  color = jnp.array([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0], [-1.0, 1.0, -1.0]]).reshape(1, 1, 3, 3)
  gray, = tvl1.intensities(color)
  np.testing.assert_allclose(gray[0, 0, :, 0], [0, 255, 0.587 * 255], rtol=1e-5)


@estimators
def test_no_gradient_passes(estimator):
  a, b = (frame(texture(np.random.default_rng(i), 16)) for i in range(2))
  grad = jax.jit(jax.grad(lambda b: jnp.sum(estimator(a, b, levels=1))))(b)
  np.testing.assert_array_equal(grad, 0)


@pytest.fixture(scope='module')
def large():
  """{estimator: compiled on one pair of 256 x 256}."""
  return {f: jax.jit(f) for f in (tvl1.tvl1, tvl1.lucas_kanade)}


@pytest.mark.slow
@pytest.mark.parametrize(('scene', 'estimator', 'limit'), [
    (smooth_scene, tvl1.tvl1, 0.2), (disc_scene, tvl1.tvl1, 0.35),
    (smooth_scene, tvl1.lucas_kanade, 0.2), (disc_scene, tvl1.lucas_kanade, 0.6)])
def test_end_point_error_on_256_pixels_with_noise(scene, estimator, limit, large):
  rng = np.random.default_rng(0)
  a, b, flow = scene(rng)
  assert error(large[estimator](frame(a, rng, 2), frame(b, rng, 2)), flow) < limit


@pytest.mark.slow
def test_no_worse_than_scikit_image_and_opencv(large):
  """Both estimate the flow of the moving disc; theirs with their own defaults."""
  registration = pytest.importorskip('skimage.registration')
  rng = np.random.default_rng(1)
  a, b, flow = disc_scene(rng)
  pair = frame(a, rng, 2), frame(b, rng, 2)
  gray = [np.asarray((x[0, ..., 0] + 1) / 2) for x in pair]
  rows, cols = registration.optical_flow_tvl1(*gray)
  theirs = error(np.stack([cols, rows], -1)[None], flow)
  dis = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
  other = error(dis.calc(*[np.uint8(255 * x) for x in gray], None)[None], flow)
  assert error(large[tvl1.tvl1](*pair), flow) < 1.05 * min(theirs, other)
