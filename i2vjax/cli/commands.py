"""The commands: what each does with its flags.

Imports that take seconds wait inside the commands, so that help and mistakes answer at once.
"""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import shlex
import sys
from typing import TYPE_CHECKING, Any

from absl.flags import FlagValues
from ml_collections import ConfigDict, config_flags

from i2vjax import defaults, fields
from i2vjax.cli import errors, flags, parse
from i2vjax.core import files
from i2vjax.core.errors import UserError

if TYPE_CHECKING:
  from i2vjax.run import load


STREAMS = ('udp', 'tcp', 'srt', 'rtmp', 'rtmps', 'rtsp')   # that translate sends video to


def set_up(flag: FlagValues, command: str = '') -> None:
  """Join the other processes and switch the persistent compilation cache on."""
  import jax

  from i2vjax.core import start_up
  from i2vjax.run import signals
  start_up.keep_memory()   # before the thread that follows the parent
  signals.follow_parent()
  refuse_addresses(flag, command)
  try:
    jax.config.update('jax_compilation_cache_dir', cache_dir())
  except UserError as error:   # without a home programs are compiled anew each time
    print(f'warning: {error}', file=sys.stderr)
  start_up.prefer_library_products()
  start_up.initialize(flag.coordinator, flag.processes, flag.process_id)


def refuse_addresses(flag: FlagValues, command: str) -> None:
  """Refuse a folder to write that is an address: gs://... would become a local folder."""
  for name in ('workdir', 'output'):
    scheme, mark, _ = (flag[name].value or '').partition('://')
    is_stream = command == 'translate' and name == 'output' and scheme in STREAMS
    if mark and not is_stream:
      raise UserError(f'--{name} {flag[name].value}: this writes to folders alone. Mount the '
                      'bucket (gcsfuse, s3fs), and give the folder where it is mounted')


def cache_dir() -> str:
  """Folder for compiled programs: $JAX_COMPILATION_CACHE_DIR, else the user's cache folder."""
  return os.environ.get('JAX_COMPILATION_CACHE_DIR') or str(files.cache('xla'))


def need(flag: FlagValues, name: str, why: str) -> Any:
  """The value of a flag that a command cannot do without."""
  value = flag[name].value
  if value is None:
    raise UserError(f'--{name} is missing: {why}')
  return value


def resume_command(argv: list[str]) -> str:
  """The command line that goes on, quoted so that a shell reads it as it was given."""
  return shlex.join(['python', '-m', 'i2vjax.main', *argv[1:]])


def run_train(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """Train, or go on where the run folder stands; says how to resume when it was stopped."""
  from i2vjax import evaluate, train
  from i2vjax.core import ops, parallel, start_up
  from i2vjax.run import folder
  default = pathlib.Path('runs') / f'{config.method}-{config.variant or "default"}'
  workdir = flag.workdir or str(default)
  folder.refuse_read_only(
      workdir, f'to begin at its weights give --config.train.init_from={workdir}')
  if start_up.leave_a_core_to_the_loader(math.prod(ops.hw(config.data.crop_size))):
    print('of the two cores one computes, one reads frames (NPROC=2 in the environment: both '
          'compute)')
  outcome = train.train(config, workdir, show=flag.show, score_fn=evaluate.score_fn(config))
  if not parallel.is_main():
    return
  if outcome.stopped:
    print(f'stopped at step {outcome.step} of {outcome.total}, saved in {workdir}. Go on with:\n'
          f'  {resume_command(argv)}')
  else:
    print(f'trained {outcome.step} steps in {workdir}. Now:\n  python -m i2vjax.main translate '
          f'--workdir {workdir} --input VIDEO --output translated.mp4')


def load_run(flag: FlagValues, config: ConfigDict) -> load.Run:
  """The run that --workdir and --checkpoint name."""
  from i2vjax.run import folder, load
  workdir = need(flag, 'workdir', 'the folder of a training run')
  try:
    return load.load(workdir, flag.checkpoint, config, flag.weights)
  except ValueError as error:
    asked = folder.flatten(config)
    trained = folder.flatten(folder.read_config(workdir))
    changed = [f'{name}={asked[name]} (trained with {trained.get(name)})' for name in sorted(asked)
               if asked[name] != trained.get(name) and fields.shapes_networks(name)]
    if not changed:
      raise
    raise UserError(
      f'{error}\nPerhaps because the checkpoint in {workdir} does not fit --config.'
      f'{", --config.".join(changed)}: networks stay as they were trained, leave that away'
    ) from error


def load_translator(flag: FlagValues, config: ConfigDict) -> load.Run:
  """The run that --workdir and --checkpoint name, in the direction of --network."""
  from i2vjax.run import direction
  return direction.in_direction(load_run(flag, config), flag.network)


def run_translate(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """Video in, video out; or the test frames of a run's data."""
  from i2vjax import live
  target = need(flag, 'output', 'a video file or a folder')
  if flag.split:
    translate_split(flag, config, target)
    return
  source = need(flag, 'input', 'a video, a folder of frames, a glob, a camera or an address (or '
                               '--split test for the test frames of the run)')
  # The standard output belongs to the video then; what is said goes beside it.
  with contextlib.redirect_stdout(sys.stderr) if target == '-' else contextlib.nullcontext():
    if live.is_live(source):
      translate_live(flag, config, source, target)
      return
    translate_footage(flag, config, source, target)


def translate_live(flag: FlagValues, config: ConfigDict, source: str, target: str) -> None:
  """A camera or network stream, until it ends or somebody stops it."""
  from i2vjax import live, translate
  from i2vjax.run import outputs
  run = load_translator(flag, config)
  translate.check_options(run, flag.fuse)
  summary = live.translate(
      run, source, target, lambda a, b: outputs.compose(a, b, flag.side_by_side, flag.fuse),
      overwrite=flag.overwrite, lossless=flag.lossless, show=flag.show, as_is=flag.as_is,
      full_size=flag.full_size, reconnect=flag.reconnect)
  print(live.summary_text(summary))


def translate_footage(flag: FlagValues, config: ConfigDict, source: str, target: str) -> None:
  """A video, folder or glob, frame for frame."""
  from i2vjax import translate
  summary = translate.translate(
      load_translator(flag, config), source, target, overwrite=flag.overwrite, show=flag.show,
      side_by_side=flag.side_by_side, fuse=flag.fuse, lossless=flag.lossless,
      on_damage=flag.on_damage, chunk=flag.chunk, as_is=flag.as_is, rate=flag.rate,
      full_size=flag.full_size, deinterlace=flag.deinterlace, pad_to=flag.pad_to)
  print(f"translated {summary['frames']} frames into {target}"
        + (f", {summary['skipped']} damaged ones skipped" if summary.get('skipped') else ''))


def translate_split(flag: FlagValues, config: ConfigDict, target: str) -> None:
  """The frames of a split of the run's data, and the command that scores them again."""
  from i2vjax import translate
  summary = translate.translate_split(
      load_translator(flag, config), target, flag.split, with_truth=flag.with_truth,
      overwrite=flag.overwrite, show=flag.show)
  folder = pathlib.Path(target)
  print(f"translated {summary['frames']} frames of {summary['clips']} clips into "
        f"{folder / 'result'}")
  for part, why in summary['left_out'].items():
    print(f'left out: {part} ({why})')
  places = ' '.join(f'--{part} {shlex.quote(str(folder / part))}'
                    for part in ('result', 'reference', 'source') if (folder / part).is_dir())
  print(f'Score them by: python -m i2vjax.main evaluate {places}')


def run_evaluate(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """Scores of a run, or of folders of frames."""
  from i2vjax import evaluate
  from i2vjax.run import folder
  if flag.result:
    evaluate.evaluate_folders(flag.result, flag.reference, flag.source, flag.output or 'report',
                              config.eval, overwrite=flag.overwrite, show=flag.show,
                              pretrained_dir=config.pretrained_dir,
                              data=_as_given(config.data, argv, 'clip_regex', 'max_gap'))
    return
  name = f'report-{flag.network}' if flag.network else 'report'
  workdir = need(flag, 'workdir', 'the folder of a training run')
  # Nothing is written into the package or the cache: their reports are made in the current folder.
  own = workdir.removeprefix('hf:').partition('@')[0].replace('/', '-')
  place = f'{name}-{own}' if folder.is_read_only(workdir) else pathlib.Path(workdir, name)
  output = evaluate.check_output(flag.output or place, flag.overwrite)
  evaluate.evaluate(load_translator(flag, config), output, flag.overwrite, flag.show)


def _as_given(data, argv, *names):
  """The default `config.data` with those fields that the command line sets.

  What a run or config file says is about frames of its own.
  """
  given = {text.partition('=')[0] for text in flags.split_fields(argv[1:])[1]}
  result = defaults.data()
  result.update({name: data[name] for name in names if f'--config.data.{name}' in given})
  return result


def run_compare(flag: FlagValues, config: ConfigDict, argv: list[str]) -> int:
  """Several configs or runs, several seeds, one table.

  `config` holds the defaults alone: each row has a config of its own, read with the fields of the
  command line.

  Returns:
    0: done, or stopped on request; 1: some run failed; 2: by the user's mistake.
  """
  from i2vjax.compare import compare, experiments, tables
  output = need(flag, 'output', 'the folder of the table and its runs')
  if not all(text.strip().isdecimal() and len(text) < 19 for text in flag.seeds):
    raise UserError(f'--seeds {",".join(flag.seeds)}: write whole numbers, as in 0,1,2')
  seeds = list(dict.fromkeys(int(text) for text in flag.seeds))   # each once
  rows = [experiments.parse_row(text) for text in [*flag.configs, *flag.row]]
  _, common = flags.split_fields(argv[1:])
  again = 'python -m i2vjax.main ' + shlex.join(argv[1:])
  try:
    table, stopped = compare.compare(
        output, rows, seeds, flag.runs, common, read=parse.row_config,
        read_run=parse.run_config, budget=flag.budget, allow_different=flag.allow_different,
        overwrite=flag.overwrite, show=flag.show)
  except KeyboardInterrupt:
    stopped = True
  if stopped:
    print(f'stopped; what is done is in {output}. Go on with:\n  {again}')
    return 0
  print(f'{tables.markdown(table)}\n{pathlib.Path(output) / "index.html"}')
  codes = {run['code'] for row in table['rows'] for run in row['runs'] if 'code' in run}
  return 0 if not codes else 2 if codes == {2} else 1


def run_export(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """One network as a checkpoint, or as a file that runs without this package."""
  from i2vjax.data.transforms import preprocess
  from i2vjax.interop import export, publish
  from i2vjax.run import hub
  output = need(flag, 'output', 'a folder to be made')
  size = preprocess.read_size(flag.size)
  if flag.publish:
    hub.check_published(flag.publish)   # before anything is computed
  run = load_run(flag, config)
  export.export(run, flag.network, output, flag.overwrite, flag.format, size)
  for line in export.summary(output):
    print(line)
  if flag.publish:
    print(f'published: --workdir {publish.publish(run, output, flag.publish)}')


def run_prepare(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """Footage into folders of frames, or a published set into records."""
  from i2vjax.data.prepare import prepare
  from i2vjax.data.transforms import preprocess
  if flag.dataset:
    folder, counts = prepare.records(
        flag.dataset, need(flag, 'manual_dir', 'the folder with the files of the set'),
        flag.data_dir, overwrite=flag.overwrite, show=flag.show, limit=flag.limit)
    numbers = ', '.join(f'{count} frames in {split}' for split, count in counts.items())
    root = folder.parents[2]
    print(f'{numbers}: {folder}\nTrain on it with --config.data.source=tfds '
          f'--config.data.root={root} --config.data.name={folder.parent.relative_to(root)}')
    for file in sorted(folder.glob('boxes_*.json')):
      print(f'true boxes of its frames, a COCO file for --config.eval.boxes: {file}')
    return
  done = prepare.footage(
      need(flag, 'input', 'a video, a folder or a glob (or --dataset for a published set)'),
      need(flag, 'output', 'a folder to be made'), config.data, domain=flag.domain or '',
      size=preprocess.read_size(flag.size), test_share=flag.test_share, test_clips=flag.test_clips,
      overwrite=flag.overwrite, on_damage=flag.on_damage, show=flag.show,
      deinterlace=flag.deinterlace, as_drawn=flag.as_drawn)
  for folder, (clips, frames) in done.items():
    print(f'{clips} clips, {frames} frames: {folder}')


def run_fetch(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """Bring a known weight file here, or list them all."""
  from i2vjax.pretrained import fetch
  if flag.id is None:
    print(fetch.listing(config))
    return
  path = fetch.fetch(flag.id, config, flag.file, flag.url, flag.show, flag.mirror)
  print(f'{flag.id} is in {path}, verified')


def run_import(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """A public PyTorch checkpoint as a run folder."""
  from i2vjax.interop import import_torch
  from i2vjax.run import folder as run_folder
  source = need(flag, 'source', 'one of ' + ', '.join(import_torch.SOURCES))
  folder = need(flag, 'from', 'the folder with the .pth files')
  workdir = need(flag, 'workdir', 'the run folder to be made')
  run_folder.refuse_read_only(workdir, 'or take another name')
  file = config_flags.get_config_filename(flag['config']).removesuffix(f':{config.variant}')
  if config.variant != 'default':
    file = f'{file}:{config.variant}'
  print(import_torch.import_run(source, folder, flag.label, workdir, config, file))


def run_doctor(flag: FlagValues, config: ConfigDict, argv: list[str]) -> int:
  """What this machine has, and the remedy for what is wrong with it."""
  from i2vjax.cli import doctor
  return errors.USER if doctor.report(config, cache_dir, flag.brief) else errors.DONE


def run_app(flag: FlagValues, config: ConfigDict, argv: list[str]) -> None:
  """A page in the browser: drop a video or a picture, look at both, download."""
  from i2vjax import api, app
  app.serve(api.Translator(load_translator(flag, config)), host=flag.host, port=flag.port,
            max_mb=flag.max_mb, max_seconds=flag.max_seconds)


def run_bench(flag: FlagValues, config: ConfigDict, argv: list[str]) -> int:
  """Time and memory of steps and translation, here or compiled for devices that are not here.

  `config` holds the defaults alone: each method has a config of its own, read with the fields of
  the command line.

  Returns:
    0: done; 1: some row could not be measured, and says why.
  """
  from i2vjax.bench import bench, cases, table
  if not all(text.strip().isdecimal() and len(text) < 6 for text in flag.sizes):
    raise UserError(f'--sizes {",".join(flag.sizes)}: write whole numbers, as in 256,512')
  _, common = flags.split_fields(argv[1:])
  listed = cases.read(flag.methods, common, parse.row_config)
  options = bench.Options(
      batch=flag.batch, rounds=flag.rounds, chunk=flag.chunk, with_torch=flag.with_torch,
      sizes=tuple(int(text) for text in flag.sizes if int(text)),
      largest_batch=flag.largest_batch)

  rows = bench.all_of(listed, flag.target, options, common, flag.json, flag.overwrite)
  print(table.markdown(rows))
  return errors.OURS if any('error' in row for row in rows) else errors.DONE


COMMANDS = {
    'train': run_train, 'translate': run_translate, 'evaluate': run_evaluate,
    'compare': run_compare, 'export': run_export, 'prepare': run_prepare, 'fetch': run_fetch,
    'import': run_import, 'doctor': run_doctor, 'app': run_app, 'bench': run_bench,
}
