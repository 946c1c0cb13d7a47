"""What other programs made of the frames: class maps and boxes in files, masks as frames."""

import json

import numpy as np
import pytest
from PIL import Image

from i2vjax import defaults
from i2vjax import evaluate as evaluator
from i2vjax.core import class_names
from i2vjax.core.errors import UserError
from i2vjax.data.io import images
from i2vjax.data.sources import folders
from i2vjax.evaluation import eval_clips, external, scorers

ROAD, SKY = (class_names.CITYSCAPES.index(name) for name in ('road', 'sky'))


def settings(**changes):
  config = defaults.evaluation()
  config.update(**changes)
  return config


@pytest.fixture
def world(tmp_path):
  """3 frames of 16 x 16; the truth labels the first two: sky above, road below."""
  for t in range(3):
    for kind in ('result', 'reference'):
      images.write_image(tmp_path / kind / f'{t:03d}.png', np.full((16, 16, 3), 40 * t, np.uint8))
  truth = np.full((16, 16), ROAD, np.uint8)
  truth[:8] = SKY
  for t in range(2):
    put(tmp_path / 'labels' / f'{t:03d}.png', truth)
  called = truth.copy()
  called[8:12] = SKY
  for t in range(3):
    put(tmp_path / 'predictions' / f'{t:03d}.png', called)
  return tmp_path


def put(path, ids):
  path.parent.mkdir(exist_ok=True)
  Image.fromarray(ids).save(path)


def places(world):
  return settings(labels=str(world / 'labels'), predictions=str(world / 'predictions'))


def test_class_maps_by_hand(world):
  """Sky 8 rows of 12, road 4 of 8: mIoU (2/3 + 1/2) / 2, 12 of 16 rows right."""
  found, facts = external.scores(('iou',), places(world), frames_of(world))
  assert found['miou'] == pytest.approx((2 / 3 + 1 / 2) / 2)
  assert found['pixel_accuracy'] == pytest.approx(12 / 16)
  assert not facts


def frames_of(world):
  return folders.open_place(defaults.data(), str(world / 'result'))


@pytest.mark.parametrize('kinds', [('labels', 'predictions'), ('labels',)])
def test_class_maps_of_another_size_are_scored_at_that_of_the_truth(world, capsys, kinds):
  """Maps twice as large as the frames (both, or the true ones): the same scores, and it is said."""
  for kind in kinds:
    for path in (world / kind).iterdir():
      with Image.open(path) as picture:
        ids = np.asarray(picture)
      put(path, np.kron(ids, np.ones((2, 2), np.uint8)))
  found = evaluator.evaluate_folders(str(world / 'result'), output=world / 'out', show=False,
                                     settings=places(world))
  row, said = found['rows']['translated'], found['protocol']['class_maps']
  assert row['miou'] == pytest.approx((2 / 3 + 1 / 2) / 2)
  assert row['pixel_accuracy'] == pytest.approx(12 / 16)
  assert said.startswith('scored at the 32x32 pixels of the true maps, the frames have 16x16')
  assert ('predictions of 16x16 were resized to it, nearest' in said) == (len(kinds) == 1)
  assert f'class maps: {said}' in capsys.readouterr().out


def test_class_maps_stand_in_the_table_of_folders(world):
  scores = evaluator.evaluate_folders(str(world / 'result'), str(world / 'reference'),
                                      output=world / 'out', settings=places(world), show=False)
  assert scores['rows']['translated']['miou'] == pytest.approx((2 / 3 + 1 / 2) / 2)
  assert 'mIoU' in (world / 'out' / 'index.html').read_text()


def test_clips_beyond_the_most_count_neither_in_frames_nor_in_class_maps(tmp_path):
  """The first clip is right, the second wrong everywhere."""
  for clip, called in (('a', ROAD), ('b', SKY)):
    for part in ('result', 'labels', 'predictions'):
      (tmp_path / part).mkdir(exist_ok=True)
    images.write_image(tmp_path / 'result' / clip / '000.png', np.zeros((8, 8, 3), np.uint8))
    put(tmp_path / 'labels' / clip / '000.png', np.full((8, 8), ROAD, np.uint8))
    put(tmp_path / 'predictions' / clip / '000.png', np.full((8, 8), called, np.uint8))
  for most, accuracy in ((0, 0.5), (1, 1), (2, 0.5)):
    given = places(tmp_path)
    given.max_clips = most
    scores, _ = evaluator.scores_of_folders(str(tmp_path / 'result'), settings=given, show=False)
    assert scores['rows']['translated']['pixel_accuracy'] == accuracy
    assert scores['protocol']['clips'] == (most or 2)


@pytest.mark.parametrize(('most', 'said'), [(0, False), (1, True), (2, False)])
def test_boxes_of_all_clips_count_and_it_is_said(tmp_path, monkeypatch, most, said):
  for clip in 'ab':
    images.write_image(tmp_path / 'result' / clip / '000.png', np.zeros((8, 8, 3), np.uint8))
  monkeypatch.setattr(external, 'average_precision', lambda settings: {'ap50': 0.5})
  _, facts = external.scores(('ap',), settings(max_clips=most), frames_of(tmp_path))
  assert ('all images of eval.boxes count' in facts.get('boxes', '')) == said


def test_a_labeled_frame_without_a_prediction_is_named(world):
  (world / 'predictions' / '001.png').unlink()
  with pytest.raises(ValueError, match=r'frame 1 .*labels/001.png.* no prediction'):
    external.scores(('iou',), places(world), frames_of(world))


@pytest.mark.parametrize('change,named', [({'label_map': 'x'}, 'eval.label_map'),
                                          ({'predictions': 'nowhere'}, 'nowhere')])
def test_a_mistake_in_files_is_found_before_frames_are_scored(world, monkeypatch, change, named):
  chosen = places(world)
  chosen.update(change)
  monkeypatch.setattr(evaluator, 'score_rows', lambda *_: pytest.fail('hours of frames'))
  with pytest.raises((UserError, FileNotFoundError), match=named):
    evaluator.scores_of_folders(str(world / 'result'), settings=chosen, show=False)


def test_one_place_without_the_other():
  with pytest.raises(ValueError, match=r'set --config\.eval\.predictions'):
    external.missing('iou', settings(labels='x'))
  with pytest.raises(ValueError, match=r'set --config\.eval\.boxes'):
    external.missing('ap', settings(detections='x'))
  assert 'needs files' in external.missing('ap', settings())


def test_boxes_by_hand(tmp_path):
  """Two cars, one of them found, and a false alarm of lower score: recalls up to 0.5 are reached at
  precision 1, those above never: 51 of 101 points."""
  truth = {'images': [{'id': 1}], 'categories': [{'id': 3, 'name': 'car'}], 'annotations': [
      {'id': k, 'image_id': 1, 'category_id': 3, 'bbox': [x, 0, 10, 10], 'area': 100, 'iscrowd': 0}
      for k, x in ((1, 0), (2, 50))]}
  found = [{'image_id': 1, 'category_id': 3, 'bbox': [x, 0, 10, 10], 'score': score}
           for x, score in ((0, 0.9), (80, 0.5))]
  (tmp_path / 'truth.json').write_text(json.dumps(truth))
  (tmp_path / 'found.json').write_text(json.dumps(found))
  given = settings(boxes=str(tmp_path / 'truth.json'), detections=str(tmp_path / 'found.json'))
  pytest.importorskip('pycocotools')
  assert external.average_precision(given)['ap50'] == pytest.approx(51 / 101)
  assert external.average_precision(given)['recall'] == 0.5


def test_masks_as_frames():
  """A mask moved by one of its four columns: 3 columns shared of 5."""
  frames = np.zeros((3, 8, 8, 1), np.uint8)
  truth = frames.copy()
  frames[:, :, 1:5], truth[:, :, 2:6] = 255, 255
  scorer = scorers.davis_scorer(scorers.Request(None))
  _, values, _ = scorer.add(scorer.start, eval_clips.EvalClip('a', target=truth), frames)
  assert values['davis_j'] == pytest.approx(3 / 5) and values['davis_t'] == pytest.approx(0)
