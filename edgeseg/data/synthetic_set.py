"""Writes the synthetic aerial set as a plain folder (see `folder`), and a flight as a video; both over processes.

Every file is written whole or not at all, so an interrupted run leaves a valid smaller set, and the same command
again adds what is missing. `synthetic.json` says what the folder holds; another seed or size is refused.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import cv2

from edgeseg.arrays import Uint8
from edgeseg.data.class_tables import LABELS_FILE
from edgeseg.data.folder import labels_json
from edgeseg.errors import DataError, OutputError, quoted
from edgeseg.files import ensure_folder, read_json, replacing, write_json
from edgeseg.host import usable_cores
from edgeseg.image import read_image, read_label_map, write_image
from edgeseg.synth import aerial

RECORD_FILE = "synthetic.json"
_CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".mkv": "mp4v"}
_CHUNK = 4  # images handed to a process at a time

Advance = Callable[[int, int], None]
Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Written:
    """What a run did: images written, and images that were there already."""

    written: int
    kept: int


@dataclass(frozen=True, kw_only=True)
class _Task:
    out: str
    split: str
    index: int
    seed: int
    height: int
    width: int


def write_set(
    out: str | os.PathLike[str],
    counts: dict[str, int],
    *,
    seed: int,
    height: int,
    width: int,
    workers: int | None = None,
    advance: Advance | None = None,
) -> Written:
    """Writes images and label maps.

    Args:
        out: The folder; made if missing.
        counts: How many images of each split ("train", "val").
        seed: Which set; the splits of one seed share no world.
        height: Rows.
        width: Columns.
        workers: Processes; as many as processors if None.
        advance: Called with (done, total).

    Raises:
        DataError: The folder holds a set of another seed, size or renderer, or another data set.
        OutputError: It cannot be written.
        UsageError: An unknown split, a negative seed or a size below 16.
    """
    folder = ensure_folder(out)
    aerial.check(height, width, seed, 0)
    record = {"set": aerial.NAME, "renderer": aerial.VERSION, "seed": seed, "size": f"{height}x{width}"}
    _check_record(folder / RECORD_FILE, record)
    write_json(folder / RECORD_FILE, record)
    write_json(folder / LABELS_FILE, labels_json(aerial.NAME, aerial.LABELS))
    tasks = [
        _Task(
            out=str(folder),
            split=split,
            index=index,
            seed=aerial.split_seed(seed, split),
            height=height,
            width=width,
        )
        for split, count in counts.items()
        for index in range(count)
    ]
    written = 0
    for done, new in enumerate(_spread(_write_image, tasks, workers), start=1):
        written += new
        if advance:
            advance(done, len(tasks))
    return Written(written=written, kept=len(tasks) - written)


def write_flight(
    video: str | os.PathLike[str],
    frames: int,
    *,
    seed: int,
    height: int,
    width: int,
    workers: int | None = None,
    advance: Advance | None = None,
) -> None:
    """Writes `aerial.flight` as a video of `aerial.FLIGHT_FPS` frames a second.

    Args:
        video: A name that ends in .mp4, .avi or .mkv.
        frames: How many.
        seed: Which world and course.
        height: Rows, even.
        width: Columns, even.
        workers: Processes; as many as processors if None.
        advance: Called with (done, total).

    Raises:
        OutputError: The name ends otherwise, or this OpenCV cannot write such a video.
        UsageError: As `aerial.flight`.
    """
    codec = _CODECS.get(Path(video).suffix.lower())
    if codec is None:
        raise OutputError(f"cannot write {video}: expected a name that ends in {', '.join(_CODECS)}")
    tasks = [(shot, height, width) for shot in aerial.flight_shots(frames, seed=seed, height=height, width=width)]
    with replacing(video) as temporary:
        writer = cv2.VideoWriter(
            str(temporary), cv2.VideoWriter.fourcc(*codec), float(aerial.FLIGHT_FPS), (width, height)
        )
        if not writer.isOpened():
            raise OutputError(f"cannot write {video}: this OpenCV has no {codec} encoder; try a name ending in .avi")
        try:
            for done, frame in enumerate(_spread(_shoot, tasks, workers), start=1):
                writer.write(frame)
                if advance:
                    advance(done, frames)
        finally:
            writer.release()


def _check_record(path: Path, record: dict[str, Any]) -> None:
    if not path.exists():
        found_other = next((n for n in (LABELS_FILE, "images", "labels") if (path.parent / n).exists()), None)
        if found_other is not None:
            raise DataError(
                f"{path.parent} holds {found_other} of another data set (there is no {RECORD_FILE}): choose another"
            )
        return
    try:
        found = read_json(path, "the record of a synthetic set")
    except DataError as error:
        raise DataError(f"{error}; delete it, or choose another folder") from error
    differing = [key for key in record if not isinstance(found, dict) or found.get(key) != record[key]]
    if differing:
        key = differing[0]
        have = found.get(key) if isinstance(found, dict) else None
        raise DataError(
            f"{path.parent} holds a synthetic set of {key} {quoted(have)}, asked for {record[key]}: "
            "choose another folder"
        )


def _write_image(task: _Task) -> bool:
    """Writes one image and its label map unless both are there and whole; says whether it did."""
    name = f"{task.index:06d}"
    image_path = Path(task.out, "images", task.split, f"{name}.jpg")
    label_path = Path(task.out, "labels", task.split, f"{name}.png")
    if _is_whole(image_path, label_path, (task.height, task.width)):
        return False
    image, label_map = aerial.render(task.index, seed=task.seed, height=task.height, width=task.width)
    write_image(image_path, image)
    write_image(label_path, label_map)
    return True


def _is_whole(image_path: Path, label_path: Path, size: tuple[int, int]) -> bool:
    if not (image_path.is_file() and label_path.is_file()):
        return False
    try:
        return read_image(image_path).shape[:2] == size and read_label_map(label_path).shape == size
    except DataError:
        return False


def _shoot(task: tuple[aerial.Shot, int, int]) -> Uint8:
    shot, height, width = task
    return aerial.shoot(shot, height=height, width=width)[0]


def _spread(work: Callable[[Task], Result], tasks: Sequence[Task], workers: int | None) -> Iterator[Result]:
    """Maps `work` over `tasks` in order, over processes; on an error or Ctrl-C what has not begun is dropped."""
    workers = min(workers or usable_cores(), max(1, len(tasks) // _CHUNK))
    if workers == 1:
        yield from map(work, tasks)
        return
    # not "fork": this process may hold threads of OpenCV or TensorFlow, which do not survive one
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare_worker)
    try:
        results: Iterable[Result] = pool.map(work, tasks, chunksize=_CHUNK)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the first one decides
    cv2.setNumThreads(1)
