"""A training's folder: which files it holds, and when it may be written.

`model.keras` is the best so far, with its card; `checkpoint.npz` everything needed to go on; `history.csv` a line an
epoch. Each is replaced atomically, so a kill costs at most the running epoch.
"""

from __future__ import annotations

from pathlib import Path

from edgeseg.errors import DataError, UsageError
from edgeseg.training.checkpoint import read_facts
from edgeseg.training.history import best_epoch

MODEL_FILE = "model.keras"
CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.csv"


def claim(folder: Path, *, resume: bool, overwrite: bool) -> bool:
    """Decides whether a training may use `folder`, before anything is written.

    Args:
        folder: Where the training is to be kept.
        resume: Whether to go on with the one that is there.
        overwrite: Whether to replace the one that is there, file by file as the new one's are ready.

    Returns:
        Whether there is a checkpoint to go on from.

    Raises:
        UsageError: The folder holds a training and neither was asked for, or both; or there is nothing to go on from.
    """
    if resume and overwrite:
        raise UsageError("--resume and --overwrite were both given: choose one")
    held = [name for name in (CHECKPOINT_FILE, MODEL_FILE, HISTORY_FILE) if (folder / name).exists()]
    if not held or overwrite:
        return False
    if not resume:
        raise UsageError(
            f"{folder} holds a training ({describe(folder)}): --resume goes on with it, --overwrite replaces it"
        )
    if CHECKPOINT_FILE not in held:
        raise UsageError(
            f"{folder} holds {' and '.join(held)} but no {CHECKPOINT_FILE} to go on from: --overwrite them, or name "
            "another folder"
        )
    return True


def describe(folder: Path) -> str:
    """Tells how far the training in a folder got, such as "12 epochs, best val mIoU 0.6132 in epoch 10"."""
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        held = [name for name in (MODEL_FILE, HISTORY_FILE) if (folder / name).exists()]
        return " and ".join(held) or "no epoch ended"
    try:
        history = read_facts(path)["history"]
    except DataError:
        return f"a {CHECKPOINT_FILE} that cannot be read"
    best = best_epoch(history)
    told = f"{len(history)} epoch{'s' * (len(history) != 1)}"
    return told if best is None else f"{told}, best val mIoU {best.val_miou:.4f} in epoch {best.epoch}"
