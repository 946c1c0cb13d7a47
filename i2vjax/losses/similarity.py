"""Cross-similarity of two sets of tokens: structure loss of CPTrans and ROMA.

M tokens per image, C channels per token, L layers. Both sets come from the same places of two
images; tokens may be a ViT's features or descriptors (losses/descriptor.py).
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from i2vjax.core import ops

Tokens = jax.Array | Sequence[jax.Array]   # [..., M, C], or a list over layers
EPS = 1e-12   # under the root of a squared product of norms: a finite gradient where a row is zero


def row_cosine(A: jax.Array, B: jax.Array) -> jax.Array:
  """Cosine between row i of A and row i of B: [..., M, M] twice -> [..., M] in float32."""
  product = jnp.sum(jnp.square(A), axis=-1) * jnp.sum(jnp.square(B), axis=-1)
  return jnp.sum(A * B, axis=-1) * jax.lax.rsqrt(product + EPS)


def products(S: jax.Array, T: jax.Array) -> jax.Array:
  """S T^T in full float32: [..., M, C] twice -> [..., M, M]."""
  S, T = S.astype(jnp.float32), T.astype(jnp.float32)
  return jnp.einsum('...mc,...nc->...mn', S, T, precision=jax.lax.Precision.HIGHEST)


def cross_similarity(source: Tokens, target: Tokens) -> jax.Array:
  """Cross-similarity loss: 1 - cos(A[i, :], A[:, i]) with A = S T^T (CPTrans, L_cs; ROMA).

  Row i of A holds the similarities of source token i to the target's tokens, column i (row i of
  T S^T = A^T) those of target token i to the source's. They agree where both images have the same
  layout, whatever their gray values. As in the public ROMA code, tokens are not normalized.

  Args:
    source: tokens [..., M, C], or a list of such over layers.
    target: the same of the translated image.

  Returns:
    Scalar: mean over layers, tokens and images.
  """
  if isinstance(source, (list, tuple)):
    pairs = zip(source, target, strict=True)
    return sum(cross_similarity(S, T) for S, T in pairs) / len(source)
  A = products(source, target)
  return jnp.mean(jnp.abs(1 - row_cosine(A, jnp.swapaxes(A, -1, -2))))


def motion_similarity(source_0: Tokens, source_1: Tokens, target_0: Tokens,
                      target_1: Tokens) -> jax.Array:
  """Cross-similarity over two frames: 1 - cos of the rows of S_0 T_1^T and T_0 S_1^T (ROMA).

  Args:
    source_0: [..., M, C] tokens of the source's first frame, or a list over layers.
    source_1: of its second frame.
    target_0: of the translation's first frame.
    target_1: of its second frame.

  Returns:
    Scalar: mean over tokens and images, SUM over layers (public ROMA code).
  """
  if isinstance(source_0, (list, tuple)):
    layers = zip(source_0, source_1, target_0, target_1, strict=True)
    return sum(motion_similarity(*layer) for layer in layers)
  return jnp.mean(jnp.abs(1 - row_cosine(products(source_0, target_1),
                                         products(target_0, source_1))))


def random_ids(key: jax.Array, tokens: int, count: int) -> jax.Array:
  """`count` (at most `tokens`) different token numbers, the same for all images of a step."""
  return jax.random.choice(key, tokens, (min(count, tokens),), replace=False)


def random_windows(key: jax.Array, grid: tuple[int, int], count: int, side: int) -> jax.Array:
  """Places [K, S] of `count` windows around random tokens; windows shrink to a smaller grid.

  Args:
    key: PRNG key.
    grid: (h, w) of the tokens.
    count: K, at most h w.
    side: tokens along a window's side; S = side^2.
  """
  ids = random_ids(key, grid[0] * grid[1], count)
  return ops.window_places(ids, grid, min(side, *grid))
