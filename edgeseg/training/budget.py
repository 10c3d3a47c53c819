"""As many epochs as fit into a time.

A few steps and predictions are timed before the training begins. What they tell is rough: the first ones build what
later ones use, and other programs come and go. So after every epoch it is reckoned anew how many will fit.
"""

from __future__ import annotations

import itertools
import logging
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras

from edgeseg.errors import UsageError
from edgeseg.training.batches import BatchSource
from edgeseg.training.checkpoint import named_variables
from edgeseg.training.group import this_group
from edgeseg.training.history import History
from edgeseg.training.options import TrainingOptions

_LOG = logging.getLogger(__name__)

STEPS = 4
"""Steps that are timed, behind one that builds what the others use."""
KEPT = 0.95
"""Share of the time that is planned: the rest is for checkpoints, and for a machine that gets busier."""


RECENT = 5
"""Epochs, at least, by whose time it is reckoned how long the others will take."""


class Budget:
    """The time that a training may take, from when it began to be prepared.

    Args:
        seconds: How long.
        began: When, by `time.monotonic`.
    """

    def __init__(self, seconds: float, began: float) -> None:
        self._seconds, self._began = seconds, began
        self._validation = 0.0

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._seconds - (time.monotonic() - self._began)

    def plan(
        self, network: Any, batches: BatchSource, validation_seconds: Callable[[], float], options: TrainingOptions
    ) -> TrainingOptions:
        """Chooses as `within` does, the same in all processes that train together.

        Raises:
            UsageError: Not one epoch fits.
        """

        def validation() -> float:
            self._validation = validation_seconds()
            return self._validation

        chosen = within(self.left, network, batches, validation, options)
        epochs, every = (int(this_group().agree(number)) for number in (chosen.epochs, chosen.val_every))
        _LOG.info(
            "about %d epochs of %d steps fit into %.0f s, validated every %d",
            epochs, batches.steps, self._seconds, every,
        )  # fmt: skip
        return replace(chosen, epochs=epochs, val_every=every)

    def again(self, history: History, options: TrainingOptions) -> int:
        """Returns how many epochs there will be in all, by the time that the latest took; the last is a validated one.

        Args:
            history: At least one epoch.
            options: How often validations are made.
        """
        rows = (history[1:] or history)[-max(RECENT, options.val_every) :]
        scored = [row.seconds or 0.0 for row in rows if row.val_miou is not None]
        plain = [row.seconds or 0.0 for row in rows if row.val_miou is None]
        if plain:
            each = statistics.fmean(plain)
            self._validation = max(0.0, statistics.fmean(scored) - each) if scored else self._validation
            each += self._validation / options.val_every
        else:
            each = statistics.fmean(scored)
        last = self._validation if options.val_every > 1 else 0.0
        fit = int((KEPT * self.left - last) / max(each, 1e-3))
        least = 0 if history[-1].val_miou is not None else 1
        return int(this_group().agree(len(history) + max(least, fit)))


def within(
    seconds: float,
    network: Any,
    batches: BatchSource,
    validation_seconds: Callable[[], float],
    options: TrainingOptions,
) -> TrainingOptions:
    """Chooses how many epochs to train, and so how fast the learning rate falls.

    Args:
        seconds: The time that may be spent.
        network: Compiled; its variables are put back.
        batches: What it will learn from.
        validation_seconds: Tells how long a validation takes.
        options: Everything but the epochs; validations are made rarer where they would take over a third of the time.

    Returns:
        The options with `epochs` and `val_every`.

    Raises:
        UsageError: Not one epoch fits.
    """
    began = time.monotonic()
    step, validation = step_seconds(network, batches), validation_seconds()
    epoch, left = batches.steps * step, KEPT * (seconds - (time.monotonic() - began))
    if epoch + validation > left:
        raise UsageError(
            f"--time-budget {seconds:.0f} s: one epoch of {batches.steps} steps takes about {epoch:.0f} s here, its "
            f"validation {validation:.0f} s; give more time, a smaller --crop or --backbone, or fewer images"
        )
    every = max(options.val_every, round(2 * validation / epoch), 1)
    epochs = max(1, int((left - validation) / (epoch + validation / every)))
    return replace(options, epochs=epochs, val_every=min(every, epochs))


def step_seconds(network: Any, batches: BatchSource) -> float:
    """Returns how long a step takes; the network and its optimizer are afterwards what they were."""
    variables = named_variables(network)
    before = {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}
    taken: list[float] = []
    for inputs, targets in itertools.islice(_endless(batches), STEPS + 1):
        began = time.monotonic()
        network.train_on_batch(inputs, targets)
        taken.append(time.monotonic() - began)
    for name, variable in variables.items():
        variable.assign(before[name])
    return sorted(taken[1:])[STEPS // 2]


def _endless(batches: BatchSource) -> Iterator[tuple[Any, Any]]:
    for epoch in itertools.count():
        yield from batches.epoch(epoch)
