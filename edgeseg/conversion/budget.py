"""The cheapest int8 file that stays within a budget of accuracy: recipes are tried and scored until one holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet, OutputKind, PerChannel, Recipe, Target
from edgeseg.conversion.convert import calibration_images, check_out, open_training, written
from edgeseg.conversion.converter import Advance
from edgeseg.conversion.images import CALIBRATION_IMAGES
from edgeseg.conversion.network import Notify, Training
from edgeseg.conversion.qat import QatOptions
from edgeseg.conversion.trials import Budgeted, Job, trained_twin
from edgeseg.data.calibration import lists_files
from edgeseg.data.dataset import NoSplitError
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.files import check_apart, check_writable
from edgeseg.float_model import open_float_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.recipes import recipe_row
from edgeseg.scoring.evaluate import evaluate


def convert_within(
    model: Any,
    max_miou_drop: float,
    *,
    data: str | os.PathLike[str],
    recipe: str = "int8_ptq",
    out: str | os.PathLike[str] | None = None,
    calibration: str | os.PathLike[str] | Sequence[Uint8] | None = None,
    images: int = CALIBRATION_IMAGES,
    size: tuple[int, int] | None = None,
    target: Target = "cpu",
    output: OutputKind = "logits",
    labels: LabelSet | str | None = None,
    mean: PerChannel | None = None,
    std: PerChannel | None = None,
    order: str | None = None,
    training: QatOptions | None = None,
    resume: bool = False,
    force: bool = False,
    advance: Advance | None = None,
    notify: Notify = lambda line: None,
) -> Budgeted:
    """Converts to int8 by the cheapest of `STEPS` whose file loses no more mIoU than allowed.

        edgeseg.convert_within("camvid", 0.3, data="camvid", out="camvid_int8.tflite")

    Args:
        model: Zoo name, folder, `.keras` or `.h5` file, or a Keras network.
        max_miou_drop: Points of mIoU (0-100) that the file may lose to the float network.
        data: The data set: its "val" images score, its "train" images calibrate if no others are named, and are
            what the last step trains on; without them it is left out.
        recipe: "int8_ptq" or "int8_ptq_per_tensor".
        out: File to write, or a folder. Written at the end, whether a file holds or not; see `Budgeted.holds`.
        calibration: See `convert`, as with what is not listed here.
        images: Calibrate on at most so many images.
        size: Another input size, (height, width).
        target: "cpu" or "edgetpu".
        output: "logits" or "labels".
        labels: Classes of a network without a card.
        mean: Normalisation of a network without a card.
        std: Likewise.
        order: Order of its channels.
        training: How the last step trains.
        resume: Go on with the last step's training that was stopped; the steps before it are made again.
        force: Let a file hold that does not choose as its network, if its mIoU does.
        advance: Called with (done, total) images or steps, of one work after another.
        notify: Called with lines for people.

    Raises:
        ConversionError: No step gave a file.
        DataError: There are no images, or they have other classes than the network.
        ModelFileError: The model cannot be loaded.
        OutputError: The file cannot be written.
        UsageError: Arguments contradict each other or the model.
    """
    row = recipe_row(recipe)
    if not 0 <= max_miou_drop <= 100:
        raise UsageError(f"{max_miou_drop:g} points of mIoU to lose: expected 0 to 100")
    if not row.is_integer or row.trained:
        raise UsageError(f"a budget with {recipe}: expected int8_ptq or int8_ptq_per_tensor, training is tried last")
    if out is not None and not Path(out).is_dir():
        check_writable(out)
    val_set = open_dataset(data, "val")
    qat = _training(recipe, data, out, training or QatOptions(), resume=resume, notify=notify)
    network, card, notices = open_float_model(model, labels=labels, mean=mean, std=std, order=order, size=size)
    for line in notices:
        notify(line)
    if val_set.labels.num_classes != card.labels.num_classes:
        raise DataError(
            f"the {val_set.name} data set has {val_set.labels.num_classes} classes, {card.name} has "
            f"{card.labels.num_classes}: score it on the data set it was trained for"
        )
    spec = card.input if size is None else replace(card.input, height=size[0], width=size[1])
    divided = calibration_images(
        network, card, Recipe(name=recipe, output=output, target=target), calibration, spec=spec,
        data=data if lists_files(calibration) else None, images=images,
        train_set=qat.data.train_set if qat else None, advance=advance,
    )  # fmt: skip
    if out is not None and not Path(out).is_dir():
        check_out(Path(out), model, calibration, divided)
        scored = [*val_set.images, *val_set.label_maps]
        check_apart([("the converted file", Path(out))], [("a file of the data set", path) for path in scored])
    reference = evaluate(KerasSegmenter(network, spec).segment, val_set, advance=advance)
    job = Job(
        network=network, card=card, spec=spec, recipe=Recipe(name=recipe, output=output, target=target),
        images=divided, val_set=val_set, training=qat, miou=reference.miou, allowed=max_miou_drop, force=force,
        advance=advance, notify=notify,
    )  # fmt: skip
    notify(f"float: mIoU {reference.miou:.4f} on {job.scored_on}")
    found = job.run(reference)
    if out is not None:
        found = replace(found, conversion=written(found.conversion, out))
    if qat is not None and any(trial.conversion for trial in found.trials if recipe_row(trial.recipe).trained):
        qat.data.forget()
    return found


def _training(
    recipe: str,
    data: str | os.PathLike[str],
    out: str | os.PathLike[str] | None,
    options: QatOptions,
    *,
    resume: bool,
    notify: Notify,
) -> Training | None:
    """Opens what the last step trains on; None, and says so, where the data set has no training images."""
    try:
        return open_training(trained_twin(recipe), data, out, options, resume=resume)
    except NoSplitError as error:
        notify(f"no training is tried: {error}")
        return None
