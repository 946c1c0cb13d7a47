"""AP at IoU 0.5 by hand, and both styles against pycocotools."""

import builtins
import json

import numpy as np
import pytest

from i2vjax.metrics import boxes, detection


def make(entries, scored=True):
  """Boxes from (image, kind, box, score)."""
  image, kind, box, score = zip(*entries, strict=True) if entries else ((),) * 4
  return boxes.Boxes(np.array(image, object), np.array(kind, int),
                     np.array(box, float).reshape(-1, 4), np.array(score, float),
                     np.zeros(len(image), bool))


TRUTH = make([('x', 0, (0, 0, 10, 10), 1), ('x', 0, (20, 0, 10, 10), 1),
              ('y', 0, (0, 0, 10, 10), 1), ('y', 0, (20, 0, 10, 10), 1)])
# Hit, miss, hit, a second box on a truth that is taken: 2 of 4 found.
FOUND = make([('x', 0, (1, 0, 10, 10), 0.9), ('x', 0, (50, 50, 9, 9), 0.8),
              ('y', 0, (20, 0, 10, 10), 0.7), ('y', 0, (21, 0, 10, 10), 0.05)])


def crowded(seed=0, images=12, kinds=2):
  """Many boxes, most of them found with some error, and false alarms."""
  rng = np.random.default_rng(seed)
  truth, found = [], []
  for image in range(images):
    for _ in range(12):
      kind, box = int(rng.integers(kinds)), rng.uniform((0, 0, 8, 8), (90, 90, 30, 30))
      truth.append((image, kind, box, 1.0))
      if rng.random() < 0.8:
        found.append((image, kind, box + rng.normal(0, 1.5, 4), rng.uniform(0.3, 1)))
    for _ in range(5):
      box = rng.uniform((0, 0, 8, 8), (90, 90, 30, 30))
      found.append((image, int(rng.integers(kinds)), box, rng.uniform(0, 0.8)))
  return make(truth), make(found)


# ---- matching and areas -----------------------------------------------------------------------


def test_iou_by_hand():
  """9 x 10 shared of 110, half of a box, nothing."""
  others = np.array([[1, 0, 10, 10], [0, 0, 10, 5], [10, 0, 5, 5]], float)
  found = detection.iou(np.array([0, 0, 10, 10.0]), others)
  np.testing.assert_allclose(found, [90 / 110, 0.5, 0])
  np.testing.assert_allclose(detection.iou(np.array([0, 0, 10, 5.0]), others, crowd=True),
                             [0.9, 1, 0])


def test_matching_by_hand():
  hit, score, total = detection.matched(TRUTH, FOUND, 0)
  np.testing.assert_array_equal(hit, [True, False, True, False])
  np.testing.assert_array_equal(score, [0.9, 0.8, 0.7, 0.05])
  assert total == 4


def test_only_the_best_of_two_boxes_on_one_truth_counts():
  found = make([('x', 0, (0, 0, 10, 10), 0.5), ('x', 0, (1, 0, 10, 10), 0.9)])
  hit, score, _ = detection.matched(TRUTH, found, 0)
  np.testing.assert_array_equal(hit, [True, False])
  np.testing.assert_array_equal(score, [0.9, 0.5])


def test_yolo_area_by_hand():
  """Recall 1/4, 1/4, 2/4, 2/4 at precision 1, 1/2, 2/3, 2/4; envelope 1, 2/3, 2/3, 1/2.

  Precision falls to 2/3 at recall 1/4 already (a false positive), to 1/2 at 2/4, to 0 behind it:
  sampled every 0.01 it is 1 below 0.25, at 0.25 the last of its points, 2/3 up to 0.49, 1/2 at 0.5.
  """
  area = detection.yolo_ap(TRUTH, FOUND, [0])[0]
  sampled = [1] * 25 + [2 / 3] * 25 + [1 / 2] + [0] * 50
  np.testing.assert_allclose(area, np.trapezoid(sampled, dx=0.01))


def public_yolo(truth, found, kind, score):
  """(AP, precision, recall) of one class, plainly as the public code goes about it."""
  tp, conf = [], []
  for image in sorted(set(truth.image) | set(found.image)):
    real = truth.box[(truth.image == image) & (truth.kind == kind)]
    mine = np.flatnonzero((found.image == image) & (found.kind == kind))
    mine = mine[np.argsort(-found.score[mine])]      # non-maximum suppression leaves them so
    detected = []
    for k in mine:
      overlaps = [plain_iou(found.box[k], box) for box in real]
      best = int(np.argmax(overlaps)) if overlaps else -1
      right = best >= 0 and overlaps[best] > 0.5 and best not in detected
      if right:
        detected.append(best)
      tp.append(float(right))
      conf.append(found.score[k])
  order = np.argsort(-np.array(conf))
  tp, conf = np.array(tp)[order], np.array(conf)[order]
  count = np.sum(truth.kind == kind)
  tpc, fpc = tp.cumsum(), (1 - tp).cumsum()
  recall, precision = tpc / count, tpc / (tpc + fpc)
  p_at, r_at = (np.interp(-score, -conf, x) for x in (precision, recall))
  x_points = [0.0, *recall, min(recall[-1] + 1e-3, 1.0)]
  y_points = np.flip(np.maximum.accumulate(np.flip([0.0, *precision, 0.0])))
  x = np.linspace(0, 1, 101)
  y = np.interp(x, x_points, y_points)
  return float(np.sum((y[1:] + y[:-1]) / 2 * np.diff(x))), p_at, r_at


def plain_iou(a, b):
  w = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
  h = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
  shared = max(w, 0) * max(h, 0)
  return shared / (a[2] * a[3] + b[2] * b[3] - shared)


@pytest.mark.parametrize('seed', range(4))
def test_yolo_style_is_the_public_definition(seed):
  """Random sets, rare classes among them."""
  truth, found = crowded(seed, images=(3, 12)[seed % 2], kinds=(1, 6)[seed // 2])
  for kind in np.unique(truth.kind):
    area, precision, recall = public_yolo(truth, found, kind, 0.1)
    np.testing.assert_allclose(detection.yolo_ap(truth, found, [kind])[0], area, atol=1e-12)
    np.testing.assert_allclose(detection.yolo_operating_point(truth, found, kind, 0.1),
                               (precision, recall), atol=1e-12)


def test_a_detection_whose_best_truth_is_taken_is_false_in_the_yolo_style():
  """Two truths 4 apart: the second detection fits both, better the one that is taken."""
  truth = make([('x', 0, (0, 0, 20, 10), 1), ('x', 0, (4, 0, 20, 10), 1)])
  found = make([('x', 0, (0, 0, 20, 10), 0.9), ('x', 0, (1, 0, 20, 10), 0.8)])
  np.testing.assert_array_equal(detection.best_matched(truth, found, 0)[0], [True, False])
  np.testing.assert_array_equal(detection.matched(truth, found, 0)[0], [True, True])


@pytest.mark.parametrize('style', detection.STYLES)
def test_detections_of_other_classes_alone_score_nothing(style):
  """Truth has cars, the detector saw one bus."""
  if style == 'coco':
    pytest.importorskip('pycocotools')
  found = make([('x', 1, (0, 0, 10, 10), 0.9)])
  assert detection.scores(TRUTH, found, ('car', 'bus'), style) == {
      'ap50': 0, 'precision': 0, 'recall': 0, 'ap50[car]': 0}


def test_precision_and_recall_at_a_score():
  assert detection.operating_point(TRUTH, FOUND, 0, 0.1) == (2 / 3, 2 / 4)
  assert detection.operating_point(TRUTH, FOUND, 0, 0.85) == (1, 1 / 4)
  assert detection.operating_point(TRUTH, make([]), 0, 0.1) == (0, 0)


@pytest.mark.parametrize('style', detection.STYLES)
def test_perfect_and_empty(style):
  if style == 'coco':
    pytest.importorskip('pycocotools')
  perfect = detection.scores(TRUTH, TRUTH, ('car',), style)
  area = {'coco': 1, 'yolo': 0.995}[style]   # of 101 recalls the last one is at precision 0
  assert perfect == pytest.approx({'ap50': area, 'precision': 1, 'recall': 1, 'ap50[car]': area})
  assert detection.scores(TRUTH, make([]), ('car',), style)['ap50'] == 0


def test_class_without_truth_is_left_out():
  found = detection.scores(TRUTH, FOUND, ('car', 'bus'), 'yolo')
  assert 'ap50[bus]' not in found
  assert found['ap50'] == found['ap50[car]']
  with pytest.raises(ValueError, match='no boxes of'):
    detection.scores(make([]), FOUND, ('car',), 'yolo')
  with pytest.raises(ValueError, match='eval.ap_style'):
    detection.scores(TRUTH, FOUND, ('car',), 'voc')


# ---- against pycocotools ----------------------------------------------------------------------


def test_coco_by_hand():
  """Precision 1 up to recall 1/4 (26 of the 101 recalls), 2/3 up to 2/4 (25), then 0."""
  pytest.importorskip('pycocotools')
  np.testing.assert_allclose(detection.coco_ap(TRUTH, FOUND, [0])[0], (26 + 25 * 2 / 3) / 101)


def test_own_matching_gives_the_area_of_pycocotools():
  """AP of COCO computed from our matches: the best precision at or beyond each recall."""
  pytest.importorskip('pycocotools')
  truth, found = crowded()
  for kind in (0, 1):
    hit, _, total = detection.matched(truth, found, kind)
    recall = np.cumsum(hit) / total
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    sampled = [max(precision[recall >= r], default=0) for r in np.linspace(0, 1, 101)]
    np.testing.assert_allclose(detection.coco_ap(truth, found, [kind])[0], np.mean(sampled),
                               atol=1e-9)


def test_styles_agree_roughly():
  pytest.importorskip('pycocotools')
  truth, found = crowded(1)
  coco, yolo = (detection.scores(truth, found, ('a', 'b'), style) for style in ('coco', 'yolo'))
  assert 0.4 < coco['ap50'] < 0.95
  np.testing.assert_allclose(coco['ap50'], yolo['ap50'], atol=0.03)


def test_crowd_regions_count_neither_way():
  pytest.importorskip('pycocotools')
  truth = TRUTH._replace(crowd=np.array([False, False, False, True]))
  hit, _, total = detection.matched(truth, FOUND, 0)
  np.testing.assert_array_equal(hit, [True, False])
  assert total == 3
  np.testing.assert_allclose(detection.coco_ap(truth, FOUND, [0])[0], 34 / 101)


def test_missing_pycocotools_is_named_with_the_way_out(monkeypatch):
  real = builtins.__import__

  def without(name, *rest):
    if name.startswith('pycocotools'):
      raise ImportError(name)
    return real(name, *rest)
  monkeypatch.setattr(builtins, '__import__', without)
  with pytest.raises(ModuleNotFoundError, match=r'i2vjax\[eval\].*ap_style=yolo'):
    detection.scores(TRUTH, FOUND, ('car',), 'coco')


# ---- files ------------------------------------------------------------------------------------


def coco_file(tmp_path, **changes):
  tree = {'images': [{'id': 7, 'file_name': 'x.png'}, {'id': 8}],
          'categories': [{'id': 1, 'name': 'person'}, {'id': 3, 'name': 'car'},
                         {'id': 6, 'name': 'bus'}],
          'annotations': [
              {'id': 1, 'image_id': 7, 'category_id': 1, 'bbox': [0, 0, 5, 9]},
              {'id': 2, 'image_id': 8, 'category_id': 3, 'bbox': [1, 2, 8, 4]},
              {'id': 3, 'image_id': 8, 'category_id': 6, 'bbox': [20, 2, 8, 4], 'iscrowd': 1}]}
  return dump(tmp_path / 'truth.json', {**tree, **changes})


def dump(path, tree):
  path.write_text(json.dumps(tree))
  return path


def test_coco_files_are_read(tmp_path):
  truth, names, kinds, images = boxes.read_truth(coco_file(tmp_path), ('person', 'car+bus'))
  assert names == ('person', 'car+bus')
  assert kinds == {1: 0, 3: 1, 6: 1}
  np.testing.assert_array_equal(truth.kind, [0, 1, 1])
  np.testing.assert_array_equal(truth.crowd, [False, False, True])
  found = dump(tmp_path / 'found.json', [
      {'image_id': 8, 'category_id': 6, 'bbox': [1, 2, 8, 4], 'score': 0.9},
      {'image_id': 7, 'category_id': 17, 'bbox': [1, 2, 8, 4], 'score': 0.9}])
  found = boxes.read_detections(found, kinds, images)
  assert list(found.image) == [8]
  result = detection.scores(truth, found, names, 'yolo')
  assert result['ap50[car+bus]'] == pytest.approx(0.995)
  assert result['ap50[person]'] == 0


def test_all_categories_by_default(tmp_path):
  assert boxes.read_truth(coco_file(tmp_path))[1] == ('person', 'car', 'bus')


def test_mistakes_in_the_truth_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match=r'none\.json'):
    boxes.read_truth(tmp_path / 'none.json')
  broken = tmp_path / 'broken.json'
  broken.write_text('{"images": [')
  with pytest.raises(ValueError, match=r'broken\.json is no JSON'):
    boxes.read_truth(broken)
  with pytest.raises(ValueError, match="lacks the list 'annotations'"):
    boxes.read_truth(coco_file(tmp_path, annotations=None))
  with pytest.raises(ValueError, match="no category 'cat'.*person, car, bus"):
    boxes.read_truth(coco_file(tmp_path), ('cat',))
  with pytest.raises(ValueError, match='no boxes of car: nothing to score'):
    boxes.read_truth(coco_file(tmp_path, annotations=[]), ('car',))
  with pytest.raises(ValueError, match='every image needs an id'):
    boxes.read_truth(coco_file(tmp_path, images=[{'file_name': 'x.png'}]))


@pytest.mark.parametrize(('change', 'message'), [
    ({'image_id': 9}, 'entry 0: image_id 9 is not among the 2 images'),
    ({'bbox': [1, 2, -8, 4]}, 'is not .x, y, width, height. in pixels'),
    ({'bbox': [1, 2, 8]}, 'is not .x, y, width, height. in pixels'),
    ({'score': 'high'}, "score 'high' is no number"),
])
def test_mistakes_in_detections_are_named(tmp_path, change, message):
  _, _, kinds, images = boxes.read_truth(coco_file(tmp_path))
  entry = {'image_id': 8, 'category_id': 6, 'bbox': [1, 2, 8, 4], 'score': 0.9}
  with pytest.raises(ValueError, match=message):
    boxes.read_detections(dump(tmp_path / 'found.json', [entry | change]), kinds, images)


def test_a_detection_without_a_score_and_a_file_that_is_no_list(tmp_path):
  _, _, kinds, images = boxes.read_truth(coco_file(tmp_path))
  entry = {'image_id': 8, 'category_id': 6, 'bbox': [1, 2, 8, 4]}
  with pytest.raises(ValueError, match="entry 0: it lacks 'score'"):
    boxes.read_detections(dump(tmp_path / 'found.json', [entry]), kinds, images)
  with pytest.raises(ValueError, match='no list of detections'):
    boxes.read_detections(coco_file(tmp_path), kinds, images)
