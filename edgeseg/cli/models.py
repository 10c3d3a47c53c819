"""`edgeseg models`: the zoo."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from edgeseg.cli.output import JsonOption, console, emit


def command(json: JsonOption = None) -> None:
    """List the models that come with edgeseg: what they were trained on, how accurate and how large they are.

    \b
    Examples:
      edgeseg models
      edgeseg models --json
    """  # noqa: D301
    from edgeseg import zoo

    rows: list[dict[str, Any]] = []
    for name in zoo.names():
        for path, card in zoo.load(name).files:
            score = card.scores[0] if card.scores else None
            rows.append(
                {
                    "name": name,
                    "file": str(path),
                    "recipe": card.recipe.name,
                    "target": card.recipe.target,
                    "architecture": card.architecture,
                    "backbone": card.backbone,
                    "input": [card.input.height, card.input.width],
                    "classes": list(card.labels.names),
                    "dataset": score.dataset if score else None,
                    "split": score.split if score else None,
                    "miou": score.miou if score else None,
                    "bytes": path.stat().st_size,
                    "default": name == zoo.DEFAULT,
                }
            )
    table = Table(box=None, pad_edge=False)
    for title in ("model", "file", "recipe", "network", "input", "mIoU", "MB"):
        table.add_column(title, justify="right" if title in ("mIoU", "MB") else "left")
    for row in rows:
        accuracy = "" if row["miou"] is None else f"{row['miou']:.4f} {row['dataset']}/{row['split']}"
        table.add_row(
            row["name"] + (" (default)" if row["default"] else ""),
            row["file"].rsplit("/", 1)[-1],
            row["recipe"],
            f"{row['architecture']} {row['backbone']}",
            "x".join(map(str, row["input"])),
            accuracy,
            f"{row['bytes'] / 1e6:.2f}",
        )
    console.print(table)
    emit({"models": rows}, json)
