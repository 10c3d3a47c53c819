"""Surveys one image: label map, overlay, polygons, areas, and the record that says it is finished."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8
from edgeseg.errors import DataError, UsageError
from edgeseg.files import file_digest, read_json, write_json
from edgeseg.runtime.result import Result
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.surveying.blending import Advance, Strip, segment_strips
from edgeseg.surveying.opening import Opened, geo_module, opened
from edgeseg.surveying.options import SurveyOptions
from edgeseg.surveying.raster import Raster
from edgeseg.surveying.records import ImageRecord
from edgeseg.surveying.tiling import Axis

RECORD_END = "_survey.json"
"""What the names of records end in."""


@dataclass(frozen=True, kw_only=True)
class SourceImage:
    """An image to survey.

    Attributes:
        path: Its file.
        name: What its results are called, without suffixes.
    """

    path: Path
    name: str


def finished(image: SourceImage, out: Path, settings_digest: str) -> ImageRecord | None:
    """Returns what an earlier run found, if it was of the same image, with the same settings, and is all there."""
    try:
        record = ImageRecord.from_json(read_json(record_file(image, out), "the record"))
    except DataError:
        return None
    same = record.settings_digest == settings_digest and all((out / name).is_file() for name in record.files)
    return record if same and record.source_digest == file_digest(image.path) else None


def record_file(image: SourceImage, out: Path) -> Path:
    """Returns where an image's record goes."""
    return out / f"{image.name}{RECORD_END}"


def survey_image(
    segmenter: Segmenter,
    image: SourceImage,
    out: Path,
    options: SurveyOptions,
    settings_digest: str,
    advance: Advance | None = None,
) -> ImageRecord:
    """Surveys an image and writes what is found.

    Args:
        segmenter: The network.
        image: The image.
        out: The folder for its files.
        options: What is asked.
        settings_digest: Goes into the record.
        advance: Called with (tiles done, tiles in all).

    Returns:
        The record, which is written last: where it is, all is.

    Raises:
        DataError: The image cannot be read.
        UsageError: An option does not fit it.
        OutputError: A file cannot be written.
        MissingExtraError: It needs rasterio, which is not installed.
    """
    digest = file_digest(image.path)
    with opened(image.path, segmenter.input, options) as source:
        raster = source.raster
        rows, columns, scale = _axes(segmenter, raster, options, image.path)
        files = [source.label_file(image.name), *([source.overlay_file(image.name)] if options.overlay else [])]
        counts = _write_maps(source, segmenter, segment_strips(segmenter, raster, rows, columns, advance), out, files)
    polygons = None
    if options.polygons:
        module = geo_module("polygons", "edgeseg.surveying.polygons")
        files.append(f"{image.name}.geojson")
        polygons = module.write_polygons(
            out / files[-1], out / files[0], segmenter.labels, raster.ground, options.min_area
        )
    names, ground = segmenter.labels.names, raster.ground
    each_row = ground.pixel_areas(raster.height)
    areas = {name: math.fsum(each_row * counts[:, index]) for index, name in enumerate(names)}
    record = ImageRecord(
        name=image.name,
        source=image.path.name,
        source_digest=digest,
        settings_digest=settings_digest,
        height=raster.height,
        width=raster.width,
        scale=scale,
        pixels={name: int(counts[:, index].sum()) for index, name in enumerate(names)},
        no_data=int(counts[:, segmenter.labels.ignore_index].sum()),
        areas=areas if ground.is_measured else None,
        measured=ground.how,
        files=tuple(files),
        polygons=polygons,
    )
    write_json(record_file(image, out), record.as_json())
    return record


def _axes(segmenter: Segmenter, raster: Raster, options: SurveyOptions, path: Path) -> tuple[Axis, Axis, float]:
    """Plans the tiles down and across; also returns how many pixels the network then sees as one."""
    wanted = options.scale
    if options.resolution is not None:
        pixel = raster.ground.resolution(raster.height)
        if not pixel:
            raise UsageError(f"{path} does not tell how large a pixel is, which --resolution needs: add --gsd METRES")
        wanted = options.resolution / pixel
    axes = []
    sides = zip(
        (raster.height, raster.width), segmenter.input.inner, segmenter.output_size, raster.ground.origin, strict=True
    )
    for pixels, seen, cells, origin in sides:
        axis = Axis(
            pixels=pixels,
            cell=max(1, round(wanted * seen / cells)),
            span=cells,
            overlap=int(options.overlap * cells),
            origin=origin,
        )
        axes.append((axis, axis.cell * cells / seen))
    (rows, down), (columns, across) = axes
    return rows, columns, math.sqrt(down * across)


def _write_maps(
    source: Opened, segmenter: Segmenter, strips: Iterator[Strip], out: Path, files: list[str]
) -> npt.NDArray[np.int64]:
    """Writes label map and, if there is a second file, overlay; returns (height, 256) pixels of each id by row."""
    counts = np.zeros((source.raster.height, 256), np.int64)
    with ExitStack() as stack:
        write_labels = stack.enter_context(source.label_writer(out / files[0], segmenter.labels))
        write_overlay = stack.enter_context(source.overlay_writer(out / files[1])) if len(files) > 1 else None
        for strip in strips:
            write_labels(strip.labels)
            if write_overlay is not None:
                write_overlay(_overlay(strip, segmenter))
            for row, ids in enumerate(strip.labels, strip.top):
                counts[row] = np.bincount(ids, minlength=256)
    return counts


def _overlay(strip: Strip, segmenter: Segmenter) -> Uint8:
    image = strip.image if strip.image.shape[2] == 3 else np.repeat(strip.image[:, :, :1], 3, axis=2)
    return Result(label_map=strip.labels, labels=segmenter.labels).overlay(np.ascontiguousarray(image))
