"""Losses by subject: pure functions of arrays, without networks, config or weights.

adversarial, pixel, temporal, contrastive, content, similarity, descriptor, perceptual, semantic.
"""
