"""Which config fields a run that goes on may change."""


from i2vjax.core.errors import UserError
from i2vjax.run import folder as run_folder

# Fields that change neither the state nor what it means. A trailing dot names a whole block.
NEUTRAL = ('log.', 'eval.', 'remat', 'pretrained_dir', 'data.threads', 'data.prefetch',
           'data.workers', 'data.cache_dir', 'data.scenes.cache_mb')
# Fields that may differ between a run and its continuation: how long it goes on, and how fast.
FREE = (*NEUTRAL, 'train.', 'optim.lr')


def compare_configs(stored, asked):
  """Differences that a continued run may have, as lines of text.

  An empty field that one of them lacks is younger than the run, or gone since, and no difference.

  Raises:
    ValueError: a field differs that changes the state or its meaning; names every such field.
  """
  old, new = run_folder.flatten(stored), run_folder.flatten(asked)
  both = old.keys() & new.keys()
  changed = [name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)
             and (name in both or old.get(name) or new.get(name))]
  lines = {name: f'{name}: {old.get(name)!r} -> {new.get(name)!r}' for name in changed}
  refused = [line for name, line in lines.items() if not name.startswith(FREE)]
  if refused:
    raise UserError('this run folder was trained with another config:\n  ' + '\n  '.join(refused)
                     + '\nuse the same values, or another --workdir')
  return list(lines.values())
