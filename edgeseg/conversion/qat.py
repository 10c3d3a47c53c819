"""Quantization-aware training: the weights of an integer file learn to live with its rounding.

It starts from the tuned file and the float weights, batch normalisation folded. Ranges of activations stay what tuning
made them; kernels and biases are trained through the file's own graph (`fake_quant`) at a low rate, and the best by val
mIoU, the start included, go back into the file: same graph, same operators, same speed.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeseg.card import InputSpec, ModelCard
from edgeseg.conversion.converter import Advance
from edgeseg.conversion.fake_quant import GraphLayer, float_weights_for, trained_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.files import replacing
from edgeseg.image import normalise
from edgeseg.keras_model import KerasSegmenter
from edgeseg.losses import make_loss
from edgeseg.scoring.evaluate import evaluate
from edgeseg.training.augmentation import Augmentation, augment


@dataclass(frozen=True, kw_only=True)
class QatOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training pictures.
        batch_size: Pictures a step.
        learning_rate: Adam's at the start; it falls linearly to zero.
        loss: See `edgeseg.losses.make_loss`.
        distill: Learn what the float network gives instead of the labels, which then only choose the best epoch.
        seed: Of order and augmentation.
    """

    epochs: int = 5
    batch_size: int = 4
    learning_rate: float = 2e-5
    loss: str = "ce"
    distill: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)}: expected at least 1")
        if not self.learning_rate > 0:
            raise UsageError(f"learning rate {self.learning_rate}: expected a number above 0")


@dataclass(frozen=True, kw_only=True)
class QatData:
    """What to learn from, what to choose the best epoch by, and where to keep the state.

    Attributes:
        train_set: Training pictures.
        val_set: Validation pictures.
        checkpoint: File that a stopped training goes on from; None keeps nothing.
        resume: Whether to go on from it.
    """

    train_set: Dataset
    val_set: Dataset
    checkpoint: Path | None = None
    resume: bool = False


def train_for_integers(
    content: bytes,
    reference: bytes,
    card: ModelCard,
    data: QatData,
    options: QatOptions,
    advance: Advance,
    notify: Callable[[str], None],
) -> tuple[bytes, Any]:
    """Trains the weights of an integer file.

    Args:
        content: The tuned integer file, without a card.
        reference: The float32 file of the same network.
        card: Input and classes.
        data: What to learn from.
        options: How.
        advance: Called with (done, total) steps.
        notify: Called with a line after each epoch.

    Returns:
        The file with the best weights, and the network that was trained, holding them.

    Raises:
        ConversionError: The converter made two different graphs, or an operator cannot be trained through.
        DataError: A data set is empty or has other classes; the checkpoint is damaged.
        UsageError: The checkpoint belongs to another training.
    """
    for dataset in (data.train_set, data.val_set):
        if dataset.labels.num_classes != card.labels.num_classes:
            raise DataError(
                f"the {dataset.name} data set has {dataset.labels.num_classes} classes, {card.name} has "
                f"{card.labels.num_classes}: train it on the data set it was trained for"
            )
    keras.utils.set_random_seed(options.seed)
    weights = float_weights_for(IntegerFile(content), IntegerFile(reference))
    layer = GraphLayer(content, weights, name="integer_graph")
    spec = card.input
    image = keras.Input((spec.height, spec.width, spec.channels))
    network = keras.Model(image, layer(image), name=card.name.replace(".", "_"))
    teacher = GraphLayer(reference, None, name="float_graph") if options.distill else None
    loss = (
        distillation
        if teacher
        else make_loss(options.loss, num_classes=card.labels.num_classes, ignore_index=card.labels.ignore_index)
    )
    optimizer = keras.optimizers.Adam(options.learning_rate)
    network.compile(optimizer, loss=loss, jit_compile=False)
    optimizer.build(network.trainable_variables)
    state = _State(network, data, options)
    if state.best_miou is None:
        state.judge(card, data.val_set)
        notify(f"fake-quantized, before training: val mIoU {state.best_miou:.4f}")
    batches = Batches(data.train_set, spec, options)
    total = options.epochs * batches.steps
    for epoch in range(state.epoch, options.epochs):
        losses = []
        for step, (images, labels) in enumerate(batches.epoch(epoch), epoch * batches.steps):
            optimizer.learning_rate = options.learning_rate * (1 - step / total)
            targets = teacher(images) if teacher else labels
            losses.append(float(network.train_on_batch(images, targets)))
            advance(step + 1, total)
        miou = state.judge(card, data.val_set)
        notify(
            f"epoch {epoch + 1}/{options.epochs} loss {np.mean(losses):.4f} val mIoU {miou:.4f} "
            f"(best {state.best_miou:.4f})"
        )
        state.save(epoch + 1)
    state.restore_best()
    return trained_file(content, layer), network


def distillation(taught: Any, logits: Any) -> Any:
    """Cross-entropy with the float network's probabilities, mean over pixels."""
    wanted = keras.ops.softmax(taught, axis=-1)
    return -keras.ops.mean(keras.ops.sum(wanted * keras.ops.log_softmax(logits, axis=-1), axis=-1))


class Batches:
    """Augmented batches, the same for the same (seed, epoch).

    Args:
        dataset: The pictures.
        spec: The network's input; the graph's size is fixed, so crops have it, too.
        options: Batch size and seed.
    """

    def __init__(self, dataset: Dataset, spec: InputSpec, options: QatOptions) -> None:
        if not len(dataset):
            raise DataError(f"the {dataset.name} {dataset.split} split is empty")
        self._dataset, self._spec, self._options = dataset, spec, options
        self.steps = max(1, len(dataset) // options.batch_size)

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Yields the (images, labels) of one epoch."""
        size, seed, spec = self._options.batch_size, self._options.seed, self._spec
        order = np.random.default_rng((seed, epoch)).permutation(len(self._dataset))
        for step in range(self.steps):
            chosen = np.resize(order, self.steps * size)[step * size : (step + 1) * size]
            samples = [
                augment(
                    *self._dataset.load(int(index)), spec, (spec.height, spec.width), Augmentation(),
                    np.random.default_rng((seed, epoch, step, int(index))),
                )
                for index in chosen
            ]  # fmt: skip
            images = np.stack([normalise(pixels, spec) for pixels, _ in samples])
            yield images, np.stack([labels for _, labels in samples]).astype(np.int32)


class _State:
    """Where a training stands: its variables, the best so far, and the file that keeps them."""

    def __init__(self, network: Any, data: QatData, options: QatOptions) -> None:
        self._network, self._path = network, data.checkpoint
        self._settings = {**asdict(options), "network": network.name, "dataset": data.train_set.name}
        self.epoch = 0
        self.best_miou: float | None = None
        self._best: list[Any] = []
        if self._path is None or not self._path.exists():
            return
        if not data.resume:
            raise UsageError(f"{self._path} keeps a training that was stopped: go on with --resume, or delete it")
        self._load(self._path)

    def judge(self, card: ModelCard, dataset: Dataset) -> float:
        """Scores the network as it is, and keeps its weights if they are the best."""
        miou = evaluate(KerasSegmenter(self._network, card.input).segment, dataset).miou
        if self.best_miou is None or miou > self.best_miou:
            self.best_miou, self._best = miou, self._network.get_weights()
        return miou

    def restore_best(self) -> None:
        """Gives the network its best weights."""
        self._network.set_weights(self._best)

    def save(self, epoch: int) -> None:
        """Writes the state atomically."""
        if self._path is None:
            return
        facts = {"settings": self._settings, "epoch": epoch, "best_miou": self.best_miou}
        variables = [*self._network.get_weights(), *map(np.asarray, self._network.optimizer.variables)]
        arrays = {f"v{n}": value for n, value in enumerate(variables)}
        arrays |= {f"b{n}": value for n, value in enumerate(self._best)}
        with replacing(self._path) as temporary:
            np.savez(temporary, facts=np.array(json.dumps(facts)), **arrays)

    def _load(self, path: Path) -> None:
        count = len(self._network.get_weights())
        optimizer = self._network.optimizer
        try:
            with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
                facts = json.loads(str(stored["facts"]))
                variables = [stored[f"v{n}"] for n in range(count + len(optimizer.variables))]
                self._best = [stored[f"b{n}"] for n in range(count)]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is no state of this training ({error}): delete it to begin anew") from error
        different = [name for name, value in self._settings.items() if facts["settings"].get(name) != value]
        if different:
            raise UsageError(f"{path} keeps a training with another {', '.join(different)}: use the same, or delete it")
        self._network.set_weights(variables[:count])
        for variable, value in zip(optimizer.variables, variables[count:], strict=True):
            variable.assign(value)
        self.epoch, self.best_miou = int(facts["epoch"]), float(facts["best_miou"])
