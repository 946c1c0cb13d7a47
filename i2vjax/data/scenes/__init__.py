"""The built-in data set: a procedural street, color by day, thermal by night, all truth known."""

from i2vjax.data.scenes.source import Scenes, source

__all__ = ['Scenes', 'source']
