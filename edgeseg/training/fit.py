"""Float training: poly schedule with warm-up, AdamW, best weights by val mIoU, resume after a kill at any moment.

A training folder holds `model.keras` (best so far, with its card), `checkpoint.npz` (everything needed to go on) and
`history.csv`. Each is replaced atomically after an epoch, so a kill costs at most that epoch.
"""

from __future__ import annotations

import csv
import io
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.architectures.registry import build_network
from edgeseg.card import ModelCard, Score, TrainingRecord
from edgeseg.card_file import read_model
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.files import ensure_folder, replacing, write_text
from edgeseg.image import Uint8, normalise
from edgeseg.keras_model import KerasSegmenter, copy_weights, network_spec, save_model
from edgeseg.losses import make_loss
from edgeseg.metrics import confusion_matrix, miou, pixel_accuracy
from edgeseg.training.augmentation import Augmentation, augment

MODEL_FILE = "model.keras"
CHECKPOINT_FILE = "checkpoint.npz"
HISTORY_FILE = "history.csv"


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training pictures.
        batch_size: Pictures a step.
        crop: Rows and columns of the training crops; the network's input size if None.
        learning_rate: Peak of the schedule.
        weight_decay: AdamW's, on kernels only.
        warmup_steps: Steps of linear warm-up; at most a fifth of all steps.
        loss: See `edgeseg.losses.make_loss`.
        class_weighting: Whether rare classes weigh more, see `class_weights`.
        seed: Of initial weights, order and augmentation.
        val_every: Epochs between two validations; the last epoch always has one.
        mixed_precision: Compute in float16 or bfloat16 with float32 weights: faster on GPUs, slower on CPUs.
        augmentation: How strongly pictures are varied.
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
    mixed_precision: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "val_every"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: expected at least 1")
        if not self.learning_rate > 0 or self.weight_decay < 0:
            raise UsageError(
                f"learning rate {self.learning_rate}, weight decay {self.weight_decay}: expected > 0 and >= 0"
            )


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What `train` reports after every step; `val_miou` is the last that was measured."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    val_miou: float | None
    best_miou: float | None


Report = Callable[[Progress], None]
Initialise = Callable[[Any], None]


def poly_learning_rate(step: int, total: int, options: TrainingOptions) -> float:
    """Returns the learning rate of a step: linear warm-up, then (1 - step/total)^0.9 (DeepLab v2, section 4.1.1)."""
    warmup = min(options.warmup_steps, total // 5)
    rising = min(1.0, (step + 1) / (warmup + 1))
    return float(options.learning_rate * rising * (1 - step / (total + 1)) ** 0.9)


def class_weights(dataset: Dataset) -> tuple[float, ...]:
    """Returns 1 / ln(1.1 + frequency) of each class, scaled to mean 1 (Paszke et al., "ENet", 2016, section 5.2)."""
    counts = np.zeros(dataset.labels.num_classes)
    for _, labels in dataset:
        counts += np.bincount(labels.ravel(), minlength=256)[: len(counts)]
    if not counts.sum():
        raise DataError(f"the {dataset.name} {dataset.split} split has no labelled pixel: every id is the ignored one")
    weights = 1 / np.log(1.1 + counts / counts.sum())
    return tuple(float(w) for w in weights / weights.mean())


class Batches:
    """Augmented batches of a data set, the same for the same (seed, epoch) whenever and however often they are made.

    Pictures are decoded once and kept in memory as uint8 (170 MB for 367 of 360x480 with their labels).
    """

    def __init__(self, dataset: Dataset, card: ModelCard, options: TrainingOptions, crop: tuple[int, int]) -> None:
        if len(dataset) < 1:
            raise DataError(f"the {dataset.name} {dataset.split} split is empty")
        self.samples: list[tuple[Uint8, Uint8]] = list(dataset)
        self.steps = max(1, len(self.samples) // options.batch_size)
        self._card, self._options, self._crop = card, options, crop

    def epoch(self, epoch: int) -> Iterator[tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]]:
        """Yields the (images, labels) of one epoch; the next two batches are made meanwhile on helper threads."""
        options = self._options
        order = np.random.default_rng((options.seed, epoch)).permutation(len(self.samples))
        while len(order) < options.batch_size:
            order = np.concatenate([order, order])
        with ThreadPoolExecutor(2) as pool:
            ahead = 2 * options.batch_size
            chosen = order[: self.steps * options.batch_size]
            jobs = [pool.submit(self._sample, epoch, n, int(i)) for n, i in enumerate(chosen[:ahead])]
            for start in range(0, len(chosen), options.batch_size):
                batch = [job.result() for job in jobs[: options.batch_size]]
                jobs = jobs[options.batch_size :]
                at = start + ahead
                for n, i in enumerate(chosen[at : at + options.batch_size], at):
                    jobs.append(pool.submit(self._sample, epoch, n, int(i)))
                images = normalise(np.stack([rgb for rgb, _ in batch]), self._card.input)
                yield images, np.stack([labels for _, labels in batch]).astype(np.int32)

    def _sample(self, epoch: int, position: int, index: int) -> tuple[Uint8, Uint8]:
        random = np.random.default_rng((self._options.seed, epoch, position, index))
        image, labels = self.samples[index]
        return augment(image, labels, self._card.input, self._crop, self._options.augmentation, random)


def train(
    card: ModelCard,
    train_set: Dataset,
    val_set: Dataset,
    folder: Path,
    options: TrainingOptions,
    *,
    initialise: Initialise | None = None,
    init: str = "random",
    resume: bool = False,
    report: Report | None = None,
) -> ModelCard:
    """Trains a network and leaves its best weights, by val mIoU, in `folder`.

    Args:
        card: What to train: architecture, input, labels.
        train_set: Pictures to learn from.
        val_set: Pictures to choose the best epoch by.
        folder: See the module; created if missing.
        options: How to train.
        initialise: Gives the fresh network its first weights, called with the network; random ones if None.
        init: What `initialise` does, for the training record.
        resume: Go on from the folder's checkpoint, if it has one.
        report: Called after every step.

    Returns:
        The card of the best weights, as stored in `folder / "model.keras"`.

    Raises:
        DataError: A data set is empty or cannot be read.
        UsageError: The options do not fit, or the checkpoint belongs to another training.
    """
    keras.utils.set_random_seed(options.seed)
    keras.mixed_precision.set_dtype_policy(_policy(options))
    crop = options.crop or (card.input.height, card.input.width)
    network = build_network(keras, replace(network_spec(card), height=crop[0], width=crop[1]))
    judge = build_network(keras, network_spec(card), batch_size=1)
    weights = class_weights(train_set) if options.class_weighting else None
    loss = make_loss(
        options.loss,
        num_classes=card.labels.num_classes,
        class_weights=weights,
        ignore_index=card.labels.ignore_index,
    )
    optimizer = keras.optimizers.AdamW(options.learning_rate, weight_decay=options.weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    # XLA's convolutions are 20 times slower than TensorFlow's on CPUs; on JAX it is the only way to run.
    network.compile(optimizer, loss=loss, jit_compile=keras.backend.backend() == "jax")
    optimizer.build(network.trainable_variables)

    batches = Batches(train_set, card, options, crop)
    state = _State(card.name, options, folder / CHECKPOINT_FILE, network)
    if resume and state.path.exists():
        state.load()
    elif initialise is not None:
        initialise(network)
    ensure_folder(folder)  # only now is it certain that everything fits together
    total = options.epochs * batches.steps
    best_card = card
    if state.best_miou is not None:  # resumed: the best so far may remain the best
        best_card = read_model(folder / MODEL_FILE)[1] or card
    began = time.monotonic() - state.wall_s
    for epoch in range(state.epoch, options.epochs):
        losses = []
        for step, (images, labels) in enumerate(batches.epoch(epoch)):
            optimizer.learning_rate = poly_learning_rate(epoch * batches.steps + step, total, options)
            losses.append(float(network.train_on_batch(images, labels)))
            if report:
                mean = float(np.mean(losses[-50:]))
                known = next((row["val_miou"] for row in reversed(state.history) if row["val_miou"] is not None), None)
                report(
                    Progress(
                        epoch=epoch, epochs=options.epochs, step=step + 1, steps=batches.steps, loss=mean,
                        val_miou=known, best_miou=state.best_miou,
                    )
                )  # fmt: skip
        state.epoch, state.wall_s = epoch + 1, time.monotonic() - began
        row: dict[str, Any] = {"epoch": epoch + 1, "loss": float(np.mean(losses)), "val_miou": None}
        if (epoch + 1) % options.val_every == 0 or epoch + 1 == options.epochs:
            copy_weights(network, judge)
            score = validate(judge, card, val_set)
            row["val_miou"] = score.miou
            if state.best_miou is None or score.miou > state.best_miou:
                state.best_miou = score.miou
                record = TrainingRecord(
                    dataset=f"{train_set.name}/{train_set.split}", images=len(train_set), epochs=options.epochs,
                    batch_size=options.batch_size, crop=crop, loss=options.loss,
                    learning_rate=options.learning_rate, weight_decay=options.weight_decay, seed=options.seed,
                    init=init, best_epoch=epoch + 1, best_miou=score.miou, wall_s=round(state.wall_s, 1),
                )  # fmt: skip
                best_card = replace(card, training=record, scores=(score,))
                save_model(folder / MODEL_FILE, judge, best_card)
        state.history.append(row)
        write_text(folder / HISTORY_FILE, _table(state.history))
        state.save()
    keras.mixed_precision.set_dtype_policy("float32")
    return best_card


def validate(network: Any, card: ModelCard, dataset: Dataset) -> Score:
    """Scores a network on a data set at label resolution."""
    total = np.zeros((card.labels.num_classes,) * 2, np.int64)
    segmenter = KerasSegmenter(network, card.input)
    for image, truth in dataset:
        predicted = segmenter.segment(image, *truth.shape)
        total += confusion_matrix(truth, predicted, card.labels.num_classes, card.labels.ignore_index)
    return Score(
        dataset=dataset.name,
        split=dataset.split,
        images=len(dataset),
        miou=miou(total),
        pixel_accuracy=pixel_accuracy(total),
    )


class _State:
    """What a resumed training needs: variables, epoch, best score, history."""

    def __init__(self, name: str, options: TrainingOptions, path: Path, network: Any) -> None:
        self.path, self.epoch, self.wall_s = path, 0, 0.0
        self.best_miou: float | None = None
        self.history: list[dict[str, Any]] = []
        # What must agree between the first run and a resumed one.
        self._key = f"{name} {asdict(options)}"
        self._network = network

    def _variables(self) -> list[Any]:
        return [*self._network.variables, *self._network.optimizer.variables]

    def save(self) -> None:
        arrays = {f"v{i}": keras.ops.convert_to_numpy(v) for i, v in enumerate(self._variables())}
        facts = [self.epoch, self.wall_s, np.nan if self.best_miou is None else self.best_miou]
        rows = [[r["epoch"], r["loss"], np.nan if r["val_miou"] is None else r["val_miou"]] for r in self.history]
        with replacing(self.path) as temporary:
            np.savez(temporary, key=np.array(self._key), facts=np.array(facts), history=np.array(rows), **arrays)

    def load(self) -> None:
        try:
            with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as stored:
                if str(stored["key"]) != self._key:
                    raise UsageError(
                        f"{self.path} belongs to a training with other settings: use the same ones, or another folder"
                    )
                for index, variable in enumerate(self._variables()):
                    variable.assign(stored[f"v{index}"])
                epoch, self.wall_s, best = (float(x) for x in stored["facts"])
                self.history = [
                    {"epoch": int(e), "loss": float(loss), "val_miou": None if np.isnan(m) else float(m)}
                    for e, loss, m in stored["history"]
                ]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(
                f"{self.path} is no checkpoint of this training ({error}): delete it to begin anew"
            ) from error
        self.epoch = int(epoch)
        self.best_miou = None if np.isnan(best) else best


def _policy(options: TrainingOptions) -> str:
    return "mixed_bfloat16" if options.mixed_precision else "float32"


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["epoch", "loss", "val_miou"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
