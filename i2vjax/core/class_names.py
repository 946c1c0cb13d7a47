"""Class names, and the lists that published tables average over.

Ids inside the package are the Cityscapes train ids, 0 to 18; 255 = no class (annotations/classes.py
converts those of files).
"""

from i2vjax.core.errors import UserError

IGNORE = 255
CITYSCAPES = ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light',
              'traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck',
              'bus', 'train', 'motorcycle', 'bicycle')
# The five classes whose mean is the 'mIoU.S' of MornGAN's ablation table (recomputed from it; the
# paper's text lists traffic light too).
SMALL = ('traffic sign', 'person', 'motorcycle', 'truck', 'bus')
FLIR = ('road', 'building', 'sky', 'car', *SMALL)           # MornGAN, table of FLIR
# Category ids of COCO that annotations of streets use (FLIR's among them).
COCO = {1: 'person', 2: 'bicycle', 3: 'car', 4: 'motorcycle', 6: 'bus', 7: 'train', 8: 'truck',
        10: 'traffic light', 13: 'stop sign', 17: 'cat', 18: 'dog'}
LISTS = {
    'cityscapes': CITYSCAPES,
    'flir': FLIR,
    'kaist': tuple(name for name in FLIR if name != 'truck'),
    'viper': tuple(name for name in CITYSCAPES if name not in ('wall', 'rider')),   # STC-V2V
    'scenes': ('road', 'sidewalk', 'building', 'pole', 'traffic light', 'traffic sign',
               'vegetation', 'sky', 'person', 'car', 'truck', 'bus', 'motorcycle'),
    'small': SMALL,
}


def class_list(text: str) -> tuple[str, ...]:
  """Names of classes from `eval.classes`: a key of `LISTS`, or names with commas.

  Returns:
    Tuple of names of CITYSCAPES.

  Raises:
    UserError: an unknown name.
  """
  if text in LISTS:
    return LISTS[text]
  names = tuple(name.strip() for name in text.split(',') if name.strip())
  unknown = [name for name in names if name not in CITYSCAPES]
  if unknown or not names:
    raise UserError(f'eval.classes={text!r}: {unknown[0] if unknown else "nothing"!r} is no '
                     f'class; give {", ".join(LISTS)}, or some of: {", ".join(CITYSCAPES)}')
  return names
