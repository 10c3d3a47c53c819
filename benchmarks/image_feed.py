"""Measures how fast images are fed to training: `python benchmarks/image_feed.py --data DIR [--size 240x320]`.

The ways take turns, a stretch of batches each, so that a machine that gets busier slows all of them: images in
memory, images read from disk as they are needed, decoded images read from disk (`--cache` of `edgeseg train`), and,
where the `grain` package is installed, Grain's pipeline of threads over the first two. Prints images a second and the
median of the paired ratios to images in memory: for the feed alone, and with a network that trains on it.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from edgeseg.architectures.registry import DEFAULT_BACKBONE
from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.data.dataset import Dataset
from edgeseg.data.decoded import Decoded
from edgeseg.data.layouts import open_dataset
from edgeseg.data.oddities import count_ids
from edgeseg.threads import THREADS
from edgeseg.training.batches import Batches, Samples
from edgeseg.training.float_training import compiled_network
from edgeseg.training.options import TrainingOptions

Feed = Callable[[int], Iterator[Any]]
"""Yields the batches of an epoch."""


def grain_feed(batches: Batches, images: int, size: int) -> Feed | None:
    """Returns Grain's way to the same batches; None where it is not installed."""
    if importlib.util.find_spec("grain") is None:
        return None
    grain = importlib.import_module("grain")

    class Places:
        def __init__(self, epoch: int) -> None:
            self.epoch = epoch

        def __len__(self) -> int:
            return images

        def __getitem__(self, position: int) -> Any:
            return batches._sample(self.epoch, position, (position * 7919) % images)

    def feed(epoch: int) -> Iterator[Any]:
        options = grain.ReadOptions(num_threads=THREADS, prefetch_buffer_size=3 * size)
        return iter(
            grain.MapDataset.source(Places(epoch)).to_iter_dataset(options).batch(size, batch_fn=batches._batch)
        )

    return feed


def timed(feed: Feed, epoch: int, steps: int, use: Callable[[Any], object]) -> float:
    """Returns seconds for so many batches, behind two that fill the pipeline."""
    batches = feed(epoch)
    for batch in itertools.islice(batches, 2):
        use(batch)
    began = time.perf_counter()
    for batch in itertools.islice(batches, steps):
        use(batch)
    return time.perf_counter() - began


def compare(
    name: str, feeds: dict[str, Feed], size: int, steps: int, rounds: int, use: Callable[[Any], object]
) -> None:
    """Lets the feeds take turns, in any order, and prints a line for each."""
    random.seed(0)
    taken: dict[str, list[float]] = {way: [] for way in feeds}
    for epoch in range(rounds + 1):
        for way in random.sample(list(feeds), len(feeds)):  # what came before fills the processor's caches
            taken[way].append(timed(feeds[way], epoch, steps, use))
    for way, seconds in taken.items():
        ratios = [base / own for base, own in zip(taken["in memory"][1:], seconds[1:], strict=True)]
        rate = size * steps / statistics.median(seconds[1:])
        print(f"{name}: {way}: {rate:.0f} images/s, {statistics.median(ratios):.2f} of in memory", flush=True)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", default="240x320")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    height, width = map(int, given.size.split("x"))
    dataset: Dataset = open_dataset(given.data, "train")
    spec = InputSpec(height=height, width=width)
    options = TrainingOptions(batch_size=given.batch)
    kept = list(dataset)
    scratch = tempfile.TemporaryDirectory(prefix="edgeseg-")
    sources: tuple[Samples, ...] = (kept, dataset, Decoded(dataset, scratch.name))
    for index in range(len(dataset)):
        sources[2][index]
    memory, disk, decoded = (Batches(samples, spec, (height, width), options) for samples in sources)
    feeds: dict[str, Feed] = {"in memory": memory.epoch, "from disk": disk.epoch, "decoded, from disk": decoded.epoch}
    for way, batches in (("Grain, in memory", memory), ("Grain, from disk", disk)):
        other = grain_feed(batches, len(dataset), given.batch)
        if other:
            feeds[way] = other
    steps = min(40, memory.steps - 2)
    compare("feed alone", feeds, given.batch, steps, given.rounds, lambda batch: None)
    card = ModelCard(
        name="benchmark", architecture="deeplabv3plus", backbone=DEFAULT_BACKBONE, output_stride=16, input=spec,
        labels=dataset.labels, recipe=Recipe(name="float32"),
    )  # fmt: skip
    network = compiled_network(card, options, count_ids(kept)[: dataset.labels.num_classes])
    train = lambda batch: network.train_on_batch(*batch)  # noqa: E731
    compare("with training", feeds, given.batch, min(6, steps), given.rounds, train)
    scratch.cleanup()


if __name__ == "__main__":
    main()
