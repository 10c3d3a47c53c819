"""`edgeseg archs`: the architectures and backbones."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.table import Table

from edgeseg.cli.output import JsonOption, emit, table_console


def command(json: JsonOption = None) -> None:
    """List the networks that can be trained: architectures with their papers, and backbones.

    "-" where an architecture does not have a form (`edgeseg train --form edge|paper`).

    \b
    Examples:
      edgeseg archs
      edgeseg archs --json
    """  # noqa: D301
    from edgeseg.architectures.architecture import NetworkForm
    from edgeseg.architectures.backbones.registry import BACKBONES
    from edgeseg.architectures.registry import ARCHITECTURES

    shown = table_console(json)
    table = Table(box=None, pad_edge=False)
    for title in ("architecture", "--form edge", "MACs", "--form paper", "MACs"):
        table.add_column(title, justify="left" if title == "architecture" else "right")
    for name, architecture in ARCHITECTURES.items():
        table.add_row(name, *_cost(architecture.edge), *_cost(architecture.paper))
    shown.print(table)
    for name, architecture in ARCHITECTURES.items():
        shown.print(f"{name}: {architecture.title}. {architecture.citation}", soft_wrap=True)
    shown.print(
        "edge: parameters and multiply-accumulates on resnet18_0.25, 11 classes, 360x480, output stride 8; paper: on "
        "the paper's backbone and size, 21 classes",
        soft_wrap=True,
    )
    names = [name if backbone.has_one_width else f"{name}_<width>" for name, backbone in BACKBONES.items()]
    shown.print(f"backbones: {', '.join(names)}", soft_wrap=True)
    started = {b.name: ", ".join(f"{w:g}" for w in b.pretrained.widths) for b in BACKBONES.values() if b.pretrained}
    for name, widths in started.items():
        shown.print(f"--weights imagenet: {name} of width {widths}", soft_wrap=True)

    def told(form: NetworkForm | None, **more: Any) -> dict[str, Any] | None:
        if form is None:
            return None
        return {**(dataclasses.asdict(form.reference) if form.reference else {}), "strides": form.strides, **more}

    emit(
        {
            "architectures": [
                {
                    "name": name,
                    "title": a.title,
                    "paper": a.citation,
                    "forms": list(a.forms),
                    "edge": told(a.edge),
                    "paper_form": told(a.paper, backbones=list(a.paper.backbones or BACKBONES) if a.paper else []),
                }
                for name, a in ARCHITECTURES.items()
            ],
            "backbones": list(BACKBONES),
        },
        json,
    )


def _cost(form: Any) -> tuple[str, str]:
    if form is None:
        return "-", "-"
    if form.reference is None:
        return "yes", "-"
    return f"{form.reference.parameters / 1e6:.2f} M", f"{form.reference.multiply_accumulates / 1e9:.2f} G"
