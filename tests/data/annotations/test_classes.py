"""Ids of files as the train ids of Cityscapes."""

import numpy as np
import pytest

from i2vjax.core import class_names
from i2vjax.data.annotations import classes


def test_there_is_one_list_of_classes():
  assert len(class_names.CITYSCAPES) == classes.CLASSES and classes.IGNORE == class_names.IGNORE


def test_cityscapes_label_ids_become_train_ids():
  table = classes.id_table('label_ids')
  ids = np.array([[7, 8, 11, 24], [26, 33, 0, 4]], np.uint8)
  np.testing.assert_array_equal(classes.to_train_ids(ids, table),
                                [[0, 1, 2, 11], [13, 18, 255, 255]])
  assert sorted(classes.MAPS['label_ids'].values()) == list(range(19))


def test_viper_lacks_wall_and_rider():
  result = set(classes.MAPS['viper'].values())
  assert result == set(range(19)) - {class_names.CITYSCAPES.index(x) for x in ('wall', 'rider')}


def test_own_tables():
  table = classes.id_table('1:11, 2:13, 9:255')
  np.testing.assert_array_equal(table[[1, 2, 9, 0]], [11, 13, 255, 255])
  for text in ('label', '1:99', '300:1', ''):
    with pytest.raises(ValueError, match='eval.label_map'):
      classes.id_table(text)


def test_wrong_ids_are_refused_with_the_file():
  ids = np.array([[0, 26], [33, 255]], np.uint8)
  with pytest.raises(ValueError, match=r'x\.png: ids 26, 33 are no train ids .*label_ids'):
    classes.to_train_ids(ids, where='x.png')
  assert classes.to_train_ids(np.array([[255]], np.uint8))[0, 0] == 255
  with pytest.raises(ValueError, match='a predicted pixel needs a class'):
    classes.to_train_ids(np.array([[255]], np.uint8), ignore=False)
