"""The report as one HTML page that needs no other file: plot, tables, pictures, machine, and how to make it again."""

from __future__ import annotations

import base64
import math
from html import escape
from importlib.resources import files

from edgeseg.report.figures import (
    ABSENT,
    machine_facts,
    megabytes,
    millions,
    noise_lines,
    percent,
    three_figures,
)
from edgeseg.report.results import Report, Result, class_names, pareto_front, short_names
from edgeseg.report.scatter import mark_icon, scatter_plot

_WIDE = (1000, 440)
_NARROW = (400, 380)
_NEAR_BEST = 0.01  # of mIoU: what the tile of the best compromise may give away


def html_page(report: Report) -> str:
    """Returns the page."""
    style, script = (files("edgeseg.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    title = f"{report.dataset} {report.split}: accuracy against latency"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{style}</style>",
        "</head>",
        "<body>",
        "<main>",
        "<h1>Accuracy against latency</h1>",
        f'<p class="soft">{_subtitle(report)}</p>',
        _tiles(report.results),
        *_noise(report),
        *_plot(report.results),
        _table(report.results),
        _heat(report.results),
        *_examples(report),
        _machine(report),
        "</main>",
        f"<script>\n{script}</script>",
        "</body>",
        "</html>",
    ]
    return "\n".join(parts) + "\n"


def _subtitle(report: Report) -> str:
    models = f"{len(report.results)} model{'s' * (len(report.results) != 1)}"
    pictures = f"{report.images} picture{'s' * (report.images != 1)}"
    facts = (models, f"{pictures} of {report.dataset} {report.split}", report.host.cpu, report.created)
    return " · ".join(escape(fact) for fact in facts if fact)


# === Tiles ===


def _tiles(results: tuple[Result, ...]) -> str:
    best = max(results, key=lambda r: (r.miou, -r.latency_ms))
    fastest = min(results, key=lambda r: (r.latency_ms, -r.miou))
    compromise = min((r for r in results if r.miou >= best.miou - _NEAR_BEST), key=lambda r: r.latency_ms)
    smallest = min(results, key=lambda r: (r.bytes, -r.miou))
    if len(results) == 1:
        tiles = [
            _tile("mIoU", percent(best.miou), "%", f"pixel accuracy {percent(best.pixel_accuracy)} %", best.model),
            _tile("Latency p50", three_figures(best.latency_ms), "ms", _rate(best), _run_with(best)),
            _tile("Size", megabytes(best.bytes), "MB", "", best.recipe),
        ]
    else:
        tiles = [
            _tile("Most accurate", percent(best.miou), "% mIoU", f"{three_figures(best.latency_ms)} ms", best.model),
            _tile(
                "Fastest",
                three_figures(fastest.latency_ms),
                "ms",
                f"{percent(fastest.miou)} % mIoU, {_rate(fastest)}",
                fastest.model,
            ),
        ]
        if compromise not in (best, fastest):
            told = f"{percent(compromise.miou)} % mIoU, within 1 point of the most accurate"
            tiles.append(_tile("Best compromise", three_figures(compromise.latency_ms), "ms", told, compromise.model))
        else:
            told = f"{percent(smallest.miou)} % mIoU"
            tiles.append(_tile("Smallest", megabytes(smallest.bytes), "MB", told, smallest.model))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _tile(heading: str, figure: str, unit: str, told: str, who: str) -> str:
    return (
        f'<div class="tile"><span>{heading}</span><b>{figure} <small>{unit}</small></b>'
        f'<span class="who">{_breakable(who)}</span><span>{escape(told)}</span></div>'
    )


def _rate(result: Result) -> str:
    return f"{1000 / result.latency_ms:.0f} a second"


def _run_with(result: Result) -> str:
    return f"{result.threads} thread{'s' * (result.threads != 1)}, {result.delegate}"


def _noise(report: Report) -> list[str]:
    lines = noise_lines(report)
    if not lines:
        return []
    return [
        f'<section class="warn"><p>The latencies were disturbed: {escape("; ".join(lines))}. Compare the models with '
        "each other, which took turns, rather than with figures from elsewhere.</p></section>"
    ]


# === Plot and tables ===


def _plot(results: tuple[Result, ...]) -> list[str]:
    if len(results) == 1:
        return []
    recipes = dict.fromkeys(r.recipe for r in results)
    legend = [f"<span>{mark_icon(recipe)}{escape(recipe or 'recipe unknown')}</span>" for recipe in recipes]
    legend.append('<span><i class="dash"></i>the best that can be had within a latency (Pareto front)</span>')
    wide = scatter_plot(results, *_WIDE).replace('class="plot"', 'class="plot wide"', 1)
    narrow = scatter_plot(results, *_NARROW, named=False).replace('class="plot"', 'class="plot narrow"', 1)
    return [
        f'<section>\n<h2>The choice</h2>\n{wide}\n{narrow}\n<div class="legend">{"".join(legend)}</div>\n</section>'
    ]


def _table(results: tuple[Result, ...]) -> str:
    front = pareto_front(results)
    ways = [_run_with(r) for r in results]
    headings = [
        ("#", "ascending", ""), ("model", "ascending", "text"), ("recipe", "ascending", "text"),
        ("input", "ascending", "text"), ("mIoU %", "descending", ""), ("pixel acc. %", "descending", ""),
        ("p50 ms", "ascending", ""), ("p90 ms", "ascending", ""), ("MB", "ascending", ""),
        ("M params", "ascending", ""), ("M MACs", "ascending", ""),
    ]  # fmt: skip
    if len(set(ways)) > 1:
        headings.append(("run with", "ascending", "text"))
    head = "".join(f'<th class="{kind}" data-first="{first}">{name}</th>' for name, first, kind in headings)
    rows = []
    for index, r in enumerate(results):
        rows_in, columns_in = r.input_size
        cells = [
            f"<td>{index + 1}</td>",
            f'<td class="model">{_breakable(r.model)}</td>',
            f'<td class="text">{mark_icon(r.recipe)}{escape(r.recipe or ABSENT)}</td>',
            f'<td class="text" data-value="{rows_in * columns_in}">{rows_in}x{columns_in}</td>',
            _number_cell(r.miou, percent(r.miou)),
            _number_cell(r.pixel_accuracy, percent(r.pixel_accuracy)),
            _number_cell(r.latency_ms, three_figures(r.latency_ms)),
            _number_cell(r.latency_p90_ms, three_figures(r.latency_p90_ms)),
            _number_cell(r.bytes, megabytes(r.bytes)),
            _number_cell(r.parameters, millions(r.parameters)),
            _number_cell(r.macs, millions(r.macs)),
        ]
        if len(set(ways)) > 1:
            cells.append(f'<td class="text">{escape(ways[index])}</td>')
        rows.append(('<tr class="best">' if index in front else "<tr>") + "".join(cells) + "</tr>")
    return (
        '<section>\n<h2>Results</h2>\n<div class="scroll"><table class="sortable">\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>\n"
        '<p class="note">Shaded: no other model here is both faster and more accurate. Latency is of the network '
        "alone, on this machine; mIoU is over all pictures, at the labels’ resolution. Click a heading to sort.</p>\n"
        "</section>"
    )


def _number_cell(value: float | None, text: str) -> str:
    return f'<td data-value="{"inf" if value is None else repr(value)}">{text}</td>'


def _heat(results: tuple[Result, ...]) -> str:
    ious = [dict(r.class_iou) for r in results]
    numbered = len(results) > 1
    head = "".join(
        f"<th>{f'{number} ' if numbered else ''}{_breakable(name)}</th>"
        for number, name in enumerate(short_names(results), start=1)
    )
    rows = [
        f"<tr><td>{escape(name)}</td>{''.join(_heat_cell(iou.get(name, math.nan)) for iou in ious)}</tr>"
        for name in class_names(results)
    ]
    rows.append(f'<tr class="total"><td>mIoU</td>{"".join(_heat_cell(r.miou) for r in results)}</tr>')
    missing = any(math.isnan(iou.get(name, math.nan)) for name in class_names(results) for iou in ious)
    note = f'<p class="note">{ABSENT}: neither in the labels nor predicted; left out of the mIoU.</p>\n'
    return (
        '<section>\n<h2>IoU of each class, %</h2>\n<div class="scroll"><table class="heat">\n'
        f"<thead><tr><th>class</th>{head}</tr></thead>\n<tbody>\n" + "\n".join(rows) + "\n</tbody></table></div>\n"
        f"{note if missing else ''}</section>"
    )


def _breakable(name: str) -> str:
    return escape(name).replace("_", "_<wbr>")


def _heat_cell(score: float) -> str:
    if math.isnan(score):
        return f"<td>{ABSENT}</td>"
    return f'<td class="v" style="--a:{0.06 + 0.6 * score**2:.2f}">{percent(score)}</td>'


# === Pictures, machine ===


def _examples(report: Report) -> list[str]:
    groups = [
        f'<div class="example"><h3>{escape(example.name)}</h3><div class="panels">'
        + "".join(
            f'<figure><img alt="{escape(panel.caption)}" src="data:image/jpeg;base64,'
            f'{base64.b64encode(panel.jpeg).decode()}"><figcaption>{_breakable(panel.caption)}</figcaption></figure>'
            for panel in example.panels
        )
        + "</div></div>"
        for example in report.examples
    ]
    if not groups:
        return []
    chips = "".join(
        f'<span><i class="chip" style="background: rgb{color}"></i>{escape(name)}</span>'
        for name, color in report.colors
    )
    legend = f'<div class="legend">{chips}</div>'
    return ["<section>\n<h2>To look at</h2>\n" + "\n".join(groups) + f"\n{legend}\n</section>"]


def _machine(report: Report) -> str:
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in machine_facts(report))
    return (
        f"<section>\n<h2>Machine</h2>\n<dl>{facts}</dl>\n"
        f'<h2 class="again">Make this report again</h2>\n<pre tabindex="0">{escape(report.command)}</pre>\n</section>'
    )
