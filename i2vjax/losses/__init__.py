"""Losses by subject: pure functions of arrays, without networks, config or weights.

Each file says in its first line what it holds:

  critics           adversarial, relativistic
  pixels            pixel (L1), reconstruction (smooth L1, SSIM), gradients (smoothness, alignment)
  features          perceptual (VGG), contrastive (PatchNCE), similarity (cross-similarity),
                    selfsim (self-similarity maps), descriptor (self-similarity without weights)
  attention, rarity attention_maps, patch_gradients and patch_gradients_fast (content weights),
                    feature_coverage and feature_clusters (rare classes)
  time              synthetic_motion, temporal_residuals
  classes           segmentation, pseudo_labels
  sensors           edges (edge maps), thermal_priors
"""
