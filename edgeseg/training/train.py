"""Training from a folder of pictures to a model on disk, in one call."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgeseg.architectures.registry import DEFAULT_BACKBONE, find_form
from edgeseg.card import Form, InputSpec, ModelCard, Recipe
from edgeseg.card_file import read_model
from edgeseg.data.calibration import open_calibration
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import UsageError
from edgeseg.host import tool_versions
from edgeseg.keras_model import load_model, network_spec
from edgeseg.training.float_training import Initialise, train_float
from edgeseg.training.initial_weights import init_from_imagenet, init_from_keras
from edgeseg.training.options import Report, TrainingOptions
from edgeseg.training.pictures import Advance
from edgeseg.training.teaching import Teaching
from edgeseg.training.tflite_weights import init_from_tflite, matching_backbone

_LOG = logging.getLogger(__name__)

DEFAULT_ARCHITECTURE = "deeplabv3plus"
DEFAULT_SIZE = (240, 320)


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    architecture: str = DEFAULT_ARCHITECTURE,
    backbone: str | None = None,
    form: Form = "edge",
    input: InputSpec | tuple[int, int] = DEFAULT_SIZE,
    output_stride: int | None = None,
    splits: tuple[str, str] = ("train", "val"),
    layout: str = "auto",
    init: str | os.PathLike[str] = "random",
    options: TrainingOptions | None = None,
    teacher: str | os.PathLike[str] | None = None,
    unlabelled: str | os.PathLike[str] | None = None,
    licence: str = "",
    resume: bool = False,
    overwrite: bool = False,
    time_budget: float | None = None,
    report: Report | None = None,
    reading: Advance | None = None,
) -> ModelCard:
    """Trains a network on a data set; the best weights by val mIoU end in `out/model.keras`.

    Beside them `out` gets `checkpoint.npz`, from which a stopped training goes on, and `history.csv`.

    Args:
        data: Folder of the data set.
        out: Folder for what is made; created if missing.
        architecture: Key of `edgeseg.architectures.registry.ARCHITECTURES`.
        backbone: Such as "mobilenetv2_0.5"; if None that of the file in `init`, else the paper form's own or
            `DEFAULT_BACKBONE`.
        form: "edge" or "paper", see `edgeseg.architectures.network.NetworkSpec`.
        input: The network's input, or its (height, width).
        output_stride: 8 (finer, slower), 16 or 32; if None the form's usual one.
        splits: To learn from, and to choose the best epoch by.
        layout: The data set's layout; recognised by its folders if "auto".
        init: "random", "imagenet", or a `.tflite` or `.keras` file to start from.
        options: How to train. More epochs than before may be asked of a training that is resumed.
        teacher: A model of the same classes to learn from beside the labels: a zoo name, a folder, a `.keras` or
            `.tflite` file. `options.teacher_weight` is its share.
        unlabelled: More pictures, of which only the teacher says what is in them: a folder, glob or picture, or a
            calibration set.
        licence: Terms of the weights, for the card.
        resume: Go on with the training in `out`, if there is one.
        overwrite: Replace the training in `out`; its model stays until the first of the new one's is saved.
        time_budget: Seconds; choose as many epochs as fit into them.
        report: Called after every step and every epoch.
        reading: Called with (done, total) while the pictures are read, before the first step.

    Returns:
        The card of the best weights, its val mIoU in `scores`.

    Raises:
        DataError: The data set is empty or cannot be read, or the checkpoint is damaged.
        TrainingError: The loss is no number any more.
        ModelFileError: The file in `init` cannot be read or has no weights to take over.
        UsageError: A name is unknown, the input's size does not fit, `out` holds a training and neither `resume` nor
            `overwrite` is given, or one with other settings is resumed.

    Example:
        >>> card = edgeseg.train("camvid", "runs/camvid", input=(240, 320), options=TrainingOptions(epochs=100))
        >>> card.scores[0].miou
    """
    options = options or TrainingOptions()
    if init == "random" and (options.freeze_start or options.transfer_rate != 1):
        raise UsageError(
            "--freeze-start and --transfer-rate are for what starts from elsewhere, and nothing does: name it with "
            "--init-from, or start from --weights imagenet"
        )
    spec = input if isinstance(input, InputSpec) else InputSpec(height=input[0], width=input[1])
    built = find_form(architecture, form)
    spec = replace(spec, margin=built.margin)
    backbone = backbone or own_backbone(init) or (built.backbones[0] if built.backbones else DEFAULT_BACKBONE)
    train_set, val_set = (open_dataset(data, split, layout) for split in splits)
    card = ModelCard(
        name=f"{architecture}_{backbone}_{train_set.name}_{spec.height}x{spec.width}", architecture=architecture,
        backbone=backbone, form=form, output_stride=output_stride or built.strides[0], input=spec,
        labels=train_set.labels, recipe=Recipe(name="float32"), licence=licence, tools=tool_versions(),
    )  # fmt: skip
    network_spec(card)
    return train_float(
        card, train_set, val_set, Path(out), options, init=str(init) if _is_word(init) else Path(init).name,
        initialise=initialiser(init, card, train_set), teaching=teaching_by(teacher, unlabelled), resume=resume,
        overwrite=overwrite, time_budget=time_budget, report=report, reading=reading,
    )  # fmt: skip


def teaching_by(teacher: str | os.PathLike[str] | None, unlabelled: str | os.PathLike[str] | None) -> Teaching | None:
    """Returns what to learn from beside the labels, if there is a teacher.

    Raises:
        UsageError: Pictures without labels are given, and no teacher.
        DataError: There are no such pictures.
    """
    if teacher is None:
        if unlabelled is not None:
            raise UsageError("--unlabelled: nobody says what is in those pictures; name a --teacher")
        return None
    return Teaching(model=teacher, unlabelled=() if unlabelled is None else open_calibration(os.fspath(unlabelled)))


def own_backbone(init: str | os.PathLike[str]) -> str | None:
    """Returns the backbone in the file that a training starts from; None if it starts from none, or none is known."""
    if _is_word(init):
        return None
    if Path(init).suffix == ".tflite":
        return matching_backbone(init)
    donor = read_model(init)[1]
    return donor.backbone or None if donor else None


def initialiser(init: str | os.PathLike[str], card: ModelCard, train_set: Dataset) -> Initialise | None:
    """Returns what gives a card's network its first weights; None for random ones."""
    if init == "random":
        return None

    def initialise(network: Any) -> None:
        if init == "imagenet":
            init_from_imagenet(network, card.backbone, card.input.order)
        elif Path(init).suffix == ".tflite":
            count = init_from_tflite(network, init, card.backbone, card.input, train_set)
            _LOG.info("%d convolutions start from %s", count, init)
        else:
            _LOG.info("%d of %d layers start from %s", *init_from_keras(network, load_model(init)[0]), init)

    return initialise


def _is_word(init: str | os.PathLike[str]) -> bool:
    return init in ("random", "imagenet")
