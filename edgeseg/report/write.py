"""Writing a report's files."""

from __future__ import annotations

import os
from pathlib import Path

from edgeseg.errors import UsageError
from edgeseg.files import ensure_folder, json_text, write_text
from edgeseg.report.chart import chart
from edgeseg.report.csv_table import csv_table
from edgeseg.report.html import html_page
from edgeseg.report.markdown import markdown_page
from edgeseg.report.record import report_record
from edgeseg.report.results import Report


def write_report(report: Report, folder: str | os.PathLike[str]) -> list[Path]:
    """Writes report.html, report.md, report.svg, report.csv and report.json into `folder`, each atomically.

    Args:
        report: What to write.
        folder: Created if need be.

    Returns:
        The files' paths, the HTML page first.

    Raises:
        UsageError: The report has no result.
        OutputError: The folder cannot be written.
    """
    if not report.results:
        raise UsageError("a report of no model: name at least one")
    pages = {
        "report.html": html_page(report),
        "report.md": markdown_page(report),
        "report.svg": chart(report),
        "report.csv": csv_table(report),
        "report.json": json_text(report_record(report)),
    }
    target = ensure_folder(folder)
    for name, text in pages.items():
        write_text(target / name, text)
    return [target / name for name in pages]
