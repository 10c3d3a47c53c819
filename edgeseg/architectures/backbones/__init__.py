"""Backbones: image classifiers cut before their pooling, as pyramids of features by stride."""
