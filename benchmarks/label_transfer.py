"""Segmentation networks that learn from translations, tested on real frames.

  python benchmarks/label_transfer.py --runs RUN RUN --output DIR [--train_a viper/img_cls:train]
      [--target_frames DIR --target_labels DIR --label_map label_ids] [--absent zero]

Table 4 of STC-V2V (domain adaptation): the source's labels (VIPER) are free, the target's
(Cityscapes) are not; so a network learns from translated source frames with the labels of the
source, and is tested on real target frames. Rows: each run; the source's own frames, which is what
translation must beat; and the target's training frames, if they have labels, which is the ceiling.

The paper trains a dilated residual network; ours is the small network of
`i2vjax/evaluation/scene_segmenter.py`, the same for all rows. Frames of both domains with their
labels come from the run's data. Without labels of the target there, `--target_frames` and
`--target_labels` name folders (8-bit PNGs of the same names). An example that needs no data:
two demo runs on the built-in street (docs/papers.md).
"""

import argparse
import pathlib

import numpy as np

from i2vjax import data, defaults
from i2vjax.core import class_names, files, ops
from i2vjax.core.errors import UserError
from i2vjax.data.annotations import classes, label_files
from i2vjax.data.io import output_paths
from i2vjax.data.loader import whole_clips
from i2vjax.data.sources import folders
from i2vjax.data.transforms import resize, thermal
from i2vjax.evaluation import baselines, eval_clips, scene_segmenter
from i2vjax.metrics import segmentation
from i2vjax.run import folder as run_folder
from i2vjax.run import load

SOURCE, TARGET = 'source alone', 'target itself'


def open_run(workdir, options):
  """The run in a folder, with `--train_a` in place of the frames it was trained on."""
  config = run_folder.read_config(workdir)
  if options.train_a:
    config.data.train_a = options.train_a
  return load.load(workdir, config=config)


def labeled_source(run, count):
  """Training frames of the source with labels: as they are, and as the run translates them.

  Args:
    run: load.Run. count: frames, evenly spread; 0: all.

  Returns:
    (source frames uint8 [N, H, W, C] in the channels of domain b, translations of the same shape,
    labels uint8 [N, H, W]).

  Raises:
    UserError: frames without labels.
  """
  config = run.config
  source = data.open_source(config.data, 'train', 'a')
  chosen = set(np.linspace(0, len(source) - 1, min(count or len(source), len(source))).astype(int))
  translate, parts = baselines.translated(run), []
  for clip in whole_clips.test_clips(config, 'a', 'train'):
    times = [t for t in range(len(clip.frames)) if clip.start + t in chosen]
    if not times:
      continue
    lead = clip.frames[:times[-1] + 1]   # methods that remember need what comes before
    shown = eval_clips.as_saved(lead, clip.value_range, config.data.channels_b, True)
    fake = translate(eval_clips.EvalClip(clip.name, lead, clip.value_range))
    for t in times:
      label = labels_of(clip.source.read(clip.start + t), clip.source.where(clip.start + t))
      parts.append((shown[t], fake[t], resize.resize_labels(label, lead.shape[1:3])))
  return tuple(np.stack(column) for column in zip(*parts, strict=True))


def labels_of(record, where):
  """The label of a frame, or a UserError that names the frame and what to give."""
  if 'label' not in record:
    raise UserError(f'{where} has no labels: take records with them (viper/img_cls), or scenes')
  return record['label']


def labeled_target(config, options):
  """Real test frames of the target with labels: (frames [N, H, W, C], labels [N, H, W])."""
  if not options.target_frames:
    return scene_segmenter.examples(config, 'test')
  frames = folders.open_place(defaults.data(), options.target_frames)
  maps = label_files.label_source(defaults.data(), options.target_labels)
  table, parts = classes.id_table(options.label_map), []
  for clip, found in zip(frames.clips, label_files.match(frames, maps), strict=True):
    for t, index in enumerate(found):
      if index is not None:   # Cityscapes labels one frame in 30
        frame = frames.read(clip.start + t)['frame']
        ids = label_files.read_clip(maps, [index], frame.shape[:2])[0]
        ids = classes.to_train_ids(ids, table, maps.files[index][0], True)
        size = resize.test_size(frame.shape[:2], config.data)
        shown = thermal.to_display(resize.resize_frame(frame, size)).astype(np.float32)
        shown = np.rint(ops.match_channels(shown, config.data.channels_b)).astype(np.uint8)
        parts.append((shown, resize.resize_labels(ids, size)))
  if not parts:
    raise UserError(f'{options.target_labels} holds no labels of {options.target_frames}')
  return tuple(np.stack(column) for column in zip(*parts, strict=True))


def score(params, frames, truth, options):
  """Scores of a network on real frames."""
  total = segmentation.init(len(class_names.CITYSCAPES))
  total = segmentation.update(total, truth, scene_segmenter.predict(params, frames))
  names = class_names.class_list(options.classes) if options.classes else None
  return segmentation.result(total, class_names.CITYSCAPES, names, absent=options.absent)


def rows(runs, options, chosen):
  """{row: (frames, labels) to learn from}, one after the other in memory."""
  for name, run in runs.items():
    shown, fake, truth = labeled_source(run, chosen['frames'])
    if run is next(iter(runs.values())):
      yield SOURCE, shown, truth
    yield name, fake, truth
  if not options.target_frames:
    config = next(iter(runs.values())).config
    yield TARGET, *scene_segmenter.examples(config, 'train', chosen['frames'])


def markdown(table):
  """The table as Markdown."""
  lines = ['| learned from | mIoU | fwIoU | pixel accuracy |', '|---|---|---|---|']
  for name, scores in table.items():
    cells = [f'{scores[key]:.3f}' for key in ('miou', 'fwiou', 'pixel_accuracy')]
    lines.append(f'| {name} | {" | ".join(cells)} |')
  return '\n'.join(lines) + '\n'


def parser():
  """The command line."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--runs', nargs='+', required=True, help='run folders, on the same data')
  parser.add_argument('--output', type=pathlib.Path, required=True)
  parser.add_argument('--train_a', default='', help='source frames with labels: data.train_a')
  parser.add_argument('--target_frames', default='', help='folder of real frames to test on')
  parser.add_argument('--target_labels', default='', help='folder of their class maps')
  parser.add_argument('--label_map', default='train_ids', help='train_ids, label_ids, 7:0,8:1')
  parser.add_argument('--classes', default='', help='names, or a list such as viper; all 19')
  parser.add_argument('--absent', default='ignore', choices=('ignore', 'zero'))
  parser.add_argument('--frames', type=int, default=1024, help='to learn from; 0: all')
  parser.add_argument('--steps', type=int, default=1000)
  parser.add_argument('--seed', type=int, default=0)
  parser.add_argument('--overwrite', action='store_true')
  return parser


def main(arguments=None):
  """Parse the command line, train a network for each row, write table.md and table.json."""
  options = parser().parse_args(arguments)
  if bool(options.target_frames) != bool(options.target_labels):
    raise UserError('--target_frames and --target_labels go together')
  if (options.output / 'table.json').exists() and not options.overwrite:
    raise UserError(f'{options.output} holds a table already: use --overwrite, or another --output')
  output_paths.check_writable(options.output)
  chosen = scene_segmenter.SETTINGS | {name: getattr(options, name)
                                       for name in ('frames', 'steps', 'seed')}
  runs = {pathlib.Path(workdir).name: open_run(workdir, options) for workdir in options.runs}
  frames, truth = labeled_target(next(iter(runs.values())).config, options)
  table = {}
  for name, examples, labels in rows(runs, options, chosen):
    params, _ = scene_segmenter.fit(examples, labels, chosen)
    table[name] = score(params, frames, truth, options)
    print(f'{name}: mIoU {table[name]["miou"]:.3f} on {len(frames)} real frames', flush=True)
  files.save_json(options.output / 'table.json', {'rows': table, 'settings': chosen})
  files.save_text(options.output / 'table.md', markdown(table))
  print(markdown(table))


if __name__ == '__main__':
  main()
