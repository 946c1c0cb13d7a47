"""Weight files and lists of boxes under coverage-guided fuzzing.

By hand, with `pip install atheris`: python tests/helpers/coverage_fuzz.py .pth --seconds 300

atheris changes good files and keeps what leads to lines of ours that were not run before. It stops
at the first file whose outcome is none of the good ones, and leaves it in the corpus folder.
"""

import argparse
import pathlib
import sys
import tempfile

import atheris

with atheris.instrument_imports(include=['i2vjax', 'json', 'zipfile']):
  import fuzz_archives
  import media_readers

GOOD = (*fuzz_archives.GOOD, 'other numbers')


def readers(folder):
  """{name: (ending, good contents, path -> word)}."""
  found = {name: (path.suffix, [path.read_bytes()], fuzz_archives.read_weights)
           for name, (path, *_) in fuzz_archives.weight_files(folder).items()}
  for name in ('boxes: ground truth (json)', 'boxes: detections (json)'):
    reader = media_readers.READERS[name]
    contents = [content for _, content in reader.seeds()]
    found[name] = reader.seeds()[0][0], contents, lambda path, read=reader.read: (
        read(path), 'right')[1]
  return found


def main():
  """One reader until the time is over; libFuzzer ends the process."""
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('name')
  parser.add_argument('--seconds', type=int, default=300)
  parser.add_argument('--corpus', type=pathlib.Path)
  options = parser.parse_args()
  folder = pathlib.Path(tempfile.mkdtemp())
  ending, contents, read = readers(folder)[options.name]
  corpus = options.corpus or folder / 'corpus'
  corpus.mkdir(parents=True, exist_ok=True)
  for k, content in enumerate(contents):
    (corpus / f'good{k}').write_bytes(content)
  place = folder / 'place'
  place.mkdir()
  path = place / f'bad{ending}'

  def one(data):
    path.write_bytes(data)
    word, text = fuzz_archives.outcome(lambda: read(path), path.name, place)
    if word not in GOOD:
      raise AssertionError(f'{word}: {text}')
  atheris.Setup([sys.argv[0], f'-max_total_time={options.seconds}', '-max_len=65536',
                 f'-artifact_prefix={corpus}/', str(corpus)], one)
  atheris.Fuzz()


if __name__ == '__main__':
  main()
