"""What a report holds: the measured results of some models on one data set, on one machine."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.host import HostInfo
from edgeseg.zoo import zoo_folder


@dataclass(frozen=True, kw_only=True)
class Result:
    """One model's figures.

    Attributes:
        model: Its name, as the tables show it.
        file: The file that was measured.
        recipe: How it was quantized; "" for a file that does not say.
        input_size: (rows, columns) of its input.
        miou: Mean intersection over union at label resolution, 0-1.
        pixel_accuracy: Fraction of labelled pixels that are right, 0-1.
        class_iou: (class, IoU) of every class, in the order of their ids; NaN for one that does not occur.
        latency_ms: p50 of one inference, milliseconds.
        latency_p90_ms: p90 of the same.
        bytes: Size of the file.
        threads: CPU threads.
        delegate: What ran the network.
        parameters: Weights and biases; None if unknown.
        macs: Multiply-accumulates of one inference; None if unknown.
        noise: Why the latency may be off; empty on a quiet machine.
        seed_mious: Of a network that was trained with several seeds the mIoU of each, whose mean is `miou`; `file` is
            the best of them. Empty for one file.
        commands: What makes it, if that is known.
        remark: What else one should know of it.
    """

    model: str
    file: str
    recipe: str
    input_size: tuple[int, int]
    miou: float
    pixel_accuracy: float
    class_iou: tuple[tuple[str, float], ...]
    latency_ms: float
    latency_p90_ms: float
    bytes: int
    threads: int
    delegate: str
    parameters: int | None = None
    macs: int | None = None
    noise: tuple[str, ...] = ()
    seed_mious: tuple[float, ...] = ()
    commands: tuple[str, ...] = ()
    remark: str = ""

    @property
    def spread(self) -> float | None:
        """Standard deviation of the mIoU over seeds, as of a sample; None for fewer than two."""
        return statistics.stdev(self.seed_mious) if len(self.seed_mious) > 1 else None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One image of an example: a caption ("label", a model's name) and a JPEG's bytes."""

    caption: str
    jpeg: bytes


@dataclass(frozen=True, kw_only=True)
class Example:
    """One image of the data set, and what the models make of it."""

    name: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, kw_only=True)
class Explained:
    """What quantization costs one of the files.

    Attributes:
        model: Its name.
        told: How well it does as a whole, in words.
        layers: For each layer in order what `noise_page` takes.
    """

    model: str
    told: str
    layers: tuple[dict[str, Any], ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything on the pages.

    Attributes:
        dataset: The data set's name.
        split: Which split of it.
        images: How many images were scored.
        results: One for each model, in the order given.
        host: The machine.
        command: The command that makes this report again.
        version: edgeseg's.
        created: When, as text.
        examples: Images to look at.
        colors: (class, its red, green and blue) in those images.
        notes: What else one should know, such as what is not here and why.
        explained: What quantization costs the integer files, layer by layer.
    """

    dataset: str
    split: str
    images: int
    results: tuple[Result, ...]
    host: HostInfo
    command: str
    version: str
    created: str
    examples: tuple[Example, ...] = ()
    colors: tuple[tuple[str, tuple[int, int, int]], ...] = ()
    notes: tuple[str, ...] = ()
    explained: tuple[Explained, ...] = ()


def pareto_front(results: Sequence[Result]) -> tuple[int, ...]:
    """Returns the indices of the results that no other beats, the fastest first.

    A result is beaten when another is at least as fast and at least as accurate, and better in one of the two.
    """
    order = sorted(range(len(results)), key=lambda i: (results[i].latency_ms, -results[i].miou))
    front: list[int] = []
    for index in order:
        if not front or results[index].miou > results[front[-1]].miou:
            front.append(index)
    return tuple(front)


def short_names(results: Sequence[Result]) -> tuple[str, ...]:
    """Returns what tells the models apart: the zoo's names if all are of the zoo, else names without shared words.

    Where those would no longer differ, the names are whole.
    """
    of_zoo = {
        Path(r.file).parent.name for r in results if Path(r.file).resolve().parent.parent == zoo_folder().resolve()
    }
    if len(of_zoo) == len(results):
        return tuple(Path(r.file).parent.name for r in results)
    whole = tuple(result.model for result in results)
    words = [_words(result) for result in results]
    shared = set.intersection(*map(set, words))
    short = tuple("_".join(word for word in own if word not in shared) for own in words)
    return short if all(short) and len(set(short)) == len(results) else whole


def _words(result: Result) -> list[str]:
    ending = f"_{result.recipe}"
    if result.recipe and result.model.endswith(ending):
        return [*result.model.removesuffix(ending).split("_"), result.recipe]
    return result.model.split("_")


def class_names(results: Sequence[Result]) -> tuple[str, ...]:
    """Returns the classes of all results, in the order they first appear."""
    return tuple(dict.fromkeys(name for result in results for name, _ in result.class_iou))
