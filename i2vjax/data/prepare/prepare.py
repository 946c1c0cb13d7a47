"""The prepare command: own footage as frames, published sets as records.

Clips go to train or test as a whole. Everything is written under a temporary name beside its place
and renamed when it is complete.
"""

import collections
import os
import pathlib
import shutil

import numpy as np
import tqdm
from ml_collections import ConfigDict

from i2vjax.core import files
from i2vjax.core.errors import UserError
from i2vjax.data.io import images, output_paths
from i2vjax.data.prepare import ingest, published
from i2vjax.data.prepare.ingest import Recording
from i2vjax.data.sources import clip_splitting, listing
from i2vjax.data.sources.records import DATA_DIR
from i2vjax.data.transforms import resize


def records(dataset: str, manual_dir: str, data_dir: str | None = None, *,
            overwrite: bool = False, show: bool = True,
            limit: int = 0) -> tuple[pathlib.Path, dict[str, int]]:
  """A published set as TFDS records; `published.build` with a default place.

  Returns:
    (folder of the records, {split: frames}).
  """
  place = data_dir or os.environ.get('TFDS_DATA_DIR') or DATA_DIR
  return published.build(dataset, manual_dir, place, overwrite, show, limit)


def footage(input: str, output: str, data: ConfigDict, *, domain: str = '',
            size: tuple[int, int] | None = None, test_share: float = 0.0,
            test_clips: tuple[str, ...] = (), overwrite: bool = False, on_damage: str = 'stop',
            show: bool = True, deinterlace: bool = False,
            as_drawn: bool = False) -> dict[str, tuple[int, int]]:
  """Write videos, strips, TIFF sequences or folders of frames as folders of frames, one per clip.

  Frames that need no change are copied byte for byte, all others become PNG of 8 or 16 bits:
  radiometric JPEG of 16, round(100 * kelvin).

  Args:
    input: video, TIFF of several pages, folder or glob of any of them.
    output: folder to be written.
    data: config.data: `frames_per_image` (strips), `clip_regex` and `max_gap` (flat folders).
    domain: 'a' | 'b': write OUTPUT/trainA and testA (B), as `data.root` reads them. '': OUTPUT
      itself, or OUTPUT/train and test where there are both.
    size: (height, width) of the frames; None: as they are.
    test_share: share of the clips for testing, spread evenly over their order; whole clips only.
    test_clips: or the names of these clips.
    overwrite: replace folders that hold pictures and nothing else.
    on_damage: 'stop' at a frame that cannot be read, or 'skip' it.
    deinterlace: make whole frames of the half pictures of interlaced videos.
    as_drawn: of radiometric JPEG the 8-bit picture that it shows.

  Returns:
    {folder: (clips, frames)}.

  Raises:
    UserError: a mistake in the arguments, a damaged frame, sizes that differ inside a clip, two
      clips of one name, an output that overlaps the input.
    FileExistsError: the output is there. FileNotFoundError: no input. OSError: no room.
  """
  output_paths.check_folder_name(output)
  if domain not in ('', 'a', 'b'):
    raise UserError(f'--domain={domain}: a (infrared) or b (visible)')
  data = clip_splitting.of_domain(data, domain)
  recordings = ingest.find_recordings(input, data, on_damage, show, deinterlace, as_drawn)
  _check_names(input, recordings)
  recordings_of = split_recordings(recordings, test_share, test_clips)
  output = files.expanded(output).absolute()
  has_test = bool(test_share or test_clips)
  targets = {split: target_folder(output, split, domain, has_test)
             for split in ('train', 'test') if recordings_of[split]}
  _check_targets(input, output, targets.values(), overwrite)
  try:
    return _write_all(recordings, recordings_of, targets, output, size, show)
  except OSError as error:
    if not files.disk_full(error):
      raise
    raise files.disk_full_error(output, 'nothing of it is left', error) from error


def _write_all(recordings, recordings_of, targets, output, size, show):
  written = {}
  parent = output.parent if output in targets.values() else output
  with output_paths.scratch(parent) as part, _progress_bar(recordings, show) as bar:
    for split, target in targets.items():
      flat = len(recordings) == 1 and target == output   # a single clip needs no sub-folder
      counts = []
      for recording in recordings_of[split]:
        folder = output_paths.inside(part / target.name, '' if flat else recording.name)
        counts.append(write_recording(recording, folder, size, bar))
      written[str(target)] = len(counts), sum(counts)
    files.put_all_in_place(part, parent)
  return written


def _check_names(input, recordings):
  listing.check_clip_names(
      (recording.name for recording in recordings),
      lambda name, most: f'{input} holds {most} clips of the name {name}',
      ' (what is cut from a folder x becomes x_000, x_001 ...; a strip has the name of its file): '
      'rename a folder or file, or prepare them one by one')


def _check_targets(input, output, targets, overwrite):
  """Refuse, before any work, what could not be written or would destroy something."""
  for target in targets:
    output_paths.check_apart(input, target)
    output_paths.check_free(target, overwrite)
    output_paths.check_replaceable(target, images.is_image)
  output_paths.check_writable(output)


def _progress_bar(recordings, show):
  count = sum(recording.count or 0 for recording in recordings)
  return tqdm.tqdm(total=count or None, unit='frame', disable=None if show else True,
                   dynamic_ncols=True)


def target_folder(output: pathlib.Path, split: str, domain: str, has_test: bool) -> pathlib.Path:
  """Folder of one split."""
  if domain:
    return output / f'{split}{domain.upper()}'
  return output / split if has_test else output


# ---- train and test


def split_recordings(recordings: list[Recording], share: float = 0.0,
                     names: tuple[str, ...] = ()) -> dict[str, list[Recording]]:
  """{'train', 'test': recordings}; each (and strips of one folder together) in one split.

  The test clips are spread evenly over the order of the names, so that the same names are chosen
  in both domains of paired footage.
  """
  if not 0 <= share <= 1:
    raise UserError(f'--test_share={share:g}: a share of the clips, from 0 to 1')
  if share and names:
    raise UserError('--test_share and --test_clips both say which clips are for testing: give one')
  units = list(dict.fromkeys(recording.unit for recording in recordings))
  test_units = _named_units(recordings, names) if names else _spread_units(units, share)
  if share < 1 and test_units and len(test_units) == len(units):
    raise UserError(f'these {len(recordings)} clips are one recording, which cannot be both '
                     'trained on and tested: a split goes by clips, never by frames. Give footage '
                     'of several clips (--config.data.clip_regex or --config.data.max_gap cut flat '
                     'folders), or --test_share=1 for other footage')
  splits = collections.defaultdict(list)
  for recording in recordings:
    splits['test' if recording.unit in test_units else 'train'].append(recording)
  return {'train': splits['train'], 'test': splits['test']}


def _named_units(recordings, names):
  """Units of the recordings of these names; refuses a name that none has."""
  existing = [recording.name for recording in recordings]
  missing = [name for name in names if name not in existing]
  if missing:
    raise UserError(f'--test_clips: there is no clip {missing[0]}, but {", ".join(existing[:12])}'
                     f'{" ..." if len(existing) > 12 else ""}')
  return {recording.unit for recording in recordings if recording.name in names}


def _spread_units(units, share):
  """A share of the units, at least one, spread evenly over their order; none for a share of 0."""
  if not share:
    return set()
  count = max(1, round(share * len(units)))
  return {units[int((k + 0.5) * len(units) / count)] for k in range(count)}


# ---- writing


def write_recording(recording: Recording, folder: pathlib.Path, size: tuple[int, int] | None,
                    bar: tqdm.tqdm) -> int:
  """Write the frames of a recording; returns their number."""
  count, first = 0, None
  folder.mkdir(parents=True, exist_ok=True)
  for where, frame, name, file in recording.read():
    first = first or (where, frame.shape, frame.dtype)
    _check_same_kind(first, where, frame)
    if file and (size is None or frame.shape[:2] == size):
      ending = pathlib.Path(file).suffix
      shutil.copyfile(file, output_paths.inside(folder, f'{name}{ending}'))
    else:
      frame = resize.resize_frame(frame, size) if size else frame
      images.write_image(output_paths.inside(folder, f'{name}.png'), frame)
    count += 1
    bar.update()
  if not count:
    raise UserError(f'clip {recording.name}: none of its frames can be read')
  return count


def _check_same_kind(first: tuple, where: str, frame: np.ndarray):
  """Refuse a frame whose size or type differs from the first, (where, shape, dtype)."""
  first_where, shape, dtype = first
  if frame.shape[:2] != shape[:2]:
    raise UserError(f'{where}: {frame.shape[1]}x{frame.shape[0]} pixels, but {first_where} has '
                     f'{shape[1]}x{shape[0]}. The frames of a clip must have one size; give '
                     f'clips folders of their own, or name them with --config.data.clip_regex')
  if frame.dtype != dtype:
    raise UserError(f'{where} holds {frame.dtype} values, but {first_where} {dtype}. Convert them '
                     f'to one kind.')
