"""A survey's pictures spread over workers by Ray Data, on this machine or on a cluster that shares its files."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import ray.data

from edgeseg.errors import DataError, EdgesegError, UsageError
from edgeseg.files import json_text
from edgeseg.runtime.quiet import captured_stderr
from edgeseg.surveying.job import Job, Surveyor
from edgeseg.surveying.picture import Picture
from edgeseg.surveying.records import PictureRecord

_BLOCKS_PER_WORKER = 64
"""So many parts of the list of pictures for each worker: with few, one is left with much when the others are done."""
_STORE = 128 << 20  # bytes: only names and records travel


def survey_each(
    job: Job, pictures: dict[int, Picture], workers: int, address: str | None
) -> Iterator[tuple[int, PictureRecord | EdgesegError]]:
    """Surveys pictures; yields each one's number with its record or what is wrong with it, as they are done.

    Args:
        job: The survey.
        pictures: Its pictures by number.
        workers: Processes.
        address: Of a cluster; None starts Ray here, unless it runs in this process already.

    Raises:
        EdgesegError: What stands in the way of all pictures.
        UsageError: No cluster answers at the address.
    """
    rows = [{"index": index, "path": str(p.path), "name": p.name} for index, p in pictures.items()]
    with _running(workers, address):
        count = min(workers, len(rows))
        listed = ray.data.from_items(rows, override_num_blocks=min(len(rows), count * _BLOCKS_PER_WORKER))
        pool = ray.data.ActorPoolStrategy(size=count)
        done = listed.map(_worker(job), compute=pool, num_cpus=job.threads or 1)
        for row in done.iter_rows():
            if row["fatal"]:
                raise EdgesegError(row["fatal"])
            wrong = DataError(row["wrong"]) if row["wrong"] else None
            yield int(row["index"]), wrong or PictureRecord.from_json(json.loads(row["record"]))


def _worker(job: Job) -> type:
    """Makes the class of which each worker has one: a surveyor that takes and gives rows of Ray Data."""

    class Worker:
        def __init__(self) -> None:
            self._surveyor: Surveyor | None = None

        def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
            answer = {"index": row["index"], "record": "", "wrong": "", "fatal": ""}
            try:
                if self._surveyor is None:
                    self._surveyor = Surveyor(job)
                found = self._surveyor(Picture(path=Path(row["path"]), name=row["name"]))
            except EdgesegError as error:
                return {**answer, "fatal": str(error)}
            if isinstance(found, EdgesegError):
                return {**answer, "wrong": str(found)}
            return {**answer, "record": json_text(found.as_json())}

    return Worker


@contextmanager
def _running(workers: int, address: str | None) -> Iterator[None]:
    """Has Ray running, quietly; stops what it started."""
    if ray.is_initialized():
        yield
        return
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # its C++ half warns of what Ray Data itself does
    here = {} if address else {"num_cpus": workers, "object_store_memory": _STORE, "include_dashboard": False}
    try:
        with captured_stderr():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise UsageError(f"no Ray cluster at {address or 'this machine'}: {' '.join(str(error).split())}") from error
    try:
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        yield
    finally:
        ray.shutdown()
