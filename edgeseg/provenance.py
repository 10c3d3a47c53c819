"""How a file came to be and how good it is, as its card tells it: training, calibration, agreement, scores."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CalibrationRecord:
    """Which images set the activation ranges: where from, how many, and the digest of their input tensors."""

    source: str
    count: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class AgreementRecord:
    """Which images a file was compared with its network on.

    Attributes:
        source: Where they are from.
        count: How many.
        unseen: Whether neither calibration nor tuning saw them.
    """

    source: str
    count: int
    unseen: bool


@dataclass(frozen=True, kw_only=True)
class TrainingRecord:
    """How the weights came to be; enough to run the same training again; `teacher` is empty where there was none."""

    dataset: str
    images: int
    epochs: int
    batch_size: int
    crop: tuple[int, int]
    loss: str
    learning_rate: float
    weight_decay: float
    seed: int
    init: str
    best_epoch: int
    best_miou: float
    wall_s: float
    teacher: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Accuracy of a model on a split, at label resolution; `miou` and the rest are fractions of 1."""

    dataset: str
    split: str
    images: int
    miou: float
    pixel_accuracy: float
