"""One network trained by several processes that Ray starts, on this machine or on a cluster that shares its files.

Where a process is lost, all are started again and go on from the last checkpoint: what is learnt is the same.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError

from edgeseg.card import ModelCard
from edgeseg.cluster import ray_running
from edgeseg.errors import EdgesegError, LostProcessError, TrainingError
from edgeseg.training.group import join
from edgeseg.training.images import Advance
from edgeseg.training.options import Progress, Report
from edgeseg.training.train import train

LOSSES = 3
"""So often in a row, without an epoch between, a process may be lost before the training ends."""
_POLL = 0.3  # seconds
_BACKEND = {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3", "GRPC_VERBOSITY": "ERROR"}

_LOG = logging.getLogger(__name__)


def train_on_ray(
    call: Mapping[str, Any],
    workers: int,
    address: str | None = None,
    report: Report | None = None,
    reading: Advance | None = None,
) -> ModelCard:
    """Does what `edgeseg.train` does, with several processes.

    Args:
        call: The arguments of `edgeseg.train`, but for `report` and `reading`.
        workers: How many processes; each has a GPU of its own where Ray knows of so many.
        address: Of a Ray cluster; None starts Ray here, unless it runs in this process already.
        report: Called after every step and every epoch.
        reading: Called with (done, total) while the images are read.

    Raises:
        EdgesegError: What `edgeseg.train` raises.
        TrainingError: Processes are lost again and again.
        UsageError: No cluster answers at the address.
    """
    call = {name: _absolute(value) for name, value in call.items()}
    with ray_running(workers, address):
        lost = 0
        while True:
            team = _Team(workers)
            try:
                return team.train(call, report, reading)
            except LostProcessError as error:
                lost = 1 if team.epochs else lost + 1
                if lost > LOSSES:
                    raise TrainingError(f"{error}; this has happened {lost} times in a row") from error
                _LOG.warning("%s: all are started again", error)
            finally:
                team.stop()
            if team.epochs:
                call |= {"resume": True, "overwrite": False}


class _Team:
    """The processes of one attempt.

    Args:
        workers: How many.

    Attributes:
        epochs: How many epochs have ended in it.
    """

    def __init__(self, workers: int) -> None:
        self.epochs = 0
        gpus = 1 if ray.cluster_resources().get("GPU", 0) >= workers else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0, runtime_env={"env_vars": _BACKEND})(Worker)
        self._letters = ray.remote(num_cpus=0)(Letters).remote()
        self._workers = [remote.remote() for _ in range(workers)]

    def train(self, call: Mapping[str, Any], report: Report | None, reading: Advance | None) -> ModelCard:
        """Trains until one has a result or an error.

        Raises:
            LostProcessError: One has ended.
        """
        try:
            leader = ray.get(self._workers[0].address.remote())
            count = len(self._workers)
            jobs = [w.train.remote((leader, count, n), call, self._letters) for n, w in enumerate(self._workers)]
            waiting, results = list(jobs), {}
            while waiting:
                done, waiting = ray.wait(waiting, timeout=_POLL)
                self._read(report, reading)
                for job in done:
                    results[job] = _checked(ray.get(job))
            self._read(report, reading)
        except RayError as error:
            told = " ".join(str(error).split())
            raise LostProcessError(f"a process of the training was lost ({told[-120:]})") from error
        card = results[jobs[0]]
        assert isinstance(card, ModelCard)
        return card

    def stop(self) -> None:
        """Ends all processes."""
        for actor in (*self._workers, self._letters):
            ray.kill(actor)

    def _read(self, report: Report | None, reading: Advance | None) -> None:
        for letter in ray.get(self._letters.take.remote()):
            if isinstance(letter, Progress):
                self.epochs += letter.ended is not None
                if report:
                    report(letter)
            elif isinstance(letter, tuple):
                if reading:
                    reading(*letter)
            else:
                logging.getLogger(letter.name).handle(letter)


def _checked(result: ModelCard | EdgesegError) -> ModelCard:
    if isinstance(result, EdgesegError):
        raise result
    return result


class Letters:
    """What the leading process tells: progress, (done, total) images read, log records."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def put(self, letter: Any) -> None:
        """Takes one."""
        self._kept.append(letter)

    def take(self) -> list[Any]:
        """Gives all that have not been given yet."""
        kept, self._kept = self._kept, []
        return kept


class Worker:
    """A process that trains with others."""

    def address(self) -> str:
        """Returns where this process can listen."""
        with socket.socket() as free:
            free.bind(("", 0))
            return f"{ray.util.get_node_ip_address()}:{free.getsockname()[1]}"

    def train(self, place: tuple[str, int, int], call: Mapping[str, Any], letters: Any) -> ModelCard | EdgesegError:
        """Trains; returns the card, or what is wrong with what was asked for.

        Args:
            place: Where rank 0 listens, how many there are, and this one's rank.
            call: The arguments of `edgeseg.train`.
            letters: Where the leading process tells how it goes.
        """
        join(*place)
        leads = place[2] == 0
        told: dict[str, Any] = {}
        if leads:
            told["report"] = letters.put.remote
            told["reading"] = lambda done, total: letters.put.remote((done, total))
        with _telling(letters) if leads else _silent():
            try:
                return train(**call, **told)
            except LostProcessError:
                raise
            except EdgesegError as error:
                return EdgesegError(str(error))


class _ToLetters(logging.Handler):
    def __init__(self, letters: Any) -> None:
        super().__init__()
        self._letters = letters

    def emit(self, record: logging.LogRecord) -> None:
        record.msg, record.args, record.exc_info = record.getMessage(), None, None
        self._letters.put.remote(record)


@contextmanager
def _telling(letters: Any) -> Iterator[None]:
    """Sends inside what edgeseg logs."""
    logger = logging.getLogger("edgeseg")
    logger.setLevel(logging.INFO)
    logger.addHandler(_ToLetters(letters))
    yield


@contextmanager
def _silent() -> Iterator[None]:
    logging.getLogger("edgeseg").setLevel(logging.CRITICAL)
    yield


def _absolute(value: Any) -> Any:
    """Returns paths as processes with another working folder understand them."""
    there = isinstance(value, str | Path) and os.path.exists(value)
    return Path(value).resolve() if isinstance(value, Path) or there else value
