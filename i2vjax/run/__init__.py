"""A training run: its folder, its checkpoints, its schedule, its log."""
