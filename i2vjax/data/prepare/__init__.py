"""Preparation of data: own footage as folders, published sets as records."""
