"""Table of the structure descriptor on aligned, shifted and unrelated pairs.

  python benchmarks/descriptor_table.py --infrared FOLDER --visible FOLDER [--pairs 10]

Both folders hold the same moments under the same names. The table has the cross-similarity loss (a
distance: 0 is best) of aligned infrared/visible crops, of crops shifted against each other to the
right and down, and of crops of different clips; in parentheses the share of trials in which the
aligned pair is closer. The loss is useful for training only where that share is near 1.
"""

import argparse
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from i2vjax import defaults
from i2vjax.data.sources import folders
from i2vjax.losses import descriptor, similarity

SIDE, WINDOWS = 7, 64   # local windows, as in configs/cptrans.py


def read_pairs(infrared, visible, count):
  """`count` pairs evenly spread over two folders: (clip, infrared, visible), [H, W, 3] in [-1, 1].

  If there is only one clip, its frames are taken as unrelated images, one clip each.
  """
  data = defaults.data()
  data.update(train_a=str(infrared), train_b=str(visible))
  sources = [folders.open_split(data, 'train', domain) for domain in ('a', 'b')]
  if len(sources[0]) != len(sources[1]):
    raise ValueError(f'{infrared} has {len(sources[0])} frames, {visible} {len(sources[1])}: the '
                     'folders must hold the same moments')
  picks = np.unique(np.linspace(0, len(sources[0]) - 1, count).round().astype(int))
  lengths = [clip.length for clip in sources[0].clips]
  clips = np.repeat(np.arange(len(lengths)), lengths)
  if len(lengths) == 1:
    clips = np.arange(len(clips))
  pairs = []
  for i in picks:
    frames = [to_float(source.read(int(i))['frame']) for source in sources]
    pairs.append((clips[i], *frames))
  return pairs


def to_float(frame):
  """uint8 or uint16 [H, W, 1 or 3] -> float32 [H, W, 3] in [-1, 1]."""
  top = np.iinfo(frame.dtype).max
  return np.repeat(frame, 3 // frame.shape[2], axis=2).astype(np.float32) / top * 2 - 1


def distances(lss, side=SIDE):
  """Function (crop, crop) -> (global, local) loss, both crops [H, W, 3]."""
  @jax.jit
  def measure(x, y):
    S, T = descriptor.maps(x[None], **lss), descriptor.maps(y[None], **lss)
    places = similarity.random_windows(jax.random.key(0), S[0].shape[1:3], WINDOWS, side)
    similar = similarity.cross_similarity
    return jnp.stack([similar(descriptor.tokens(S), descriptor.tokens(T)),
                      similar(descriptor.window_tokens(S, places),
                              descriptor.window_tokens(T, places))])
  return lambda x, y: np.asarray(measure(x, y))


def measure_all(pairs, crop, shifts, measure):
  """{column: [trials, pairs, (global, local)]}, nan where a pair has fewer trials."""
  height, width = crop
  H, W = pairs[0][1].shape[:2]
  top, left = (H - height - max(shifts)) // 2, (W - width - max(shifts)) // 2
  if top < 0 or left < 0:
    raise ValueError(f'frames of {H} x {W} pixels leave no room to shift a crop of {height} x '
                     f'{width} by {max(shifts)}: choose a smaller --crop')

  def cut(frame, down=0, right=0):
    return frame[top + down:top + down + height, left + right:left + right + width]

  def unrelated(clip, x, other, y):
    return np.full(2, np.nan) if clip == other else measure(cut(x), cut(y))
  table = {'aligned': [[measure(cut(x), cut(y)) for _, x, y in pairs]]}
  for shift in shifts:
    right = [measure(cut(x), cut(y, 0, shift)) for _, x, y in pairs]
    down = [measure(cut(x), cut(y, shift, 0)) for _, x, y in pairs]
    table[f'{shift} px'] = [right, down]
  table['other clip'] = []
  for other, _, y in pairs:
    table['other clip'].append([unrelated(clip, x, other, y) for clip, x, _ in pairs])
  return {name: np.array(values) for name, values in table.items()}


def to_text(table):
  """The table as text: mean loss, and the share of trials in which the aligned pair is closer."""
  lines = ['| term | ' + ' | '.join(table) + ' |', '|---' * (len(table) + 1) + '|']
  for term, name in enumerate(('global', 'local')):
    aligned = table['aligned'][..., term]
    cells = [f'{np.nanmean(aligned):.3f}']
    for values in list(table.values())[1:]:
      measured = np.isfinite(values[..., term])
      share = np.mean((aligned < values[..., term])[measured])
      cells.append(f'{np.nanmean(values[..., term]):.3f} ({share:.2f})')
    lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
  return '\n'.join(lines)


def main():
  """Parse the command line and print the table."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--infrared', type=pathlib.Path, required=True)
  parser.add_argument('--visible', type=pathlib.Path, required=True)
  parser.add_argument('--pairs', type=int, default=10)
  parser.add_argument('--crop', type=int, nargs=2, default=(128, 192), help='height and width')
  parser.add_argument('--shifts', type=int, nargs='+', default=(8, 16, 32))
  parser.add_argument('--radii', type=int, nargs='+', default=(2, 4, 8), help='for 256 pixels')
  parser.add_argument('--cell', type=int, default=16, help='for 256 pixels')
  parser.add_argument('--floor', type=float, default=0.01)
  options = parser.parse_args()
  lss = {'radii': tuple(options.radii), 'cell': options.cell, 'floor': options.floor}
  pairs = read_pairs(options.infrared, options.visible, options.pairs)
  print(f'{len(pairs)} pairs, crops of {options.crop[0]} x {options.crop[1]} pixels')
  print(to_text(measure_all(pairs, options.crop, options.shifts, distances(lss))))


if __name__ == '__main__':
  main()
