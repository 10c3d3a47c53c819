"""Label Studio: its JSON and JSON-MIN exports; polygons, rectangles and ellipses in percent, brushes as run lengths.

https://labelstud.io/guide/export. Regions are painted in the order of the result, the later on top. Of several
annotations of one image the first that was not cancelled is taken, before it one marked as ground truth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from edgeseg.data.importing.finding import ImageFiles, jsons_of, looks_like
from edgeseg.data.importing.records import Mask, Names, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.rle import label_studio_mask
from edgeseg.data.importing.shapes import Points, box, ellipse, points_of, polygon, turned
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, quoted
from edgeseg.files import read_json
from edgeseg.image import IMAGE_SUFFIXES

NAME = "label_studio"
TITLE = "Label Studio (JSON or JSON-MIN)"
_KINDS = ("polygonlabels", "brushlabels", "rectanglelabels", "ellipselabels")


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return looks_like(root, "label_studio")


def read(root: Path) -> Source:
    """Reads every Label Studio file below `root`."""
    tally, names, files, samples = Tally(), Names(), ImageFiles(root), list[Sample]()
    for path in jsons_of(root, "label_studio"):
        for task in read_json(path, "annotations"):
            told = _image_name(task)
            image = next((found for name in _names(told) if (found := files.find(name, path))), None)
            results = _results(task, tally, told)
            if image is None:
                tally.add("image", "named in the annotations, but not there", told or path.name)
            elif results is None:
                tally.add("image", "no annotation of it is finished", told)
            else:
                draw = _drawing(results, names, tally, image)
                split = split_named(image.parent.name)
                samples.append(Sample(image=image, split=split, draw=draw))
    return Source(
        names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True,
        overlap="as the result orders them, the later on top",
    )  # fmt: skip


def _image_name(task: dict[str, Any]) -> str:
    values = task["data"] if isinstance(task.get("data"), dict) else task
    found = [text for text in values.values() if isinstance(text, str)]
    return next((text for text in found if Path(_path_in(text)).suffix.lower() in IMAGE_SUFFIXES), "")


def _path_in(address: str) -> str:
    """Returns the path in an address such as `/data/local-files/?d=a/b.jpg` or `s3://bucket/a/b.jpg`."""
    parts = urlsplit(address)
    return unquote(parse_qs(parts.query).get("d", [parts.path])[0])


def _names(address: str) -> Iterator[str]:
    """Yields what the file may be called: uploads get eight hexadecimal digits before their name."""
    path = PurePosixPath(_path_in(address))
    yield str(path)
    bare = re.sub(r"^[0-9a-f]{8}-", "", path.name)
    if bare != path.name:
        yield bare


def _results(task: dict[str, Any], tally: Tally, told: str) -> list[dict[str, Any]] | None:
    if not isinstance(task.get("data"), dict):  # JSON-MIN: the regions right in the task, by control
        lists = [v for v in task.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
        return [region for regions in lists for region in regions]
    notes = [n for n in task.get("annotations") or task.get("completions") or [] if not n.get("was_cancelled")]
    for _ in notes[1:]:
        tally.add("annotation", "another one of the same image is taken", told)
    best = max(notes, key=lambda note: bool(note.get("ground_truth")), default=None)
    return None if best is None else list(best.get("result") or [])


def _drawing(results: list[dict[str, Any]], names: Names, tally: Tally, image: Path) -> Any:
    regions, size = list[Region](), None
    for region in results:
        value = region.get("value", region)
        kind = next((k for k in _KINDS if value.get(k)), None)
        try:
            if kind is None:
                raise DataError(f"a {quoted(region.get('type', 'region'))} covers no area with a class")
            size = int(region["original_height"]), int(region["original_width"])
            if region.get("image_rotation"):
                raise DataError("it was drawn on the image turned: turn the file")
            regions.append(Region(index=names.index(value[kind][0]), mask=_mask_of(kind, value, size)))
        except (KeyError, TypeError, ValueError) as error:
            tally.add("annotation", f"it has no {error}", image.name)
        except DataError as error:
            tally.add("annotation", str(error), image.name)
    return painter(regions, size)


def _mask_of(kind: str, value: dict[str, Any], size: tuple[int, int]) -> Callable[[int, int], Mask]:
    height, width = size
    if kind == "brushlabels":
        return partial(label_studio_mask, value["rle"])
    if kind == "polygonlabels":
        return partial(polygon, [points_of(value["points"], 3) * (width / 100, height / 100)])
    x, y = float(value["x"]) * width / 100, float(value["y"]) * height / 100
    degrees = float(value.get("rotation") or 0)
    if kind == "rectanglelabels":
        across, down = float(value["width"]) * width / 100, float(value["height"]) * height / 100
        corners: Points = turned(box(x, y, x + across, y + down), x, y, degrees)  # about its first corner
        return partial(polygon, [corners])
    radii = float(value["radiusX"]) * width / 100, float(value["radiusY"]) * height / 100
    return partial(polygon, [ellipse(x, y, *radii, degrees)])
