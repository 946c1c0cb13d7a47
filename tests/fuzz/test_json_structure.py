"""JSON of any structure: the readers of boxes and indexes take it or refuse it by its name."""

import json
import pathlib

import pytest

from i2vjax.core.errors import UserError
from i2vjax.data.prepare.published import night_lists
from i2vjax.data.sources import record_index
from i2vjax.metrics import boxes

hypothesis = pytest.importorskip('hypothesis')
st = hypothesis.strategies

IDS = {1: 0, 3: 1}
READERS = {
    'truth': boxes.read_truth, 'FLIR': night_lists.read_boxes,
    'detections': lambda path: boxes.read_detections(path, IDS, {1: 'x', 2: 'y'}),
    'index': lambda path: record_index.read(path.parent)}
# Numbers and texts that such files hold, more often than any others.
SOME = st.sampled_from([0, 1, 2, 3, -1, 1.5, 10 ** 400, float('nan'), float('inf'), 'x', 'a/../b'])
LEAF = st.one_of(SOME, st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
FIELDS = st.sampled_from(['id', 'name', 'file_name', 'image_id', 'category_id', 'bbox', 'score',
                          'images', 'annotations', 'categories', 'clips', 'names', 'crop'])
ANY = st.recursive(LEAF, lambda inner: st.one_of(
    st.lists(inner, max_size=4), st.dictionaries(st.one_of(FIELDS, st.text(max_size=3)), inner,
                                                 max_size=6)), max_leaves=25)
BOX = st.lists(st.one_of(st.integers(0, 30), LEAF), min_size=3, max_size=5)
ENTRY = st.fixed_dictionaries({}, optional={
    'id': st.one_of(st.integers(0, 3), ANY), 'name': ANY, 'file_name': ANY,
    'image_id': st.one_of(st.integers(0, 3), ANY), 'category_id': st.one_of(st.integers(0, 3), ANY),
    'bbox': st.one_of(BOX, ANY), 'score': LEAF, 'iscrowd': ANY})
ENTRIES = st.one_of(st.lists(ENTRY, max_size=4), ANY)
COCO = st.fixed_dictionaries({'images': ENTRIES, 'annotations': ENTRIES, 'categories': ENTRIES})
SPLIT = st.fixed_dictionaries({
    'clips': st.one_of(ANY, st.lists(st.tuples(
        st.one_of(st.text(max_size=4), SOME), SOME, SOME, SOME), max_size=3)),
    'label': ANY, 'boxes': ANY, 'flow': ANY, 'resize': ANY, 'crop': ANY, 'label_ids': ANY})
INDEX = st.dictionaries(st.text(max_size=4), SPLIT, max_size=2)


@pytest.mark.parametrize('name', READERS)
@hypothesis.settings(max_examples=40, deadline=None, database=None, derandomize=True,
                     suppress_health_check=list(hypothesis.HealthCheck))
@hypothesis.given(tree=st.one_of(COCO, st.lists(ENTRY, max_size=4), INDEX, ANY))
def test_any_json_is_taken_or_refused_by_name(tmp_path_factory, name, tree):
  path = pathlib.Path(tmp_path_factory.getbasetemp(), record_index.FILE)
  path.write_text(json.dumps(tree))
  try:
    READERS[name](path)
  except UserError as error:
    assert record_index.FILE in str(error)
