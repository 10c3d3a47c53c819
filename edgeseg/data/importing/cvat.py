"""CVAT for images 1.1 and for video 1.1: `annotations.xml` with polygons, boxes, ellipses, lines and masks.

https://docs.cvat.ai/docs/dataset_management/formats/xml_format/. A higher z_order lies on top; of equal ones the later.
A mask's runs go along the rows of its box and begin with unset pixels. A video's tracks hold a shape for every frame,
those between key frames, too; its images are called `frame_000123`.
"""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from collections.abc import Callable
from functools import partial
from pathlib import Path

from edgeseg.data.importing.finding import ImageFiles, files_in
from edgeseg.data.importing.records import Colour, Mask, Names, Region, Sample, Source, Tally, painter
from edgeseg.data.importing.rle import run_mask
from edgeseg.data.importing.shapes import Points, box, ellipse, line, placed, points_of, polygon
from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError, quoted

NAME = "cvat"
TITLE = "CVAT for images and video (annotations.xml)"
_LINE = 1


def matches(root: Path) -> bool:
    """Whether `root` holds this format."""
    return any(_root_tag(path) == "annotations" for path in files_in(root, frozenset({".xml"}))[:4])


def read(root: Path) -> Source:
    """Reads every CVAT file below `root`."""
    tally, names, files = Tally(), Names(), ImageFiles(root)
    colours, samples = dict[str, Colour](), list[Sample]()
    for path in files_in(root, frozenset({".xml"})):
        if _root_tag(path) != "annotations":
            continue
        try:
            content = Xml.parse(path).getroot()
        except Xml.ParseError as error:
            raise DataError(f"{path} is not XML: {error}") from error
        for label in content.iter("label"):
            name = label.findtext("name", "").strip()
            if name:
                names.index(name)
                colours |= _colour(name, label.findtext("color", ""))
        images = [*content.findall("image"), *_frames(content, tally)]
        samples += [sample for image in images if (sample := _sample(image, path, files, names, tally))]
    return Source(
        names=names.tuple(), samples=tuple(samples), tally=tally, sparse=True, colours=colours,
        overlap="the higher z_order on top, of equal ones the later",
    )  # fmt: skip


def _frames(content: Xml.Element, tally: Tally) -> list[Xml.Element]:
    """Turns a video's tracks into images, each with the shapes that are in view in its frame."""
    size = content.find("meta/task/original_size")
    shape = {} if size is None else {name: size.findtext(name, "0") for name in ("height", "width")}
    images = dict[int, Xml.Element]()
    for track in content.findall("track"):
        for seen in track:
            try:
                number = _whole(seen.get("frame", ""))
            except DataError as error:
                tally.add("annotation", f"frame {error}", track.get("label", "a track"))
                continue
            image = images.setdefault(number, Xml.Element("image", {"name": f"frame_{number:06d}", **shape}))
            if seen.get("outside") != "1":
                image.append(Xml.Element(seen.tag, {**seen.attrib, "label": track.get("label", "")}))
    return [images[number] for number in sorted(images)]


def _sample(image: Xml.Element, path: Path, files: ImageFiles, names: Names, tally: Tally) -> Sample | None:
    name = image.get("name", "")
    found = files.find(name, path)
    if found is None:
        tally.add("image", "named in the annotations, but not there", name)
        return None
    regions = list[Region]()
    for shape in sorted(image, key=lambda element: _whole(element.get("z_order", "0"))):
        if shape.tag in ("tag", "attribute"):
            continue
        try:
            mask = _mask_of(shape)
            regions.append(Region(index=names.index(shape.get("label", "")), mask=mask))
        except DataError as error:
            tally.add("annotation", str(error), name)
    split = split_named(image.get("subset", "")) or split_named(found.parent.name)
    size = _whole(image.get("height", "0")), _whole(image.get("width", "0"))
    draw = painter(regions, size if all(size) else None)
    return Sample(image=found, split=split, draw=draw)


def _mask_of(shape: Xml.Element) -> Callable[[int, int], Mask]:
    def number(name: str) -> float:
        return float(points_of([shape.get(name, "0"), 0], 1)[0, 0])

    if shape.tag in ("polygon", "polyline"):
        points = _points(shape.get("points", ""), 3 if shape.tag == "polygon" else 2)
        return partial(polygon, [points]) if shape.tag == "polygon" else partial(line, points, _LINE)
    if shape.tag == "box":
        corners = box(number("xtl"), number("ytl"), number("xbr"), number("ybr"), number("rotation"))
        return partial(polygon, [corners])
    if shape.tag == "ellipse":
        return partial(polygon, [ellipse(number("cx"), number("cy"), number("rx"), number("ry"), number("rotation"))])
    if shape.tag == "mask":
        runs = [_whole(run) for run in shape.get("rle", "").split(",")]
        patch = run_mask(runs, int(number("height")), int(number("width")), by_columns=False)
        return partial(placed, patch, int(number("left")), int(number("top")))
    raise DataError(f"a {shape.tag} covers no area that is known")


def _points(text: str, least: int) -> Points:
    return points_of([pair.split(",") for pair in text.split(";") if pair], least)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise DataError(f"{quoted(text)}: expected a whole number") from error


def _colour(name: str, text: str) -> dict[str, Colour]:
    try:
        red, green, blue = bytes.fromhex(text.strip().removeprefix("#"))
    except ValueError:
        return {}
    return {name: (red, green, blue)}


def _root_tag(path: Path) -> str:
    try:
        for _, element in Xml.iterparse(path, events=("start",)):
            return str(element.tag)
    except (Xml.ParseError, OSError):
        pass
    return ""
