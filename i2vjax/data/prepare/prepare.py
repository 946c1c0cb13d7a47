"""Footage people have, made ready for training.

Videos and strips become folders of frames, clips go to train or test, published sets become TFDS
records. Everything is written beside its place and renamed when it is whole.
"""

import collections
import os
import pathlib
import shutil

import tqdm

from i2vjax.core.errors import UserError
from i2vjax.data.io import images, output_paths
from i2vjax.data.prepare import ingest, published
from i2vjax.data.sources import records as tfds_source
from i2vjax.data.transforms import resize


def records(dataset, manual_dir, data_dir=None, *, overwrite=False, show=True, limit=0):
  """A published set as TFDS records; `published.build` with a default place.

  Returns:
    (folder of the records, {split: frames}).
  """
  place = data_dir or os.environ.get('TFDS_DATA_DIR') or tfds_source.DATA_DIR
  return published.build(dataset, manual_dir, place, overwrite, show, limit)


def footage(input, output, data, *, domain='', size=None, test_share=0.0, test_clips=(),
            overwrite=False, on_damage='stop', show=True):
  """Write videos, strips, TIFF sequences or folders of frames as folders of frames, one per clip.

  Frames that need no change are copied byte for byte, all others become PNG of 8 or 16 bits.

  Args:
    input: video, TIFF of several pages, folder or glob of any of them.
    output: folder to be made.
    data: config.data: `frames_per_image` (strips), `clip_regex` and `max_gap` (flat folders).
    domain: 'a' | 'b': write OUTPUT/trainA and testA (B), as `data.root` reads them. '': OUTPUT
      itself, or OUTPUT/train and test where clips are shared out.
    size: (height, width) of the frames; None: as they are.
    test_share: share of the clips for testing, spread evenly over their order; whole clips only.
    test_clips: or the names of these clips.
    overwrite: replace folders that hold pictures and nothing else.
    on_damage: 'stop' at a frame that cannot be read, or 'skip' it.

  Returns:
    {folder: (clips, frames)}.

  Raises:
    ValueError: a mistake in the arguments, a damaged frame, sizes that differ inside a clip, an
      output that overlaps the input.
    FileExistsError: the output is there. FileNotFoundError: no input. OSError: no room.
  """
  if domain not in ('', 'a', 'b'):
    raise UserError(f'--domain={domain}: a (infrared) or b (visible)')
  clips = ingest.find_clips(input, data, on_damage, show)
  shared = share_out(clips, test_share, test_clips)
  output = pathlib.Path(output).expanduser().absolute()
  targets = {split: place_of(output, split, domain, bool(test_share or test_clips))
             for split in ('train', 'test') if shared[split]}
  for target in targets.values():
    output_paths.check_apart(input, target)
    output_paths.check_free(target, overwrite)
    output_paths.check_replaceable(target, images.is_image)
  output_paths.check_writable(output)
  count = sum(clip.count or 0 for clip in clips)
  done = {}
  with (
    output_paths.scratch(output.parent if output in targets.values() else output) as part,
    tqdm.tqdm(
      total=count or None, unit='frame', disable=None if show else True, dynamic_ncols=True
    ) as bar,
  ):
    for split, target in targets.items():
      alone = len(clips) == 1 and target == output
      written = [write_clip(clip, part / split / ('' if alone else clip.name), size, bar)
                 for clip in shared[split]]
      done[str(target)] = len(written), sum(written)
    for split, target in targets.items():
      output_paths.put(part / split, target, part)
  return done


def place_of(output, split, domain, shared):
  """Folder of one split."""
  if domain:
    return output / f'{split}{domain.upper()}'
  return output / split if shared else output


# ---- train and test -----------------------------------------------------------------------------


def share_out(clips, share=0.0, names=()):
  """{'train', 'test': clips}, every clip (and strips of one folder together) on one side.

  The test clips are spread evenly over the order of the names, so that the same names are chosen
  in both domains of paired footage.
  """
  if not 0 <= share <= 1:
    raise UserError(f'--test_share={share:g}: a share of the clips, from 0 to 1')
  if share and names:
    raise UserError('--test_share and --test_clips both say which clips are for testing: give one')
  units = list(dict.fromkeys(clip.unit for clip in clips))
  if names:
    known = [clip.name for clip in clips]
    lost = [name for name in names if name not in known]
    if lost:
      raise UserError(f'--test_clips: there is no clip {lost[0]}, but {", ".join(known[:12])}'
                       f'{" ..." if len(known) > 12 else ""}')
    chosen = {clip.unit for clip in clips if clip.name in names}
  else:
    chosen = set(_spread(units, share))
  if share < 1 and chosen and len(chosen) == len(units):
    raise UserError(f'these {len(clips)} clips are one recording, which cannot be both trained on '
                     'and tested: a split goes by clips, never by frames. Give footage of several '
                     'clips (--config.data.clip_regex or --config.data.max_gap cut flat folders), '
                     'or --test_share=1 for other footage')
  sides = collections.defaultdict(list)
  for clip in clips:
    sides['test' if clip.unit in chosen else 'train'].append(clip)
  return {side: sides[side] for side in ('train', 'test')}


def _spread(units, share):
  count = max(1, round(share * len(units))) if share else 0
  return [units[int((k + 0.5) * len(units) / count)] for k in range(count)]


# ---- writing ------------------------------------------------------------------------------------


def write_clip(clip, folder, size, bar):
  """Write the frames of a clip; returns their number."""
  count, kind = 0, None
  folder.mkdir(parents=True, exist_ok=True)
  for where, frame, name, file in clip.read():
    kind = kind or (where, frame.shape, frame.dtype)
    _same_kind(kind, where, frame)
    if file and (size is None or frame.shape[:2] == size):
      shutil.copyfile(file, folder / pathlib.Path(file).name)
    else:
      frame = resize.resize_frame(frame, size) if size else frame
      images.write_image(folder / f'{name}.png', frame)
    count += 1
    bar.update()
  return count


def _same_kind(kind, where, frame):
  first, shape, dtype = kind
  if frame.shape[:2] != shape[:2]:
    raise UserError(f'{where}: {frame.shape[1]}x{frame.shape[0]} pixels, but {first} has '
                     f'{shape[1]}x{shape[0]}. The frames of a clip must have one size; give '
                     f'clips folders of their own, or name them with --config.data.clip_regex')
  if frame.dtype != dtype:
    raise UserError(f'{where} holds {frame.dtype} values, but {first} {dtype}. Convert them to '
                     f'one kind.')
