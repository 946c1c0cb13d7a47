"""Conversion of class ids in files to those inside the package.

Inside are the Cityscapes train ids, 0 to 18; 255 = no class.
"""

import numpy as np

from i2vjax.core.class_names import CITYSCAPES, IGNORE
from i2vjax.core.errors import UserError

CLASSES = len(CITYSCAPES)
# {id in files: train id}; ids that are not listed become 255.
MAPS = {
    'label_ids': {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10,
                  24: 11, 25: 12, 26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18},
    # Ours: STC-V2V does not print how VIPER's classes were taken for those of Cityscapes.
    'viper': {3: 0, 4: 1, 9: 2, 11: 4, 10: 5, 13: 6, 14: 7, 7: 8, 8: 8, 6: 9, 2: 10, 20: 11,
              24: 13, 25: 13, 27: 14, 26: 15, 29: 16, 23: 17, 22: 18},
}


def id_table(text: str) -> np.ndarray | None:
  """[256] uint8 from `eval.label_map`: id in files -> train id.

  Args:
    text: 'train_ids' (0 to 18 as they are, 255 no class, all else refused by `to_train_ids`),
      'label_ids', 'viper', or pairs '7:0,8:1'; ids that a table does not name become 255.

  Returns:
    uint8 [256], or None for 'train_ids'.
  """
  if text == 'train_ids':
    return None
  pairs = MAPS.get(text) or _parse_pairs(text)
  table = np.full(256, IGNORE, np.uint8)
  for file_id, train_id in pairs.items():
    table[file_id] = train_id
  return table


def _parse_pairs(text):
  """'7:0,8:1' -> {7: 0, 8: 1}."""
  pairs = {}
  try:
    for pair in text.split(','):
      if pair.strip():
        file_id, train_id = pair.split(':')
        pairs[int(file_id)] = int(train_id)
  except ValueError:
    pairs = {}
  valid = all(0 <= file_id <= 255 and (0 <= train_id < CLASSES or train_id == IGNORE)
              for file_id, train_id in pairs.items())
  if not pairs or not valid:
    raise UserError(f'eval.label_map={text!r} is unknown: train_ids, {", ".join(MAPS)}, or pairs '
                     f'of id in files and train id such as 7:0,8:1 (train ids 0 to '
                     f'{CLASSES - 1}, 255 = no class)')
  return pairs


def to_train_ids(ids: np.ndarray, table: np.ndarray | None = None, where: str = 'labels',
                 ignore: bool = True) -> np.ndarray:
  """Labels of a file as train ids.

  Args:
    ids: uint8 [H, W] or [N, H, W].
    table: from `id_table`; None: they are train ids already.
    where: file, for the message.
    ignore: 255 may occur (truth); False for predictions.

  Returns:
    uint8, same shape.

  Raises:
    UserError: names the ids that are no class.
  """
  ids = ids if table is None else table[ids]
  present = np.flatnonzero(np.bincount(ids.ravel(), minlength=256))
  wrong = [int(x) for x in present if x >= CLASSES and not (ignore and x == IGNORE)]
  if wrong:
    hint = ('a predicted pixel needs a class' if wrong == [IGNORE] else
            'Cityscapes label ids are read with eval.label_map=label_ids')
    raise UserError(f'{where}: ids {", ".join(map(str, wrong[:8]))} are no train ids (0 to '
                     f'{CLASSES - 1}); {hint}')
  return ids
