"""`edgeseg archs`: the architectures and backbones."""

from __future__ import annotations

import dataclasses

from rich.table import Table

from edgeseg.cli.output import JsonOption, emit, table_console


def command(json: JsonOption = None) -> None:
    """List the networks that can be trained: architectures with their papers, and backbones.

    \b
    Examples:
      edgeseg archs
      edgeseg archs --json
    """  # noqa: D301
    from edgeseg.architectures.backbones.registry import BACKBONES, OF_ONE_WIDTH
    from edgeseg.architectures.registry import ARCHITECTURES, EDGE_REFERENCE, PAPER_CLASSES, Figures

    def millions(figures: Figures | None) -> tuple[str, str]:
        if figures is None:
            return "-", "-"
        return f"{figures.parameters / 1e6:.2f} M", f"{figures.multiply_accumulates / 1e9:.2f} G"

    shown = table_console(json)
    table = Table(box=None, pad_edge=False)
    for title in ("architecture", "edge form", "MACs", "paper form", "MACs"):
        table.add_column(title, justify="left" if title == "architecture" else "right")
    for name, architecture in ARCHITECTURES.items():
        edge, paper = millions(architecture.edge_figures), millions(architecture.paper_figures)
        table.add_row(name, *edge, *paper)
    shown.print(table)
    for name, architecture in ARCHITECTURES.items():
        shown.print(f"{name}: {architecture.title}. {architecture.paper}", soft_wrap=True)
    shown.print(
        "edge: parameters and multiply-accumulates on {backbone}, {num_classes} classes, {height}x{width}, output "
        "stride {output_stride}".format(**EDGE_REFERENCE)
        + f"; paper form: on the paper's backbone and size, {PAPER_CLASSES} classes"
    )
    names = [name if name in OF_ONE_WIDTH else f"{name}_<width>" for name in BACKBONES]
    shown.print(f"backbones: {', '.join(names)}")
    emit(
        {
            "architectures": [
                {
                    "name": name,
                    "title": a.title,
                    "paper": a.paper,
                    "edge": a.edge_figures and {**dataclasses.asdict(a.edge_figures), **EDGE_REFERENCE},
                    "paper_form": {
                        **dataclasses.asdict(a.paper_figures),
                        "backbones": list(a.paper_backbones),
                        "height": a.paper_size[0],
                        "width": a.paper_size[1],
                        "num_classes": PAPER_CLASSES,
                    },
                }
                for name, a in ARCHITECTURES.items()
            ],
            "backbones": list(BACKBONES),
        },
        json,
    )
