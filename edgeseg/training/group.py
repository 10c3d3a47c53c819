"""The processes and devices that train one network together: data-parallel, by Keras on JAX.

Every process runs the same training and makes its share of each batch; a step is one program over all devices, so the
loss, the gradients and the statistics of batch normalisation are those of the whole batch. Only the one that leads
writes files and tells how it goes.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from edgeseg.errors import LostProcessError, UsageError

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A process's place among those that train together.

    Attributes:
        rank: Its number, from 0.
        count: How many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and tells how it goes."""
        return self.rank == 0

    def agree(self, value: float) -> float:
        """Returns the leading process's value in every process; all have to call it."""
        if self.count == 1:
            return value
        send = importlib.import_module("jax.experimental.multihost_utils").broadcast_one_to_all
        told = send(np.array([value], np.float64).view(np.uint32))  # JAX has no float64
        return float(np.asarray(told).view(np.float64)[0])

    def total(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Returns the sum of every process's counts, in every process; all have to call it, with one shape."""
        if self.count == 1:
            return counts
        gather = importlib.import_module("jax.experimental.multihost_utils").process_allgather
        parts = np.ascontiguousarray(gather(np.ascontiguousarray(counts).view(np.uint32)))  # JAX has no int64
        summed: npt.NDArray[np.int64] = parts.view(np.int64).sum(0)
        return summed


ALONE = Group()


def this_group() -> Group:
    """Returns this process's place; alone, if it has joined no others."""
    if keras.backend.backend() != "jax":
        return ALONE
    jax = importlib.import_module("jax")
    return Group(rank=jax.process_index(), count=jax.process_count())


def join(address: str, count: int, rank: int) -> None:
    """Joins the other processes; before anything is computed, and once in a process.

    Args:
        address: Where the process of rank 0 listens, "host:port".
        count: How many processes there are.
        rank: This one's number.
    """
    importlib.import_module("jax").distributed.initialize(address, count, rank)


def in_batch_job() -> bool:
    """Whether SLURM's `srun` has started this process as one of several."""
    steps = os.environ.get("SLURM_STEP_NUM_TASKS") or os.environ.get("SLURM_NTASKS", "")
    return "SLURM_STEP_NODELIST" in os.environ and steps.isdigit() and int(steps) > 1


def join_batch_job() -> None:
    """Joins the processes that `srun` has started beside this one.

    Raises:
        UsageError: Keras does not run on JAX.
    """
    if keras.backend.backend() != "jax":
        raise UsageError(
            f"srun has started this command several times, and Keras runs on {keras.backend.backend()}: to train one "
            "network together, set KERAS_BACKEND=jax"
        )
    importlib.import_module("jax").distributed.initialize()  # knows SLURM's variables


@contextlib.contextmanager
def spread(batch_size: int) -> Iterator[None]:
    """Spreads what is built and trained inside over the devices of all processes, where there are several.

    Args:
        batch_size: Images of a whole batch.

    Raises:
        LostProcessError: Another process has ended.
        UsageError: A batch cannot be shared evenly among the processes' devices.
    """
    group, devices = this_group(), _devices()
    used = max(count for count in range(1, len(devices) + 1) if batch_size % count == 0)
    if group.count > 1 and used < len(devices):
        raise UsageError(f"--batch {batch_size} for {len(devices)} devices: expected a multiple of their number")
    if used < len(devices):
        _LOG.warning("%d of %d devices are used: a batch of %d cannot be shared evenly", used, len(devices), batch_size)
    if used < 2:
        yield
        return
    parallel = keras.distribution.DataParallel(devices=devices[:used], auto_shard_dataset=False)
    failure = importlib.import_module("jax").errors.JaxRuntimeError
    with parallel.scope():
        try:
            yield
        except (failure, ValueError) as error:  # Gloo's come as a ValueError
            if group.count == 1 or not (isinstance(error, failure) or "Gloo" in str(error)):
                raise
            raise LostProcessError(
                "another process of this training has ended: start all of them again with --resume"
            ) from error


def _devices() -> list[Any]:
    return list(keras.distribution.list_devices()) if keras.backend.backend() == "jax" else [None]


@contextlib.contextmanager
def apart() -> Iterator[None]:
    """Keeps what is built inside on this process's own first device."""
    before = keras.distribution.distribution()
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(before)
