"""Distances in the features of a frozen network (VGG), as functions of feature lists."""

import jax
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.losses import pixel


def gram(features):
  """F F^T / (C h w) of each image, F [C, h w]: which channels fire together, wherever they do.

  Args:
    features: [B, h, w, C].

  Returns:
    [B, C, C] float32.
  """
  B, h, w, C = features.shape
  F = features.astype(jnp.float32).reshape(B, h * w, C)
  return jnp.einsum('bnc,bnd->bcd', F, F, precision=jax.lax.Precision.HIGHEST) / (C * h * w)


def standardize(features, eps=1e-5):
  """IN(V): each channel of each image less its mean over the frame, at unit variance.

  What is left is where a feature fires, not how strongly: the two domains differ in the latter.

  Args:
    features: [B, h, w, C].
    eps: added to the variance.

  Returns:
    Float32, same shape; 0 where a channel is constant.
  """
  x = features.astype(jnp.float32)
  x = x - jnp.mean(x, axis=(1, 2), keepdims=True)
  return x * jax.lax.rsqrt(jnp.mean(jnp.square(x), axis=(1, 2), keepdims=True) + eps)


def standardized_distance(x, y):
  """mean (IN(V(x)) - IN(V(y)))^2 (STC-V2V Eq. 6; public code of Unsupervised Recycle-GAN).

  STC prints a norm without saying over what it is reduced; as a mean the value lies in 0 to 4 and a
  weight of 1 means something.

  Args:
    x, y: features [B, h, w, C] of equal shape.

  Returns:
    Scalar: mean over images, places and channels.
  """
  return jnp.mean(jnp.square(standardize(x) - standardize(y)))


def content_distance(x, y):
  """Sum over layers of mean |x_l - y_l| (public I2V-GAN code, there of relu4_1 alone).

  Args:
    x: [[B, h_l, w_l, C_l] for each layer l].
    y: same shapes, of the target.

  Returns:
    Scalar.
  """
  return sum(pixel.l1(a, b) for a, b in zip(x, y, strict=True))


def style_distance(x, y, weights):
  """sum_l w_l mean_ij (Gram_l(x) - Gram_l(y))_ij^2 (public I2V-GAN code).

  Gram matrices are made image by image and then averaged; the public code multiplies all images of
  a batch into one matrix, which is the same for one image.

  Args:
    x: [[B, h_l, w_l, C_l] for each layer l].
    y: same shapes, of the target.
    weights: [w_l, ...].

  Returns:
    Scalar.
  """
  layers = zip(x, y, weights, strict=True)
  return sum(w * jnp.mean(jnp.square(gram(a) - gram(b))) for a, b, w in layers)


def distance(x, y, *, content, content_taps, style, style_taps, style_taps_weights):
  """The perceptual part of I2V-GAN's VL: content * content_distance + style * style_distance.

  Args:
    x: {tap: [B, h, w, C]} of the prediction.
    y: the same of the target.
    content, style: weights, 1 and 100 in the public code; 1 and 1 in the paper, whose distances are
      scaled otherwise. A part of weight 0 is not computed.
    content_taps, style_taps: names of the taps compared.
    style_taps_weights: w_l of each style tap.

  Returns:
    Scalar, 0 with a finite gradient where x = y.
  """
  def of(features, taps):
    return [features[tap] for tap in taps]
  total = jnp.zeros(())
  if content:
    total += content * content_distance(of(x, content_taps), of(y, content_taps))
  if style:
    total += style * style_distance(of(x, style_taps), of(y, style_taps), style_taps_weights)
  return total


def distances(see, images, targets, **parts):
  """`distance` of each image to its target: the network sees all images in one call, all targets
  in another.

  Args:
    see: the frozen network, [N, H, W, 3] -> {tap: [N, h, w, C]}.
    images: [(image [B, H, W, 1 or 3], name of its target), ...].
    targets: {name: image}; one may serve several images.
    **parts: of `distance`.

  Returns:
    [scalar for each image].
  """
  def features(images):
    stacked = see(jnp.concatenate([ops.match_channels(image, 3) for image in images]))
    split = {tap: jnp.split(value, len(images)) for tap, value in stacked.items()}
    return [{tap: values[i] for tap, values in split.items()} for i in range(len(images))]
  truth = dict(zip(targets, features(list(targets.values())), strict=True))
  found = features([image for image, _ in images])
  return [distance(x, truth[name], **parts) for x, (_, name) in zip(found, images, strict=True)]
