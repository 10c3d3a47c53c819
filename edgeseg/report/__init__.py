"""Reports: results as HTML, Markdown, CSV and JSON."""
