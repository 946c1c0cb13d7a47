"""RAFT (Teed and Deng, ECCV 2020), large and small: frozen optical flow.

Parameters come from torchvision's or the authors' files (pretrained/raft_weights.py). Layers, sizes
and the order of channels are those of torchvision's `raft_large` and `raft_small`.
"""

import flax.linen as nn
import jax.numpy as jnp

from i2vjax.core import ops
from i2vjax.flow import raft_blocks
from i2vjax.networks.conv import Conv

SIZES = {
    'large': dict(
        widths=(64, 64, 96, 128), bottleneck=False, features=256, context_norm='batch', radius=4,
        hidden=128, context=128, corr=(256, 192), flow=(128, 64), merge=126,
        gru=((1, 5), (5, 1)), flow_head=256, mask_head=256),
    'small': dict(
        widths=(32, 32, 64, 96), bottleneck=True, features=128, context_norm='none', radius=3,
        hidden=96, context=64, corr=(96,), flow=(64, 32), merge=80,
        gru=((3, 3),), flow_head=128, mask_head=0),
}


class RAFT(nn.Module):
  """Flow of frame pairs by repeated correction.

  Attributes:
    kind: 'large' (5.3 M parameters) or 'small' (1.0 M).
    iterations: corrections; 12 as trained, 6 are enough while another network trains (ours).
  """

  kind: str = 'small'
  iterations: int = 12

  @nn.compact
  def __call__(self, a, b):
    """Flow with a(p) = b(p + flow(p)).

    Args:
      a, b: [B, H, W, 1 or 3] in [-1, 1], of any size: edges are repeated up to a multiple of 8,
        half on each side, as the authors do.

    Returns:
      [B, H, W, 2] float32 pixels, [..., 0] to the right, [..., 1] down.
    """
    sizes, (H, W) = _sizes(self.kind), a.shape[1:3]
    a = _pad_to_eighths(ops.match_channels(a.astype(jnp.float32), 3))
    b = _pad_to_eighths(ops.match_channels(b.astype(jnp.float32), 3))
    shape = dict(widths=sizes['widths'], bottleneck=sizes['bottleneck'])
    encode = raft_blocks.Encoder(out=sizes['features'], norm='instance', name='feature', **shape)
    f1, f2 = jnp.split(encode(jnp.concatenate([a, b])), 2)
    context = raft_blocks.Encoder(
      out=sizes['hidden'] + sizes['context'], norm=sizes['context_norm'], name='context', **shape
    )(a)
    hidden = jnp.tanh(context[..., :sizes['hidden']])
    context = nn.relu(context[..., sizes['hidden']:])
    start = raft_blocks.grid(*f1.shape[1:3])
    # Each correction is computed again where a gradient is taken (remat). For two pairs of 256
    # pixels that needs 226 MB instead of 262 with 4 corrections, 233 instead of 368 with 12, and a
    # fifth more time.
    update = nn.scan(nn.remat(raft_blocks.Update, prevent_cse=False), variable_broadcast='params',
                     split_rngs={'params': False}, in_axes=(nn.broadcast, nn.broadcast),
                     length=self.iterations)
    first = hidden, jnp.broadcast_to(start, (len(a), *start.shape[1:]))
    (hidden, targets), _ = update(sizes, name='update')(
        first, context, raft_blocks.correlation(f1, f2))
    flow = self._upsample(targets - start, hidden, sizes)
    top, left = (flow.shape[1] - H) // 2, (flow.shape[2] - W) // 2
    return flow[:, top:top + H, left:left + W]

  def _upsample(self, flow, hidden, sizes):
    if not sizes['mask_head']:
      return raft_blocks.upsample_corners(flow)
    mask = raft_blocks.Unit(sizes['mask_head'], 3, name='mask_0')(hidden)
    return raft_blocks.upsample_convex(
        flow, 0.25 * Conv(9 * 64, 1, kernel_init=raft_blocks.HE, name='mask_1')(mask))


def _sizes(kind):
  if kind not in SIZES:
    raise ValueError(f"RAFT of kind {kind!r}: choose 'large' or 'small'")
  return SIZES[kind]


def _pad_to_eighths(x):
  """Edges repeated up to a multiple of 8, the odd pixel below and to the right."""
  extra = [-size % 8 for size in x.shape[1:3]]
  return jnp.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in extra), (0, 0)), mode='edge')
