"""Quantization: post-training, quantization-aware training, and what restores accuracy."""
