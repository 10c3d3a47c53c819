"""A page on a training that has ended: its curves, what there is to say of it, what the best weights do and miss."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from edgeseg.card import LabelSet, ModelCard
from edgeseg.report.curves import Curve, curves_plot
from edgeseg.report.examples import jpeg
from edgeseg.report.figures import ABSENT, percent
from edgeseg.report.results import Panel
from edgeseg.report.templating import render
from edgeseg.runtime.result import Result
from edgeseg.scoring.detail import Detail
from edgeseg.scoring.measures import confusions, worst_images
from edgeseg.training.guidance import advice
from edgeseg.training.history import History, best_epoch

WORST = 6
"""So many of the worst images are shown."""
_MISTAKES = 8
_MOST_CLASSES = 40
"""With more classes the matrix is left out, the commonest mistakes tell."""


def training_page(card: ModelCard, history: History, scored: Detail) -> str:
    """Returns the page.

    Args:
        card: Of the best weights.
        history: The epochs, at least one.
        scored: The best weights on the validation images.

    Raises:
        DataError: An image can no longer be read.
    """
    best = best_epoch(history)
    page = render(
        "training.html.jinja", card=card, history=history, best=best, scores=scored.scores,
        percent=percent, plots=_plots(card.labels, history), advice=_advice(card, history), matrix=_matrix(scored),
        mistakes=confusions(scored.scores, _MISTAKES), worst=_worst(scored), facts=_facts(card),
        classes=list(zip(card.labels.names, card.labels.colors, strict=True)),
    )  # fmt: skip
    return f"{page}\n"


def _plots(labels: LabelSet, history: History) -> list[Markup]:
    best, epochs = best_epoch(history), history[-1].epoch
    mark = None if best is None else best.epoch

    def curve(name: str, values: Sequence[float | None]) -> Curve | None:
        points = tuple((row.epoch, value) for row, value in zip(history, values, strict=True) if value is not None)
        return Curve(name=name, points=points) if points else None

    single: dict[str, Sequence[float | None]] = {
        "loss": [row.loss for row in history],
        "val mIoU": [row.val_miou for row in history],
        "learning rate": [row.learning_rate for row in history],
    }
    found = {name: curve(name, values) for name, values in single.items()}
    plots = {name: [one] for name, one in found.items() if one is not None}
    colors = {name: f"rgb{color}" for name, color in zip(labels.names, labels.colors, strict=True)}
    named = [(name, [row.class_iou.get(name) for row in history]) for name in labels.names]
    by_class = [(name, curve(name, values)) for name, values in named]
    lines = [Curve(name=name, points=one.points, color=colors[name]) for name, one in by_class if one is not None]
    if lines:
        plots["IoU of each class"] = lines
    return [curves_plot(title, curves, epochs, mark) for title, curves in plots.items()]


def _advice(card: ModelCard, history: History) -> list[tuple[int, str]]:
    """Returns what each epoch gave reason to say."""
    epochs = card.training.epochs if card.training else 0
    return [(row.epoch, line) for n, row in enumerate(history, 1) for line in advice(history[:n], epochs)]


def _matrix(scored: Detail) -> list[dict[str, Any]]:
    """Returns a row for each true class: where its pixels went, and its IoU."""
    confusion, names = scored.scores.confusion, list(scored.scores.class_iou)
    if confusion is None or len(names) > _MOST_CLASSES:
        return []
    totals = confusion.sum(1, keepdims=True)
    shares = confusion / np.maximum(1, totals)
    return [
        {
            "name": name,
            "iou": percent(scored.scores.class_iou[name]),
            "cells": [
                {
                    "text": percent(float(share)) if total else ABSENT,
                    "kind": "right" if column == row else "wrong",
                    "shade": f"{0.06 + 0.6 * share:.2f}" if share >= 0.0005 else "0",
                }
                for column, share in enumerate(shares[row])
            ],
        }
        for row, (name, total) in enumerate(zip(names, totals.ravel(), strict=True))
    ]


def _worst(scored: Detail) -> list[dict[str, Any]]:
    shown = []
    for index, name, miou in worst_images(scored.scores, WORST):
        image, truth = scored.dataset.load(index)
        maps = (("labels", truth), ("prediction", scored.segment(image, *truth.shape)))
        drawn = [(caption, Result(label_map=ids, labels=scored.dataset.labels).overlay(image)) for caption, ids in maps]
        panels = [Panel(caption=caption, jpeg=jpeg(drawn_image)) for caption, drawn_image in [("image", image), *drawn]]
        shown.append({"name": Path(name).name, "miou": percent(miou), "panels": panels})
    return shown


def _facts(card: ModelCard) -> list[tuple[str, str]]:
    """Returns (name, value) of what the card tells."""
    spec, record = card.input, card.training
    facts = [
        ("Network", f"{card.architecture}, {card.backbone}, {card.form} form, output stride {card.output_stride}"),
        ("Input", f"{spec.height}x{spec.width}, {spec.channels} channels, {spec.order}, {spec.resize}"),
        ("Normalisation", f"(pixel - {spec.mean}) / {spec.std}"),
    ]
    if record is not None:
        facts += [
            ("Learnt from", f"{record.images} images of {record.dataset}"),
            ("Started from", record.init),
            ("Teacher", record.teacher),
            ("Loss", record.loss),
            ("Optimizer", f"AdamW, learning rate {record.learning_rate:g}, weight decay {record.weight_decay:g}"),
            ("Batches", f"{record.batch_size} of {record.crop[0]}x{record.crop[1]}, seed {record.seed}"),
        ]
    facts += [("Licence", card.licence), ("Made with", ", ".join(f"{name} {version}" for name, version in card.tools))]
    return [(name, value) for name, value in facts if value]
