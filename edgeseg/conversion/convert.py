"""From a Keras network to a `.tflite` file with its card.

The recipe's row says what happens (`edgeseg.recipes`); what comes out is checked before anything is written: a file
that was asked to be integer has no float operator, none needs more than TFLite's builtins, and on images that neither
calibration nor tuning saw it chooses as the network that it came from.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec, LabelSet, ModelCard, OutputKind, PerChannel, Recipe, Target
from edgeseg.conversion.converter import Advance
from edgeseg.conversion.distilled import count_of, distilled_images
from edgeseg.conversion.gate import refusal
from edgeseg.conversion.images import CALIBRATION_IMAGES, Images, divide, divide_arrays
from edgeseg.conversion.network import FLOAT_LAYERS, Conversion, Notify, Training, convert_network, trained_on
from edgeseg.conversion.qat import QatData, QatOptions
from edgeseg.conversion.surgery import for_converter
from edgeseg.data.calibration import CalibrationSet, lists_files, open_calibration
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import ConversionError, UsageError
from edgeseg.files import check_apart, check_writable, write_bytes
from edgeseg.float_model import open_float_model
from edgeseg.recipes import recipe_row, refinements_of
from edgeseg.synth import aerial
from edgeseg.zoo import resolve


def convert(
    model: Any,
    recipe: str = "int8_ptq",
    *,
    out: str | os.PathLike[str] | None = None,
    calibration: str | os.PathLike[str] | Sequence[Uint8] | None = None,
    data: str | os.PathLike[str] | None = None,
    images: int = CALIBRATION_IMAGES,
    size: tuple[int, int] | None = None,
    target: Target = "cpu",
    output: OutputKind = "logits",
    labels: LabelSet | str | None = None,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    order: str | None = None,
    epochs: int | None = None,
    distill: bool | None = None,
    resume: bool = False,
    refinements: Sequence[str] | None = None,
    float_layers: int | None = None,
    force: bool = False,
    advance: Advance | None = None,
    notify: Notify = lambda line: None,
) -> Conversion:
    """Converts a Keras network, and writes the file if `out` names one.

        edgeseg.convert("camvid", "int8_ptq", calibration="camvid/train", out="camvid_int8.tflite")

    Args:
        model: Zoo name, folder, `.keras` or `.h5` file, or a Keras network.
        recipe: A name of `edgeseg.recipes.RECIPES`.
        out: File to write, or a folder, where it gets its own name.
        calibration: Images like those that the camera will see: a folder, a glob, a manifest, "synthetic", or arrays
            (H, W, 3) uint8 blue-green-red; or "distilled": made of the network's own statistics. They set ranges, and
            agreement is measured on some kept apart. None takes synthetic ones, for recipes that do not calibrate and
            for networks trained on such.
        data: Folder that a manifest's file names are relative to; for int8_qat the data set to train on (splits
            "train" and "val"), whose training images also calibrate if no others are named.
        images: Calibrate on at most so many images.
        size: Another input size, (height, width).
        target: "edgetpu" cuts off what an Edge TPU does not run.
        output: "labels" puts the argmax into the file.
        labels: Classes of a network without a card.
        mean: Normalisation of a network without a card; what the network itself tells, or 127.5, if not given.
        std: Likewise.
        order: Order of its channels, "rgb", "bgr", "grey" or "as_is"; by their number if not given.
        epochs: Of int8_qat's training; 5 if not given.
        distill: Of int8_qat's training: learn what the float network gives, not the labels; True if not given.
        resume: Go on with an int8_qat training that was stopped.
        refinements: What refines an integer file: names of `edgeseg.recipes.REFINEMENTS`, or "all", or "none"; what
            the recipe's row names if None.
        float_layers: Of int8_mixed: how many layers, the noisiest first, stay in float; 3 if not given.
        force: Accept a file that does not choose as its network.
        advance: Called with (done, total) calibration images, then steps of refinement.
        notify: Called with lines for people: what was assumed, what each refinement brought, warnings.

    Raises:
        ConversionError: The converter failed, left what the recipe does not allow, or the file does not choose as its
            network; nothing is written then.
        DataError: There are no images.
        ModelFileError: The model cannot be loaded.
        OutputError: The file cannot be written.
        UsageError: Arguments contradict each other or the model.
    """
    wanted = Recipe(name=recipe, output=output, target=target)
    row = recipe_row(recipe)
    if target == "edgetpu" and not row.is_integer:
        raise UsageError(f"--target edgetpu with {recipe}: the Edge TPU computes in integers only, use --int8")
    if not row.trained and (epochs is not None or distill is not None or resume):
        raise UsageError(f"{recipe} trains nothing: --epochs, --distill and --resume go with --int8 --qat")
    if refinements is not None and not row.is_integer:
        raise UsageError(f"--refine with {recipe}: only integer files are refined, use --int8")
    if float_layers is not None and (not row.base or float_layers < 1):
        raise UsageError(f"{float_layers} layers in float with {recipe}: expected 1 or more, with --int8 --mixed")
    steps = None if refinements is None else refinements_of(refinements)
    options = QatOptions(epochs=epochs or QatOptions.epochs, distill=distill is not False)
    training = open_training(recipe, data, out, options, resume=resume)
    if training is None and data is not None and not lists_files(calibration):
        raise UsageError(
            f"--data {os.fspath(data)}: folder of a manifest's files, or of the data set of --qat or --max-miou-drop, "
            "and there is none of them; name images to calibrate on with --calibration"
        )
    if out is not None and not Path(out).is_dir():
        check_writable(out)
    network, card, notices = open_float_model(model, labels=labels, mean=mean, std=std, order=order, size=size)
    for line in notices:
        notify(line)
    spec = card.input if size is None else replace(card.input, height=size[0], width=size[1])
    divided = calibration_images(
        network, card, wanted, calibration, spec=spec, data=data, images=images,
        train_set=training.data.train_set if training else None, advance=advance,
    )  # fmt: skip
    if out is not None and not Path(out).is_dir():
        check_out(Path(out), model, calibration, divided)
    done = convert_network(
        network,
        card,
        wanted,
        divided,
        spec=spec,
        training=training,
        refinements=steps,
        float_layers=float_layers or FLOAT_LAYERS,
        advance=advance,
        notify=notify,
    )
    for line in done.warnings:
        notify(f"warning: {line}")
    refused = refusal(done)
    if divided.distilled:
        notify("agreement on distilled images says little: score the file on real ones, `edgeseg eval`")
    elif refused and not force:
        raise ConversionError(refused)
    if out is None:
        return done
    done = written(done, out)
    if training is not None:
        training.data.forget()
    return done


def written(done: Conversion, out: str | os.PathLike[str]) -> Conversion:
    """Writes a file, under its own name if `out` is a folder."""
    file = Path(out) / done.file_name if Path(out).is_dir() else Path(out)
    write_bytes(file, done.content)
    return replace(done, file=file)


def open_training(
    recipe: str,
    data: str | os.PathLike[str] | None,
    out: str | os.PathLike[str] | None,
    options: QatOptions,
    *,
    resume: bool,
) -> Training | None:
    """Opens what a recipe that trains learns from; None for one that does not.

    Raises:
        UsageError: It trains, and no data set is named, or a stopped training is kept where it would begin anew.
    """
    if not recipe_row(recipe).trained:
        return None
    if data is None:
        raise UsageError(f"{recipe} trains the weights: name the data set they were trained on with --data")
    train_set, val_set = (open_dataset(Path(data), split) for split in ("train", "val"))
    folder = None
    if out is not None:
        folder = Path(out) / "qat" if Path(out).is_dir() else Path(f"{os.fspath(out)}.qat")
    found = QatData(train_set=train_set, val_set=val_set, folder=folder, resume=resume)
    found.check_anew()
    return Training(data=found, options=options)


def check_out(out: Path, model: Any, calibration: Any, divided: Images) -> None:
    """Refuses to write over the network, the calibration set or one of its images."""
    read = [("a calibration image", path) for path in divided.files]
    if isinstance(model, str | os.PathLike):
        read.append(("the network", resolve(Path(model) if isinstance(model, os.PathLike) else model, kind="float")))
    if isinstance(calibration, str | os.PathLike):
        read.append(("the calibration set", Path(calibration)))
    check_apart([("the converted file", out)], read)


def calibration_images(
    network: Any,
    card: ModelCard,
    wanted: Recipe,
    calibration: str | os.PathLike[str] | Sequence[Uint8] | None,
    *,
    spec: InputSpec,
    data: str | os.PathLike[str] | None,
    images: int,
    train_set: Dataset | None = None,
    advance: Advance | None = None,
) -> Images:
    """Opens, or distils, what calibrates a conversion, see `convert`; a training's images where none are named."""
    if train_set is not None and calibration is None:
        found = CalibrationSet(record_source=f"{train_set.name}/{train_set.split}", files=train_set.images)
        return divide(found, images)
    if isinstance(calibration, str) and (count := count_of(calibration)) is not None:
        seen = for_converter(network, card, spec, wanted) if card.architecture else network
        made = distilled_images(seen, spec, min(count, images), advance)
        return replace(divide_arrays(made, calibration), synthetic=True, distilled=True)
    return open_images(card, wanted.name, calibration, data=data, images=images, spec=spec)


def open_images(
    card: ModelCard,
    recipe: str,
    source: str | os.PathLike[str] | Sequence[Uint8] | None,
    *,
    data: str | os.PathLike[str] | None,
    images: int,
    spec: InputSpec,
) -> Images:
    """Opens and divides the images of a conversion, see `convert`.

    Raises:
        UsageError: None were named, and others than those that the network was trained on would set wrong ranges.
    """
    if source is not None and not isinstance(source, str | os.PathLike):
        return divide_arrays(source)
    if source is None and recipe_row(recipe).calibrated and trained_on(card) != aerial.NAME:
        raise UsageError(
            f"{card.name} was trained on {trained_on(card)}: name images of that kind with --calibration (a folder, "
            "a glob or a manifest), 50 to 200 of them"
        )
    name = None if source is None else os.fspath(source)
    return divide(open_calibration(name, data=data, size=(spec.height, spec.width)), images)
