"""Label maps against truth."""
