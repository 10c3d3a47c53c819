"""As many epochs as fit into a time: a few steps and predictions are timed before the training begins."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import keras

from edgeseg.errors import UsageError
from edgeseg.training.batches import BatchSource
from edgeseg.training.checkpoint import named_variables
from edgeseg.training.options import TrainingOptions

STEPS = 4
"""Steps that are timed, behind one that builds what the others use."""
KEPT = 0.95
"""Share of the time that is planned: the rest is for checkpoints, and for a machine that gets busier."""


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
