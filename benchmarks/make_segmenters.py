"""Makes the segmentation networks of the package, which score the street.

  python benchmarks/make_segmenters.py [--output i2vjax/evaluation/segmenters]

One for each size at which demos see the street, trained as `evaluate` trains its own, from the
street and its true labels alone. Those of the cache folder are taken as they are. All scores that
they gave must be measured again where they change: docs/results.md, docs/best.md, README.md.
"""

import argparse
import pathlib
import shutil

from i2vjax.cli import parse
from i2vjax.core import files
from i2vjax.evaluation import scene_segmenter

STREETS = {   # name: a config that sees it
    'street-64px': 'configs/stc.py:demo',
    'street-72px': 'configs/best.py:demo',
    'street-144px': 'configs/best.py:street',
}


def make(output):
  """Write NAME-DIGEST.npz for each of STREETS that is not there; {name: (file, info)}."""
  output.mkdir(parents=True, exist_ok=True)
  made = {}
  for name, config in STREETS.items():
    config = parse.row_config([f'--config={config}'])
    path = output / f'{name}-{scene_segmenter.digest(config)}.npz'
    if not path.exists():
      _, info = scene_segmenter.train_or_load(config)
      files.save_atomic(path, lambda part, file=info['file']: shutil.copyfile(file, part))
    made[name] = path, scene_segmenter.load(path)[1]
  return made


def main():
  """Parse the command line and write."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--output', type=pathlib.Path, default=scene_segmenter.PACKAGED)
  for path, info in make(parser.parse_args().output).values():
    print(f'{path.name}: {path.stat().st_size:,} bytes, mIoU of the true frames '
          f'{info["miou"]:.3f}, of small classes {info["miou_small"]:.3f}')


if __name__ == '__main__':
  main()
