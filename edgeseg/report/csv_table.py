"""The report as CSV: one row a model, for spreadsheets and scripts. Fractions of 1, bytes, milliseconds."""

from __future__ import annotations

import csv
import io
import math

from edgeseg.report.results import Report, class_names

COLUMNS = (
    "model", "file", "recipe", "height", "width", "dataset", "split", "images", "miou", "pixel_accuracy",
    "latency_ms", "latency_p90_ms", "bytes", "parameters", "macs", "threads", "delegate", "noisy", "cpu",
    "miou_spread", "seeds",
)  # fmt: skip


def csv_table(report: Report) -> str:
    """Returns the table; after `COLUMNS` comes `iou_<class>` for each class, empty where the class does not occur."""
    classes = class_names(report.results)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, *(f"iou_{name}" for name in classes)])
    for r in report.results:
        iou = dict(r.class_iou)
        figures = (
            r.model, r.file, r.recipe, *r.input_size, report.dataset, report.split, report.images, r.miou,
            r.pixel_accuracy, r.latency_ms, r.latency_p90_ms, r.bytes, r.parameters, r.macs, r.threads, r.delegate,
            int(bool(r.noise)), report.host.cpu, r.spread, len(r.seed_mious) or None,
        )  # fmt: skip
        scores = (iou.get(name, math.nan) for name in classes)
        writer.writerow([*figures, *("" if math.isnan(score) else score for score in scores)])
    return text.getvalue()
