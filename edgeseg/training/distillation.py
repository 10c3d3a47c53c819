"""Teacher-student training: a network learns what another says of the same images, beside the labels or instead.

Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network", 2015, section 2, pixel by pixel as in Liu et al.,
"Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, section 3.1: the cross-entropy with the
teacher's probabilities, at temperature 1. The teacher sees the very crops that the student learns from, so it may be
any network of the same classes, whatever its size, framework or input.

Keras gives a loss one tensor of targets; so labels and probabilities travel in one, flat, and the loss parts them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from keras import ops

from edgeseg.arrays import CHANNELS, Float32, Uint8
from edgeseg.card import InputSpec, LabelSet, ModelCard
from edgeseg.data.calibration import CalibrationSet
from edgeseg.errors import UsageError
from edgeseg.host import usable_cores
from edgeseg.losses import Loss
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.training.batches import BatchSource, Sample
from edgeseg.zoo import resolve

Teach = Callable[[Float32], Float32]
"""From images (B, H, W, channels), normalised for the student, to probabilities (B, h, w, classes) at its logits."""


@dataclass(frozen=True, kw_only=True)
class Distillation:
    """What to learn from beside labels.

    Attributes:
        model: The teacher, as `FileTeacher` takes it.
        unlabelled: Images (H, W, 3) uint8, blue-green-red, of which only the teacher says what is in them.
    """

    model: str | os.PathLike[str]
    unlabelled: CalibrationSet | Sequence[Uint8] = ()

    @property
    def name(self) -> str:
        """What records call the teacher."""
        return Path(self.model).name

    def samples(self, ignore_index: int) -> Unlabelled:
        """Returns the images without labels, every pixel to be ignored, so that only the teacher has a say."""
        return Unlabelled(self.unlabelled, ignore_index)


class Unlabelled:
    """Images whose label maps say nothing, read when they are asked for.

    Args:
        images: (H, W, 3) uint8, blue-green-red.
        ignore_index: The id in their label maps.
    """

    def __init__(self, images: CalibrationSet | Sequence[Uint8], ignore_index: int) -> None:
        self._images, self._ignore_index = images, ignore_index

    def __len__(self) -> int:
        """Returns their number."""
        return len(self._images)

    def __getitem__(self, index: int) -> Sample:
        """Returns an image and its label map.

        Raises:
            DataError: It cannot be read.
        """
        images = self._images
        image = images.image(index) if isinstance(images, CalibrationSet) else images[index]
        return image, np.full(image.shape[:2], self._ignore_index, np.uint8)


def distillation_batches(
    batches: BatchSource, distillation: Distillation, card: ModelCard, network: Any
) -> DistillationBatches:
    """Adds what a teacher says to the batches of a network that is to learn from it.

    Args:
        batches: (images, labels).
        distillation: The teacher.
        card: The student's.
        network: The student, at the crops' size.

    Raises:
        ModelFileError: The teacher is missing or damaged.
        UsageError: It does not fit the student.
    """
    if card.input.margin:
        raise UsageError(f"{card.architecture} answers for the middle of its input only: it cannot have a teacher")
    _, rows, columns, _ = network.output_shape
    return DistillationBatches(batches, FileTeacher(distillation.model, card.input, card.labels, (rows, columns)))


class DistillationBatches:
    """Batches whose targets tell the labels and what a teacher says.

    Args:
        batches: (images, labels).
        teach: The teacher.
    """

    def __init__(self, batches: BatchSource, teach: Teach) -> None:
        self.steps = batches.steps
        self._batches, self._teach = batches, teach

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Float32]]:
        """Yields the (images, targets) of one epoch."""
        for images, labels in self._batches.epoch(epoch):
            yield images, joined(labels, self._teach(images))


def joined(labels: npt.NDArray[Any], probabilities: Float32) -> Float32:
    """Puts labels (B, H, W) and a teacher's probabilities (B, h, w, classes) into one array (B, H W + h w classes)."""
    count = len(labels)
    return np.concatenate([labels.reshape(count, -1).astype(np.float32), probabilities.reshape(count, -1)], axis=1)


def distillation_loss(loss: Loss, weight: float, crop: tuple[int, int]) -> Loss:
    """Makes the loss of `DistillationBatches`: (1 - weight) * loss + weight * cross-entropy with the teacher.

    Args:
        loss: That of the labels; not computed where `weight` is 1.
        weight: The teacher's share, above 0, at most 1.
        crop: Rows and columns of the labels.

    Returns:
        A function of targets as `joined` makes them and logits (B, h, w, classes) that gives a scalar.
    """
    pixels = crop[0] * crop[1]

    def both(targets: Any, logits: Any) -> Any:
        logits = ops.cast(logits, "float32")
        wanted = ops.reshape(targets[:, pixels:], ops.shape(logits))
        of_teacher = -ops.mean(ops.sum(wanted * ops.log_softmax(logits, axis=-1), axis=-1))
        if weight == 1:
            return of_teacher
        labels = ops.reshape(targets[:, :pixels], (-1, *crop))
        return (1 - weight) * loss(labels, logits) + weight * of_teacher

    return both


class FileTeacher:
    """A teacher that is opened as any model is.

    Args:
        model: A zoo name, a model folder (its integer file is taken: on a CPU it is the quickest, and chooses as the
            float network), a `.keras` or a `.tflite` file.
        spec: The student's input.
        labels: The student's classes.
        size: (rows, columns) of the student's logits.

    Raises:
        ModelFileError: The model is missing or damaged.
        UsageError: Its classes or its input are others, or it gives labels instead of logits.
    """

    def __init__(self, model: str | os.PathLike[str], spec: InputSpec, labels: LabelSet, size: tuple[int, int]) -> None:
        path = resolve(Path(model), kind="any")
        self._spec, self._size = spec, size
        self._network = Segmenter(path, threads=usable_cores() if path.suffix == ".tflite" else None)
        theirs = self._network.labels.names
        if theirs != labels.names:
            raise UsageError(
                f"the teacher {self._network.name} tells {', '.join(theirs)} apart, the data set has "
                f"{', '.join(labels.names)}: expected the same classes in the same order"
            )
        if spec.channels not in CHANNELS.get(self._network.input.order, (self._network.input.channels,)):
            raise UsageError(
                f"the teacher {self._network.name} takes {self._network.input.channels} channels, the student "
                f"{spec.channels}: expected the same"
            )
        self(np.zeros((1, *size, spec.channels), np.float32))  # one that gives labels is told now

    def __call__(self, images: Float32) -> Float32:
        """Returns the probabilities of normalised images, see `Teach`."""
        return np.stack([self._probabilities(frame) for frame in frames(images, self._spec)])

    def _probabilities(self, frame: Uint8) -> Float32:
        self._network.prepare(frame)
        self._network.invoke()
        return self._network.probabilities(*self._size)


def frames(images: Float32, spec: InputSpec) -> Uint8:
    """Turns normalised images (B, H, W, channels) back into frames, uint8 as a camera gives them."""
    pixels = np.rint(images * np.asarray(spec.std, np.float32) + np.asarray(spec.mean, np.float32))
    stored = pixels.clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(stored[..., ::-1]) if spec.order == "rgb" else stored
