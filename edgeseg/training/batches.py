"""Batches: augmented images and label maps, the same for the same seed, epoch and position.

By hand, not by `keras.utils.PyDataset`: that prefetches only inside Keras 3's `fit`, while quantization-aware training
runs on tf_keras; and a resumed training needs any epoch's batches, which here are a function of (seed, epoch).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import DataError, UsageError
from edgeseg.image import fit, normalise
from edgeseg.threads import prefetched
from edgeseg.training.augmentation import OUTSIDE, augment, paste
from edgeseg.training.group import ALONE, Group
from edgeseg.training.options import TrainingOptions

AHEAD = 3
"""Batches whose images are made or being made at any time."""

Sample = tuple[Uint8, Uint8]
"""An image (H, W, 3), blue-green-red, and its label map (H, W)."""


class Samples(Protocol):
    """Images to learn from: a list of them in memory, or a `Dataset`, which reads each when it is asked for."""

    def __len__(self) -> int:
        """Returns their number."""

    def __getitem__(self, index: int, /) -> Sample:
        """Returns one of them."""


class BatchSource(Protocol):
    """What the fitting loop takes its batches from."""

    @property
    def steps(self) -> int:
        """Batches of an epoch."""

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Yields the (inputs, targets) of one epoch."""


class Batches:
    """Augmented batches of images: the same, whether these are in memory or read from disk as they are needed.

    Args:
        samples: The training images. In memory each takes 4 bytes a pixel, labels included; read as they are needed,
            no more are held than `AHEAD` batches of crops and an image for each thread.
        spec: The network's input.
        crop: Rows and columns of the batches.
        options: Batch size, seed, augmentation.
        group: Of several processes, each makes its share of every batch: the same images as in the whole batch.
        num_classes: Ids from here on are no class.

    Raises:
        UsageError: A batch cannot be shared evenly.
    """

    def __init__(
        self,
        samples: Samples,
        spec: InputSpec,
        crop: tuple[int, int],
        options: TrainingOptions,
        group: Group = ALONE,
        num_classes: int = OUTSIDE,
    ) -> None:
        if not samples:
            raise DataError("no image to train on: the split is empty")
        if options.batch_size % group.count:
            raise UsageError(
                f"--batch {options.batch_size} for {group.count} processes: expected a multiple of their number"
            )
        self.steps = max(1, len(samples) // options.batch_size)
        self._samples, self._spec, self._crop, self._options = samples, spec, crop, options
        self._num_classes, self._share = num_classes, options.batch_size // group.count
        self._first = group.rank * self._share

    def epoch(self, epoch: int) -> Iterator[tuple[Float32, npt.NDArray[np.int32]]]:
        """Yields the (images, labels) of one epoch; the next ones are made meanwhile on helper threads."""
        size = self._options.batch_size
        order = np.random.default_rng((self._options.seed, epoch)).permutation(len(self._samples))
        order = np.resize(order, max(size, self.steps * size))  # fewer images than a batch are repeated
        own = ((n, index) for n, index in enumerate(order.tolist()) if 0 <= n % size - self._first < self._share)
        made = prefetched(lambda place: self._sample(epoch, *place), own, AHEAD * self._share - 1)
        with contextlib.closing(made):
            for _ in range(self.steps):
                yield self._batch(list(itertools.islice(made, self._share)))

    def plain(self, limit: int) -> Iterator[Float32]:
        """Yields up to `limit` images, evenly spread, as the network sees them in use, in batches."""
        chosen = np.linspace(0, len(self._samples) - 1, min(limit, len(self._samples))).round().astype(int)
        for start in range(0, len(chosen), self._options.batch_size):
            images = [self._samples[i][0] for i in chosen[start : start + self._options.batch_size]]
            yield normalise(np.stack([fit(image, self._spec) for image in images]), self._spec)

    def _sample(self, epoch: int, position: int, index: int) -> Sample:
        random = np.random.default_rng((self._options.seed, epoch, position, index))
        options = self._options.augmentation
        sample = self._varied(index, random)
        if options.copy_paste and random.random() < options.copy_paste:
            other = self._varied(int(random.integers(len(self._samples))), random)
            return paste(sample, other, self._num_classes, random)
        return sample

    def _varied(self, index: int, random: np.random.Generator) -> Sample:
        image, labels = self._samples[index]
        return augment(image, labels, self._spec, self._crop, self._options.augmentation, random, self._num_classes)

    def _batch(self, samples: list[Sample]) -> tuple[Float32, npt.NDArray[np.int32]]:
        images = normalise(np.stack([rgb for rgb, _ in samples]), self._spec)
        return images, np.stack([labels for _, labels in samples]).astype(np.int32)
