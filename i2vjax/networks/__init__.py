"""Networks: flax modules whose parameters are named as in the checkpoints' key tables."""
