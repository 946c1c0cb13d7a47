"""Scores of test clips: what to compute, how, beside what, and the report."""
