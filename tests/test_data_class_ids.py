"""Ids of files as the train ids of Cityscapes."""

import numpy as np
import pytest

from i2vjax.data import class_ids
from i2vjax.metrics import labels


def test_there_is_one_list_of_classes():
  assert len(labels.CITYSCAPES) == class_ids.CLASSES and class_ids.IGNORE == labels.IGNORE


def test_cityscapes_label_ids_become_train_ids():
  table = class_ids.table('label_ids')
  ids = np.array([[7, 8, 11, 24], [26, 33, 0, 4]], np.uint8)
  np.testing.assert_array_equal(class_ids.to_train_ids(ids, table),
                                [[0, 1, 2, 11], [13, 18, 255, 255]])
  assert sorted(class_ids.MAPS['label_ids'].values()) == list(range(19))


def test_viper_lacks_wall_and_rider():
  made = set(class_ids.MAPS['viper'].values())
  assert made == set(range(19)) - {labels.CITYSCAPES.index(x) for x in ('wall', 'rider')}


def test_own_tables():
  table = class_ids.table('1:11, 2:13, 9:255')
  np.testing.assert_array_equal(table[[1, 2, 9, 0]], [11, 13, 255, 255])
  for text in ('label', '1:99', '300:1', ''):
    with pytest.raises(ValueError, match='eval.label_map'):
      class_ids.table(text)


def test_wrong_ids_are_refused_with_the_file():
  ids = np.array([[0, 26], [33, 255]], np.uint8)
  with pytest.raises(ValueError, match=r'x\.png: ids 26, 33 are no train ids .*label_ids'):
    class_ids.to_train_ids(ids, where='x.png')
  assert class_ids.to_train_ids(np.array([[255]], np.uint8))[0, 0] == 255
  with pytest.raises(ValueError, match='a predicted pixel needs a class'):
    class_ids.to_train_ids(np.array([[255]], np.uint8), ignore=False)
