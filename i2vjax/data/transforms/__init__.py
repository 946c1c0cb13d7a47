"""Frames in, frames out: resizing, thermal ranges, preprocessing, derived domains."""
