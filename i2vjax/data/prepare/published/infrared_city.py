"""InfraredCity and its parts: night-time infrared and daytime visible street footage."""

import dataclasses
import pathlib

from i2vjax.data.prepare.published import places, records

PAGE = ('the application form of the sensor maker InfiRay, linked in the readme of the GitHub '
        'repository BIT-DA/ROMA.')
ROMA = 'Yu et al., ROMA: Cross-Domain Region Similarity Matching, ACM MM 2022'
CPT = 'Yu et al., On the Difficulty of Unpaired Infrared-to-Visible Video Translation, CVPR 2023'
SCENES = {'city': ('city',), 'highway': ('highway',), 'monitor': ('monitor', 'monitoring')}
SKIES = {'clearday': ('clearday', 'clear_day', 'clear'), 'overcast': ('overcast', 'cloudy')}
INFRARED = ('nighttime_infrared', 'night_infrared', 'infrared', 'ir')
DAY = ('daytime_visible', 'day_visible', 'visible_day', 'visible', 'day')
NIGHT = ('nighttime_visible', 'night_visible', 'visible_night')


class InfraredCity(records.FrameBuilder):
  """The whole set: infrared by night (a), visible by day (b), visible by night (split night)."""

  CONFIGS = ('all',)
  COUNTS = {'all': {'train_a': 201856, 'train_b': 199430, 'night': 178698}}
  PAGE, CITATION = PAGE, ROMA
  HOLDS = 'folders nighttime_infrared and daytime_visible, and perhaps nighttime_visible.'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{'train_a', 'train_b' and perhaps 'night': Split}."""
    names_of = {'train_a': INFRARED, 'train_b': DAY, 'night': NIGHT}
    folders = {split: places.find(manual, names) for split, names in names_of.items()}
    for split in ('train_a', 'train_b'):
      if folders[split] is None:
        raise places.missing(self, manual, f'a folder called {" or ".join(names_of[split])}')
    return {split: places.folder_split(folder) for split, folder in folders.items() if folder}


class InfraredCityLite(records.FrameBuilder):
  """Five scenes; the visible frames are shared by the skies of a scene. Test frames: infrared.

  city and highway join their skies, traffic these two: "Traffic all" in table 1 of CPTrans.
  """

  CONFIGS = ('city_clearday', 'city_overcast', 'city', 'highway_clearday', 'highway_overcast',
             'highway', 'traffic', 'monitor')
  COUNTS = {
      'city_clearday': {'train_a': 5538, 'test_a': 1000, 'train_b': 5360},
      'city_overcast': {'train_a': 2282, 'test_a': 1000, 'train_b': 5360},
      'city': {'train_a': 7820, 'test_a': 2000, 'train_b': 5360},
      'highway_clearday': {'train_a': 4412, 'test_a': 1000, 'train_b': 6463},
      'highway_overcast': {'train_a': 2978, 'test_a': 1000, 'train_b': 6463},
      'highway': {'train_a': 7390, 'test_a': 2000, 'train_b': 6463},
      'traffic': {'train_a': 15210, 'test_a': 4000, 'train_b': 11823},
      'monitor': {'train_a': 5612, 'test_a': 500, 'train_b': 4194},
  }
  PAGE, CITATION = PAGE, ROMA
  HOLDS = ('folders city, highway, monitor; in the first two clearday and overcast (or '
           'city_clearday and so on beside each other); in each trainA (infrared) and testA, and '
           'trainB (visible) there or one folder higher.')

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}; city and highway join their skies, traffic joins these."""
    if config == 'traffic':
      return places.joined(_named(self.layout(manual, scene), f'{scene}/')
                           for scene in ('city', 'highway'))
    scene, _, sky = config.partition('_')
    if scene == 'monitor':
      return self._complete(manual, [places.find(manual, SCENES[scene])], None, scene)
    scene_folder = places.find(manual, SCENES[scene])
    folders = [_sky_folder(manual, scene_folder, scene, x) for x in ([sky] if sky else SKIES)]
    return self._complete(manual, folders, scene_folder, scene)

  def _complete(self, manual, folders, scene_folder, scene):
    """The splits of all folders joined; train_b from any of them, or from the scene's folder."""
    if None in folders:
      raise places.missing(self, manual, f'the folder of {_text(self.base, scene)}')
    parts = [places.domain_splits(folder, f'{folder.name}/' if len(folders) > 1 else '')
             for folder in folders]
    visible = None   # the same frames wherever they are: the first will do
    for splits in parts:
      train_b = splits.pop('train_b', None)
      visible = train_b if visible is None else visible
    if visible is None and scene_folder:
      visible = places.domain_splits(scene_folder).get('train_b')
    splits = places.joined(parts)
    if visible is not None:
      splits['train_b'] = visible
    if not {'train_a', 'train_b'} <= set(splits):
      lacks = 'trainA (infrared)' if 'train_a' not in splits else 'trainB (visible)'
      raise places.missing(self, manual,
                           f'{lacks} of {_text(self.base, scene)} in {folders[0]}')
    return splits


def _named(splits, prefix):
  """The splits with a prefix to the names of their clips, which are the same in each scene."""
  return {name: dataclasses.replace(split, clips=[(prefix + title, *rest)
                                                  for title, *rest in split.clips])
          for name, split in splits.items()}


def _text(config, scene):
  """'traffic (city)' where a scene is part of a config that does not name it."""
  return config if config.startswith(scene) else f'{config} ({scene})'


def _sky_folder(manual, scene_folder, scene, sky):
  """The folder of a scene under one sky, city_clearday or city/clearday; or None."""
  folder = places.find(manual, [f'{scene}_{name}' for name in SKIES[sky]])
  if folder is None and scene_folder is not None:
    folder = places.find(scene_folder, SKIES[sky], 1)
  return folder


class InfraredCityAdverse(records.FrameBuilder):
  """Rain and snow. Its layout was not published: any folders of these names are taken."""

  CONFIGS = ('rain', 'snow')
  PAGE, CITATION = PAGE, CPT
  HOLDS = 'folders rain and snow, each with trainA (infrared) and trainB (visible), and testA.'

  def layout(self, manual: pathlib.Path, config: str) -> dict[str, records.Split]:
    """{split: Split}."""
    folder = places.find(manual, (config, f'{config}y', f'{config}_day'))
    splits = places.domain_splits(folder) if folder else {}
    if 'train_a' not in splits:
      raise places.missing(self, manual, f'a folder called {config} with trainA in it')
    return splits
