"""clips.json of records: whole, or refused with the split."""

import copy
import json

import media_seeds
import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.io import output_paths
from i2vjax.data.sources import record_index

INDEX = media_seeds.index()


def read(tmp_path, tree):
  (tmp_path / record_index.FILE).write_text(json.dumps(tree))
  return record_index.read(tmp_path)


def test_a_whole_index_is_read(tmp_path):
  assert read(tmp_path, INDEX) == INDEX


@pytest.mark.parametrize('name', ['../x', '/x', 'a/../../x', 'a\\..\\x', 'a\0b', '\ud800', 7, None])
def test_a_clip_may_not_lead_out_of_the_folder_it_is_written_to(tmp_path, name):
  tree = copy.deepcopy(INDEX)
  tree['train_a']['clips'][0][0] = name
  with pytest.raises(UserError, match=r"clips.json, split 'train_a': its clips are not"):
    read(tmp_path, tree)


@pytest.mark.parametrize(('field', 'value'), [
    ('clips', {}), ('clips', [['one', 0, 2]]), ('clips', [['one', 0, 0, 1]]),
    ('clips', [['one', -1, 2, 1]]), ('clips', [['one', 0, 2, 10 ** 9]]),
    ('clips', [['one', 0, 1.5, 1]]), ('crop', [0, 0, 8]), ('crop', [0, 0, 0, 8]),
    ('crop', [-1, 0, 8, 8]), ('resize', 'x'), ('resize', [0, 8]), ('label_ids', [1, 2]),
    ('label_ids', [256] * 256), ('names', ['1.png']), ('names', [1, 2, 3]), ('categories', [])])
def test_fields_that_are_something_else_are_named(tmp_path, field, value):
  tree = copy.deepcopy(INDEX)
  tree['train_a'][field] = value
  with pytest.raises(UserError, match=f"split 'train_a': its {field} are no"):
    read(tmp_path, tree)


@pytest.mark.parametrize('tree', [[], 7, {'train_a': []}, {'train_a': {}}])
def test_what_is_no_index_is_named(tmp_path, tree):
  with pytest.raises(UserError, match='clips.json'):
    read(tmp_path, tree)


@pytest.mark.parametrize(('name', 'below'), [
    ('a', True), ('a/b', True), ('', True), ('12:30', True), ('a..b', True), ('bad\udcff', True),
    ('..', False), ('/a', False), ('a/..', False)])
def test_names_that_stay_below(name, below):
  assert output_paths.stays_below(name) == below
