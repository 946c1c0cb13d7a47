"""Scores of test clips as other thermal cameras would show them.

  python benchmarks/other_tones.py --workdirs starter RUN [--clips 8] [--draws 4]

Each test clip of the built-in street is translated as it is, and under `--draws` tones that
`data.tone_jitter` draws (gain, curve, local contrast, shading; all frames of a clip alike, the
same for every run). Prints PSNR and SSIM beside the truth, means over frames, which are drawn at
the size of the run's crop (`evaluate` draws them at `load_size` and resizes).
"""

import argparse

import numpy as np
import starter_clip
import tqdm

from i2vjax.core.errors import UserError
from i2vjax.data.loader import tone_jitter
from i2vjax.run import load, translator


def read_clips(data, count):
  """[(infrared [T, H, W, 1], daylight [T, H, W, 3])] uint8 of the first test clips, crop-sized.

  Raises:
    UserError: the run does not translate the 8-bit infrared of the built-in street.
  """
  if (data.source, data.direction, data.scenes.thermal_bits) != ('scenes', 'a2b', 8):
    raise UserError('runs on the built-in street are asked for: 8 bits, infrared to daylight')
  data = data.copy_and_resolve_references()
  data.scenes.size = data.crop_size
  data.scenes.test_clips = min(count, data.scenes.test_clips)
  return [tuple(starter_clip.read_clip(domain, data, clip) for domain in 'ab')
          for clip in range(data.scenes.test_clips)]


def under_tones(infrared, clip, draw):
  """A clip [T, H, W, 1] under the tones of one draw."""
  return tone_jitter.jitter(infrared, np.float32([0, 255]), np.random.default_rng((clip, draw)))


def table(run, clips, draws):
  """{'as it is' | 'under other tones': (PSNR, SSIM)} of a load.Run."""
  call = translator.compile_chunk(run, True)
  found = {'as it is': [], 'under other tones': []}
  for k, (infrared, truth) in enumerate(tqdm.tqdm(clips, unit='clip')):
    tones = [under_tones(infrared, k, draw) for draw in range(draws)]
    for name, versions in (('as it is', [infrared]), ('under other tones', tones)):
      found[name] += [starter_clip.score(starter_clip.translate(call, version), truth)
                      for version in versions]
  return {name: np.mean(scores, axis=0) for name, scores in found.items()}


def main():
  """Parse the command line, translate, print."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--workdirs', nargs='+', default=['starter'])
  parser.add_argument('--clips', type=int, default=8)
  parser.add_argument('--draws', type=int, default=4)
  options = parser.parse_args()
  print('| run | infrared | PSNR (dB) | SSIM |\n|---|---|---|---|')
  for workdir in options.workdirs:
    run = load.load(workdir)
    for name, (psnr, ssim) in table(run, read_clips(run.config.data, options.clips),
                                    options.draws).items():
      print(f'| {workdir} | {name} | {psnr:.2f} | {ssim:.3f} |', flush=True)


if __name__ == '__main__':
  main()
