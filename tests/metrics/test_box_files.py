"""COCO files that lie: each is refused by its name and the entry."""

import copy
import json

import media_seeds
import numpy as np
import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import night_lists
from i2vjax.metrics import boxes

TRUTH, FOUND = media_seeds.coco()


def written(tmp_path, tree):
  path = tmp_path / 'x.json'
  path.write_text(tree if isinstance(tree, str) else json.dumps(tree))
  return path


def changed(tree, *place, value):
  tree = copy.deepcopy(tree)
  inner = tree
  for key in place[:-1]:
    inner = inner[key]
  inner[place[-1]] = value
  return tree


@pytest.mark.parametrize('tree', [
    [], 'x', 7, None, changed(TRUTH, 'images', value={'1': {'id': 1}}),
    changed(TRUTH, 'annotations', value={}), changed(TRUTH, 'categories', value='person')])
def test_what_is_no_list_is_named(tmp_path, tree):
  for read in (boxes.read_truth, night_lists.read_boxes):
    with pytest.raises(UserError, match=r'x\.json is no'):
      read(written(tmp_path, json.dumps(tree)))


@pytest.mark.parametrize('bbox', [
    ['1', '2', '3', '4'], [1, 2, 3], [1, 2, -3, 4], [float('nan'), 0, 1, 1], '1234', None, {},
    [0, 0, float('inf'), 1], [10 ** 400, 0, 1, 1], [1e30, 0, 1, 1], [True, 0, 1, 1],
    [[1], 2, 3, 4]])
def test_boxes_are_four_numbers(tmp_path, bbox):
  path = written(tmp_path, changed(TRUTH, 'annotations', 2, 'bbox', value=bbox))
  with pytest.raises(UserError, match=r'x\.json, entry 2: bbox .* is not \[x, y'):
    boxes.read_truth(path)
  with pytest.raises(UserError, match=r'x\.json is no COCO file .* is no bbox'):
    night_lists.read_boxes(path)
  path = written(tmp_path, changed(FOUND, 1, 'bbox', value=bbox))
  with pytest.raises(UserError, match=r'x\.json, entry 1: bbox'):
    boxes.read_detections(path, {1: 0, 3: 1}, {1: '', 2: '', 3: ''})


@pytest.mark.parametrize('value', [[], {}, None, True, float('nan'), float('inf')])
@pytest.mark.parametrize('place', [('images', 0, 'id'), ('categories', 1, 'id'),
                                   ('annotations', 0, 'image_id'),
                                   ('annotations', 0, 'category_id')])
def test_ids_are_numbers_or_texts(tmp_path, place, value):
  path = written(tmp_path, changed(TRUTH, *place, value=value))
  for read in (boxes.read_truth, night_lists.read_boxes):
    with pytest.raises(UserError, match=r'x\.json'):
      read(path)


@pytest.mark.parametrize(('place', 'value', 'message'), [
    (('images', 1, 'id'), 1, 'image 1: the id 1 is that of another image'),
    (('categories', 1, 'id'), 1, 'category 1: the id 1 is that of another category'),
    (('categories', 1, 'name'), 'person', "two categories are called 'person'"),
    (('categories', 1, 'name'), ['a'], 'category 1: name .* is neither a number nor a text')])
def test_what_is_there_twice_is_ambiguous(tmp_path, place, value, message):
  with pytest.raises(UserError, match=message):
    boxes.read_truth(written(tmp_path, changed(TRUTH, *place, value=value)))


def test_the_same_entry_twice_is_the_same(tmp_path):
  tree = copy.deepcopy(TRUTH)
  tree['images'].append(tree['images'][0])
  assert len(boxes.read_truth(written(tmp_path, tree))[0].image) == 4


def test_images_of_one_name_are_ambiguous_in_flir(tmp_path):
  tree = changed(TRUTH, 'images', 1, 'file_name', value='other/1.png')
  with pytest.raises(UserError, match='two of its images have one id or one name'):
    night_lists.read_boxes(written(tmp_path, tree))


@pytest.mark.parametrize('name', ['car+bus', ' person', 'a + b'])
def test_a_name_of_the_file_is_taken_as_it_is(tmp_path, name):
  tree = changed(TRUTH, 'categories', 0, 'name', value=name)
  assert boxes.read_truth(written(tmp_path, tree))[1] == (name, 'car')


@pytest.mark.parametrize('text', ['[' * 100_000, '{"a":' * 100_000, '', '{', '9' * 10_000, 'NaN,'])
def test_what_is_no_json_is_named(tmp_path, text):
  for read in (boxes.read_truth, night_lists.read_boxes):
    with pytest.raises(UserError, match=r'x\.json is no JSON file'):
      read(written(tmp_path, text))


def test_bytes_that_are_no_utf_8_are_named_and_a_byte_order_mark_is_passed_over(tmp_path):
  path = tmp_path / 'x.json'
  path.write_bytes(b'{"images": "\xff\xfe"}')
  with pytest.raises(UserError, match=r'x\.json is no JSON file'):
    boxes.read_truth(path)
  path.write_bytes(b'\xef\xbb\xbf' + json.dumps(TRUTH).encode())
  np.testing.assert_array_equal(boxes.read_truth(path)[0].kind, [0, 1, 0, 1])


def test_a_message_does_not_repeat_what_is_endless(tmp_path):
  tree = changed(TRUTH, 'annotations', 0, 'bbox', value=list(range(10_000)))
  with pytest.raises(UserError) as error:
    boxes.read_truth(written(tmp_path, tree))
  assert len(str(error.value)) < 500
