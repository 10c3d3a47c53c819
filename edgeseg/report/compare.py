"""Models compared on one data set and one machine: scored, timed in turns, shown on images, as one record."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path

from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import UsageError
from edgeseg.host import host_info
from edgeseg.measure.benchmark import Benchmark, benchmark
from edgeseg.report.examples import make_examples
from edgeseg.report.kept_scores import KeptScores
from edgeseg.report.results import Report, Result
from edgeseg.runtime.labels import load_labels
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, check_classes, evaluate
from edgeseg.tflite.cost import graph_cost, parameter_count
from edgeseg.tflite.graph import read_graph
from edgeseg.version import __version__
from edgeseg.zoo import files_of

Advance = Callable[[str, int, int], None]
"""advance(what is being done, done, total)."""


def compare(
    models: Sequence[str | os.PathLike[str]],
    data: str | os.PathLike[str] | Dataset,
    *,
    split: str = "val",
    limit: int | None = None,
    threads: int = 1,
    delegate: str | None = None,
    size: tuple[int, int] | None = None,
    labels: str | None = None,
    examples: int = 3,
    kept: str | os.PathLike[str] | None = None,
    command: str | None = None,
    advance: Advance | None = None,
    notify: Callable[[str], None] | None = None,
) -> Report:
    """Scores and times models on one data set: what `edgeseg report` shows.

    >>> import edgeseg
    >>> report = edgeseg.compare(["aerial"], "aerial/")  # doctest: +SKIP
    >>> [(r.model, r.miou, r.latency_ms) for r in report.results]  # doctest: +SKIP
    >>> edgeseg.write_report(report, "out/report")  # doctest: +SKIP

    Args:
        models: Zoo names and model folders, of which all files, or model files.
        data: A data set, or its folder.
        split: Which split of the folder.
        limit: Score only so many images, evenly spread; all if None.
        threads: CPU threads for inference.
        delegate: As `--delegate` takes it.
        size: (rows, columns) of the input, for networks that take any.
        labels: Class names of files without a card: a file's or a layout's name.
        examples: Images to show.
        kept: A file of scores: what it holds of the same models, images and settings is not measured again, and what
            is measured is added to it. Latency is measured every time.
        command: The command that makes this report again; one that `edgeseg` understands if None.
        advance: Called as the work goes on.
        notify: Called with what had to be inferred of a file without a card.

    Returns:
        The record, which `write_report` writes as HTML, Markdown, SVG, CSV and JSON.

    Raises:
        UsageError: No model is named, or one is unknown.
        ModelFileError: A file is missing, damaged or no segmentation network.
        DataError: The data set cannot be read, or has other classes than a model.
        DelegateError: The delegate cannot be loaded, or failed.
    """
    files = [file for model in models for file in files_of(model)]
    if not files:
        raise UsageError("no model to compare: name at least one")
    if examples < 0:
        raise UsageError(f"{examples} images to show: expected 0 or more")
    dataset = data if isinstance(data, Dataset) else open_dataset(data, split)
    names = load_labels(labels) if labels else None
    segmenters = [Segmenter(file, threads=threads, delegate=delegate, size=size, labels=names) for file in files]
    for segmenter in segmenters:
        check_classes(segmenter, dataset)
        if notify:
            for notice in segmenter.notices:
                notify(notice)
    opened = list(zip(files, segmenters, strict=True))
    store = None if kept is None else KeptScores(Path(kept), dataset, (limit, delegate, size, labels))
    scores = [
        scored(file, segmenter, dataset, limit, store, _step(advance, f"scoring {file.name}"))
        for file, segmenter in opened
    ]
    speeds = benchmark(files, threads=threads, delegate=delegate, size=size, advance=_step(advance, "timing"))
    return Report(
        dataset=dataset.name,
        split=dataset.split,
        images=scores[0].images,
        results=tuple(
            measured(file, segmenter, score, speed)
            for (file, segmenter), score, speed in zip(opened, scores, speeds, strict=True)
        ),
        host=host_info(),
        command=command or _command(models, data, dataset.split),
        version=__version__,
        created=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        examples=make_examples(dataset, [(file.stem, segmenter.segment) for file, segmenter in opened], examples),
        colors=tuple(zip(dataset.labels.names, dataset.labels.colors, strict=True)),
    )


def scored(
    file: Path,
    segmenter: Segmenter,
    dataset: Dataset,
    limit: int | None,
    store: KeptScores | None,
    advance: Callable[[int, int], None] | None,
) -> Evaluation:
    """Returns a model's score, from the store if it holds it."""
    found = store.find(file) if store else None
    if found is not None:
        if advance:
            advance(found.images, found.images)
        return found
    score = evaluate(segmenter, dataset, limit=limit, advance=advance)
    if store:
        store.keep(file, score)
    return score


def _step(advance: Advance | None, what: str) -> Callable[[int, int], None] | None:
    return None if advance is None else lambda done, total: advance(what, done, total)


def _command(models: Sequence[str | os.PathLike[str]], data: str | os.PathLike[str] | Dataset, split: str) -> str:
    folder = os.path.commonpath([*data.images, *data.label_maps]) if isinstance(data, Dataset) else os.fspath(data)
    words = ["edgeseg", "report", *(os.fspath(model) for model in models)]
    return shlex.join([*words, "--data", folder, "--split", split, "--out", "report"])


def measured(path: Path, segmenter: Segmenter, score: Evaluation, speed: Benchmark) -> Result:
    """Returns the figures of one file that was scored and timed."""
    graph = read_graph(path) if path.suffix == ".tflite" else None  # of other kinds of files only the runtime knows
    return Result(
        model=path.stem,
        file=str(path),
        recipe=segmenter.card.recipe.name if segmenter.card else "",
        input_size=(segmenter.input.height, segmenter.input.width),
        miou=score.miou,
        pixel_accuracy=score.pixel_accuracy,
        class_iou=tuple(score.class_iou.items()),
        latency_ms=speed.latency_ms.p50,
        latency_p90_ms=speed.latency_ms.p90,
        bytes=path.stat().st_size,
        threads=speed.threads,
        delegate=speed.delegate,
        parameters=None if graph is None else parameter_count(graph),
        macs=None if graph is None else graph_cost(graph).macs,
        noise=speed.noise,
    )
