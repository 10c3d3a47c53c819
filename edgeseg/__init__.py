"""Semantic segmentation on the edge: train, quantize, convert to TFLite, run live, and measure."""

__version__ = "0.1.0"
