"""Networks: flax modules; exports and key tables name their parameters."""
