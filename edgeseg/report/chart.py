"""The plot of a report as a file of its own: an SVG for a README or a paper, in the reader's light or dark colours."""

from __future__ import annotations

from edgeseg.report.figures import how_run
from edgeseg.report.results import Report
from edgeseg.report.scatter import scatter_plot
from edgeseg.report.templating import render

_SIZE = (1000, 440)


def chart(report: Report) -> str:
    """Returns the SVG: accuracy against latency, and in a line below on what data and on which machine."""
    told = (
        f"{report.dataset}, {report.split}, {report.images} images",
        f"{report.host.cpu or report.host.machine}",
        ", ".join(dict.fromkeys(how_run(result) for result in report.results)),
    )
    width, height = _SIZE
    plot = scatter_plot(report.results, width, height)
    return str(render("chart.svg.jinja", plot=plot, width=width, height=height, told=" · ".join(told)))
