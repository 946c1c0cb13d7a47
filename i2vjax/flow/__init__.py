"""Optical flow: estimators, and where a flow can be trusted."""
