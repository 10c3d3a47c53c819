"""Results -> HTML, Markdown, CSV and JSON, from one record."""
