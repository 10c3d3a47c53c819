"""Why an integer file chooses otherwise than its float network: the noise of each layer, worst first."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import graph_of, read_model
from edgeseg.conversion.agreement import ChoicesOf
from edgeseg.conversion.convert import open_images
from edgeseg.conversion.converter import Advance, run_converter
from edgeseg.conversion.noise import LayerNoise, layer_noise
from edgeseg.conversion.surgery import for_converter
from edgeseg.data.calibration import lists_files
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.float_model import open_float_model
from edgeseg.image import fit
from edgeseg.recipes import recipe_row
from edgeseg.zoo import resolve

IMAGES = 10
"""Images that tell enough: noise is a mean over millions of values."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """What quantization does to a network.

    Attributes:
        file: The integer file.
        card: Its card.
        images: How many images it was measured on.
        source: Where they are from.
        agreement: Fraction of their pixels on which the file chooses as the float network.
        layers: Every operator with weights, in the order in which they run; see `noise.worst_first`.
    """

    file: Path
    card: ModelCard
    images: int
    source: str
    agreement: float
    layers: tuple[LayerNoise, ...]

    @property
    def told(self) -> str:
        """How well the file does as a whole, in words."""
        return (
            f"{self.file.name}: chooses as its float network on {self.agreement:.2%} of the pixels of {self.images} "
            f"images ({self.source})"
        )


def explain(
    model: str | os.PathLike[str] | None = None,
    *,
    float_model: Any = None,
    calibration: str | os.PathLike[str] | Sequence[Uint8] | None = None,
    data: str | os.PathLike[str] | None = None,
    images: int = IMAGES,
    advance: Advance | None = None,
) -> Explanation:
    """Measures, layer by layer, what quantization costs an int8 file.

        edgeseg.explain("street", calibration="camvid/val").layers[0].advice

    Args:
        model: Zoo name, folder, or an integer `.tflite` file with its card; None for the zoo's default.
        float_model: The Keras network that it was converted from; the one in its folder if None.
        calibration: Images like those that the camera sees, as `edgeseg.convert` takes them.
        data: Folder that a manifest's file names are relative to.
        images: Measure on at most so many images.
        advance: Called with (done, total) images.

    Raises:
        ConversionError: The file is not of that network.
        DataError: There are no images.
        ModelFileError: A model is missing or cannot be read.
        UsageError: The file is not an integer one, or has no card.
    """
    if data is not None and not lists_files(calibration):
        raise UsageError(
            f"--data {os.fspath(data)} is the folder of a manifest's files: name the manifest with --calibration"
        )
    file = resolve(Path(model) if isinstance(model, os.PathLike) else model)
    content, card = read_model(file)
    if card is None or not recipe_row(card.recipe.name).is_integer:
        kind = "has no card" if card is None else f"is {card.recipe.name}"
        raise UsageError(f"{file} {kind}: expected an int8 file that edgeseg converted, see edgeseg convert --int8")
    if float_model is None:
        try:
            float_model = resolve(file.parent, kind="float")
        except ModelFileError as error:
            raise ModelFileError(f"{error}: name the network that {file.name} was converted from") from error
    network, float_card, _ = open_float_model(float_model)
    divided = open_images(card, card.recipe.name, calibration, data=data, images=images, spec=card.input)
    chosen = list(divided.calibration)[:images]
    reference = float_file(network, float_card, card.input)
    graph, tensors = bytes(graph_of(content)), [fit(image, card.input) for image in chosen]
    layers = layer_noise(graph, reference, tensors, card.input, advance or (lambda done, total: None))
    agreement = ChoicesOf(network, card.input, chosen).agreement(content)
    return Explanation(
        file=file, card=card, images=len(chosen), source=divided.source, agreement=agreement, layers=tuple(layers)
    )


def float_file(network: Any, card: ModelCard, spec: InputSpec) -> bytes:
    """Converts a Keras network to the float32 file that the integer one is compared with."""
    recipe = Recipe(name="float32")
    return run_converter(for_converter(network, card, spec, recipe), recipe, spec, [])
