"""Resizing, thermal ranges, preprocessing: frames in, frames out."""
