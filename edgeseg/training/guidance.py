"""What a training's history gives reason to say: classes that are not learnt, over-fitting, a learning rate too high.

Each is said when it begins to be so, not again at every epoch.
"""

from __future__ import annotations

from collections.abc import Callable

from edgeseg.training.history import Epoch, History, best_epoch

UNLEARNT_AFTER = 3
"""Validations in a row in which a class has had no pixel right."""
SETTLED = 1 / 3
"""Before this share of the epochs the learning rate is high, and rare classes are to come yet."""
RISE = 1.5
"""Times its lowest at which a loss has run away."""
STALE = 4
"""Validations since the best one, at least, before over-fitting is spoken of."""
DROP = 0.02
"""By how much the mIoU must have fallen meanwhile ..."""
FALL = 0.9
"""... while the loss fell to this share of what it was."""


def advice(history: History, epochs: int = 0) -> tuple[str, ...]:
    """Returns what the last epoch gives reason to say.

    Args:
        history: The epochs that are done.
        epochs: How many there are to be; 0 if nobody knows.
    """
    before = history[:-1]
    found = []
    for name in sorted(unlearnt(history, epochs) - unlearnt(before, epochs)):
        found.append(
            f"class '{name}' has had no pixel right in {UNLEARNT_AFTER} validations: it has too few pixels, or is too "
            "small at this --size; --loss ce+dice, --class-weights, --balanced-crops and --copy-paste help rare classes"
        )
    if _begins(overfits, history):
        best = best_epoch(history)
        found.append(
            f"over-fitting: the loss falls on, val mIoU has not been better since epoch {best.epoch if best else 0}; "
            "more images, a wider --scale or --rotation, or a smaller --backbone would help, --patience ends it"
        )
    if _begins(diverges, history):
        found.append("the loss has risen far above its lowest: --lr is too high, try a third of it")
    return tuple(found)


def _begins(holds: Callable[[History], bool], history: History) -> bool:
    return holds(history) and not holds(history[:-1])


def unlearnt(history: History, epochs: int = 0) -> set[str]:
    """Returns the classes that have had no pixel right in any of the last validations; none at the beginning."""
    last = _validated(history)[-UNLEARNT_AFTER:]
    if len(last) < UNLEARNT_AFTER or len(history) < SETTLED * epochs:
        return set()
    return set.intersection(*({name for name, iou in row.class_iou.items() if iou == 0} for row in last))


def overfits(history: History) -> bool:
    """Whether the loss has gone on falling since the best validation, while the mIoU fell."""
    best, validated = best_epoch(history), _validated(history)
    if best is None or sum(row.epoch > best.epoch for row in validated) < STALE:
        return False
    recent = max(row.val_miou or 0.0 for row in validated[-2:])
    return (best.val_miou or 0.0) - recent > DROP and history[-1].loss < FALL * best.loss


def diverges(history: History) -> bool:
    """Whether the loss has risen far above its lowest."""
    return len(history) > 1 and history[-1].loss > RISE * min(row.loss for row in history)


def _validated(history: History) -> list[Epoch]:
    return [row for row in history if row.val_miou is not None]
