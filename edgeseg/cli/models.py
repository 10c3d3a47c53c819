"""`edgeseg models`: the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table

from edgeseg.cli.output import JsonOption, emit, table_console

if TYPE_CHECKING:
    from edgeseg.card import ModelCard
    from edgeseg.provenance import Score


def learnt_from(card: ModelCard, score: Score) -> bool:
    """Whether the images of a score were among those that the network was trained on."""
    if card.training is None:
        return False
    return card.training.dataset in (f"{score.dataset}/{score.split}", f"{score.dataset}/trainval")


def command(json: JsonOption = None) -> None:
    """List the models that come with edgeseg: what they were trained on, how accurate and how large they are.

    \b
    Examples:
      edgeseg models
      edgeseg models --json
    """  # noqa: D301
    from edgeseg import zoo

    rows: list[dict[str, Any]] = []
    for name in zoo.list_models():
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
                    "learnt_from": score is not None and learnt_from(card, score),
                    "licence": card.licence,
                    "bytes": path.stat().st_size,
                    "default": name == zoo.DEFAULT,
                }
            )
    shown = table_console(json)
    table = Table(box=None, pad_edge=False)
    for title in ("model", "recipe", "input", "mIoU %", "on", "MB", "licence"):
        table.add_column(title, justify="right" if title in ("mIoU %", "MB") else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            row["recipe"],
            "x".join(map(str, row["input"])),
            "" if row["miou"] is None else f"{100 * row['miou']:.1f}",
            "" if row["miou"] is None else f"{row['dataset']}/{row['split']}" + ", learnt from" * row["learnt_from"],
            f"{row['bytes'] / 1e6:.2f}",
            row["licence"].partition(":")[0],
        )
    shown.print(table)
    shown.print(f"default: {zoo.DEFAULT}; files: {zoo.zoo_folder()}/<model>/", soft_wrap=True)
    emit({"models": rows}, json)
