"""InfraredCity and its parts: night-time infrared and daytime visible street footage."""

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

  def layout(self, manual, config):
    """{'train_a', 'train_b' and perhaps 'night': Split}."""
    found = {name: places.find(manual, names) for name, names in
             (('train_a', INFRARED), ('train_b', DAY), ('night', NIGHT))}
    for name, names in (('train_a', INFRARED), ('train_b', DAY)):
      if found[name] is None:
        raise places.missing(self, manual, f'a folder called {" or ".join(names)}')
    return {name: places.folder_split(folder) for name, folder in found.items() if folder}


class InfraredCityLite(records.FrameBuilder):
  """Five scenes; the visible frames are shared by the skies of a scene. Test frames: infrared."""

  CONFIGS = ('city_clearday', 'city_overcast', 'city', 'highway_clearday', 'highway_overcast',
             'highway', 'monitor')
  COUNTS = {
      'city_clearday': {'train_a': 5538, 'test_a': 1000, 'train_b': 5360},
      'city_overcast': {'train_a': 2282, 'test_a': 1000, 'train_b': 5360},
      'city': {'train_a': 7820, 'test_a': 2000, 'train_b': 5360},
      'highway_clearday': {'train_a': 4412, 'test_a': 1000, 'train_b': 6463},
      'highway_overcast': {'train_a': 2978, 'test_a': 1000, 'train_b': 6463},
      'highway': {'train_a': 7390, 'test_a': 2000, 'train_b': 6463},
      'monitor': {'train_a': 5612, 'test_a': 500, 'train_b': 4194},
  }
  PAGE, CITATION = PAGE, ROMA
  HOLDS = ('folders city, highway, monitor; in the first two clearday and overcast (or '
           'city_clearday and so on beside each other); in each trainA (infrared) and testA, and '
           'trainB (visible) there or one folder higher.')

  def layout(self, manual, config):
    """{split: Split}; city and highway join their skies."""
    scene, _, sky = config.partition('_')
    if scene == 'monitor':
      return self._complete(manual, [places.find(manual, SCENES[scene])], None)
    skies = [sky] if sky else list(SKIES)
    upper = places.find(manual, SCENES[scene])
    found = [places.find(manual, [f'{scene}_{x}' for x in SKIES[sky]])
             or (upper and places.find(upper, SKIES[sky], 1)) for sky in skies]
    return self._complete(manual, found, upper)

  def _complete(self, manual, found, upper):
    if None in found:
      raise places.missing(self, manual, f'the folder of {self.base}')
    parts = [places.domain_splits(folder, f'{folder.name}/' if len(found) > 1 else '')
             for folder in found]
    splits = places.joined({k: v for k, v in x.items() if k != 'train_b'} for x in parts)
    shared = [x['train_b'] for x in parts if 'train_b' in x]
    if not shared and upper:
      shared = [x['train_b'] for x in [places.domain_splits(upper)] if 'train_b' in x]
    if shared:
      splits['train_b'] = shared[0]     # the same frames wherever they lie
    if not {'train_a', 'train_b'} <= set(splits):
      lacks = 'trainA (infrared)' if 'train_a' not in splits else 'trainB (visible)'
      raise places.missing(self, manual, f'{lacks} of {self.base} in {found[0]}')
    return splits


class InfraredCityAdverse(records.FrameBuilder):
  """Rain and snow; nothing of its layout was published, so what is found is taken."""

  CONFIGS = ('rain', 'snow')
  PAGE, CITATION = PAGE, CPT
  HOLDS = 'folders rain and snow, each with trainA (infrared) and trainB (visible), and testA.'

  def layout(self, manual, config):
    """{split: Split}."""
    folder = places.find(manual, (config, f'{config}y', f'{config}_day'))
    splits = places.domain_splits(folder) if folder else {}
    if 'train_a' not in splits:
      raise places.missing(self, manual, f'a folder called {config} with trainA in it')
    return splits
