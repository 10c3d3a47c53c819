"""The live loop: sources, capture, pipeline, overlay and outputs."""
