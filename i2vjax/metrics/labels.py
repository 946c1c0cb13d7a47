"""Class ids: their names, the lists that published tables average over, tables between id systems.

Ids inside the package are the Cityscapes train ids; 255 = no class.
"""

import numpy as np

IGNORE = 255
CITYSCAPES = ('road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light',
              'traffic sign', 'vegetation', 'terrain', 'sky', 'person', 'rider', 'car', 'truck',
              'bus', 'train', 'motorcycle', 'bicycle')
# The five classes whose mean is the 'mIoU.S' of MornGAN's ablation table (recomputed from it; its
# text lists traffic light too).
SMALL = ('traffic sign', 'person', 'motorcycle', 'truck', 'bus')
FLIR = ('road', 'building', 'sky', 'car', *SMALL)           # MornGAN, table of FLIR
LISTS = {
    'cityscapes': CITYSCAPES,
    'flir': FLIR,
    'kaist': tuple(name for name in FLIR if name != 'truck'),
    'viper': tuple(name for name in CITYSCAPES if name not in ('wall', 'rider')),   # STC-V2V
    'scenes': ('road', 'sidewalk', 'building', 'pole', 'traffic light', 'traffic sign',
               'vegetation', 'sky', 'person', 'car', 'truck', 'bus', 'motorcycle'),
    'small': SMALL,
}
# {id in files: train id}; what is not listed becomes 255.
MAPS = {
    'label_ids': {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10,
                  24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18},
    # Ours: no published table says how VIPER's classes were taken for those of Cityscapes.
    'viper': {3: 0, 4: 1, 9: 2, 11: 4, 10: 5, 13: 6, 14: 7, 7: 8, 8: 8, 6: 9, 2: 10, 20: 11,
              24: 13, 25: 13, 27: 14, 26: 15, 29: 16, 23: 17, 22: 18},
}


def class_list(text):
  """Names of classes from `eval.classes`: a key of `LISTS`, or names with commas.

  Returns:
    Tuple of names of CITYSCAPES. ValueError names what is unknown.
  """
  if text in LISTS:
    return LISTS[text]
  names = tuple(name.strip() for name in text.split(',') if name.strip())
  unknown = [name for name in names if name not in CITYSCAPES]
  if unknown or not names:
    raise ValueError(f'eval.classes={text!r}: {unknown[0] if unknown else "nothing"!r} is no '
                     f'class; give {", ".join(LISTS)}, or some of: {", ".join(CITYSCAPES)}')
  return names


def table(text):
  """[256] uint8 from `eval.label_map`: id in files -> train id.

  Args:
    text: 'train_ids' (0 to 18 as they are, 255 no class, all else refused by `to_train_ids`),
      'label_ids', 'viper', or pairs '7:0,8:1'; ids that a table does not name become 255.

  Returns:
    uint8 [256], or None for 'train_ids'.
  """
  if text == 'train_ids':
    return None
  pairs = MAPS.get(text) or _pairs(text)
  found = np.full(256, IGNORE, np.uint8)
  for old, new in pairs.items():
    found[old] = new
  return found


def _pairs(text):
  try:
    pairs = {int(old): int(new) for old, new in
             (pair.split(':') for pair in text.split(',') if pair.strip())}
  except ValueError:
    pairs = {}
  if not pairs or not all(0 <= old <= 255 and (0 <= new < len(CITYSCAPES) or new == IGNORE)
                          for old, new in pairs.items()):
    raise ValueError(f'eval.label_map={text!r} is unknown: train_ids, {", ".join(MAPS)}, or pairs '
                     f'of id in files and train id such as 7:0,8:1 (train ids 0 to '
                     f'{len(CITYSCAPES) - 1}, 255 = no class)')
  return pairs


def to_train_ids(ids, table=None, where='labels', ignore=True):
  """Labels of a file as train ids.

  Args:
    ids: uint8 [H, W] or [N, H, W].
    table: of `table`; None: they are train ids already.
    where: file, for the message.
    ignore: 255 may occur (truth); False for predictions.

  Returns:
    uint8, same shape. ValueError names the ids that are no class.
  """
  ids = ids if table is None else table[ids]
  present = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
  wrong = [int(x) for x in present if x >= len(CITYSCAPES) and not (ignore and x == IGNORE)]
  if wrong:
    hint = ('a predicted pixel needs a class' if wrong == [IGNORE] else
            'Cityscapes label ids are read with eval.label_map=label_ids')
    raise ValueError(f'{where}: ids {", ".join(map(str, wrong[:8]))} are no train ids (0 to '
                     f'{len(CITYSCAPES) - 1}); {hint}')
  return ids
