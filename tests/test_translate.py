"""Translation: any footage in, same length and size out, no half-written file."""

import dataclasses
import os

import jax
import numpy as np
import pytest
import stub_runs as stubs
from little_clips import QUIET, footage, read_frames, write_frames, write_video

from i2vjax import translate as translator
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, video_reader
from i2vjax.data.transforms import thermal as pictures
from i2vjax.run import outputs, padding
from i2vjax.run import translator as run_translator


@pytest.fixture
def negative():
  return stubs.make(stubs.negative)


@pytest.mark.parametrize('channels', [1, 3])
def test_folder_in_folder_out_keeps_names_size_and_length(tmp_path, negative, channels):
  clip = footage(channels=channels)
  source = write_frames(tmp_path / 'in', clip)
  summary = translator.translate(negative, str(source), tmp_path / 'out', chunk=2, **QUIET)
  result = read_frames(tmp_path / 'out')
  assert list(result) == [f'{i:03d}.png' for i in range(1, 6)]
  expected = 255 - np.broadcast_to(clip, (*clip.shape[:3], 3))
  np.testing.assert_array_equal(np.stack(list(result.values())), expected)
  assert summary['frames'] == 5
  assert summary['skipped'] == 0


def test_what_was_begun_and_not_finished_the_same_command_goes_on_with(tmp_path, negative):
  source, target = write_frames(tmp_path / 'in', footage(4)), tmp_path / 'out'
  images.write_image(source / '003.png', np.zeros((3, 3, 1), np.uint8))
  (source / '003.png').write_bytes(b'damaged')
  with pytest.raises(ValueError, match='003.png'):
    translator.translate(negative, source, target, chunk=1, **QUIET)
  assert set(read_frames(target)) <= {'001.png', '002.png'} and (target / '.unfinished').is_file()
  images.write_image(source / '003.png', footage(1)[0])
  with pytest.raises(FileExistsError, match='not empty: use --overwrite'):
    translator.translate(negative, write_frames(tmp_path / 'other', footage(4)), target, **QUIET)
  assert translator.translate(negative, source, target, **QUIET)['frames'] == 4
  assert sorted(path.name for path in target.iterdir()) == [f'00{k}.png' for k in range(1, 5)]
  with pytest.raises(FileExistsError, match='not empty: use --overwrite'):
    translator.translate(negative, source, target, **QUIET)   # it is finished


def test_sub_folders_are_clips_and_keep_their_place(tmp_path, negative):
  for name in ('one', 'two'):
    write_frames(tmp_path / 'in' / name, footage(2))
  summary = translator.translate(negative, tmp_path / 'in', tmp_path / 'out', **QUIET)
  assert summary['clips'] == 2
  assert sorted(read_frames(tmp_path / 'out')) == ['one/001.png', 'one/002.png', 'two/001.png',
                                                   'two/002.png']


def test_a_rate_where_none_is_wanted_is_refused(tmp_path, negative):
  source = write_frames(tmp_path / 'in', footage(3))
  with pytest.raises(ValueError, match='--rate is for videos'):
    translator.translate(negative, source, tmp_path / 'out', rate=9, **QUIET)
  for rate in (0, 0.0004, 1001):       # the second one is no fraction that a film can state
    with pytest.raises(ValueError, match=f'--rate={rate:g}: frames per second, from 1/1001'):
      translator.translate(negative, source, tmp_path / 'x.mkv', rate=rate, **QUIET)
  translator.translate(negative, source, tmp_path / 'slow.mkv', rate=0.001, **QUIET)
  assert video_reader.video_info(tmp_path / 'slow.mkv').seconds == pytest.approx(3000)
  translator.translate(negative, source, tmp_path / 'x.mkv', rate=9, **QUIET)
  with pytest.raises(ValueError, match='--rate is for pictures: .*x.mkv has its own times'):
    translator.translate(negative, tmp_path / 'x.mkv', tmp_path / 'y.mkv', rate=9, **QUIET)


def test_a_video_keeps_its_times_and_its_length(tmp_path, negative):
  times = np.array([0, 0.04, 0.5, 0.54])
  film = video_reader.VideoInfo('', 0, 0, 0, 25, 0.0, 3, 'uint8', '', False)
  with video_reader.VideoWriter(tmp_path / 'x.mp4') as out:
    for frame, seconds in zip(footage(4, 16, 16, 3), times, strict=True):
      out.write(frame, seconds)
    out.film = dataclasses.replace(film, seconds=1.0)      # the last frame is shown until then
  translator.translate(negative, tmp_path / 'x.mp4', tmp_path / 'y.mp4', **QUIET)
  back = [seconds for _, seconds in video_reader.read_video(tmp_path / 'y.mp4')]
  np.testing.assert_allclose(back, times, atol=2e-5)
  assert video_reader.video_info(tmp_path / 'y.mp4').seconds == pytest.approx(1.0, abs=1e-4)


def test_glob_in(tmp_path, negative):
  write_frames(tmp_path, footage(3))
  summary = translator.translate(negative, str(tmp_path / '00[12].png'), tmp_path / 'out', **QUIET)
  assert summary['frames'] == 2


def test_memory_is_carried_over_chunks_and_starts_anew_with_each_clip(tmp_path):
  run = stubs.make(stubs.counting)
  for name in ('one', 'two'):
    write_frames(tmp_path / 'in' / name, footage(5))
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', chunk=2, **QUIET)
  result = read_frames(tmp_path / 'out')
  assert [frame[0, 0, 0] for frame in result.values()] == [0, 1, 2, 3, 4] * 2


def test_memory_starts_anew_where_frame_numbers_jump(tmp_path):
  run = stubs.make(stubs.counting)
  write_frames(tmp_path / 'in', footage(5), ['01', '02', '03', '51', '52'])
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', **QUIET)
  assert [frame[0, 0, 0] for frame in read_frames(tmp_path / 'out').values()] == [0, 1, 2, 0, 1]


def test_one_program_whatever_the_length(tmp_path):
  traced = []

  def spy(model, params, model_state, carry, frames):
    traced.append(frames.shape)
    return stubs.negative(model, params, model_state, carry, frames)
  write_frames(tmp_path / 'in', footage(7))
  translator.translate(stubs.make(spy), tmp_path / 'in', tmp_path / 'out', chunk=3, **QUIET)
  assert set(traced) == {(1, 3, 20, 28, 3)}
  assert len(traced) <= 2   # the size probe and the program


def test_frames_are_padded_to_what_the_network_takes_and_cropped_back():
  run = stubs.halving_run()
  clip = footage(3, 18, 26)
  call = run_translator.compile_chunk(run)
  assert padding.padded_size(call, clip[0].shape, clip.dtype, 2) == (24, 32)
  items = [(i, frame) for i, frame in enumerate(clip)]
  results = [result for _, _, result in run_translator.translate_clip(call, items, chunk=2)]
  assert [result.shape for result in results] == [(18, 26, 3)] * 3
  padded = padding.pad(clip, (24, 32))
  np.testing.assert_array_equal(padded[:, :18, :26], clip)
  np.testing.assert_array_equal(padded[:, 18:, :26], clip[:, 16:10:-1])
  whole = [
    result for _, _, result in run_translator.translate_clip(call, enumerate(padded), chunk=2)
  ]
  np.testing.assert_array_equal(results[2], whole[2][:18, :26])


def test_a_network_that_takes_no_size_says_so():
  run = stubs.make(lambda *args: (args[-2], args[-1][:, :, ::2]))
  with pytest.raises(ValueError, match='26x18 pixels do not fit'):
    list(run_translator.translate_clip(run_translator.compile_chunk(run), enumerate(footage(1))))


def test_single_pixel_and_very_large_padding():
  np.testing.assert_array_equal(padding.pad(footage(1, 1, 1), (4, 4)),
                                np.broadcast_to(footage(1, 1, 1), (1, 4, 4, 1)))
  assert padding.pad(footage(1, 3, 3), (16, 16)).shape == (1, 16, 16, 1)


def thermal(length, level):
  ramp = np.linspace(level, level + 200, 20 * 20).reshape(1, 20, 20, 1)
  return np.repeat(ramp, length, axis=0).astype(np.uint16)


@pytest.mark.parametrize('kind', ['folder', 'video'])
def test_sixteen_bits_by_percentiles_over_the_whole_clip_as_in_training(tmp_path, kind):
  """The last frames lie far beyond the first 64, and are not cut off."""
  run = stubs.make(lambda *args: (args[-2], args[-1]))
  clip = np.concatenate([thermal(70, 7000), thermal(60, 30000)])
  place = tmp_path / ('in' if kind == 'folder' else 'in.mkv')
  if kind == 'folder':
    write_frames(place, clip)
  else:
    with video_reader.VideoWriter(place) as film:
      for frame in clip:
        film.write(frame)
  translator.translate(run, place, tmp_path / 'out', **QUIET)
  result = list(read_frames(tmp_path / 'out').values())
  low, high = pictures.value_range(clip[np.linspace(0, 129, 64).astype(int)], 'clip')
  for t in (0, 129):
    expected = np.clip((clip[t, ..., 0] - low) / (high - low), 0, 1) * 255
    np.testing.assert_allclose(result[t][..., 0], expected, atol=1)
  assert high > 30000


def test_sixteen_bits_by_fixed_limits_of_the_run(tmp_path):
  run = stubs.make(lambda *args: (args[-2], args[-1]), stubs.config(thermal_range='7000,7400'))
  write_frames(tmp_path / 'in', thermal(2, 7000))
  translator.translate(run, tmp_path / 'in', tmp_path / 'out', **QUIET)
  result = next(iter(read_frames(tmp_path / 'out').values()))
  assert result.min() == 0
  assert abs(int(result.max()) - 128) <= 1


def test_video_in_video_out_keeps_size_rate_and_length(tmp_path, negative):
  clip = footage(7, 20, 28, 3)
  source = write_video(tmp_path / 'in.mkv', clip, rate=30)
  translator.translate(negative, source, tmp_path / 'out.mkv', chunk=4, **QUIET)
  info = video_reader.video_info(tmp_path / 'out.mkv')
  assert (info.height, info.width, info.frames, info.rate) == (20, 28, 7, 30)
  result = np.stack([frame for frame, _ in video_reader.read_video(tmp_path / 'out.mkv')])
  np.testing.assert_array_equal(result, 255 - clip)


def test_uneven_times_between_frames_are_kept(tmp_path, negative):
  times = [0, 0.1, 0.15, 0.4]
  source = write_video(tmp_path / 'in.mkv', footage(4, 20, 28, 3), times=times)
  translator.translate(negative, source, tmp_path / 'out.mkv', **QUIET)
  kept = [seconds for _, seconds in video_reader.read_video(tmp_path / 'out.mkv')]
  np.testing.assert_allclose(kept, times, atol=2e-3)


def test_h264_of_odd_sides(tmp_path, negative):
  source = write_video(tmp_path / 'in.mkv', footage(3, 19, 27, 3))
  translator.translate(negative, source, tmp_path / 'out.mp4', **QUIET)
  info = video_reader.video_info(tmp_path / 'out.mp4')
  assert (info.height, info.width, info.frames, info.codec) == (19, 27, 3, 'h264')


def test_video_to_folder_numbers_the_frames(tmp_path, negative):
  source = write_video(tmp_path / 'in.mkv', footage(3, 20, 28, 3))
  translator.translate(negative, source, tmp_path / 'out', **QUIET)
  assert list(read_frames(tmp_path / 'out')) == ['000001.png', '000002.png', '000003.png']


def test_side_by_side_puts_the_source_left(tmp_path, negative):
  clip = footage(2)
  source = write_frames(tmp_path / 'in', clip)
  translator.translate(negative, source, tmp_path / 'out', side_by_side=True, **QUIET)
  first = next(iter(read_frames(tmp_path / 'out').values()))
  assert first.shape == (18, 52, 3)
  np.testing.assert_array_equal(first[:, :26], np.repeat(clip[0], 3, axis=2))
  np.testing.assert_array_equal(first[:, 26:, 0], 255 - clip[0, ..., 0])


@pytest.mark.parametrize(('shape', 'output', 'options', 'message'), [
    ((6, 16400), 'out.mp4', {}, r'out.mp4: frames of 16400x6 pixels.*name the output .mkv'),
    ((16400, 6), 'out.mov', {}, 'frames of 6x16400 pixels'),
    ((6, 8200), 'out.mp4', {'side_by_side': True}, 'frames of 16400x6 pixels'),
    ((6, 8200), 'out.mp4', {'beside': 'both.mp4'}, 'both.mp4: frames of 16400x6 pixels')])
def test_sides_that_h264_does_not_hold_are_refused_before_the_work(
    tmp_path, monkeypatch, shape, output, options, message):
  monkeypatch.chdir(tmp_path)
  calls = []
  run = stubs.make(lambda *arguments: calls.append(0) or stubs.negative(*arguments))
  with pytest.raises(UserError, match=message):
    translator.translate(run, np.zeros((2, *shape, 1), np.uint8), output, **options, **QUIET)
  assert not calls and not list(tmp_path.iterdir())


def test_long_sides_are_kept_in_mkv(tmp_path):
  frame = np.arange(6 * 16400, dtype=np.uint8).reshape(6, 16400, 1)
  with video_reader.VideoWriter(tmp_path / 'x.mkv') as writer:
    writer.write(frame)
  np.testing.assert_array_equal(next(video_reader.read_video(tmp_path / 'x.mkv'))[0], frame)


def test_fuse_has_the_brightness_of_the_source_and_the_color_of_the_result():
  source = np.full((4, 4, 1), 120, np.uint8)
  result = np.broadcast_to(np.array([90, 60, 30], np.uint8), (4, 4, 3))
  fused = outputs.compose(source, result, fuse=True).astype(float)
  np.testing.assert_allclose(fused @ [0.299, 0.587, 0.114], 120, atol=1)
  np.testing.assert_allclose(fused[0, 0] - fused[0, 0, 1], [30, 0, -30], atol=1)


def test_fuse_needs_colors(tmp_path):
  run = stubs.make(stubs.negative, stubs.config(channels_b=1))
  with pytest.raises(ValueError, match='translates to gray'):
    translator.translate(run, tmp_path, tmp_path / 'out', fuse=True)


@pytest.mark.parametrize('name', ['out.mkv', 'out'])
def test_nothing_is_overwritten_unless_asked(tmp_path, negative, name):
  source = write_frames(tmp_path / 'in', footage(2))
  translator.translate(negative, source, tmp_path / name, **QUIET)
  with pytest.raises(FileExistsError, match='--overwrite'):
    translator.translate(negative, source, tmp_path / name, **QUIET)
  translator.translate(negative, source, tmp_path / name, overwrite=True, **QUIET)


def test_the_input_is_never_overwritten(tmp_path, negative):
  source = write_frames(tmp_path / 'in', footage(2))
  with pytest.raises(ValueError, match='is the input itself'):
    translator.translate(negative, source, source, overwrite=True, **QUIET)


def test_mistakes_are_named(tmp_path, negative):
  source = write_frames(tmp_path / 'in', footage(2))
  for name, options, message in (
      ('out.png', {}, 'names one picture'), ('out.avi', {}, r'written as .*\.mkv.* name it out'),
      ('out.gif', {}, 'a folder, or a video such as out.mp4'), ('out.WEBM', {}, 'written as'),
      ('out.mp4', {'lossless': True}, r'out\.mkv'), ('out', {'chunk': 0}, 'at least 1'),
      ('out', {'pad_to': 7}, 'pad_to=7: 1 or one of 4, 8'),
      ('out', {'on_damage': 'ignore'}, "'stop' or 'skip'")):
    with pytest.raises(ValueError, match=message):
      translator.translate(negative, source, tmp_path / name, **QUIET, **options)
  with pytest.raises(FileNotFoundError, match='nowhere'):
    translator.translate(negative, tmp_path / 'nowhere', tmp_path / 'out', **QUIET)
  assert not (tmp_path / 'out').exists()


def test_several_videos_need_a_folder(tmp_path, negative):
  for name in 'ab':
    write_video(tmp_path / 'in' / f'{name}.mkv', footage(2, 20, 28, 3))
  with pytest.raises(ValueError, match='2 videos'):
    translator.translate(negative, tmp_path / 'in', tmp_path / 'out.mkv', **QUIET)
  translator.translate(negative, tmp_path / 'in', tmp_path / 'out', **QUIET)
  assert list(read_frames(tmp_path / 'out')) == ['a/000001.png', 'a/000002.png', 'b/000001.png',
                                                 'b/000002.png']


def test_an_output_below_a_file_names_that_file(tmp_path, negative):
  source = write_frames(tmp_path / 'in', footage(2))
  for name in ('in/001.png/out.mkv', 'in/001.png/out'):
    with pytest.raises(OSError, match=r'in/001\.png is a file'):
      translator.translate(negative, source, tmp_path / name, **QUIET)


def test_memory_starts_anew_with_another_size(tmp_path):
  write_frames(tmp_path / 'in', [footage(1, 16, 16)[0]] * 2 + [footage(1, 18, 30)[0]])
  translator.translate(stubs.make(stubs.counting), tmp_path / 'in', tmp_path / 'out', **QUIET)
  assert [x[0, 0, 0] for x in read_frames(tmp_path / 'out').values()] == [0, 1, 0]


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_frames_without_numbers_are_told_and_counted(tmp_path, capsys, value):
  """Frames 2 and 3 of 6, in two chunks: what is written is what it was."""
  clip = np.stack([np.full((18, 26, 1), 10 * k, np.uint8) for k in range(6)])
  run = stubs.make(stubs.without_numbers(20, 30, value=value))
  source = write_frames(tmp_path / 'in', clip)
  summary = translator.translate(run, source, tmp_path / 'out', chunk=3, **QUIET)
  assert (summary['frames'], summary['not_finite']) == (6, 2)
  said = capsys.readouterr().err
  assert said.count('warning: ') == 2
  assert 'frame 003: the networks give NaN or infinity' in said and '--checkpoint' in said
  assert f'{tmp_path / "out"}: in 2 of 6 frames' in said
  frames = np.stack(list(read_frames(tmp_path / 'out').values()))
  expected = np.repeat(255 - clip, 3, axis=-1)
  expected[2:4, 3, 4] = 0 if np.isnan(value) else 255
  np.testing.assert_array_equal(frames, expected)
  array = translator.translate_to_array(run, clip, chunk=3, **QUIET)
  np.testing.assert_array_equal(array, expected)
  assert 'the array: in 2 of 6 frames' in capsys.readouterr().err


def test_a_network_without_any_number_makes_no_film(tmp_path):
  clip = np.stack([np.full((18, 26, 1), 10 * k, np.uint8) for k in range(3)])
  run = dataclasses.replace(stubs.make(stubs.without_numbers(0, 10, 20)), weights='ema')
  source = write_frames(tmp_path / 'in', clip)
  with pytest.raises(UserError, match='in each of 3 frames: .*earlier --checkpoint, or --weights '):
    translator.translate(run, source, tmp_path / 'out.mkv', **QUIET)
  assert os.listdir(tmp_path) == ['in']
  with pytest.raises(UserError, match='in each of 3 frames'):
    translator.translate_to_array(run, clip, **QUIET)


def test_numbers_are_told_of_frames_that_share_a_chunk(tmp_path, capsys):
  """Two clips of 3 frames by 4: the frame that fills up the last chunk counts once."""
  clips = [np.stack([np.full((18, 26, 1), 10 * k, np.uint8) for k in start]) for start in
           (range(3), range(3, 6))]
  for name, clip in zip('ab', clips, strict=True):
    write_frames(tmp_path / 'in' / name, clip)
  run = stubs.make(stubs.without_numbers(50))
  run.config.compute = 'bfloat16'
  summary = translator.translate(run, tmp_path / 'in', tmp_path / 'out', chunk=4, **QUIET)
  assert (summary['frames'], summary['not_finite']) == (6, 1)
  said = capsys.readouterr().err
  assert 'frame b/003' in said and '--config.compute=float32' in said


def test_frames_with_numbers_bring_no_warning(tmp_path, negative, capsys):
  source = write_frames(tmp_path / 'in', footage(3))
  assert translator.translate(negative, source, tmp_path / 'out', **QUIET)['not_finite'] == 0
  assert 'warning' not in capsys.readouterr().err


def test_parameters_go_to_the_device_once():
  """Arrays that the program is called with are jax arrays, not host copies sent each time."""
  run = stubs.halving_run()
  run = type(run)(**{**vars(run), 'params': jax.tree.map(np.asarray, run.params)})
  call = run_translator.compile_chunk(run)
  held = call.__closure__
  assert all(isinstance(leaf, jax.Array) for cell in held
             for leaf in jax.tree.leaves(cell.cell_contents) if hasattr(leaf, 'shape'))
