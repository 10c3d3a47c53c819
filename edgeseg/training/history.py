"""What a training remembers of its epochs, and `history.csv`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training's history.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean loss of its steps.
        val_miou: mIoU on the validation images, 0-1; None if it was not validated.
        val_accuracy: Fraction of their labelled pixels that are right, likewise.
        learning_rate: That of its last step.
        seconds: How long it took, its validation included.
        class_iou: IoU of each class that occurs in the validation images or was predicted, by name; empty if it was
            not validated.
    """

    epoch: int
    loss: float
    val_miou: float | None = None
    val_accuracy: float | None = None
    learning_rate: float | None = None
    seconds: float | None = None
    class_iou: Mapping[str, float] = field(default_factory=dict)


History = tuple[Epoch, ...]
"""The epochs that are done, in order."""


def best_epoch(history: History) -> Epoch | None:
    """Returns the epoch of the highest val mIoU, the earliest of equals; None if none was validated."""
    validated = [row for row in history if row.val_miou is not None]
    return max(validated, key=lambda row: row.val_miou or 0.0, default=None)


def best_miou(history: History) -> float | None:
    """Returns the highest val mIoU; None before the first validation."""
    best = best_epoch(history)
    return None if best is None else best.val_miou


def last_miou(history: History) -> float | None:
    """Returns the latest val mIoU; None before the first validation."""
    return next((row.val_miou for row in reversed(history) if row.val_miou is not None), None)


def to_csv(history: History) -> str:
    """Returns the text of `history.csv`: a head line, then a line an epoch; a column "iou NAME" for each class."""
    text = io.StringIO()
    rows = [to_json(row) for row in history]
    scores: list[dict[str, float]] = [row.pop("class_iou") for row in rows]
    names = list(dict.fromkeys(name for by_name in scores for name in by_name))
    columns = [*(rows[0] if rows else ()), *(f"iou {name}" for name in names)]
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    for row, by_name in zip(rows, scores, strict=True):
        writer.writerow(row | {f"iou {name}": score for name, score in by_name.items()})
    return text.getvalue()


def to_json(row: Epoch) -> dict[str, Any]:
    """Returns an epoch as a checkpoint keeps it."""
    return {**asdict(row), "class_iou": dict(row.class_iou)}


def from_json(value: Any) -> Epoch:
    """Reads what `to_json` gave, or the list (epoch, loss, val mIoU) of an earlier edgeseg.

    Raises:
        TypeError, ValueError: It is neither.
    """
    if isinstance(value, list):
        epoch, loss, val_miou = value
        return Epoch(epoch=epoch, loss=loss, val_miou=val_miou)
    return Epoch(**value)
