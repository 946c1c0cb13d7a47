"""Footage and published sets, made ready for training."""
