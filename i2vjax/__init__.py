"""i2vjax: infrared video into daylight color video, learned from unpaired footage.

Shapes: B clips, T frames, H W C; h w feature maps; S sampled patches, N all patches. Frames are
NHWC float32 in [-1, 1] on the device and uint8 (or uint16, thermal) on the host. Domain `a` is the
source (infrared), domain `b` the target (visible).
"""

__version__ = '0.1.0'
