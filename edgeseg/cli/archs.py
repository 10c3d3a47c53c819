"""`edgeseg archs`: the architectures and backbones."""

from __future__ import annotations

from rich.table import Table

from edgeseg.cli.output import JsonOption, console, emit


def command(json: JsonOption = None) -> None:
    """List the networks that can be trained: architectures with their papers, and backbones.

    \b
    Examples:
      edgeseg archs
      edgeseg archs --json
    """  # noqa: D301
    from edgeseg.architectures.backbones import BACKBONES
    from edgeseg.architectures.registry import ARCHITECTURES

    table = Table(box=None, pad_edge=False)
    for title in ("architecture", "title", "paper"):
        table.add_column(title)
    for name, architecture in ARCHITECTURES.items():
        table.add_row(name, architecture.title, architecture.paper)
    console.print(table)
    console.print(f"backbones: {', '.join(f'{name}_<width>' for name in BACKBONES)}")
    emit(
        {
            "architectures": [{"name": n, "title": a.title, "paper": a.paper} for n, a in ARCHITECTURES.items()],
            "backbones": list(BACKBONES),
        },
        json,
    )
