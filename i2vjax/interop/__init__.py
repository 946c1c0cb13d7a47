"""Networks to and from other programs: exports, and checkpoints of public PyTorch code."""
