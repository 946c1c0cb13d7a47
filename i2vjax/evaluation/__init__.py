"""Scores of test clips: what to compute, how, and the report."""
