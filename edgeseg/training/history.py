"""What a training remembers of its epochs, and `history.csv`."""

from __future__ import annotations

import csv
import io
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One line of a training's history.

    Attributes:
        epoch: Its number, from 1.
        loss: Mean loss of its steps.
        val_miou: mIoU on the validation pictures, 0-1; None if it was not validated.
    """

    epoch: int
    loss: float
    val_miou: float | None = None


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
    """Returns the text of `history.csv`: a head line, then a line an epoch."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [field.name for field in fields(Epoch)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in history)
    return text.getvalue()
