"""Annotations of frames: class maps, edge maps, class ids and names."""
