"""Float training: AdamW on class-weighted losses, the best weights by val mIoU."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import keras

from edgeseg.card import ModelCard
from edgeseg.card_file import read_model
from edgeseg.data.dataset import Dataset
from edgeseg.data.oddities import Counts, class_weights
from edgeseg.errors import UsageError
from edgeseg.files import ensure_folder
from edgeseg.keras_model import copy_weights, save_model
from edgeseg.keras_segmenter import KerasSegmenter
from edgeseg.losses import make_loss
from edgeseg.provenance import TrainingRecord
from edgeseg.scoring.evaluate import Evaluation
from edgeseg.training.batch_norm import measure_statistics
from edgeseg.training.batches import Batches
from edgeseg.training.blueprint import Blueprint, of_card
from edgeseg.training.budget import Budget
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.distillation import Distillation, distillation_batches, distillation_loss
from edgeseg.training.fit import fit
from edgeseg.training.folder import CHECKPOINT_FILE, MODEL_FILE, claim, describe
from edgeseg.training.group import apart, spread, this_group
from edgeseg.training.history import History, best_epoch
from edgeseg.training.images import Advance, read_checked
from edgeseg.training.options import Report, TrainingOptions
from edgeseg.training.precision import precision, seeded
from edgeseg.training.transfer import TwoSpeedAdamW, copy_averages
from edgeseg.training.validation import evaluate_together

_LOG = logging.getLogger(__name__)

STATISTICS_IMAGES = 200
"""Training images, at most, from which the statistics of batch normalisation are measured."""

Initialise = Callable[[Any], None]
"""Gives a fresh network its first weights."""


def train_float(
    card: ModelCard,
    train_set: Dataset,
    val_set: Dataset,
    folder: Path,
    options: TrainingOptions,
    *,
    initialise: Initialise | None = None,
    init: str = "random",
    blueprint: Blueprint | None = None,
    distillation: Distillation | None = None,
    resume: bool = False,
    overwrite: bool = False,
    time_budget: float | None = None,
    report: Report | None = None,
    reading: Advance | None = None,
) -> ModelCard:
    """Trains a network and leaves its best weights, by val mIoU, in `folder`.

    Args:
        card: What to train: architecture, input, labels.
        train_set: Images to learn from.
        val_set: Images to choose the best epoch by.
        folder: See `edgeseg.training.folder`; created if missing.
        options: How to train. More epochs than before may be asked of a training that is resumed.
        initialise: Called with the fresh network; random weights if None.
        init: What `initialise` does, for the training record.
        blueprint: How the network is built; as the card's architecture says if None.
        distillation: A teacher to learn from, beside the labels.
        resume: Go on with the training in `folder`, if there is one.
        overwrite: Replace the training in `folder`; its model stays until the first of the new one's is saved.
        time_budget: Seconds; choose as many epochs as fit into them, see `Budget`. A resumed training keeps what
            was chosen.
        report: Called after every step and every epoch.
        reading: Called with (done, total) while the images are read, before the first step.

    Returns:
        The card of the best weights, as stored in `folder / "model.keras"`.

    Raises:
        DataError: A data set is empty or cannot be read, or the checkpoint is damaged.
        LostProcessError: Another of the processes that train together has ended.
        UsageError: The options do not fit, the folder holds a training, or one with other settings.
    """
    budget, group = Budget(time_budget, time.monotonic()) if time_budget else None, this_group()
    going_on = claim(folder, resume=resume, overwrite=overwrite)
    if going_on and budget:
        raise UsageError("--time-budget with --resume: what it chose is kept, give --epochs to train for more")
    more = distillation.samples(card.labels.ignore_index) if distillation else ()
    samples, pixels = read_checked(train_set, val_set, options.in_memory, reading, more, options.cache)
    batches = Batches(samples, card.input, crop_of(card, options), options, group, card.labels.num_classes)
    plan = blueprint or of_card(card)
    with spread(options.batch_size):
        network = compiled_network(card, options, pixels, taught=distillation is not None, blueprint=plan)
        source = distillation_batches(batches, distillation, card, network) if distillation else batches
        judge = BestByMiou(network, plan, card, val_set, batches, folder / MODEL_FILE)
        if options.freeze_start:
            plan.freeze(judge.copy)
        if budget:
            options = budget.plan(network, source, judge.validation_seconds, options)
        record = training_record(card, train_set, options, init, distillation)
        judge.card = replace(card, training=record)
        checkpoint = Checkpoint(folder / CHECKPOINT_FILE, settings_of(card, record, options))
        if going_on:
            checkpoint.load(network)
            judge.recall(checkpoint)
        elif initialise is not None:
            initialise(network)
        if len(checkpoint.history) > options.epochs:
            raise UsageError(f"{folder} holds {len(checkpoint.history)} epochs: to go on, ask for more of them")
        ensure_folder(folder)  # only now is it certain that everything fits together
        _LOG.info(
            "%s: %d training and %d validation images, %s", card.name, len(train_set), len(val_set),
            f"going on after {describe(folder)}" if going_on else f"weights from {init}",
        )  # fmt: skip
        fit(network, source, judge, checkpoint, options, report, judge.replanned(budget) if budget else None)
        return judge.card


class BestByMiou:
    """Judges a network by its mIoU on validation images, and keeps its best weights in a file.

    It works on a float32 copy of the network at the input's size, whose batch normalisation is measured on training
    images: neither the network in training nor its running averages are touched.

    Args:
        network: The network in training.
        blueprint: How it is built.
        card: Its card.
        val_set: The validation images.
        batches: Where the statistics of batch normalisation are measured.
        path: Where the best is kept.

    Attributes:
        card: That of the best so far.
        copy: The network as it was measured last.
    """

    def __init__(
        self, network: Any, blueprint: Blueprint, card: ModelCard, val_set: Dataset, batches: Batches, path: Path
    ) -> None:
        self.card = card
        self._network, self._val_set, self._batches, self._path = network, val_set, batches, path
        self._group = this_group()
        with precision("float32"), apart():
            self.copy = blueprint.build((card.input.height, card.input.width))

    def replanned(self, budget: Budget) -> Callable[[History, TrainingOptions], int]:
        """Returns what plans the epochs anew, so that the card of the best tells how many there were to be."""

        def replan(history: History, options: TrainingOptions) -> int:
            epochs = budget.again(history, options)
            if self.card.training is not None:
                self.card = replace(self.card, training=replace(self.card.training, epochs=epochs))
            return epochs

        return replan

    def recall(self, checkpoint: Checkpoint) -> None:
        """Takes up the best of the training that is gone on with, if it had one."""
        if best_epoch(checkpoint.history):
            self.card = read_model(self._path)[1] or self.card

    def score(self, limit: int | None = None) -> Evaluation:
        """Measures the network as it is now, on `limit` images or all."""
        with apart():
            copy_weights(self._network, self.copy)
            copy_averages(self._network, self.copy)
            measure_statistics(self.copy, self._batches.plain(STATISTICS_IMAGES))
            segment = KerasSegmenter(self.copy, self.card.input).segment
            found = evaluate_together(segment, self._val_set, self._group, limit)
        return replace(found, miou=self._group.agree(found.miou))

    def validation_seconds(self) -> float:
        """Returns how long a validation takes, from two short ones."""
        self.score(1)  # builds what the others use
        few = min(4, len(self._val_set))
        one, some = (self._timed(limit) for limit in (1, few))
        return one + (len(self._val_set) - 1) * max(0.0, some - one) / max(1, few - 1)

    def _timed(self, limit: int) -> float:
        began = time.monotonic()
        self.score(limit)
        return time.monotonic() - began

    def keep(self, score: Evaluation, epoch: int, wall_s: float) -> None:
        """Stores the network as `score` measured it: the best so far."""
        record = self.card.training
        if record is not None:
            record = replace(record, best_epoch=epoch, best_miou=score.miou, wall_s=round(wall_s, 1))
        self.card = replace(self.card, training=record, scores=(score.score,))
        if self._group.leads:
            save_model(self._path, self.copy, self.card)


def compiled_network(
    card: ModelCard,
    options: TrainingOptions,
    pixels: Counts,
    *,
    taught: bool = False,
    blueprint: Blueprint | None = None,
) -> Any:
    """Builds a card's network at the crops' size, with its loss and its optimizer.

    Args:
        card: What to build.
        options: How it is to be trained.
        pixels: Pixels of each class in the training images, for the loss's weights.
        taught: Whether the batches are `DistillationBatches`.
        blueprint: How it is built; as the card's architecture says if None.
    """
    crop, plan = crop_of(card, options), blueprint or of_card(card)
    with precision("mixed_bfloat16" if options.mixed_precision else "float32"), seeded(options.seed):
        network = plan.build(crop)
    loss = make_loss(
        options.loss,
        num_classes=card.labels.num_classes,
        class_weights=class_weights(pixels) if options.class_weighting else None,
        ignore_index=card.labels.ignore_index,
        covers=plan.covers(crop),
    )
    if taught:
        loss = distillation_loss(loss, options.teacher_weight, crop)
    if options.freeze_start:
        plan.freeze(network)
    optimizer = adamw(network, plan, options)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    # XLA's convolutions are 20 times slower than TensorFlow's on CPUs; on JAX it is the only way to run.
    network.compile(optimizer, loss=loss, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(network.trainable_variables)
    return network


def adamw(network: Any, blueprint: Blueprint, options: TrainingOptions) -> Any:
    """Makes the optimizer that the options ask for."""
    settings: dict[str, Any] = {"weight_decay": options.weight_decay}
    if options.ema:
        settings |= {"use_ema": True, "ema_momentum": options.ema}
    if options.transfer_rate == 1:
        return keras.optimizers.AdamW(options.learning_rate, **settings)
    return TwoSpeedAdamW(options.learning_rate, blueprint.slow(network), options.transfer_rate, **settings)


def crop_of(card: ModelCard, options: TrainingOptions) -> tuple[int, int]:
    """Returns rows and columns of the training crops."""
    return options.crop or (card.input.height, card.input.width)


def training_record(
    card: ModelCard, train_set: Dataset, options: TrainingOptions, init: str, distillation: Distillation | None
) -> TrainingRecord:
    """Returns the record of a training whose best is not known yet."""
    return TrainingRecord(
        dataset=f"{train_set.name}/{train_set.split}",
        images=len(train_set) + (len(distillation.unlabelled) if distillation else 0), epochs=options.epochs,
        batch_size=options.batch_size, crop=crop_of(card, options), loss=options.loss,
        learning_rate=options.learning_rate, weight_decay=options.weight_decay, seed=options.seed, init=init,
        best_epoch=0, best_miou=0.0, wall_s=0.0, teacher=distillation.name if distillation else "",
    )  # fmt: skip


def settings_of(card: ModelCard, record: TrainingRecord, options: TrainingOptions) -> dict[str, Any]:
    """Returns what must agree between the first run and a resumed one; how many epochs may differ."""
    augmentation = asdict(options.augmentation)
    settings = asdict(options) | {"crop": list(record.crop), "scale": list(augmentation.pop("scale"))} | augmentation
    for name in ("epochs", "patience", "in_memory", "cache", "augmentation"):
        del settings[name]
    for name in ("balanced_crops", "copy_paste"):  # an earlier edgeseg had none
        if not settings[name]:
            del settings[name]
    if record.teacher:
        settings["teacher"] = record.teacher
    else:
        del settings["teacher_weight"]
    return {
        "architecture": card.architecture, "backbone": card.backbone, "form": card.form,
        "output_stride": card.output_stride, "input": asdict(card.input), "classes": list(card.labels.names),
        "ignore_index": card.labels.ignore_index, "data": record.dataset, "images": record.images,
        "init": record.init, **settings,
    }  # fmt: skip
