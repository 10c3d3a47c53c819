"""Surveys: images to label maps, polygons and areas, one after the other or spread over workers.

A survey owns its folder: `survey.json` says with which model and settings it was made, and each finished image
leaves a record. The same call again goes on where a stopped one was; with other settings it is refused.
"""

from __future__ import annotations

import importlib
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from edgeseg.card import LabelSet
from edgeseg.errors import DataError, EdgesegError, MissingExtraError, OutputError, UsageError
from edgeseg.files import ensure_folder, json_text, read_json, write_json, write_text
from edgeseg.surveying.image import RECORD_END, SourceImage, finished
from edgeseg.surveying.job import Job, Surveyor
from edgeseg.surveying.opening import SUFFIXES
from edgeseg.surveying.options import SurveyOptions
from edgeseg.surveying.records import ImageRecord, Survey
from edgeseg.zoo import DEFAULT, resolve

SETTINGS_FILE = "survey.json"
AREAS_FILE = "areas.csv"
SUMMARY_FILE = "summary.json"
_LOG = logging.getLogger("edgeseg.surveying")
_HALF_WRITTEN = re.compile(r"\..*-[0-9a-f]{12}(\.\w*)?")  # see files.replacing

Progress = Callable[[str, int, int], None]
"""Called with "images" or "tiles", how many are done, and how many there are."""


def survey(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    model: str | os.PathLike[str] = DEFAULT,
    *,
    options: SurveyOptions | None = None,
    labels: LabelSet | None = None,
    threads: int | None = None,
    delegate: str | None = None,
    workers: int = 1,
    address: str | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Survey:
    """Segments images of any size tile by tile, and measures what is in them.

    Of each image: `NAME_labels.tif` (of GeoTIFFs, with the ground they lie on) or `NAME_labels.png`, what else the
    options ask for, and a record, `NAME_survey.json`, with pixels and areas by class. Of all: `areas.csv` and
    `summary.json`.
    However many workers there are, the files are the same, byte for byte.

    Args:
        sources: GeoTIFFs, images, and folders of them.
        out: The folder for the results: new, or that of a survey, which then goes on.
        model: A zoo name, a model folder or a file.
        options: What is asked; the defaults if None.
        labels: Classes in place of the card's.
        threads: CPU threads for inference of each worker, 1 if None.
        delegate: See `Segmenter`.
        workers: Processes, by Ray if more than 1.
        address: Of a Ray cluster that shares `sources` and `out`; None starts Ray here if need be.
        overwrite: Begin anew, whatever an earlier run left.
        progress: Called with what is counted, how many are done, and how many there are.

    Returns:
        What was found.

    Raises:
        DataError: An image cannot be read; of several, after the others have been surveyed.
        UsageError: Options do not fit each other or an image; two images have one name.
        OutputError: The folder holds something else, or cannot be written.
        MissingExtraError: rasterio or Ray is needed and not installed.
    """
    if workers < 1:
        raise UsageError(f"{workers} workers: expected 1 or more")
    images = find_images(sources)
    job = Job(
        model=resolve(Path(model), kind="any").absolute(),
        out=Path(out).absolute(),
        options=options or SurveyOptions(),
        threads=threads,
        delegate=delegate,
        labels=labels,
    )
    surveyor = Surveyor(job)
    for notice in surveyor.segmenter.notices:
        _LOG.info("%s", notice)
    _take_folder(job, overwrite)
    records: dict[int, ImageRecord] = {}
    if not overwrite:
        settings_digest = job.settings_digest()
        kept = ((index, finished(image, job.out, settings_digest)) for index, image in enumerate(images))
        records = {index: record for index, record in kept if record is not None}
    count, wrong = len(records), dict[int, EdgesegError]()
    todo = {index: image for index, image in enumerate(images) if index not in records}
    if count:
        _LOG.info("images that an earlier run finished: %d of %d", count, len(images))
    spread = workers > 1 or address is not None
    results = _ray().survey_each(job, todo, workers, address) if spread and todo else _each(surveyor, todo, progress)
    for index, found in results:
        if isinstance(found, ImageRecord):
            records[index] = found
        else:
            wrong[index] = found
        if progress is not None:
            progress("images", len(records) + len(wrong), len(images))
    if len(wrong) == len(images):
        raise wrong[0]
    result = Survey(images=tuple(records[index] for index in sorted(records)), kept=count)
    write_json(job.out / SUMMARY_FILE, result.as_json())
    write_text(job.out / AREAS_FILE, result.as_csv())
    if wrong:
        left_out = f"{len(wrong)} of {len(images)} images were left out, the others are done"
        raise DataError(f"{left_out}; the first: {wrong[min(wrong)]}")
    return result


def find_images(sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[SourceImage]:
    """Finds the images that a user means: files, and those in folders, by name.

    Raises:
        DataError: There is no such file, or a folder holds no image.
        UsageError: None are named, a file is no image, or two have one name.
    """
    named = [sources] if isinstance(sources, str | os.PathLike) else list(sources)
    if not named:
        raise UsageError("no images to survey: name GeoTIFFs, images or folders")
    paths: list[Path] = []
    for source in map(Path, named):
        if not source.exists():
            raise DataError(f"cannot read {source}: no such file")
        inside = sorted(p for p in source.iterdir() if _is_image(p)) if source.is_dir() else [source]
        if not inside:
            raise DataError(f"{source} holds no images: expected {', '.join(sorted(SUFFIXES))}")
        paths += inside
    names: dict[str, Path] = {}
    for path in paths:
        if not _is_image(path):
            raise UsageError(f"{path} is no image: expected a name that ends in {', '.join(sorted(SUFFIXES))}")
        if names.setdefault(path.stem, path) != path:
            raise UsageError(f"{names[path.stem]} and {path} have one name, and so have their results: use two surveys")
    return [SourceImage(path=path.absolute(), name=name) for name, path in names.items()]


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and not path.is_dir()


def _take_folder(job: Job, overwrite: bool) -> None:
    """Makes the folder this survey's.

    Raises:
        OutputError: It is something else's, or another survey's that is not to be written over.
    """
    folder, settings = ensure_folder(job.out), job.settings()
    if not (folder / SETTINGS_FILE).is_file():
        if any(folder.iterdir()):
            raise OutputError(f"{folder} holds other files: name a new folder for the survey")
    elif not overwrite and any(folder.glob(f"*{RECORD_END}")):
        made = read_json(folder / SETTINGS_FILE, "the survey's settings")
        if json_text(made) != json_text(settings):
            other = [key for key in settings if not isinstance(made, dict) or made.get(key) != settings[key]]
            raise OutputError(
                f"{folder} is a survey with another {' and '.join(other)}: name a new folder, or --overwrite it"
            )
    for path in folder.iterdir():
        if _HALF_WRITTEN.fullmatch(path.name):  # by a run that was killed
            path.unlink()
    write_json(folder / SETTINGS_FILE, settings)


def _each(
    surveyor: Surveyor, images: dict[int, SourceImage], progress: Progress | None
) -> Iterator[tuple[int, ImageRecord | EdgesegError]]:
    """Surveys images in this process; yields each one's number with its record or what is wrong with it."""

    def advance(done: int, total: int) -> None:
        if progress is not None:
            progress("tiles", done, total)

    for index, image in images.items():
        yield index, surveyor(image, advance)


def _ray() -> ModuleType:
    try:
        return importlib.import_module("edgeseg.surveying.on_ray")
    except ModuleNotFoundError as error:
        raise MissingExtraError("Ray", "ray", "a survey by several workers") from error
