"""What `edgeseg eval` prints and writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg.cli.output import console
from edgeseg.files import write_text
from edgeseg.report.images import image_table, write_overlays
from edgeseg.scoring.detail import Detail
from edgeseg.scoring.intervals import LEVEL, Interval, difference_interval, miou_interval
from edgeseg.scoring.measures import confusions, worst_images

_MISTAKES = 5


def show(scored: Detail, other: Detail | None, worst: int) -> None:
    """Prints the scores of a model, and how they compare with another's."""
    scores = scored.scores
    width = max(map(len, scores.class_iou))
    for name, iou in scores.class_iou.items():
        line = f"  {name:<{width}}  {'not present' if iou != iou else f'{iou:.4f}'}"
        if scored.boundary is not None and (edge := scored.boundary[name]) == edge:
            line += f"  boundary {edge:.4f}"
        console.print(line)
    sure = _interval(scored)
    between = "" if sure is None else f" ({sure.low:.4f} to {sure.high:.4f} with {100 * LEVEL:.0f} % confidence)"
    _say(f"mIoU {scores.miou:.4f}, pixel accuracy {scores.pixel_accuracy:.4f} on {scores.images} images{between}")
    if scored.boundary_mean is not None:
        _say(f"boundary F {scored.boundary_mean:.4f} within 2 pixels")
    if scored.ece is not None:
        _say(f"expected calibration error {scored.ece:.4f}")
    if scored.ignored:
        _say(f"not scored, since the model knows no such class: {', '.join(scored.ignored)}")
    for true, taken, share in confusions(scores, _MISTAKES):
        _say(f"  {100 * share:.1f} % of {true} is taken for {taken}")
    if scored.refine_ms is not None:
        _say(f"refined by {scored.refine}: {scored.refine_ms:.0f} ms an image")
    for _, name, miou in worst_images(scores, worst):
        _say(f"  {miou:.4f}  {name}")
    if other is not None:
        _say(f"{other.model}: mIoU {other.scores.miou:.4f}, {_verdict(scored, other)}")
        if other.boundary_mean is not None:
            _say(f"  its boundary F {other.boundary_mean:.4f}")
        if other.ece is not None:
            _say(f"  its expected calibration error {other.ece:.4f}")


def write_files(scored: Detail, csv: Path | None, worst: int, overlays: Path | None) -> None:
    """Writes the table of images and the overlays that were asked for."""
    if csv is not None:
        write_text(csv, image_table(scored.scores))
        _say(f"{csv}: {scored.scores.images} images")
    if overlays is not None:
        chosen = [(index, miou) for index, _, miou in worst_images(scored.scores, worst)]
        written = write_overlays(overlays, scored.dataset, scored.segment, chosen)
        _say(f"{overlays}: {len(written)} images, each beside its labels and the prediction")


def as_json(scored: Detail, other: Detail | None, worst: int) -> dict[str, Any]:
    """Returns what `--json` tells."""
    scores = scored.scores
    told: dict[str, Any] = {
        "model": scored.model,
        "dataset": scores.dataset,
        "split": scores.split,
        "miou": scores.miou,
        "miou_interval": _ends(_interval(scored)),
        "pixel_accuracy": scores.pixel_accuracy,
        "class_iou": scores.class_iou,
        "class_dice": scores.class_dice,
        "class_boundary_f": scored.boundary,
        "boundary_f": scored.boundary_mean,
        "ece": scored.ece,
        "confusion": None if scores.confusion is None else scores.confusion.tolist(),
        "images": scores.images,
        "ignored_classes": list(scored.ignored),
        "worst": [{"image": name, "miou": miou} for _, name, miou in worst_images(scores, worst)],
        "refine": scored.refine,
        "refine_ms": scored.refine_ms,
    }
    if other is not None:
        told["against"] = {
            "model": other.model,
            "miou": other.scores.miou,
            "boundary_f": other.boundary_mean,
            "ece": other.ece,
            "difference": scores.miou - other.scores.miou,
            "difference_interval": _ends(_difference(scored, other)),
        }
    return told


def _verdict(scored: Detail, other: Detail) -> str:
    apart = _difference(scored, other)
    if apart is None:
        return ""
    told = f"{scored.scores.miou - other.scores.miou:+.4f} ({apart.low:+.4f} to {apart.high:+.4f})"
    if apart.low <= 0 <= apart.high:
        return f"{told}: these images do not tell the two apart"
    return f"{told}: {scored.model if apart.low > 0 else other.model} is better, and not by chance"


def _interval(scored: Detail) -> Interval | None:
    images = scored.scores.per_image
    return None if images is None or len(images.names) < 2 else miou_interval(images)


def _difference(scored: Detail, other: Detail) -> Interval | None:
    ours, theirs = scored.scores.per_image, other.scores.per_image
    if ours is None or theirs is None or len(ours.names) < 2:
        return None
    return difference_interval(ours, theirs)


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _say(line: str) -> None:
    console.print(line, soft_wrap=True, markup=False)
