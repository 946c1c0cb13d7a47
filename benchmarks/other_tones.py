"""Scores of test clips as other thermal cameras would show them.

  python benchmarks/other_tones.py --workdirs starter RUN [--clips 8] [--draws 4]

Each test clip of the built-in street is translated as it is, and under `--draws` tones that
`data.tone_jitter` draws (gain, curve, local contrast, shading; all frames of a clip alike, the
same for every run). Prints PSNR and SSIM beside the truth, means over frames, which are drawn at
the size of the run's crop (`evaluate` draws them at `load_size` and resizes).
"""

import argparse

import numpy as np
import tqdm

from i2vjax.core.errors import UserError
from i2vjax.data import scenes
from i2vjax.data.loader import tone_jitter
from i2vjax.metrics import psnr_ssim
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
  sources = [scenes.open_split(data, 'test', domain) for domain in 'ab']
  return [tuple(np.stack([source.read(start + t)['frame'] for t in range(length)])
                for source in sources)
          for _, start, length in sources[0].clips[:count]]


def under_tones(infrared, clip, draw):
  """A clip [T, H, W, 1] under the tones of one draw."""
  return tone_jitter.jitter(infrared, np.float32([0, 255]), np.random.default_rng((clip, draw)))


def score(call, infrared, truth):
  """(PSNR, SSIM) of the translation of a clip, means over its frames."""
  results = translator.translate_clip(call, ((None, frame) for frame in infrared), None, 8,
                                      (0, 255))
  fake = np.stack([frame for _, _, frame in results]).astype(np.float32)
  truth = truth.astype(np.float32)
  return (float(psnr_ssim.psnr(fake, truth, 255).mean()),
          float(psnr_ssim.ssim(fake, truth, 255).mean()))


def table(run, clips, draws):
  """{'as it is' | 'under other tones': (PSNR, SSIM)} of a load.Run."""
  call = translator.compile_chunk(run, True)
  found = {'as it is': [], 'under other tones': []}
  for k, (infrared, truth) in enumerate(tqdm.tqdm(clips, unit='clip')):
    found['as it is'].append(score(call, infrared, truth))
    found['under other tones'] += [score(call, under_tones(infrared, k, draw), truth)
                                   for draw in range(draws)]
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
