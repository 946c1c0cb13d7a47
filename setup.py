"""Puts the folder `configs` into the package, as `i2vjax/configs`; all else: pyproject.toml."""

from setuptools import find_packages, setup

# pyproject.toml has no way to say "what is found below i2vjax, a folder without modules, and one
# from elsewhere".
setup(packages=[*find_packages(include=['i2vjax*']), 'i2vjax.configs', 'i2vjax.starter'],
      package_dir={'i2vjax.configs': 'configs'})
