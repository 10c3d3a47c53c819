"""What a survey found, as records and as the files that tell it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from edgeseg.errors import DataError


@dataclass(frozen=True, kw_only=True)
class ImageRecord:
    """What one image holds.

    Attributes:
        name: What its files are called, without suffixes.
        source: The image's file name.
        source_digest: SHA-256 of that file.
        settings_digest: SHA-256 of model and options.
        height: Rows.
        width: Columns.
        scale: Pixels that the network saw as one.
        pixels: Pixels of each class.
        no_data: Pixels without data.
        areas: Square metres of each class; None if they are not known.
        measured: How areas were measured.
        files: Names of the files written.
        polygons: How many were written; None if none were asked for.
    """

    name: str
    source: str
    source_digest: str
    settings_digest: str
    height: int
    width: int
    scale: float
    pixels: dict[str, int]
    no_data: int
    areas: dict[str, float] | None
    measured: str
    files: tuple[str, ...]
    polygons: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Returns it as what JSON knows."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> ImageRecord:
        """Makes a record of what `as_json` gave.

        Raises:
            DataError: It is something else.
        """
        known = {field.name for field in fields(cls)}
        if not isinstance(value, dict) or set(value) != known or not isinstance(value["files"], list):
            raise DataError(f"a survey's record: expected an object with {', '.join(sorted(known))}")
        return cls(**{**value, "files": tuple(value["files"])})


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What a survey found.

    Attributes:
        images: Of each image, in the order in which they were named.
        kept: How many of them were finished by an earlier run.
    """

    images: tuple[ImageRecord, ...]
    kept: int = 0

    @property
    def pictures(self) -> tuple[ImageRecord, ...]:
        """The former name of `images`."""
        return self.images

    @property
    def pixels(self) -> dict[str, int]:
        """Pixels of each class over all images."""
        return {name: sum(p.pixels[name] for p in self.images) for name in _classes(self.images)}

    @property
    def areas(self) -> dict[str, float] | None:
        """Square metres of each class over all images, overlaps counted twice; None if one's are not known."""
        known = [p.areas for p in self.images if p.areas is not None]
        if not known or len(known) < len(self.images):
            return None
        return {name: sum(areas[name] for areas in known) for name in _classes(self.images)}

    def as_json(self) -> dict[str, Any]:
        """Returns it as what JSON knows; what an earlier run did makes no difference."""
        return {"pixels": self.pixels, "areas": self.areas, "pictures": [p.as_json() for p in self.images]}

    def as_csv(self) -> str:
        """Returns a table, a line for each class of each image; no area where it is not known."""
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(["picture", "class", "pixels", "share", "square_metres"])
        for image in self.images:
            total = max(1, sum(image.pixels.values()))
            for name, count in image.pixels.items():
                area = "" if image.areas is None else f"{image.areas[name]:.4f}"
                table.writerow([image.name, name, count, f"{count / total:.6f}", area])
        return text.getvalue()


def _classes(images: Sequence[ImageRecord]) -> list[str]:
    return list(images[0].pixels) if images else []
