"""Writes a labelled set the way labelling tools export it, each after its own specification.

Polygons follow the outlines of pixels closely: an outline is traced on the mask enlarged `FINE` times. Since they have
no holes, larger ones come first and smaller ones lie on top, as one draws by hand.
"""

from __future__ import annotations

import base64
import csv
import functools
import json
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as Xml

import cv2
import numpy as np
from PIL import Image

from edgeseg.arrays import Uint8
from edgeseg.image import write_image

FINE = 4
VOID = 255


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    name: str
    image: Uint8
    label_map: Uint8


@dataclass(frozen=True, kw_only=True, eq=False)
class Labelled:
    """Samples and classes; id 255 is exported as the class "void"."""

    names: tuple[str, ...]
    colors: tuple[tuple[int, int, int], ...]
    samples: tuple[Sample, ...]

    @property
    def all_names(self) -> list[str]:
        return [*self.names, "void"]

    @property
    def all_colors(self) -> list[tuple[int, int, int]]:
        return [*self.colors, (1, 2, 3)]

    @functools.cache  # noqa: B019  (a handful of samples, as long as a module's tests)
    def shapes(self, sample: Sample) -> list[tuple[int, Any]]:
        """Returns (index of the class in `all_names`, (N, 2) outline), the largest first."""
        found = []
        for index, mask in self.masks(sample):
            large = mask.repeat(FINE, 0).repeat(FINE, 1).astype(np.uint8)
            contours, levels = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
            for contour, level in zip(contours, levels[0], strict=True):
                if level[3] < 0:
                    found.append((cv2.contourArea(contour), index, (contour[:, 0] + 0.5) / FINE))
        return [(index, outline) for _, index, outline in sorted(found, key=lambda one: -one[0])]

    def masks(self, sample: Sample) -> Iterator[tuple[int, Any]]:
        """Yields (index of the class in `all_names`, mask)."""
        for number in np.unique(sample.label_map):
            yield len(self.names) if number == VOID else int(number), sample.label_map == number

    def painted(self, sample: Sample) -> Uint8:
        """Returns the label map in colours, red-green-blue."""
        table = np.zeros((256, 3), np.uint8)
        table[: len(self.names)] = self.colors
        table[VOID] = self.all_colors[-1]
        return table[sample.label_map]


def put_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def put_images(data: Labelled, folder: Path) -> None:
    for sample in data.samples:
        write_image(folder / f"{sample.name}.jpg", sample.image)


def put_png(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def runs(flat: Any) -> list[int]:
    """Returns the lengths of alternating runs, the first of unset pixels."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat.astype(np.int8), [-1]])))
    return np.diff(np.concatenate([[0], edges])).tolist()


# === COCO ===


def coco_text(counts: list[int]) -> str:
    text = ""
    for index, count in enumerate(counts):
        value = count - (counts[index - 2] if index > 2 else 0)
        while True:
            group = value & 31
            value >>= 5
            last = value == (-1 if group & 16 else 0)
            text += chr(48 + (group if last else group | 32))
            if last:
                break
    return text


def coco_file(data: Labelled, segmentations: Callable[[Sample], Iterator[tuple[int, Any]]]) -> dict[str, Any]:
    images, notes = [], []
    for number, sample in enumerate(data.samples):
        height, width = sample.label_map.shape
        images.append({"id": number, "file_name": f"{sample.name}.jpg", "height": height, "width": width})
        for index, segmentation in segmentations(sample):
            notes.append(
                {
                    "id": len(notes), "image_id": number, "category_id": 10 + index, "segmentation": segmentation,
                    "iscrowd": int(isinstance(segmentation, dict)),
                }
            )  # fmt: skip
    categories = [{"id": 10 + index, "name": name} for index, name in enumerate(data.all_names)]
    return {"images": images, "annotations": notes, "categories": categories}


def coco_polygons(data: Labelled, root: Path) -> None:
    put_images(data, root / "val2017")
    found = coco_file(data, lambda sample: ((n, [outline.ravel().tolist()]) for n, outline in data.shapes(sample)))
    put_json(root / "annotations/instances_val2017.json", found)


def coco_rle(data: Labelled, root: Path, compressed: bool = False) -> None:
    def segmentations(sample: Sample) -> Iterator[tuple[int, Any]]:
        for index, mask in data.masks(sample):
            counts = runs(mask.T.ravel())
            yield index, {"size": list(mask.shape), "counts": coco_text(counts) if compressed else counts}

    put_images(data, root / "val2017")
    put_json(root / "annotations/instances_val2017.json", coco_file(data, segmentations))


def coco_compressed(data: Labelled, root: Path) -> None:
    coco_rle(data, root, compressed=True)


def coco_panoptic(data: Labelled, root: Path) -> None:
    put_images(data, root / "val2017")
    found = coco_file(data, lambda _: iter(()))
    for number, sample in enumerate(data.samples):
        segments, ids = [], np.zeros(sample.label_map.shape, np.int64)
        for index, mask in data.masks(sample):
            segment = 70_000 * (index + 1) + 300 + number  # all three channels are needed
            ids[mask] = segment
            segments.append({"id": segment, "category_id": 10 + index, "iscrowd": 0})
        rgb = np.stack([ids % 256, ids // 256 % 256, ids // 65536], 2).astype(np.uint8)
        put_png(root / f"annotations/panoptic_val2017/{sample.name}.png", rgb)
        note = {"image_id": number, "file_name": f"{sample.name}.png", "segments_info": segments}
        found["annotations"].append(note)
    put_json(root / "annotations/panoptic_val2017.json", found)


def roboflow_coco(data: Labelled, root: Path) -> None:
    put_images(data, root / "valid")
    found = coco_file(data, lambda sample: ((n, [outline.ravel().tolist()]) for n, outline in data.shapes(sample)))
    for category in found["categories"]:
        category["supercategory"] = "streets"
    found["categories"].insert(0, {"id": 0, "name": "streets", "supercategory": "none"})
    put_json(root / "valid/_annotations.coco.json", found)


# === Labelme ===


def labelme(data: Labelled, root: Path, old: bool = False) -> None:
    put_images(data, root)
    for sample in data.samples:
        shapes = []
        for index, outline in data.shapes(sample):
            shape = {"label": data.all_names[index], "points": outline.tolist()}
            shapes.append(shape | ({"line_color": None} if old else {"shape_type": "polygon", "flags": {}}))
        height, width = sample.label_map.shape
        value = {"shapes": shapes, "imagePath": f"{sample.name}.jpg", "imageData": None}
        size = {} if old else {"imageHeight": height, "imageWidth": width, "version": "5.4.1"}
        put_json(root / f"{sample.name}.json", value | size)


def labelme_old(data: Labelled, root: Path) -> None:
    labelme(data, root, old=True)


def labelme_masks(data: Labelled, root: Path) -> None:
    put_images(data, root)
    for sample in data.samples:
        shapes = []
        for index, mask in data.masks(sample):
            ys, xs = np.nonzero(mask)
            (x0, x1), (y0, y1) = (int(xs.min()), int(xs.max())), (int(ys.min()), int(ys.max()))
            text = base64.b64encode(png_bytes(mask[y0 : y1 + 1, x0 : x1 + 1].astype(np.uint8) * 255)).decode()
            points = [[x0, y0], [x1, y1]]
            shapes.append({"label": data.all_names[index], "points": points, "shape_type": "mask", "mask": text})
        value = {"version": "5.4.1", "shapes": shapes, "imagePath": f"..\\photos\\{sample.name}.jpg"}
        put_json(root / f"{sample.name}.json", value)


def png_bytes(pixels: Any) -> bytes:
    done, data = cv2.imencode(".png", pixels)
    assert done
    return data.tobytes()


# === CVAT ===


def cvat(data: Labelled, root: Path, masks: bool = False) -> None:
    put_images(data, root / "images")
    top = Xml.Element("annotations")
    Xml.SubElement(top, "version").text = "1.1"
    labels = Xml.SubElement(Xml.SubElement(Xml.SubElement(top, "meta"), "task"), "labels")
    for name, color in zip(data.all_names, data.all_colors, strict=True):
        label = Xml.SubElement(labels, "label")
        Xml.SubElement(label, "name").text = name
        Xml.SubElement(label, "color").text = "#" + bytes(color).hex()
    for number, sample in enumerate(data.samples):
        height, width = sample.label_map.shape
        size = {"width": str(width), "height": str(height)}
        image = Xml.SubElement(top, "image", {"id": str(number), "name": f"{sample.name}.jpg", **size})
        for attributes, tag in cvat_masks(data, sample) if masks else cvat_polygons(data, sample):
            Xml.SubElement(image, tag, attributes)
    Xml.ElementTree(top).write(root / "annotations.xml", encoding="utf-8", xml_declaration=True)


def cvat_polygons(data: Labelled, sample: Sample) -> Iterator[tuple[dict[str, str], str]]:
    """The topmost first: only z_order tells what lies above."""
    for z, (index, outline) in reversed(list(enumerate(data.shapes(sample)))):
        points = ";".join(f"{x:.3f},{y:.3f}" for x, y in outline)
        yield {"label": data.all_names[index], "points": points, "z_order": str(z), "occluded": "0"}, "polygon"


def cvat_masks(data: Labelled, sample: Sample) -> Iterator[tuple[dict[str, str], str]]:
    for index, mask in data.masks(sample):
        ys, xs = np.nonzero(mask)
        patch = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        place = {"left": xs.min(), "top": ys.min(), "width": patch.shape[1], "height": patch.shape[0]}
        told = {"label": data.all_names[index], "rle": ", ".join(map(str, runs(patch.ravel())))}
        yield told | {key: str(value) for key, value in place.items()}, "mask"


def cvat_rle(data: Labelled, root: Path) -> None:
    cvat(data, root, masks=True)


def cvat_segmentation_mask(data: Labelled, root: Path) -> None:
    put_images(data, root / "JPEGImages")
    lines = ["# label:color_rgb:parts:actions"]
    lines += [f"{n}:{','.join(map(str, c))}::" for n, c in zip(data.all_names, data.all_colors, strict=True)]
    for sample in data.samples:
        put_png(root / f"SegmentationClass/{sample.name}.png", data.painted(sample))
        put_png(root / f"SegmentationObject/{sample.name}.png", data.painted(sample))
    (root / "labelmap.txt").write_text("\n".join(lines))
    listing(data, root)


def listing(data: Labelled, root: Path) -> None:
    (root / "ImageSets/Segmentation").mkdir(parents=True)
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(sample.name for sample in data.samples))


def voc_palette(data: Labelled, root: Path) -> None:
    """VOC's palette PNGs with a labelmap.txt whose colours are those of the palette."""
    cvat_segmentation_mask(data, root)
    colors = [*data.all_colors, *[(0, 0, 0)] * (256 - len(data.all_colors))]
    for sample in data.samples:
        ids = np.where(sample.label_map == VOID, len(data.names), sample.label_map).astype(np.uint8)
        image = Image.fromarray(ids)
        image.putpalette([part for color in colors for part in color])
        image.save(root / f"SegmentationClass/{sample.name}.png")


# === Label Studio ===


def label_studio(data: Labelled, root: Path, brush: bool = False) -> None:
    put_images(data, root)
    tasks = []
    for number, sample in enumerate(data.samples):
        height, width = sample.label_map.shape
        size = {"original_width": width, "original_height": height, "image_rotation": 0}
        result = []
        for index, mask in data.masks(sample) if brush else ():
            value = {"format": "rle", "rle": label_studio_rle(mask), "brushlabels": [data.all_names[index]]}
            result.append({"type": "brushlabels", "value": value, **size})
        for index, outline in () if brush else data.shapes(sample):
            points = (outline * 100 / (width, height)).tolist()
            value = {"points": points, "closed": True, "polygonlabels": [data.all_names[index]]}
            result.append({"type": "polygonlabels", "value": value, **size})
        notes = [{"result": [], "was_cancelled": True}, {"result": result, "was_cancelled": False}]
        address = f"/data/upload/3/0a1b2c3d-{sample.name}.jpg"
        tasks.append({"id": number, "data": {"image": address}, "annotations": notes})
    put_json(root / "project-3.json", tasks)


def label_studio_brush(data: Labelled, root: Path) -> None:
    label_studio(data, root, brush=True)


def label_studio_rle(mask: Any) -> list[int]:
    """Packs RGBA values: long runs as runs, what lies between as stretches."""
    sizes = (3, 4, 8, 16)
    values = np.repeat(mask.ravel().astype(np.uint8) * 255, 4)
    bits = [f"{len(values):032b}", f"{7:05b}", *(f"{size - 1:04b}" for size in sizes)]
    for value, group in groupby(values.tolist()):
        length = len(list(group))
        while length:
            taken = min(length, 1 << 16)
            size = next(n for n, size in enumerate(sizes) if taken <= 1 << size)
            is_run = taken > 4
            bits.append(f"{int(is_run)}{size:02b}{taken - 1:0{sizes[size]}b}")
            bits.append(f"{value:08b}" * (1 if is_run else taken))
            length -= taken
    text = "".join(bits)
    text += "0" * (-len(text) % 8)
    return [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]


# === Supervisely ===


def supervisely(data: Labelled, root: Path, polygons: bool = False) -> None:
    put_images(data, root / "ds/img")
    classes = [
        {"title": name, "shape": "any", "color": "#" + bytes(color).hex().upper()}
        for name, color in zip(data.all_names, data.all_colors, strict=True)
    ]
    put_json(root / "meta.json", {"classes": classes, "tags": []})
    for sample in data.samples:
        height, width = sample.label_map.shape
        things = []
        for index, mask in () if polygons else data.masks(sample):
            ys, xs = np.nonzero(mask)
            patch = mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].astype(np.uint8) * 255
            text = base64.b64encode(zlib.compress(png_bytes(patch))).decode()
            bitmap = {"data": text, "origin": [int(xs.min()), int(ys.min())]}
            things.append({"classTitle": data.all_names[index], "geometryType": "bitmap", "bitmap": bitmap})
        for index, outline in data.shapes(sample) if polygons else ():
            points = {"exterior": outline.tolist(), "interior": []}
            things.append({"classTitle": data.all_names[index], "geometryType": "polygon", "points": points})
        value = {"size": {"height": height, "width": width}, "objects": things, "tags": []}
        put_json(root / f"ds/ann/{sample.name}.jpg.json", value)


def supervisely_polygons(data: Labelled, root: Path) -> None:
    supervisely(data, root, polygons=True)


# === YOLO, Roboflow's masks, masks in folders ===


def yolo(data: Labelled, root: Path) -> None:
    put_images(data, root / "images/val")
    (root / "labels/val").mkdir(parents=True)
    names = "\n".join(f"  {number}: {name}" for number, name in enumerate(data.all_names))
    (root / "data.yaml").write_text(
        f"path: ../datasets/streets\ntrain: images/train\nval: images/val\nnames:\n{names}\n"
    )
    for sample in data.samples:
        height, width = sample.label_map.shape
        lines = []
        for index, outline in data.shapes(sample)[::-1]:  # the smaller lies on top, whatever the order
            lines.append(" ".join([str(index), *(f"{v:.7f}" for v in (outline / (width, height)).ravel())]))
        (root / f"labels/val/{sample.name}.txt").write_text("\n".join(lines))


def roboflow_masks(data: Labelled, root: Path) -> None:
    put_images(data, root / "valid")
    for sample in data.samples:
        ids = np.where(sample.label_map == VOID, len(data.names), sample.label_map).astype(np.uint8)
        put_png(root / f"valid/{sample.name}_mask.png", ids)
    with (root / "valid/_classes.csv").open("w", newline="") as file:
        file.write("Pixel Value, Class\n")
        csv.writer(file).writerows([[number, f" {name}"] for number, name in enumerate(data.all_names)])


def colour_masks(data: Labelled, root: Path, table: str = "labels.json") -> None:
    put_images(data, root / "images")
    for sample in data.samples:
        put_png(root / f"masks/{sample.name}.png", data.painted(sample))
    if table == "labels.json":
        put_json(root / table, {"names": data.all_names, "colors": data.all_colors})
    elif table == "labelmap.txt":
        lines = [f"{n}:{r},{g},{b}::" for n, (r, g, b) in zip(data.all_names, data.all_colors, strict=True)]
        (root / table).write_text("\n".join(lines))
    else:
        rows = [f"{n}, {r}, {g}, {b}" for n, (r, g, b) in zip(data.all_names, data.all_colors, strict=True)]
        (root / table).write_text("\n".join(["name, r, g, b", *rows]))


def colour_masks_csv(data: Labelled, root: Path) -> None:
    colour_masks(data, root, "class_dict.csv")


def colour_masks_labelmap(data: Labelled, root: Path) -> None:
    colour_masks(data, root, "labelmap.txt")


EXPORTERS: dict[str, tuple[Callable[[Labelled, Path], None], str]] = {
    "coco polygons": (coco_polygons, "coco"),
    "coco run lengths": (coco_rle, "coco"),
    "coco compressed": (coco_compressed, "coco"),
    "coco panoptic": (coco_panoptic, "panoptic"),
    "roboflow coco": (roboflow_coco, "coco"),
    "labelme": (labelme, "labelme"),
    "labelme old": (labelme_old, "labelme"),
    "labelme masks": (labelme_masks, "labelme"),
    "cvat polygons": (cvat, "cvat"),
    "cvat masks": (cvat_rle, "cvat"),
    "cvat segmentation mask": (cvat_segmentation_mask, "voc"),
    "voc palette": (voc_palette, "voc"),
    "label studio polygons": (label_studio, "label_studio"),
    "label studio brush": (label_studio_brush, "label_studio"),
    "supervisely bitmaps": (supervisely, "supervisely"),
    "supervisely polygons": (supervisely_polygons, "supervisely"),
    "yolo": (yolo, "yolo"),
    "roboflow masks": (roboflow_masks, "roboflow"),
    "colours by labels.json": (colour_masks, "masks"),
    "colours by csv": (colour_masks_csv, "masks"),
    "colours by labelmap.txt": (colour_masks_labelmap, "masks"),
}
"""Exporters, and the format that has to recognise what they write."""
