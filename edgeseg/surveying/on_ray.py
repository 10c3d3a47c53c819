"""A survey's images spread over workers by Ray Data, on this machine or on a cluster that shares its files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ray
import ray.data

from edgeseg.cluster import ray_running
from edgeseg.errors import DataError, EdgesegError
from edgeseg.files import json_text
from edgeseg.surveying.image import SourceImage
from edgeseg.surveying.job import Job, Surveyor
from edgeseg.surveying.records import ImageRecord

_BLOCKS_PER_WORKER = 64
"""So many parts of the list of images for each worker: with few, one is left with much when the others are done."""


def survey_each(
    job: Job, images: dict[int, SourceImage], workers: int, address: str | None
) -> Iterator[tuple[int, ImageRecord | EdgesegError]]:
    """Surveys images; yields each one's number with its record or what is wrong with it, as they are done.

    Args:
        job: The survey.
        images: Its images by number.
        workers: Processes.
        address: Of a cluster; None starts Ray here, unless it runs in this process already.

    Raises:
        EdgesegError: What stands in the way of all images.
        UsageError: No cluster answers at the address.
    """
    rows = [{"index": index, "path": str(p.path), "name": p.name} for index, p in images.items()]
    with ray_running(workers * (job.threads or 1), address):
        ray.data.DataContext.get_current().enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        count = min(workers, len(rows))
        listed = ray.data.from_items(rows, override_num_blocks=min(len(rows), count * _BLOCKS_PER_WORKER))
        pool = ray.data.ActorPoolStrategy(size=count)
        done = listed.map(_worker(job), compute=pool, num_cpus=job.threads or 1)
        for row in done.iter_rows():
            if row["fatal"]:
                raise EdgesegError(row["fatal"])
            wrong = DataError(row["wrong"]) if row["wrong"] else None
            yield int(row["index"]), wrong or ImageRecord.from_json(json.loads(row["record"]))


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
                found = self._surveyor(SourceImage(path=Path(row["path"]), name=row["name"]))
            except EdgesegError as error:
                return {**answer, "fatal": str(error)}
            if isinstance(found, EdgesegError):
                return {**answer, "wrong": str(found)}
            return {**answer, "record": json_text(found.as_json())}

    return Worker
