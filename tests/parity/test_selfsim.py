"""The spatially-correlative loss and its contrast in PyTorch, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from i2vjax.losses import selfsim

torch = pytest.importorskip('torch')
functional = torch.nn.functional
pytestmark = pytest.mark.parity
IDS = [0, 9, 35, 89, 44]


def torch_map(f, ids, side, unit):
  """[B, C, h, w]: sort-free, window by window."""
  B, C, h, w = f.shape
  f = f - f.mean((2, 3), keepdim=True)
  f = functional.normalize(f, dim=1) if unit else f / C**0.5
  rows = []
  for i in ids:
    row, col = divmod(i, w)
    keys = f
    if side < h and side < w:
      top, left = (min(max(place - side // 2, 0), size - side)
                   for place, size in ((row, h), (col, w)))
      keys = f[:, :, top:top + side, left:left + side]
    rows.append((f[:, :, row, col, None, None] * keys).sum(1).flatten(1))
  s = torch.stack(rows, 1)
  return s if unit else torch.tanh(s / 10)


def torch_difference(s, t, mode, unit):
  count = t.shape[-1] // 4
  keep = t >= t.sort(-1, descending=True)[0][..., count:count + 1]
  s, t = s.detach() * keep, t * keep
  compare = functional.l1_loss if unit else functional.smooth_l1_loss
  if mode == 'l1':
    return compare(t.shape[-1] / count * s, t.shape[-1] / count * t)
  cosine = functional.cosine_similarity(s, t, dim=-1)
  return compare(torch.ones_like(cosine), cosine)


def torch_contrast(s, t, o, temperature):
  s, t, o = (functional.normalize(x, dim=-1) for x in (s, t, o))
  logits = torch.cat([s @ t.mT, s @ o.mT, t @ o.mT], -1).flatten(0, 1) / temperature
  return functional.cross_entropy(logits, torch.arange(len(logits)) % s.shape[1])


def random_features(count):
  rng = np.random.default_rng(0)
  return [rng.normal(size=(2, 9, 10, 6)).astype(np.float32) * 3 for _ in range(count)]


def nchw(x):
  return torch.from_numpy(np.moveaxis(x, -1, 1).copy()).requires_grad_()


@pytest.mark.parametrize(('mode', 'unit', 'side'), [
    ('cos', False, 64), ('cos', True, 4), ('l1', False, 4), ('l1', True, 64)])
def test_loss_and_its_gradient_in_the_translation(mode, unit, side):
  source, target = random_features(2)
  theirs = [nchw(x) for x in (source, target)]
  expected = torch_difference(*(torch_map(x, IDS, side, unit) for x in theirs), mode, unit)
  expected.backward()

  def loss(f):
    maps = [selfsim.similarity_map(jnp.asarray(x), jnp.array(IDS), side, unit)
            for x in (source, f)]
    return selfsim.difference(*maps, mode, unit)
  value, grad = jax.jit(jax.value_and_grad(loss))(target)
  np.testing.assert_allclose(value, expected.item(), rtol=1e-4)
  np.testing.assert_allclose(np.moveaxis(grad, -1, 1), theirs[1].grad.numpy(), atol=1e-5)


def test_contrast_and_its_gradients_in_all_three():
  features = random_features(3)
  theirs = [nchw(x) for x in features]
  expected = torch_contrast(*(torch_map(x, IDS, 4, False) for x in theirs), 0.07)
  expected.backward()

  def loss(features):
    return selfsim.contrast(*(selfsim.similarity_map(x, jnp.array(IDS), 4) for x in features), 0.07)
  value, grads = jax.jit(jax.value_and_grad(loss))(features)
  np.testing.assert_allclose(value, expected.item(), rtol=1e-4)
  for grad, x in zip(grads, theirs, strict=True):
    np.testing.assert_allclose(np.moveaxis(grad, -1, 1), x.grad.numpy(), atol=1e-5)
