"""The one place that loads LiteRT: interpreters, delegates and the Segmenter."""
