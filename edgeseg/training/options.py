"""How to train, and what a training tells while it runs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from edgeseg.errors import UsageError
from edgeseg.losses import parse_loss
from edgeseg.training.augmentation import Augmentation
from edgeseg.training.history import Epoch


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        crop: Rows and columns of the training crops; the network's input size if None.
        learning_rate: Peak of the schedule.
        weight_decay: AdamW's, on kernels only.
        warmup_steps: Steps of linear warm-up; at most a fifth of all steps.
        loss: See `edgeseg.losses.make_loss`.
        class_weighting: Whether rare classes weigh more, see `edgeseg.training.batches.class_weights`.
        seed: Of initial weights, order and augmentation.
        val_every: Epochs between two validations; the last epoch always has one.
        patience: Stop after so many validations in a row without a better mIoU; never if None.
        mixed_precision: Compute in bfloat16 with float32 weights: faster on GPUs, slower on CPUs.
        ema: Validate and keep the running average of the weights, of this momentum (0.99 to 0.999); 0 for the weights
            themselves.
        transfer_rate: Learning rate of backbone and pyramid over that of the rest, where they start from elsewhere.
        freeze_start: Leave the backbone up to stride 4, and its batch normalisation, as they start.
        teacher_weight: Share of the loss that a teacher has, if there is one; the labels have the rest.
        in_memory: Keep the training images in memory, or read each when it is needed; by their size if None, see
            `edgeseg.training.images`. The batches are the same.
        cache: A folder to keep decoded images in, for sets that are read as they are needed. The batches are the same.
        augmentation: How strongly images are varied.
    """

    epochs: int = 100
    batch_size: int = 8
    crop: tuple[int, int] | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    warmup_steps: int = 500
    loss: str = "ce"
    class_weighting: bool = True
    seed: int = 0
    val_every: int = 1
    patience: int | None = None
    mixed_precision: bool = False
    ema: float = 0.0
    transfer_rate: float = 1.0
    freeze_start: bool = False
    teacher_weight: float = 0.5
    in_memory: bool | None = None
    cache: str | os.PathLike[str] | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("batch_size", 1), ("val_every", 1), ("warmup_steps", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: expected at least {least}")
        if self.patience is not None and self.patience < 1:
            raise UsageError(f"patience {self.patience}: expected at least 1 validation")
        if not 0 < self.learning_rate < math.inf or not 0 <= self.weight_decay < math.inf:
            raise UsageError(
                f"learning rate {self.learning_rate}, weight decay {self.weight_decay}: expected > 0 and >= 0"
            )
        if not 0 <= self.ema < 1 or not 0 <= self.transfer_rate < math.inf:
            raise UsageError(f"ema {self.ema}, transfer rate {self.transfer_rate}: expected 0 <= ema < 1, rate >= 0")
        if not 0 < self.teacher_weight <= 1:
            raise UsageError(f"teacher weight {self.teacher_weight}: expected above 0, at most 1")
        if self.crop is not None and min(self.crop) < 1:
            raise UsageError(f"crop {self.crop[0]}x{self.crop[1]}: expected two positive numbers, height x width")
        parse_loss(self.loss)


def poly_learning_rate(step: int, total: int, options: TrainingOptions) -> float:
    """Returns the learning rate of a step: linear warm-up, then (1 - step/total)^0.9 (DeepLab v2, section 4.1.1)."""
    warmup = min(options.warmup_steps, total // 5)
    rising = min(1.0, (step + 1) / (warmup + 1))
    return float(options.learning_rate * rising * (1 - step / (total + 1)) ** 0.9)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a training reports after every step, and once more after every epoch, when its validation is known.

    Attributes:
        epoch: The epoch that runs, or has just ended, counted from 0.
        epochs: How many are asked for.
        step: Steps done in this epoch.
        steps: Steps of an epoch.
        loss: Mean over the last 50 steps of this epoch; over all of it once it has ended.
        val_miou: The latest validation's; None before the first.
        best_miou: The best validation's so far; None before the first.
        ended: The epoch's line of the history, once it has ended.
        advice: What its end gives reason to say.
        stopped: Whether patience ended with it.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    val_miou: float | None
    best_miou: float | None
    ended: Epoch | None = None
    advice: tuple[str, ...] = ()
    stopped: bool = False


Report = Callable[[Progress], None]
"""Called with the progress of a training."""


def each(*reports: Report) -> Report:
    """Returns a report that calls all of them, in order."""

    def report(progress: Progress) -> None:
        for one in reports:
            one(progress)

    return report
