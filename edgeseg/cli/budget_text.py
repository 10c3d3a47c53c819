"""How `edgeseg convert --max-miou-drop` tabulates what was tried, and what it gives to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

if TYPE_CHECKING:
    from edgeseg.conversion.trials import Budgeted, Trial


def table(found: Budgeted) -> Table:
    """Returns a table with a row for the float network and each recipe that was tried."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    made.add_column("tried", no_wrap=True)
    for name in ("mIoU", "points lost", "agreement", "seconds"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("")
    made.add_row("float", f"{found.float_score.miou:.4f}", "", "", "", "")
    for trial in found.trials:
        cost = f" ({trial.conversion.cost})" if trial.conversion and trial.conversion.cost else ""
        told = f"{trial.reason or 'holds'}{cost}"
        made.add_row(trial.flags, *_figures(trial), f"{trial.seconds:.0f}", escape(told))
    return made


def _figures(trial: Trial) -> tuple[str, str, str]:
    if trial.conversion is None:
        return "", "", ""
    return f"{trial.miou:.4f}", f"{trial.drop:.2f}", f"{trial.conversion.agreement:.2%}"


def missed(found: Budgeted) -> str:
    """Says in one line that no recipe stays within the budget."""
    return (
        f"no recipe loses {found.max_miou_drop:g} points of mIoU or less on {found.scored_on} and passes the gate: the "
        f"best, {found.best.flags}, loses {found.best.drop:.2f} and is written to {found.conversion.file}; allow more, "
        "train longer (--epochs), or use --float16"
    )


def as_json(found: Budgeted) -> dict[str, Any]:
    """Returns the same for programs."""
    return {
        "max_miou_drop": found.max_miou_drop,
        "holds": found.holds,
        "scored_on": found.scored_on,
        "float_miou": found.float_score.miou,
        "chosen": found.best.flags,
        "miou": found.best.miou,
        "miou_drop": found.best.drop,
        "trials": [
            {
                "flags": trial.flags,
                "recipe": trial.recipe,
                "miou": trial.miou,
                "miou_drop": trial.drop,
                "agreement": trial.conversion.agreement if trial.conversion else None,
                "seconds": trial.seconds,
                "cost": trial.conversion.cost if trial.conversion else "",
                "holds": not trial.reason,
                "reason": trial.reason,
            }
            for trial in found.trials
        ],
    }
