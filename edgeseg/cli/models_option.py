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
    from dataclasses import replace

    from edgeseg import zoo
    from edgeseg.card import InputSpec, ModelCard, Recipe
    from edgeseg.cli.options import input_channels
    from edgeseg.cli.output import console
    from edgeseg.errors import UsageError
    from edgeseg.keras_model import load_model
    from edgeseg.runtime.labels import load_labels, numbered_labels

    path = zoo.resolve(model, kind="float")
    network, card = load_model(path)
    told: dict[str, Any] = {"mean": mean, "std": std, "order": order}
    if card is not None:
        return network, replace(card, input=replace(card.input, **{k: v for k, v in told.items() if v is not None}))
    shape = getattr(network, "input_shape", None)
    if not isinstance(shape, tuple) or len(shape) != 4 or not shape[3]:
        raise UsageError(f"{path} takes {shape}, expected one input (batch, height, width, channels)")
    outputs = network.output_shape
    if not isinstance(outputs, tuple) or len(outputs) != 4:
        raise UsageError(f"{path} gives {outputs}, expected logits (batch, height, width, classes)")
    count = max(2, outputs[3])  # one channel tells two classes apart
    names = load_labels(labels) if labels else numbered_labels(count)
    if names.num_classes != count:
        raise UsageError(f"{labels} names {names.num_classes} classes, {path} gives {count}")
    height, width = shape[1] or 0, shape[2] or 0
    if not height or not width:
        raise UsageError(f"{path} takes any input size: save it with a fixed one")
    spec = InputSpec(
        height=height, width=width, mean=127.5 if mean is None else mean, std=127.5 if std is None else std,
        **input_channels(order, shape[3]),
    )  # fmt: skip
    console.print(
        f"{path} has no card: assuming (pixel - {spec.mean}) / {spec.std}, {spec.order}, {names.num_classes} classes"
    )
    card = ModelCard(
        name=f"{path.stem}_{height}x{width}", architecture="", backbone="", output_stride=0,
        input=spec, labels=names, recipe=Recipe(name="float32"),
    )  # fmt: skip
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
