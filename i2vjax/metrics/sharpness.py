"""Sharpness of frames against true ones: how much detail they show.

Ours. PSNR and SSIM reward blur where colors cannot be known; this does not. Read it beside them:
noise and stripes are sharp too.
"""

import numpy as np

from i2vjax.core import ops


def mean_gradient(frame: np.ndarray) -> float:
  """mean |y(p + down) - y(p)| + mean |y(p + right) - y(p)| of the luma y.

  Args:
    frame: [H, W, C] in [0, 1], C 1 or 3.

  Returns:
    Float in [0, 2]; 0 for a plain frame.
  """
  luma = np.asarray(ops.luma(np.asarray(frame, np.float32)))[..., 0].astype(np.float64)
  down, right = np.abs(np.diff(luma, axis=0)), np.abs(np.diff(luma, axis=1))
  return float((down.mean() if down.size else 0.0) + (right.mean() if right.size else 0.0))
