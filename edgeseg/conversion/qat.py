"""Quantization-aware training: the weights of an integer file learn to live with its rounding.

It starts from the tuned file and the float weights, batch normalisation folded. Ranges of activations stay what tuning
made them; kernels and biases are trained through the file's own graph (`fake_quant`) at a low rate, and the best by val
mIoU, the start included, go back into the file: same graph, same operators, same speed. What is scored is the file
itself, in integers: that is what will run, and ten times quicker. Batches, loop and checkpoint are those of float
training.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeseg.arrays import Float32
from edgeseg.card import ModelCard, Recipe
from edgeseg.card_file import attach
from edgeseg.conversion.best_weights import BestWeights, scored
from edgeseg.conversion.converter import Advance
from edgeseg.conversion.fake_quant import GraphLayer, float_weights_for, trained_file
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.data.dataset import Dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.files import ensure_folder
from edgeseg.losses import make_loss
from edgeseg.training.batches import Batches, BatchSource
from edgeseg.training.checkpoint import Checkpoint
from edgeseg.training.distillation import DistillationBatches, distillation_loss
from edgeseg.training.fit import fit
from edgeseg.training.folder import CHECKPOINT_FILE, HISTORY_FILE
from edgeseg.training.images import fits_in_memory
from edgeseg.training.options import Progress, TrainingOptions

BEST_FILE = "best.npz"


@dataclass(frozen=True, kw_only=True)
class QatOptions:
    """How to train.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        learning_rate: Adam's at the start; it falls to zero. Rounding leaves little to learn, so that a higher one adds
            more noise than it takes away.
        loss: See `edgeseg.losses.make_loss`.
        distill: Learn what the float network gives, so that only rounding is trained away, and the labels just choose
            the best epoch; else learn the labels.
        seed: Of order and augmentation.
    """

    epochs: int = 5
    batch_size: int = 4
    learning_rate: float = 5e-6
    loss: str = "ce"
    distill: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        self.training()

    def training(self) -> TrainingOptions:
        """Returns the same as the fitting loop takes it.

        Raises:
            UsageError: A number is out of range, or the loss is unknown.
        """
        return TrainingOptions(
            epochs=self.epochs, batch_size=self.batch_size, learning_rate=self.learning_rate, loss=self.loss,
            seed=self.seed, warmup_steps=0, teacher_weight=1.0,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class QatData:
    """What to learn from, what to choose the best epoch by, and where to keep the state.

    Attributes:
        train_set: Training images.
        val_set: Validation images.
        folder: Where a stopped training can be gone on with from; None keeps nothing.
        resume: Whether to go on from there.
    """

    train_set: Dataset
    val_set: Dataset
    folder: Path | None = None
    resume: bool = False

    def check_anew(self) -> None:
        """Refuses to begin anew where a stopped training is kept.

        Raises:
            UsageError: One is.
        """
        if self.folder is not None and not self.resume and (self.folder / CHECKPOINT_FILE).exists():
            raise UsageError(f"{self.folder} keeps a training that was stopped: go on with --resume, or delete it")

    def forget(self) -> None:
        """Removes what the training kept, once it is not needed any more."""
        if self.folder is None or not self.folder.is_dir():
            return
        for name in (CHECKPOINT_FILE, BEST_FILE, HISTORY_FILE):
            (self.folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # somebody else's files are in it
            self.folder.rmdir()


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
        TrainingError: The loss is no number any more.
        UsageError: The checkpoint belongs to another training.
    """
    for dataset in (data.train_set, data.val_set):
        if dataset.labels.num_classes != card.labels.num_classes:
            raise DataError(
                f"the {dataset.name} data set has {dataset.labels.num_classes} classes, {card.name} has "
                f"{card.labels.num_classes}: train it on the data set it was trained for"
            )
    training, spec = options.training(), card.input
    keras.utils.set_random_seed(options.seed)
    layer = GraphLayer(content, float_weights_for(IntegerFile(content), IntegerFile(reference)), name="integer_graph")
    network = _compiled(layer, card, options)
    samples = list(data.train_set) if fits_in_memory(data.train_set) else data.train_set
    batches: BatchSource = Batches(samples, spec, (spec.height, spec.width), training)
    if options.distill:
        batches = DistillationBatches(batches, _teacher(reference))
    with _place(data) as folder:
        as_file = functools.partial(_as_file, content, layer, card)
        float_card = replace(card, recipe=Recipe(name="float32", output=card.recipe.output))
        floating = scored(attach(reference, float_card), data.val_set)
        judge = BestWeights(network, as_file, floating, data.val_set, folder / BEST_FILE)
        checkpoint = Checkpoint(folder / CHECKPOINT_FILE, _settings(card, data, options), anew="delete it")
        data.check_anew()
        if checkpoint.path.exists():
            checkpoint.load(network)
            judge.recall()
        else:
            judge.begin(attach(content, card))
            notify(f"before training: val mIoU {judge.miou:.4f}, {judge.told()}")
        fit(network, batches, judge, checkpoint, training, _teller(judge, advance, notify))
        judge.restore()
    notify(f"{'trained' if judge.trained else 'training brought nothing, the file stays'}: {judge.told()}")
    return trained_file(content, layer) if judge.trained else content, network


def _as_file(content: bytes, layer: GraphLayer, card: ModelCard) -> bytes:
    """Makes the integer file, card included, of the weights as they are."""
    return attach(trained_file(content, layer), card)


def _compiled(layer: GraphLayer, card: ModelCard, options: QatOptions) -> Any:
    """Makes the network that is trained: the file's graph, with its loss and its optimizer."""
    spec = card.input
    image = keras.Input((spec.height, spec.width, spec.channels))
    network = keras.Model(image, layer(image), name=card.name.replace(".", "_"))
    loss = make_loss(options.loss, num_classes=card.labels.num_classes, ignore_index=card.labels.ignore_index)
    if options.distill:
        loss = distillation_loss(loss, 1.0, (spec.height, spec.width))
    network.compile(keras.optimizers.Adam(options.learning_rate), loss=loss, jit_compile=False)
    network.optimizer.build(network.trainable_variables)
    return network


def _teacher(reference: bytes) -> Callable[[Float32], Float32]:
    """The float file, which says what it sees on the fake-quantized network's own images."""
    graph = GraphLayer(reference, None, name="float_graph")
    return lambda images: np.asarray(keras.ops.softmax(graph(images), axis=-1), np.float32)


@contextlib.contextmanager
def _place(data: QatData) -> Iterator[Path]:
    """Yields where the state is kept; what nobody asked for is gone afterwards."""
    if data.folder is not None:
        yield ensure_folder(data.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def _settings(card: ModelCard, data: QatData, options: QatOptions) -> dict[str, Any]:
    """What must agree between the first run and a resumed one; how many epochs may differ."""
    chosen = asdict(options)
    del chosen["epochs"]
    return {
        "network": card.name, "data": f"{data.train_set.name}/{data.train_set.split}", "images": len(data.train_set),
        **chosen,
    }  # fmt: skip


def _teller(judge: BestWeights, advance: Advance, notify: Callable[[str], None]) -> Callable[[Progress], None]:
    def tell(progress: Progress) -> None:
        row = progress.ended
        if row is None:
            advance(progress.epoch * progress.steps + progress.step, progress.epochs * progress.steps)
        else:
            notify(
                f"epoch {row.epoch}/{progress.epochs} loss {row.loss:.4f} val mIoU {row.val_miou:.4f} "
                f"(best {judge.miou:.4f})"
            )

    return tell
