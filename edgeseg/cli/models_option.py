"""Opening what a user calls MODEL."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edgeseg.arrays import Float32, Uint8
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.runtime.signature import Preprocessing

    Refiner = Callable[[Float32, Uint8], Uint8]
    """(class probabilities, image) -> label map of the probabilities' size."""


def told_preprocessing(resize: str | None, mean: str | None, std: str | None, order: str | None) -> Preprocessing:
    """Reads what `--resize`, `--mean`, `--std` and `--order` say; `InputSpec` refuses what it does not know."""
    from edgeseg.cli.options import parse_per_channel
    from edgeseg.runtime.signature import Preprocessing

    told: dict[str, Any] = {
        "resize": resize,
        "mean": parse_per_channel("--mean", mean),
        "std": parse_per_channel("--std", std),
        "order": order,
    }
    return Preprocessing(**told)


def open_segmenter(
    model: str,
    *,
    threads: int | None = None,
    delegate: str | None = None,
    size: str | None = None,
    labels: str | None = None,
    preprocessing: Preprocessing | None = None,
) -> Segmenter:
    """Opens anything that segments, a .tflite file or a Keras network, and prints what was assumed of it.

    Args:
        model: Zoo name, folder or file.
        threads: CPU threads for inference.
        delegate: As `--delegate` takes it.
        size: As `--size` takes it, for a network that takes images of any size.
        labels: Class names in place of the card's: a file or a layout's name.
        preprocessing: What was said of the input.

    Raises:
        UsageError: An option does not fit the model.
    """
    from edgeseg import zoo
    from edgeseg.cli.options import parse_size
    from edgeseg.cli.output import console
    from edgeseg.cli.quiet import quiet_tensorflow
    from edgeseg.runtime.labels import load_labels
    from edgeseg.runtime.segmenter import Segmenter

    path = zoo.resolve(model, kind="any")
    if path.suffix in zoo.FLOAT_SUFFIXES:
        quiet_tensorflow()
    segmenter = Segmenter(
        path,
        threads=threads,
        delegate=delegate,
        size=parse_size(size) if size else None,
        labels=load_labels(labels) if labels else None,
        preprocessing=preprocessing,
    )
    for notice in segmenter.notices:
        console.print(notice, soft_wrap=True, markup=False)
    return segmenter
