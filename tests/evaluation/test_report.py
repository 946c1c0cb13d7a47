"""The page and the table of an evaluation."""

import base64
import json
import re

import cv2
import numpy as np
import pytest
from limits import largest_file

from i2vjax.data.io import video_reader
from i2vjax.evaluation.report import figures, html, text
from i2vjax.run import training_curves


def scores(**changes):
  row = {'psnr': 20.0, 'ssim': 0.5, 'warping_mse': 0.002, 'flicker_ratio': 1.5}
  rows = {'translated': row, 'source': {**row, 'psnr': 10.0, 'warping_mse': 0.001},
          'constant': {**row, 'psnr': 15.0}}
  entry = {'name': '<clip> & co', 'frames': 3, 'rows': rows}
  return {'run': {'method': 'cyclegan', 'variant': 'demo', 'step': 600}, 'rows': rows,
          'protocol': {'clips': 1, 'frames': 3, 'height': 16, 'width': 20}, 'clips': [entry],
          'skipped': {'warping': 'no <flow>'}, 'worst': [], **changes}


def rows(length=3, value=0):
  frames = np.arange(length, dtype=np.uint8)[:, None, None, None] + np.uint8(value)
  return {'source': np.broadcast_to(frames, (length, 16, 20, 1)),
          'translated': np.broadcast_to(frames + 100, (length, 16, 20, 3))}


def test_verdict_names_the_references_and_the_ratios():
  verdict = text.verdict(scores())
  assert '20.00 dB' in verdict
  assert '15.00 dB for the best single color' in verdict
  assert '2.00 times that of the input itself' in verdict
  assert '50% more' in verdict
  assert 'below a plain color' not in verdict


def test_verdict_says_when_nothing_was_learned():
  poor = scores()
  poor['rows']['constant'] = {'psnr': 21.0}
  assert 'below a plain color' in text.verdict(poor)


def test_verdict_without_scores_and_with_nan():
  assert 'No scores' in text.verdict(scores(rows={'translated': {}}))
  assert 'NaN' in text.verdict(scores(rows={'translated': {'psnr': np.nan, 'num_nonfinite': 2}}))


def test_table_has_a_line_for_each_row_and_each_gap():
  lines = text.table(scores()).splitlines()
  assert len(lines) == 1 + 3 + 1
  assert '20.00' in lines[1]
  assert lines[1].split()[-2] == '2.000'   # thousandths
  assert lines[-1] == 'left out: warping (no <flow>)'


def test_what_lacks_the_same_is_left_out_in_one_line():
  some = scores(skipped={'psnr': 'no truth', 'fid': 'no file', 'ssim': 'no truth'})
  assert text.table(some).splitlines()[-2:] == [
      'left out: psnr, ssim (no truth)', 'left out: fid (no file)']


def test_the_scale_of_a_paper_is_shown_where_it_is_asked_for():
  plain = scores(rows={'translated': {'fid': 44.25, 'fid_div100': 0.4425}})
  assert 'FID / 100' not in text.table(plain)
  asked = scores(rows=plain['rows'], protocol={**plain['protocol'], 'paper_scale': 'yes'})
  assert ' '.join(text.table(asked).splitlines()[0].split()) == 'FID FID / 100'
  assert text.table(asked).splitlines()[1].split()[-2:] == ['44.25', '0.4425']
  assert 'FID / 100' in html.page({**asked, 'clips': []}, [], {})


def test_missing_scores_are_dashes():
  assert text.number({}, 'psnr', 2) == '–'
  assert text.number({'psnr': float('nan')}, 'psnr', 2) == 'nan'


def test_page_escapes_names_and_is_one_file():
  preview = figures.clip_preview('<clip> & co', rows(), {'psnr': [30.0, 10.0, 20.0]})
  page = html.page(scores(), figures.add_preview([], preview), {'cycle': ([1, 2], [3.0, 2.0])})
  assert '<clip>' not in page
  assert '&lt;clip&gt; &amp; co' in page
  assert 'no &lt;flow&gt;' in page
  assert page.count('<img ') == 4   # moments, slices, worst frames, curves
  for data in re.findall(r'image/png;base64,([^"]+)"', page):
    assert cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1) is not None


def test_worst_frames_come_first_over_all_clips():
  previews = []
  for clip, values in (('one', [30.0, 10.0, 20.0]), ('two', [25.0, 35.0, 5.0])):
    previews = figures.add_preview(previews, figures.clip_preview(clip, rows(), {'psnr': values}))
  order = [(name, t) for _, name, t, _ in previews[0]['worst']]
  assert order == [('two', 2), ('one', 1), ('one', 2), ('two', 0)]   # at most two of a clip


def test_without_target_the_least_steady_frames_are_the_worst():
  preview = figures.clip_preview('clip', rows(), {'warping': [0.1, 0.5]})
  assert preview['worst'][0][2] == 1


def test_memory_of_a_long_list_of_clips_is_bounded():
  previews = []
  for index in range(20):
    preview = figures.clip_preview(f'{index:02d}', rows(), {'psnr': [1.0, 2.0, 3.0]})
    previews = figures.add_preview(previews, preview)
  assert [preview['name'] for preview in previews] == [f'{i:02d}' for i in range(figures.SHOWN)]
  assert len(previews[0]['worst']) == figures.WORST


def test_slices_are_the_middle_line_of_every_frame():
  frames = np.random.default_rng(0).integers(0, 256, (3, 16, 20, 3), np.uint8)
  preview = figures.clip_preview('clip', {'translated': frames}, {})
  np.testing.assert_array_equal(preview['slices']['translated'], frames[:, 8])


def test_the_page_holds_a_video_of_each_clip(tmp_path):
  """Rows side by side: the brightness of each part is that of its row."""
  preview = figures.clip_preview('clip', {'source': np.full((5, 16, 20, 1), 60, np.uint8),
                                    'translated': np.full((5, 16, 20, 3), 180, np.uint8)}, {})
  page = html.page(scores(), figures.add_preview([], preview), {})
  data, = re.findall(r'video/mp4;base64,([^"]+)"', page)
  (tmp_path / 'x.mp4').write_bytes(base64.b64decode(data))
  frames = [frame for frame, _ in video_reader.read_video(tmp_path / 'x.mp4')]
  left, right = np.split(np.stack(frames).astype(float), 2, axis=2)
  assert len(frames) == 5
  assert abs(left.mean() - 60) < 4 and abs(right.mean() - 180) < 4


def test_a_video_that_has_no_room_names_the_folder_of_temporary_files():
  frames = np.random.default_rng(0).integers(0, 256, (9, 64, 64, 3), np.uint8)
  with largest_file(4096), pytest.raises(OSError, match='a file is larger .* set TMPDIR'):
    figures.video({'x': frames})


def test_a_long_clip_has_a_short_video(tmp_path):
  frames = np.zeros((figures.VIDEO_FRAMES + 20, 16, 20, 3), np.uint8)
  (tmp_path / 'short.mp4').write_bytes(figures.video({'x': frames}))
  assert len(video_reader.frame_times(tmp_path / 'short.mp4')) == figures.VIDEO_FRAMES
  assert not figures.clip_preview('clip', {'x': frames}, {}, moving=False)['video']


def test_a_clip_of_one_frame_has_a_page():
  preview = figures.clip_preview('clip', rows(1), {})
  assert '<img' in html.page(scores(), figures.add_preview([], preview), {})


def test_curves_are_read_from_the_log(tmp_path):
  lines = [{'step': 1, 'cycle': 3.0, 'lr': 1e-3}, {'step': 2, 'cycle': 2.0}]
  (tmp_path / 'metrics.jsonl').write_text(''.join(json.dumps(x) + '\n' for x in lines))
  curves = training_curves.read_curves(tmp_path / 'metrics.jsonl')
  assert curves == {'cycle': ([1, 2], [3.0, 2.0]), 'lr': ([1], [1e-3])}
  assert training_curves.read_curves(tmp_path / 'none.jsonl') == {}


def test_plot_has_a_panel_for_each_term():
  term = ([1, 2, 3], [1.0, 0.5, 0.2])
  one = training_curves.plot_curves({'cycle': term})
  five = training_curves.plot_curves(dict.fromkeys('abcde', term))
  assert one.shape[2] == five.shape[2] == 3
  assert five.shape[0] == 2 * one.shape[0]
  assert five.shape[1] == 4 * one.shape[1]


def test_running_mean_starts_without_bias_and_keeps_constants():
  np.testing.assert_allclose(training_curves.running_mean([2.0] * 50), 2.0)
  smooth = training_curves.running_mean([5.0] + [1.0] * 99)
  assert smooth[0] == 5
  assert smooth[-1] == pytest.approx(1, abs=1e-3)


def test_frames_without_numbers_are_the_worst():
  previews = []
  for clip, values in (('a', [30.0, np.nan, 20.0]), ('b', [9.0, 8.0, 40.0]),
                       ('c', [np.nan, 50.0, 60.0])):
    previews = figures.add_preview(previews, figures.clip_preview(clip, rows(), {'psnr': values}))
  assert [(name, t) for _, name, t, _ in previews[0]['worst']] == [
      ('a', 1), ('c', 0), ('b', 1), ('b', 0), ('a', 2), ('c', 1)]
