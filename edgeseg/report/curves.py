"""Curves over a training's epochs, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from edgeseg.report.axes import Axis, ticks
from edgeseg.report.templating import render

_WIDTH, _HEIGHT = 480, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 26, 30


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A line.

    Attributes:
        name: What it shows.
        points: (epoch, value), at least one.
        color: As CSS writes it.
    """

    name: str
    points: tuple[tuple[int, float], ...]
    color: str = "var(--accent)"


def curves_plot(title: str, curves: Sequence[Curve], epochs: int, best: int | None = None) -> Markup:
    """Draws curves over the epochs.

    Args:
        title: What the values are.
        curves: At least one.
        epochs: The last epoch.
        best: The epoch to mark; none if None.

    Returns:
        An <svg> element; its colours are those of the page's style sheet.
    """
    values = [value for curve in curves for _, value in curve.points]
    low, high = min(0.0, *values), max(values)
    y = Axis(low=low, high=high if high > low else low + 1, start=_HEIGHT - _BOTTOM, end=_TOP, ticks=())
    last = max(2, epochs)
    whole = tuple(tick for tick in ticks(1, last) if tick == int(tick))
    x = Axis(low=1, high=last, start=_LEFT, end=_WIDTH - _RIGHT, ticks=whole)
    lines = [
        {
            "name": curve.name,
            "color": curve.color,
            "points": " ".join(f"{x.at(epoch):.1f},{y.at(value):.1f}" for epoch, value in curve.points),
            "end": (f"{x.at(curve.points[-1][0]):.1f}", f"{y.at(curve.points[-1][1]):.1f}"),
            "told": f"{curve.name}: {curve.points[-1][1]:.4g} in epoch {curve.points[-1][0]}",
        }
        for curve in curves
    ]
    return render(
        "curves.svg.jinja", title=title, width=_WIDTH, height=_HEIGHT, left=_LEFT, right=_WIDTH - _RIGHT, top=_TOP,
        bottom=_HEIGHT - _BOTTOM, rows=Axis(**{**vars(y), "ticks": ticks(y.low, y.high)}).marked(), columns=x.marked(),
        lines=lines, best=None if best is None else round(x.at(best), 1),
    )  # fmt: skip
