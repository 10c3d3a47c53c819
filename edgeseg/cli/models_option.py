"""Opening what a user calls MODEL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeseg.card import LabelSet, ModelCard, PerChannel
    from edgeseg.data.dataset import Dataset
    from edgeseg.image import Float32, Uint8

    Refiner = Callable[[Float32, Uint8], Uint8]
    """(class probabilities, picture) -> label map of the probabilities' size."""


def load_float_model(
    model: str,
    *,
    labels: str | None = None,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    order: str | None = None,
) -> tuple[Any, ModelCard]:
    """Loads a Keras network and its card; makes a card for one that has none.

    Args:
        model: Zoo name, folder or file.
        labels: Class names for a network without a card: a file or a layout's name.
        mean: Normalisation of such a network, 127.5 if not given; replaces that of a card.
        std: Likewise.
        order: Order of its channels; by their number if not given.
    """
    from edgeseg.cli.output import console
    from edgeseg.float_model import open_float_model

    network, card, notices = open_float_model(model, labels=labels, mean=mean, std=std, order=order)
    for line in notices:
        console.print(line, soft_wrap=True, markup=False)
    return network, card


def open_segment(
    model: str,
    *,
    threads: int,
    delegate: str | None = None,
    labels: str | None = None,
    refiner: Refiner | None = None,
    **preprocessing: Any,
) -> tuple[Path, Callable[[Uint8, int, int], Uint8], LabelSet, ModelCard | None]:
    """Opens anything that segments: a .tflite file or a Keras network, with what refines its label maps, if anything.

    Returns:
        Its path, a function (picture, height, width) -> label map, its classes, and its card.
    """
    from edgeseg import zoo
    from edgeseg.cli.output import console
    from edgeseg.cli.quiet import quiet_tensorflow

    path = zoo.resolve(model, kind="any")
    if path.suffix in zoo.FLOAT_SUFFIXES:
        quiet_tensorflow()
        from edgeseg.keras_model import KerasSegmenter

        network, card = load_float_model(str(path), labels=labels)
        keras_segmenter = KerasSegmenter(network, card.input)
        if refiner is None:
            return path, keras_segmenter.segment, card.labels, card

        def refined(image: Uint8, height: int, width: int) -> Uint8:
            return refiner(keras_segmenter.probabilities(image, height, width), image)

        return path, refined, card.labels, card
    from edgeseg.runtime.labels import load_labels
    from edgeseg.runtime.segmenter import Segmenter

    segmenter = Segmenter(
        path, threads=threads, delegate=delegate, labels=load_labels(labels) if labels else None, **preprocessing
    )
    for notice in segmenter.notices:
        console.print(notice)

    def segment(image: Uint8, height: int, width: int) -> Uint8:
        if refiner is not None:
            segmenter.prepare(image)
            segmenter.invoke()
            return refiner(segmenter.probabilities(height, width), image)
        return segmenter.segment(image, height, width, sharp=True)

    return path, segment, segmenter.labels, segmenter.card


def check_classes(path: Path, labels: LabelSet, dataset: Dataset) -> None:
    """Refuses to score a model on a data set with another number of classes.

    Raises:
        DataError: The numbers differ.
    """
    from edgeseg.errors import DataError

    if labels.num_classes != dataset.labels.num_classes:
        raise DataError(
            f"{path} has {labels.num_classes} classes, the {dataset.name} data set has {dataset.labels.num_classes}: "
            "score it on the data set it was trained for"
        )
