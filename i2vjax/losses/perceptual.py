"""Perceptual distances between features of a frozen network (VGG)."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.core.errors import UserError
from i2vjax.losses import pixel

NORMS = {'l1': pixel.l1, 'l2': pixel.mse}   # of the content distance


def gram(features: jax.Array) -> jax.Array:
  """F F^T / (C h w) of each image, F [C, h w]: which channels are active together, at any place.

  Args:
    features: [B, h, w, C].

  Returns:
    [B, C, C] float32.
  """
  B, h, w, C = features.shape
  F = features.astype(jnp.float32).reshape(B, h * w, C)
  return jnp.einsum('bnc,bnd->bcd', F, F, precision=jax.lax.Precision.HIGHEST) / (C * h * w)


def standardize(features: jax.Array, eps: float = 1e-5) -> jax.Array:
  """IN(V): each channel of each image minus its mean over the frame, at unit variance.

  What remains is where a feature is active, not how strongly: the domains differ in the latter.

  Args:
    features: [B, h, w, C].
    eps: added to the variance.

  Returns:
    Float32, same shape; 0 where a channel is constant.
  """
  x = features.astype(jnp.float32)
  x = x - jnp.mean(x, axis=(1, 2), keepdims=True)
  return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=(1, 2), keepdims=True) + eps)


def standardized_distance(x: jax.Array, y: jax.Array) -> jax.Array:
  """mean (IN(V(x)) - IN(V(y)))^2 (STC-V2V Eq. 6; public code of Unsupervised Recycle-GAN).

  The STC paper does not say over what its norm is reduced; as a mean the value is between 0 and 4,
  and a weight of 1 is meaningful.

  Args:
    x, y: features [B, h, w, C] of equal shape.

  Returns:
    Scalar: mean over images, places and channels.
  """
  return jnp.mean(jnp.square(standardize(x) - standardize(y)))


def content_distance(x: Sequence[jax.Array], y: Sequence[jax.Array],
                     norm: str = 'l1') -> jax.Array:
  """Sum over layers l of a distance of features.

  'l1': mean |x_l - y_l| (public I2V-GAN code, which takes only relu4_1). 'l2': |x_l - y_l|^2 /
  (C h w), the squared norm that the paper prints (I2V-GAN Eq. 5), mean over images.

  Args:
    x: [[B, h_l, w_l, C_l] for each layer l].
    y: same shapes, of the target.
    norm: one of `NORMS`.

  Returns:
    Scalar.

  Raises:
    UserError: another norm.
  """
  if norm not in NORMS:
    raise UserError(f'vgg.content_norm={norm!r}: choose one of {", ".join(NORMS)}')
  return sum(NORMS[norm](a, b) for a, b in zip(x, y, strict=True))


def style_distance(x: Sequence[jax.Array], y: Sequence[jax.Array],
                   weights: Sequence[float]) -> jax.Array:
  """sum_l w_l mean_ij (Gram_l(x) - Gram_l(y))_ij^2 (public I2V-GAN code).

  Each image has its own Gram matrix, and the distances are averaged; the public code makes one
  matrix of all images of a batch, which is the same for one image.

  Args:
    x: [[B, h_l, w_l, C_l] for each layer l].
    y: same shapes, of the target.
    weights: [w_l, ...].

  Returns:
    Scalar.
  """
  layers = zip(x, y, weights, strict=True)
  return sum(w * jnp.mean(jnp.square(gram(a) - gram(b))) for a, b, w in layers)


def distance(x: Mapping[str, jax.Array], y: Mapping[str, jax.Array], *, content: float,
             content_taps: Sequence[str], style: float, style_taps: Sequence[str],
             style_taps_weights: Sequence[float], content_norm: str = 'l1') -> jax.Array:
  """The perceptual part of I2V-GAN's VL: content * content_distance + style * style_distance.

  Args:
    x: {tap: [B, h, w, C]} of the prediction.
    y: the same of the target.
    content, style: weights, 1 and 100 in the public code; 1 and 1 in the paper, whose distances are
      scaled differently. A part of weight 0 is not computed.
    content_taps, style_taps: names of the taps compared.
    style_taps_weights: w_l of each style tap.
    content_norm: of `content_distance`.

  Returns:
    Scalar, 0 with a finite gradient where x = y.
  """
  def select(features, taps):
    return [features[tap] for tap in taps]
  total = jnp.zeros(())
  if content:
    total += content * content_distance(select(x, content_taps), select(y, content_taps),
                                        content_norm)
  if style:
    total += style * style_distance(select(x, style_taps), select(y, style_taps),
                                    style_taps_weights)
  return total


def distances(network: Callable, images: Sequence[tuple[jax.Array, Hashable]],
              targets: Mapping[Hashable, jax.Array], **parts) -> list[jax.Array]:
  """`distance` of each image to its target, with one call of the network for each of both lists.

  Args:
    network: the frozen network, [N, H, W, 3] -> {tap: [N, h, w, C]}.
    images: [(image [B, H, W, 1 or 3], name of its target), ...].
    targets: {name: image}; one may serve several images.
    **parts: of `distance`.

  Returns:
    [scalar for each image].
  """
  def features(images):
    stacked = network(jnp.concatenate([ops.match_channels(image, 3) for image in images]))
    by_image = [{} for _ in images]
    for tap, value in stacked.items():
      for image, part in zip(by_image, jnp.split(value, len(images)), strict=True):
        image[tap] = part
    return by_image
  of_targets = dict(zip(targets, features(list(targets.values())), strict=True))
  of_images = features([image for image, _ in images])
  return [distance(x, of_targets[name], **parts)
          for x, (_, name) in zip(of_images, images, strict=True)]
