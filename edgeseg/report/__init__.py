"""Results -> HTML, Markdown, SVG, CSV and JSON, from one record."""
