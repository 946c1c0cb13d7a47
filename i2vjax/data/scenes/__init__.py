"""The built-in data set: a procedural street with exact annotations.

Domain a is thermal by night, b is color by day.
"""

from i2vjax.data.scenes.source import Scenes, open_split

__all__ = ['Scenes', 'open_split']
