"""Picture and video files: reading, writing, checks of output paths."""
