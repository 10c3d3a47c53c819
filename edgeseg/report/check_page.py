"""A page on a data set: its classes, what is wrong with it, and the images whose labels are least like the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeseg.data.check import Checked
from edgeseg.data.layouts import open_dataset
from edgeseg.report.examples import jpeg
from edgeseg.report.results import Panel
from edgeseg.report.templating import render
from edgeseg.runtime.result import Result


def check_page(root: Path, found: Checked, layout: str = "auto") -> str:
    """Returns the page.

    Args:
        root: The data set's folder.
        found: What a check of it found.
        layout: As the check was told.

    Raises:
        DataError: An image can no longer be read.
    """
    datasets = {split: open_dataset(root, split, layout) for split in found.splits}
    labels = next(iter(datasets.values())).labels
    totals = {
        split: max(1, sum(counts[split]["pixels"] for counts in found.classes.values())) for split in found.splits
    }
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "color": labels.colors[labels.names.index(name)],
            "splits": [
                {"share": counts[split]["pixels"] / totals[split], "pictures": counts[split]["pictures"]}
                for split in found.splits
            ],
        }
        for name, counts in found.classes.items()
    ]
    examples = []
    for one in found.unusual:
        dataset = datasets[one.split]
        image, truth = dataset.load([str(path) for path in dataset.images].index(one.image))
        drawn = Result(label_map=truth, labels=dataset.labels).overlay(image)
        panels = [Panel(caption="image", jpeg=jpeg(image)), Panel(caption="labels", jpeg=jpeg(drawn))]
        examples.append({"name": Path(one.image).name, "split": one.split, "most": one.most, "panels": panels})
    page = render(
        "check.html.jinja", name=root.resolve().name, found=found, rows=rows, examples=examples,
        colors=tuple(zip(labels.names, labels.colors, strict=True)),
    )  # fmt: skip
    return str(page)
