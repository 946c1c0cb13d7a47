"""The built-in data set: a procedural street, colour by day, thermal by night, all truth known."""

from i2vjax.data.scenes.ceiling import class_colour_ceiling
from i2vjax.data.scenes.source import Scenes, source

__all__ = ['Scenes', 'class_colour_ceiling', 'source']
