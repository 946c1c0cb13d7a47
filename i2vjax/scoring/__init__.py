"""What `evaluate` computes: the plan, the rows of its table, a judge for each kind of score."""
