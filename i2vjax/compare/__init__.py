"""Comparison of runs: which runs (experiments), the work, tables, figures."""
