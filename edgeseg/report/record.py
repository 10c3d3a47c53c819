"""The report as one JSON object, for programs."""

from __future__ import annotations

from typing import Any

from edgeseg.report.results import Report, Result, pareto_front

FORMAT = 1


def report_record(report: Report) -> dict[str, Any]:
    """Returns the object: the facts of the measurement, and `results`, one object a model."""
    front = pareto_front(report.results)
    return {
        "format": FORMAT,
        "edgeseg": report.version,
        "created": report.created,
        "command": report.command,
        "dataset": report.dataset,
        "split": report.split,
        "images": report.images,
        "host": vars(report.host),
        "notes": list(report.notes),
        "explained": [vars(one) | {"layers": list(one.layers)} for one in report.explained],
        "results": [_result(r, index in front) for index, r in enumerate(report.results)],
    }


def _result(result: Result, on_front: bool) -> dict[str, Any]:
    return {
        "model": result.model,
        "file": result.file,
        "recipe": result.recipe,
        "input_size": list(result.input_size),
        "miou": result.miou,
        "miou_spread": result.spread,
        "seed_mious": list(result.seed_mious),
        "pixel_accuracy": result.pixel_accuracy,
        "class_iou": dict(result.class_iou),
        "latency_ms": result.latency_ms,
        "latency_p90_ms": result.latency_p90_ms,
        "bytes": result.bytes,
        "parameters": result.parameters,
        "macs": result.macs,
        "threads": result.threads,
        "delegate": result.delegate,
        "noisy": bool(result.noise),
        "noise": list(result.noise),
        "pareto": on_front,
        "commands": list(result.commands),
        "remark": result.remark,
    }
