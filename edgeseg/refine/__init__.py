"""Refining label maps: dense CRF and temporal smoothing."""
