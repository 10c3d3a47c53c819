"""Training from a folder of images to a model on disk, in one call."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace
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
from edgeseg.keras_model import load_model
from edgeseg.training.blueprint import Blueprint, input_of_file, of_card, of_file, start_of_file
from edgeseg.training.distillation import Distillation
from edgeseg.training.float_training import Initialise, train_float
from edgeseg.training.images import Advance
from edgeseg.training.initial_weights import init_from_imagenet, init_from_keras
from edgeseg.training.options import Report, TrainingOptions
from edgeseg.training.tflite_weights import init_from_tflite, matching_backbone
from edgeseg.zoo import resolve

_LOG = logging.getLogger(__name__)

DEFAULT_ARCHITECTURE = "deeplabv3plus"
DEFAULT_SIZE = (240, 320)
MEASURED_IMAGES = 50
"""Training images, about, from which the normalisations of a thawed network are measured."""
THAWED = "thawed:"
"""How an architecture begins that is the network of a `.tflite` file."""


def train(
    data: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    architecture: str = DEFAULT_ARCHITECTURE,
    backbone: str | None = None,
    form: Form = "edge",
    input: InputSpec | tuple[int, int] | None = None,
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
        architecture: Key of `edgeseg.architectures.registry.ARCHITECTURES`; or "thawed:FILE", a `.tflite` file's
            network as it stands, weights and all, with a fresh last layer where its classes are others.
        backbone: Such as "mobilenetv2_0.5"; if None that of the file in `init`, else the paper form's own or
            `DEFAULT_BACKBONE`.
        form: "edge" or "paper", see `edgeseg.architectures.network.NetworkSpec`.
        input: The network's input, or its (height, width); if None (240, 320), or the file's own.
        output_stride: 8 (finer, slower), 16 or 32; if None the form's usual one.
        splits: To learn from, and to choose the best epoch by.
        layout: The data set's layout; recognised by its folders if "auto".
        init: "random", "imagenet", or what to start from: a `.tflite` or `.keras` file, a model folder, a zoo name.
        options: How to train. More epochs than before may be asked of a training that is resumed.
        teacher: A model of the same classes to learn from beside the labels: a zoo name, a folder, a `.keras` or
            `.tflite` file. `options.teacher_weight` is its share.
        unlabelled: More images, of which only the teacher says what is in them: a folder, glob or image, or a
            calibration set.
        licence: Terms of the weights, for the card.
        resume: Go on with the training in `out`, if there is one.
        overwrite: Replace the training in `out`; its model stays until the first of the new one's is saved.
        time_budget: Seconds; choose as many epochs as fit into them.
        report: Called after every step and every epoch.
        reading: Called with (done, total) while the images are read, before the first step.

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
    train_set, val_set = (open_dataset(data, split, layout) for split in splits)
    if architecture.startswith(THAWED):
        if backbone or output_stride or form != "edge" or init != "random":
            raise UsageError(
                f"--arch {architecture} is a whole network with its weights: leave out --backbone, --output-stride, "
                "--form, --weights and --init-from"
            )
        start = file_start(architecture.removeprefix(THAWED), train_set, input)
    else:
        if init == "random" and (options.freeze_start or options.transfer_rate != 1):
            raise UsageError(
                "--freeze-start and --transfer-rate are for what starts from elsewhere, and nothing does: name it with "
                "--init-from, or start from --weights imagenet"
            )
        start = architecture_start(architecture, form, backbone, output_stride, init, train_set, input)
    return train_float(
        replace(start.card, licence=licence, tools=tool_versions()), train_set, val_set, Path(out), options,
        init=start.init, initialise=start.initialise, blueprint=start.blueprint,
        distillation=distillation_from(teacher, unlabelled), resume=resume, overwrite=overwrite,
        time_budget=time_budget, report=report, reading=reading,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a training begins with: card, how the network is built, its first weights, and what records call them."""

    card: ModelCard
    blueprint: Blueprint
    initialise: Initialise | None
    init: str


def architecture_start(
    architecture: str,
    form: Form,
    backbone: str | None,
    output_stride: int | None,
    init: str | os.PathLike[str],
    train_set: Dataset,
    input: InputSpec | tuple[int, int] | None,
) -> Start:
    """Returns the start of one of edgeseg's architectures, see `train` for the arguments.

    Raises:
        UsageError: A name is unknown, or the input's size does not fit.
    """
    weights = weights_of(init)
    height, width = input if isinstance(input, tuple) else DEFAULT_SIZE
    spec = input if isinstance(input, InputSpec) else InputSpec(height=height, width=width)
    built = find_form(architecture, form)
    backbone = backbone or own_backbone(weights) or (built.backbones[0] if built.backbones else DEFAULT_BACKBONE)
    card = ModelCard(
        name=f"{architecture}_{backbone}_{train_set.name}_{spec.height}x{spec.width}", architecture=architecture,
        backbone=backbone, form=form, output_stride=output_stride or built.strides[0],
        input=replace(spec, margin=built.margin), labels=train_set.labels, recipe=Recipe(name="float32"),
    )  # fmt: skip
    return Start(
        card=card, blueprint=of_card(card), initialise=initialiser(weights, card, train_set),
        init=str(init) if _is_word(init) else Path(init).name,
    )  # fmt: skip


def file_start(path: str, train_set: Dataset, input: InputSpec | tuple[int, int] | None) -> Start:
    """Returns the start of a `.tflite` file's network as it stands, its normalisations measured on training images.

    Args:
        path: The file.
        train_set: What it is to be trained on.
        input: Its input, or (rows, columns); the file's if None.

    Raises:
        ConversionError: The network cannot be rebuilt.
        ModelFileError: The file is damaged or no `.tflite`.
        UsageError: It takes no image, or gives no logits.
    """
    spec = input if isinstance(input, InputSpec) else input_of_file(path, input)
    card = ModelCard(
        name=f"{Path(path).stem}_{train_set.name}_{spec.height}x{spec.width}", architecture="", backbone="",
        output_stride=0, input=spec, labels=train_set.labels, recipe=Recipe(name="float32"),
    )  # fmt: skip
    chosen = range(0, len(train_set), max(1, len(train_set) // MEASURED_IMAGES))
    shown = (train_set.load(index)[0] for index in chosen)
    return Start(
        card=card, blueprint=of_file(path, card), initialise=start_of_file(path, card, shown), init=Path(path).name
    )


def distillation_from(
    teacher: str | os.PathLike[str] | None, unlabelled: str | os.PathLike[str] | None
) -> Distillation | None:
    """Returns what to learn from beside the labels, if there is a teacher.

    Raises:
        UsageError: Images without labels are given, and no teacher.
        DataError: There are no such images.
    """
    if teacher is None:
        if unlabelled is not None:
            raise UsageError("--unlabelled: nobody says what is in those images; name a --teacher")
        return None
    return Distillation(model=teacher, unlabelled=() if unlabelled is None else open_calibration(os.fspath(unlabelled)))


def weights_of(init: str | os.PathLike[str]) -> str | os.PathLike[str]:
    """Returns the file of first weights that a user means; a folder and a zoo name stand for their float network.

    Raises:
        UsageError: It is no path, and no name in the zoo.
        ModelFileError: The folder holds no Keras network.
    """
    return init if _is_word(init) or Path(init).suffix else resolve(Path(init), kind="float")


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
