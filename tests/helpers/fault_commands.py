"""Commands that are killed at planned moments, and what may be seen of that.

By hand: python tests/helpers/fault_commands.py --kills 20 [NAME ...]
"""

import collections
import functools
import hashlib
import http.server
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading

import fault_tools
from fault_server import ROOT, Server

from i2vjax.data.io import images, video_reader

FOREIGN = 'mine.txt'   # a file of the user beside the results
BAD = ('half written', 'foreign lost', 'not finished', 'differs', 'left over')
OUTCOMES = ('killed', 'was done', *BAD)


class Command:
  """A command, what it reads, and the moments at which it is killed.

  Attributes:
    arguments: folder that it may write to -> command line.
    moments: {name of fault_server.moments: number of its calls}.
    seconds: it takes about so long; kills at any time fall into them.
    changing: names of files whose bytes differ from one time to the next (times, progress).
  """

  def __init__(self, arguments, moments, seconds=3.0, changing=()):
    self.arguments, self.moments, self.seconds = arguments, moments, seconds
    self.changing = changing


def commands(run, footage, weights_url):
  """{name: Command} on a trained run and its footage."""
  clip, both = footage / 'test_ir' / 'clip0', footage / 'train_vis'
  show = '--show=false'
  config = f'{ROOT}/tests/helpers/fault_config.py'
  row = ['--config.data.source=folders', f'--config.data.root={footage}']
  return {
      'translate to a folder': Command(
          lambda out: ['translate', '--workdir', run, '--input', clip, '--output', out / 'frames',
                       show], {'picture': 4, 'file': 5, 'clip': 1}),
      'translate to a video': Command(
          lambda out: ['translate', '--workdir', run, '--input', clip, '--output',
                       out / 'film.mp4', '--rate=10', show], {'clip': 1, 'film': 4}),
      'translate a split': Command(
          lambda out: ['translate', '--workdir', run, '--split=test', '--with_truth', '--output',
                       out / 'split', show], {'picture': 12, 'file': 13}),
      'evaluate': Command(
          lambda out: ['evaluate', '--workdir', run, '--output', out / 'report',
                       '--config.eval.metrics=psnr', show], {'rows': 1, 'file': 4}, 6.0,
          ('scores.json', 'index.html')),
      'prepare': Command(
          lambda out: ['prepare', '--input', both, '--output', out / 'prepared', '--domain=b',
                       '--test_share=0.5', '--size=30x20', show], {'picture': 8, 'place': 2}),
      'export': Command(
          lambda out: ['export', '--workdir', run, '--output', out / 'export'],
          {'export': 1, 'read back': 1}, 4.0, ('params',)),
      'fetch': Command(
          lambda out: ['fetch', 'vgg19', '--url', weights_url,
                       f'--config.pretrained_dir={out / "weights"}', show],
          {'download': 1, 'accept': 1}, 2.0),
      'compare': Command(
          lambda out: ['compare', '--output', out / 'table', '--configs', config, '--seeds=0', *row,
                       '--config.eval.metrics=psnr', '--config.log.tensorboard=false', show],
          {'child': 2, 'table': 3}, 25.0,
          ('scores.json', 'index.html', 'table.json', 'table.md', 'checkpoints', 'metrics.jsonl',
           'pictures.npz')),
  }


def plans(command, count, seed):
  """So many kills: a third at any time, the others at the command's own moments."""
  rng, made = random.Random(seed), []
  for k in range(count):
    if k % 3 == 0:
      made.append({'at': 'start', 'count': 1, 'delay': rng.uniform(0, command.seconds)})
    else:
      name = rng.choice(sorted(command.moments))
      made.append({'at': name, 'count': rng.randint(1, command.moments[name]),
                   'delay': rng.choice((0.0, rng.uniform(0, 0.05)))})
  return made


# ---- what is there


def contents(folder, changing=()):
  """{path: hash} of all files that are seen (hidden ones are nobody's result).

  Of a file, and of all in a folder, that is named in `changing`, only that it is there.
  """
  found = {}
  for path in sorted(folder.rglob('*')):
    parts = path.relative_to(folder).parts
    if path.is_file() and not any(part.startswith('.') for part in parts):
      named = next((k for k, part in enumerate(parts) if part in changing), None)
      name = '/'.join(parts if named is None else parts[:named + 1])
      found[name] = named is None and hashlib.sha256(path.read_bytes()).hexdigest()
  return found


def half_written(folder):
  """Seen files that cannot be read, or are of another kind than their name says."""
  broken = []
  for name in contents(folder):
    path = folder / name
    try:
      if images.is_image(path):
        images.read_image(path)
      elif video_reader.is_video(path):
        assert list(video_reader.read_video(path))
      elif path.suffix == '.json':
        json.loads(path.read_text())
    except Exception as error:
      broken.append(f'{name}: {error}')
  return broken


def campaign(server, folder, command, count, seed=0, say=print):
  """Kill a command at so many moments; after each the same command has to finish.

  Returns:
    Counter of 'killed', 'was done' (of the killed, those whose result was whole), 'ended before',
    'half written', 'foreign lost', 'not finished', 'differs', 'left over'.
  """
  found = collections.Counter(dict.fromkeys(OUTCOMES, 0))
  log = folder / 'said.txt'
  place = folder / 'place'   # one path for all: some results tell where they are

  def begin():
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / FOREIGN).write_text('foreign')
  begin()
  code, said = server.run(command.arguments(place), log)
  assert code == 0, said
  whole = contents(place, command.changing)
  for plan in plans(command, count, seed):
    begin()
    code, said = server.run(command.arguments(place), log, plan)
    if code == 0:
      found['ended before'] += 1
      continue
    found['killed' if code == -9 else f'code {code}'] += 1
    broken = half_written(place)
    found['half written'] += bool(broken)
    code, again = server.run(command.arguments(place), log)
    now = contents(place, command.changing)
    done = code == 2 and 'exists already' in again and now == whole   # killed on its way out
    found['was done'] += done
    found['not finished'] += code != 0 and not done
    lost = not (place / FOREIGN).is_file() or (place / FOREIGN).read_text() != 'foreign'
    found['foreign lost'] += lost
    different = sorted(name for name in now.keys() | whole.keys()
                       if now.get(name) != whole.get(name))
    found['differs'] += bool(different)
    rest = [path for path in place.rglob('.*') if path.name not in ('.', '..')]
    rest += list(place.rglob('*tmp*'))
    found['left over'] += bool(rest)
    if broken or (code and not done) or different or rest or lost:
      say(f'{plan}: {broken} code {code} {again[-1500:] if code else ""} {different[:5]} '
          f'{[str(path) for path in rest[:5]]}', flush=True)
  return found


# ---- by hand


class Files(http.server.SimpleHTTPRequestHandler):
  """A web server of one folder that says nothing."""

  def log_message(self, *_):
    pass


def serve(folder):
  """(server, address) of the files in a folder."""
  served = http.server.ThreadingHTTPServer(('127.0.0.1', 0),
                                           functools.partial(Files, directory=str(folder)))
  threading.Thread(target=served.serve_forever, daemon=True).start()
  return served, f'http://127.0.0.1:{served.server_port}'


def set_up(server, folder):
  """(run folder, footage): a trained run of 16 steps."""
  footage = fault_tools.make_footage(folder / 'footage')
  code, said = server.run(fault_tools.arguments(folder / 'run', footage), folder / 'said.txt')
  assert code == 0, said
  return folder / 'run', footage


def weights(folder):
  """A file that `fetch vgg19` accepts under the name that I2VJAX_FAULT_WEIGHTS gives it."""
  import numpy as np
  import torch_files

  from i2vjax.pretrained import registry
  numbers = np.random.default_rng(0).normal(size=(100, 100)).astype(np.float32)
  file = torch_files.save(folder / 'any.pth', {'features.0.weight': numbers})
  name = f'vgg19-{registry.sha256(file)[:8]}.pth'
  os.environ['I2VJAX_FAULT_WEIGHTS'] = name
  return file


def main():
  parser = fault_tools.campaign_parser(kills=20)
  parser.add_argument('names', nargs='*')
  flags = parser.parse_args()
  folder = pathlib.Path(flags.folder or tempfile.mkdtemp())
  file = weights(folder)
  served, address = serve(folder)
  with Server(flags.cache) as server:
    known = commands(*set_up(server, folder), f'{address}/{file.name}')
    for name in flags.names or known:
      found = campaign(server, folder, known[name], flags.kills, flags.seed)
      print(f'{name:22}', dict(found), flush=True)
  served.shutdown()


if __name__ == '__main__':
  sys.exit(main())
