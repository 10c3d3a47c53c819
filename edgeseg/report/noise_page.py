"""A page on quantization noise: a chart of the decibels of each layer, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from edgeseg.report.templating import render

_TOP = 60.0  # decibels at the chart's upper edge
_BAR = 12
_HEIGHT = 240


def noise_page(name: str, head: str, layers: Sequence[dict[str, Any]]) -> str:
    """Returns the page.

    Args:
        name: The model's name.
        head: A line on what was measured.
        layers: For each layer in order: `conversion.noise.LayerNoise.record`.
    """
    return str(render("noise.html.jinja", name=name, head=head, layers=layers, chart=noise_chart(layers)))


def noise_chart(layers: Sequence[dict[str, Any]]) -> Markup:
    """Draws the chart: a bar for what each layer adds, a line for what has arrived by then; see `noise_page`."""
    bars = []
    for number, layer in enumerate(layers):
        own, arriving = (_HEIGHT * min(max(layer[key], 0.0), _TOP) / _TOP for key in ("own_db", "arriving_db"))
        bars.append(
            {
                "x": number * _BAR,
                "own": round(own, 1),
                "arriving": round(_HEIGHT - arriving, 1),
                "told": f"{layer['name']}: adds {layer['own_db']:.1f} dB, arriving {layer['arriving_db']:.1f} dB",
            }
        )
    ticks = [{"at": round(_HEIGHT * (1 - decibels / _TOP), 1), "text": decibels} for decibels in range(0, 61, 20)]
    return render(
        "noise.svg.jinja", bars=bars, ticks=ticks, bar=_BAR, height=_HEIGHT, width=_BAR * len(bars),
        line=" ".join(f"{bar['x'] + _BAR / 2:g},{bar['arriving']:g}" for bar in bars),
    )  # fmt: skip
