"""Scores of test clips: the plan, the scorers, baselines, and the report."""
