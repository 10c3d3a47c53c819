"""The scatter plot, accuracy against latency, as SVG: each recipe its shape and colour, the Pareto front as a line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgeseg.recipes import RECIPES
from edgeseg.report.axes import Axis, ticks
from edgeseg.report.figures import percent_over_seeds, three_figures
from edgeseg.report.results import Result, pareto_front, short_names
from edgeseg.report.templating import render

_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 20, 30, 46
_RADIUS = 6.0
_TEXT_WIDTH = 7.2  # of a character at the labels' size
_TEXT_HEIGHT = 13.0
_MAX_LABEL = 36

# === Marks ===
# Outlines around (0, 0), about equally large to the eye.
_OUTLINES = (
    "M0,-6A6,6 0 1,1 0,6A6,6 0 1,1 0,-6Z",
    "M0,-7.5L7.5,0L0,7.5L-7.5,0Z",
    "M-7,-5.5L7,-5.5L0,7Z",
    "M-7,5.5L7,5.5L0,-7Z",
    "M-5.5,-5.5H5.5V5.5H-5.5Z",
)
SHAPES = {**dict(zip(RECIPES.own, _OUTLINES, strict=False)), "": "M-6,-2H-2V-6H2V-2H6V2H2V6H-2V2H-6Z"}
"""Of each recipe, in the order of their table, and of one that is not known."""


@dataclass(frozen=True, kw_only=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlap(self, other: _Box) -> float:
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)


@dataclass(frozen=True, kw_only=True)
class _Label:
    x: str
    y: str
    anchor: str
    text: str


@dataclass(frozen=True, kw_only=True)
class _Spread:
    x: str
    ends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Mark:
    x: str
    y: str
    shape: str
    kind: str
    beaten: bool
    told: str


def scatter_plot(results: Sequence[Result], width: int, height: int, *, kind: str = "", named: bool = True) -> Markup:
    """Draws the plot. Points are numbered from 1 in the order of the results.

    Args:
        results: At least one.
        width: Of the drawing, pixels; text is about 12 pixels high.
        height: The same.
        kind: A further class of the element, for the style sheet.
        named: Whether the models' names stand beside the numbers.

    Returns:
        An <svg> element; its colours are those of the page's style sheet.
    """
    x = _latency_axis([r.latency_ms for r in results], _LEFT, width - _RIGHT)
    y = _miou_axis([r.miou + side * (r.spread or 0.0) for r in results for side in (-1, 1)], height - _BOTTOM, _TOP)
    points = [(x.at(r.latency_ms), y.at(100 * r.miou)) for r in results]
    front = pareto_front(results)
    return render(
        "scatter.svg.jinja",
        kind=kind,
        width=width,
        height=height,
        left=_LEFT,
        right=width - _RIGHT,
        top=_TOP,
        bottom=height - _BOTTOM,
        count=len(results),
        rows=y.marked(),
        columns=x.marked(),
        logarithmic=x.logarithmic,
        front=_front_line([points[i] for i in front], x.end, y.start),
        labels=_labels(_label_texts(results, named), points, width, height),
        spreads=[
            _Spread(x=f"{px:.1f}", ends=tuple(f"{y.at(100 * (r.miou + side * r.spread)):.1f}" for side in (-1, 1)))
            for r, (px, _) in zip(results, points, strict=True)
            if r.spread is not None
        ],
        marks=[_mark(r, at, index in front) for index, (r, at) in enumerate(zip(results, points, strict=True))],
    )


def mark_icon(recipe: str) -> Markup:
    """Returns a recipe's mark as a small <svg>, for legends and tables."""
    return render("icon.svg.jinja", kind=_css_class(recipe), shape=SHAPES.get(recipe, SHAPES[""]))


def _css_class(recipe: str) -> str:
    return f"r-{recipe}" if recipe and recipe in SHAPES else "r-unknown"


# === Axes ===


def _latency_axis(values: list[float], start: float, end: float) -> Axis:
    low, high = min(values), max(values)
    if high / low > 5:
        low, high = low / 1.3, high * 1.3
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        marks = tuple(m * 10.0**d for d in decades for m in (1, 2, 5) if low <= m * 10.0**d <= high)
        return Axis(low=low, high=high, start=start, end=end, ticks=marks, logarithmic=True)
    return Axis(low=0.0, high=high * 1.12, start=start, end=end, ticks=ticks(0.0, high * 1.12))


def _miou_axis(values: list[float], start: float, end: float) -> Axis:
    low, high = 100 * min(values), 100 * max(values)
    margin = max(1.0, 0.18 * (high - low))
    low, high = max(0.0, low - margin), min(100.0, high + margin)
    return Axis(low=low, high=high, start=start, end=end, ticks=ticks(low, high))


def _front_line(points: list[tuple[float, float]], right: float, bottom: float) -> str:
    """Steps: what accuracy can be had within a given latency."""
    first, *others = points
    path = f"M{first[0]:.1f} {bottom:.1f}V{first[1]:.1f}"
    path += "".join(f"H{px:.1f}V{py:.1f}" for px, py in others)
    return f"{path}H{right:.1f}"


# === Points and their labels ===


def _mark(result: Result, point: tuple[float, float], on_front: bool) -> _Mark:
    return _Mark(
        x=f"{point[0]:.1f}",
        y=f"{point[1]:.1f}",
        shape=SHAPES.get(result.recipe, SHAPES[""]),
        kind=_css_class(result.recipe),
        beaten=not on_front,
        told=f"{result.model}: mIoU {percent_over_seeds(result)} %, {three_figures(result.latency_ms)} ms",
    )


def _label_texts(results: Sequence[Result], named: bool) -> list[tuple[str, ...]]:
    """Returns what may stand beside each point, the best first."""
    return [
        (f"{number} {_middle_cut(name)}", str(number)) if named else (str(number),)
        for number, name in enumerate(short_names(results), start=1)
    ]


def _middle_cut(name: str) -> str:
    half = _MAX_LABEL // 2
    return name if len(name) <= _MAX_LABEL else f"{name[: half - 1]}…{name[-half:]}"


def _labels(texts: list[tuple[str, ...]], points: list[tuple[float, float]], width: int, height: int) -> list[_Label]:
    """Puts every label where it covers the least of the marks, the other labels and the frame."""
    taken = [_Box(left=px - 8, top=py - 8, right=px + 8, bottom=py + 8) for px, py in points]

    def covered(box: _Box) -> float:
        return sum(box.overlap(other) for other in taken) + _outside(box, width, height)

    lines = []
    for choices, point in zip(texts, points, strict=True):
        places = [(covered(box), text, box, anchor) for text in choices for box, anchor in _places(point, text)]
        _, text, box, anchor = next((place for place in places if place[0] < 1), min(places, key=lambda p: p[0]))
        taken.append(box)
        at = {"start": box.left, "middle": (box.left + box.right) / 2, "end": box.right}[anchor]
        lines.append(_Label(x=f"{at:.1f}", y=f"{box.bottom - 3:.1f}", anchor=anchor, text=text))
    return lines


def _places(point: tuple[float, float], text: str) -> list[tuple[_Box, str]]:
    (px, py), size = point, len(text) * _TEXT_WIDTH
    far, half = _RADIUS + 5, _TEXT_HEIGHT / 2

    def box(left: float, middle: float) -> _Box:
        return _Box(left=left, top=middle - half, right=left + size, bottom=middle + half)

    near = [
        (box(px + far, py), "start"),
        (box(px - far - size, py), "end"),
        (box(px - size / 2, py - far - half + 2), "middle"),
        (box(px - size / 2, py + far + half - 2), "middle"),
    ]
    corners = [
        (box(px + far - 4 if right else px - far + 4 - size, py + side * (far + half - 4)), "start" if right else "end")
        for side in (-1, 1)
        for right in (True, False)
    ]
    return near + corners


def _outside(box: _Box, width: int, height: int) -> float:
    inside = _Box(left=_LEFT + 2, top=_TOP - 6, right=width - 2, bottom=height - _BOTTOM - 2)
    return (box.right - box.left) * (box.bottom - box.top) - box.overlap(inside)
