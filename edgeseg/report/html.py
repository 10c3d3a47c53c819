"""The report as one HTML page that needs no other file: plot, tables, images, machine, and how to make it again.

What is on the page is decided here, how it is written down in `templates/page.html.jinja`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgeseg.report.figures import (
    ABSENT,
    SPREAD_TOLD,
    how_run,
    machine_facts,
    megabytes,
    millions,
    noise_lines,
    percent,
    percent_over_seeds,
    three_figures,
)
from edgeseg.report.noise_page import noise_chart
from edgeseg.report.results import Report, Result, class_names, pareto_front, short_names
from edgeseg.report.scatter import mark_icon, scatter_plot
from edgeseg.report.templating import render

_WIDE = (1000, 440)
_NARROW = (400, 380)
_NEAR_BEST = 0.01  # of mIoU: what the tile of the best compromise may give away


def html_page(report: Report) -> str:
    """Returns the page."""
    results = report.results
    recipes = dict.fromkeys(r.recipe for r in results)
    classes = _classes(results)
    page = render(
        "page.html.jinja",
        report=report,
        results=results,
        tiles=_tiles(results),
        noise=noise_lines(report),
        plots=_plots(results),
        recipes=[(recipe, mark_icon(recipe)) for recipe in recipes],
        columns=_columns(results),
        rows=_rows(results),
        names=short_names(results),
        classes=classes,
        some_absent=any(score.absent for _, scores in classes[:-1] for score in scores),
        absent=ABSENT,
        facts=machine_facts(report),
        spread=SPREAD_TOLD if any(r.spread is not None for r in results) else "",
        charts=[(one, noise_chart(one.layers)) for one in report.explained],
        remarks=[(r.model, r.remark) for r in results if r.remark],
        commands=[(r.model, r.commands) for r in results if r.commands],
    )
    return f"{page}\n"


# === Tiles ===


@dataclass(frozen=True, kw_only=True)
class _Tile:
    heading: str
    figure: str
    unit: str
    told: str
    who: str


def _tiles(results: Sequence[Result]) -> list[_Tile]:
    best = max(results, key=lambda r: (r.miou, -r.latency_ms))
    if len(results) == 1:
        accuracy = f"pixel accuracy {percent(best.pixel_accuracy)} %"
        speed = three_figures(best.latency_ms)
        return [
            _Tile(heading="mIoU", figure=percent(best.miou), unit="%", told=accuracy, who=best.model),
            _Tile(heading="Latency p50", figure=speed, unit="ms", told=_rate(best), who=how_run(best)),
            _Tile(heading="Size", figure=megabytes(best.bytes), unit="MB", told="", who=best.recipe),
        ]
    fastest = min(results, key=lambda r: (r.latency_ms, -r.miou))
    compromise = min((r for r in results if r.miou >= best.miou - _NEAR_BEST), key=lambda r: r.latency_ms)
    if compromise in (best, fastest):
        smallest = min(results, key=lambda r: (r.bytes, -r.miou))
        third = _Tile(
            heading="Smallest", figure=megabytes(smallest.bytes), unit="MB", told=f"{percent(smallest.miou)} % mIoU",
            who=smallest.model,
        )  # fmt: skip
    else:
        third = _Tile(
            heading="Best compromise", figure=three_figures(compromise.latency_ms), unit="ms",
            told=f"{percent(compromise.miou)} % mIoU, within 1 point of the most accurate", who=compromise.model,
        )  # fmt: skip
    return [
        _Tile(
            heading="Most accurate", figure=percent(best.miou), unit="% mIoU",
            told=f"{three_figures(best.latency_ms)} ms", who=best.model,
        ),
        _Tile(
            heading="Fastest", figure=three_figures(fastest.latency_ms), unit="ms",
            told=f"{percent(fastest.miou)} % mIoU, {_rate(fastest)}", who=fastest.model,
        ),
        third,
    ]  # fmt: skip


def _rate(result: Result) -> str:
    return f"{1000 / result.latency_ms:.0f} a second"


# === Plot and tables ===


def _plots(results: Sequence[Result]) -> list[Markup]:
    """Draws the plot for wide and for narrow screens; one point needs none."""
    if len(results) == 1:
        return []
    return [scatter_plot(results, *_WIDE, kind="wide"), scatter_plot(results, *_NARROW, kind="narrow", named=False)]


@dataclass(frozen=True, kw_only=True)
class _Column:
    """A heading, the alignment of its cells ("text" is left), and which order a first click gives."""

    heading: str
    kind: str = ""
    first: str = "ascending"


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """A cell's text, what it is sorted by (the text if None), its alignment, and a mark before it."""

    text: str
    value: str | None = None
    kind: str = ""
    icon: Markup | str = ""


@dataclass(frozen=True, kw_only=True)
class _Row:
    best: bool
    cells: list[_Cell]


def _columns(results: Sequence[Result]) -> list[_Column]:
    columns = [
        _Column(heading="#"),
        *(_Column(heading=heading, kind="text") for heading in ("model", "recipe", "input")),
        *(_Column(heading=heading, first="descending") for heading in ("mIoU %", "pixel acc. %")),
        *(_Column(heading=heading) for heading in ("p50 ms", "p90 ms", "MB", "M params", "M MACs")),
    ]
    return [*columns, _Column(heading="run with", kind="text")] if _run_differently(results) else columns


def _rows(results: Sequence[Result]) -> list[_Row]:
    front = pareto_front(results)
    rows = []
    for index, r in enumerate(results):
        height, width = r.input_size
        cells = [
            _Cell(text=str(index + 1)),
            _Cell(text=r.model, kind="model"),
            _Cell(text=r.recipe or ABSENT, kind="text", icon=mark_icon(r.recipe)),
            _Cell(text=f"{height}x{width}", value=str(height * width), kind="text"),
            _Cell(text=percent_over_seeds(r), value=repr(r.miou)),
            _Cell(text=percent(r.pixel_accuracy), value=repr(r.pixel_accuracy)),
            _Cell(text=three_figures(r.latency_ms), value=repr(r.latency_ms)),
            _Cell(text=three_figures(r.latency_p90_ms), value=repr(r.latency_p90_ms)),
            _Cell(text=megabytes(r.bytes), value=repr(r.bytes)),
            *(_Cell(text=millions(n), value="inf" if n is None else repr(n)) for n in (r.parameters, r.macs)),
        ]
        if _run_differently(results):
            cells.append(_Cell(text=how_run(r), kind="text"))
        rows.append(_Row(best=index in front, cells=cells))
    return rows


def _run_differently(results: Sequence[Result]) -> bool:
    return len({how_run(r) for r in results}) > 1


@dataclass(frozen=True, kw_only=True)
class _Score:
    text: str
    absent: bool
    shade: str


def _classes(results: Sequence[Result]) -> list[tuple[str, list[_Score]]]:
    """Returns each class with its IoU by every model, and the mIoU as the last."""
    ious = [dict(r.class_iou) for r in results]
    rows = [(name, [_score(iou.get(name, math.nan)) for iou in ious]) for name in class_names(results)]
    return [*rows, ("mIoU", [_score(r.miou) for r in results])]


def _score(iou: float) -> _Score:
    absent = math.isnan(iou)
    return _Score(text=percent(iou), absent=absent, shade="" if absent else f"{0.06 + 0.6 * iou**2:.2f}")
