"""The report as Markdown, for a README or a pull request."""

from __future__ import annotations

from collections.abc import Iterable

from edgeseg.report.figures import (
    SPREAD_TOLD,
    machine_facts,
    megabytes,
    millions,
    noise_lines,
    percent,
    percent_over_seeds,
    three_figures,
)
from edgeseg.report.results import Report, class_names, pareto_front, short_names


def markdown_page(report: Report) -> str:
    """Returns the page."""
    front = pareto_front(report.results)
    rows = [
        (
            f"**{_cell(r.model)}**" if index in front else _cell(r.model),
            r.recipe or "unknown",
            f"{r.input_size[0]}x{r.input_size[1]}",
            percent_over_seeds(r),
            percent(r.pixel_accuracy),
            three_figures(r.latency_ms),
            three_figures(r.latency_p90_ms),
            megabytes(r.bytes),
            millions(r.macs),
        )
        for index, r in enumerate(report.results)
    ]
    heading = ("model", "recipe", "input", "mIoU %", "pixel acc. %", "p50 ms", "p90 ms", "MB", "M MACs")
    ious = [dict(r.class_iou) for r in report.results]
    classes = class_names(report.results)
    class_rows = [(_cell(name), *(percent(iou.get(name, float("nan"))) for iou in ious)) for name in classes]
    parts = [
        f"# Accuracy against latency: {_cell(report.dataset)}, {_cell(report.split)}",
        f"{report.images} images, scored at the labels' resolution. {_cell(report.created)}.",
        *(("![Accuracy against latency](report.svg)",) if len(report.results) > 1 else ()),
        _table(heading, rows, left=2),
        "Bold: no other model here is both faster and more accurate.",
        *((SPREAD_TOLD,) if any(r.spread is not None for r in report.results) else ()),
        *(f"{_cell(r.model)}: {_cell(r.remark)}." for r in report.results if r.remark),
        *(f"{_cell(line)}." for line in report.notes),
        *(f"Noisy: {line}." for line in noise_lines(report)),
        "## IoU of each class, %",
        _table(("class", *map(_cell, short_names(report.results))), class_rows, left=1),
        "## Machine",
        _table(("", ""), [(name, _cell(value)) for name, value in machine_facts(report)], left=2),
        "## Again",
        f"```sh\n{report.command}\n```",
        *(f"{_cell(r.model)}:\n\n```sh\n{_lines(r.commands)}\n```" for r in report.results if r.commands),
    ]
    return "\n\n".join(parts) + "\n"


def _lines(commands: Iterable[str]) -> str:
    return "\n".join(commands)


def _table(heading: tuple[str, ...], rows: Iterable[tuple[str, ...]], left: int) -> str:
    rule = ["---" if i < left else "---:" for i in range(len(heading))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (heading, rule, *rows))


def _cell(text: str) -> str:
    for character in "\\|`*_<>[]":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())
