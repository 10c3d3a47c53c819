"""Batches: augmented pictures and label maps, the same for the same seed, epoch and position.

By hand, not by `keras.utils.PyDataset`: that prefetches only inside Keras 3's `fit`, while quantization-aware training
runs on tf_keras; and a resumed training needs any epoch's batches, which here are a function of (seed, epoch).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.errors import DataError
from edgeseg.image import fit, normalise
from edgeseg.training.augmentation import augment
from edgeseg.training.options import TrainingOptions

THREADS = max(2, min(16, (os.cpu_count() or 2) - 1))
"""Helper threads that augment pictures: a GPU takes them faster than two threads make them."""

Sample = tuple[Uint8, Uint8]
"""A picture (H, W, 3), blue-green-red, and its label map (H, W)."""


class BatchSource(Protocol):
    """What the fitting loop takes its batches from."""

    @property
    def steps(self) -> int:
        """Batches of an epoch."""

    def epoch(self, epoch: int) -> Iterator[tuple[Any, Any]]:
        """Yields the (inputs, targets) of one epoch."""


class Batches:
    """Augmented batches of pictures in memory (170 MB for 367 of 360x480 with their labels).

    Args:
        samples: The training pictures.
        spec: The network's input.
        crop: Rows and columns of the batches.
        options: Batch size, seed, augmentation.
    """

    def __init__(
        self, samples: Sequence[Sample], spec: InputSpec, crop: tuple[int, int], options: TrainingOptions
    ) -> None:
        if not samples:
            raise DataError("no picture to train on: the split is empty")
        self.steps = max(1, len(samples) // options.batch_size)
        self._samples, self._spec, self._crop, self._options = samples, spec, crop, options

    def epoch(self, epoch: int) -> Iterator[tuple[Float32, npt.NDArray[np.int32]]]:
        """Yields the (images, labels) of one epoch; the next two batches are made meanwhile on helper threads."""
        size = self._options.batch_size
        order = np.random.default_rng((self._options.seed, epoch)).permutation(len(self._samples))
        order = np.resize(order, max(size, self.steps * size))  # fewer pictures than a batch are repeated
        jobs = []
        pool = ThreadPoolExecutor(THREADS)
        try:
            for position, index in enumerate(order):
                jobs.append(pool.submit(self._sample, epoch, position, int(index)))
                if len(jobs) == 3 * size:
                    yield self._batch([job.result() for job in jobs[:size]])
                    del jobs[:size]
            for start in range(0, len(jobs), size):
                yield self._batch([job.result() for job in jobs[start : start + size]])
        finally:
            pool.shutdown(cancel_futures=True)

    def plain(self, limit: int) -> Iterator[Float32]:
        """Yields up to `limit` pictures, evenly spread, as the network sees them in use, in batches."""
        chosen = np.linspace(0, len(self._samples) - 1, min(limit, len(self._samples))).round().astype(int)
        for start in range(0, len(chosen), self._options.batch_size):
            pictures = [self._samples[i][0] for i in chosen[start : start + self._options.batch_size]]
            yield normalise(np.stack([fit(picture, self._spec) for picture in pictures]), self._spec)

    def _sample(self, epoch: int, position: int, index: int) -> Sample:
        random = np.random.default_rng((self._options.seed, epoch, position, index))
        image, labels = self._samples[index]
        return augment(image, labels, self._spec, self._crop, self._options.augmentation, random)

    def _batch(self, samples: list[Sample]) -> tuple[Float32, npt.NDArray[np.int32]]:
        images = normalise(np.stack([rgb for rgb, _ in samples]), self._spec)
        return images, np.stack([labels for _, labels in samples]).astype(np.int32)
