"""Exchange with other programs: exports, and imports of public PyTorch checkpoints."""
