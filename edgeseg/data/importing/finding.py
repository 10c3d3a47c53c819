"""Finding a source's files: its images by the names that annotations give, its JSON files by what they hold."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from edgeseg.data.split_names import split_named
from edgeseg.errors import DataError
from edgeseg.files import read_json
from edgeseg.image import IMAGE_SUFFIXES


def files_in(root: Path, suffixes: frozenset[str]) -> list[Path]:
    """Returns the files below `root` (or `root` itself) with one of the suffixes, in order; hidden ones left out."""
    if root.is_file():
        return [root] if root.suffix.lower() in suffixes else []
    found = (p for p in root.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
    return sorted(p for p in found if not any(part.startswith(".") for part in p.relative_to(root).parts))


class ImageFiles:
    """The images below a folder, found by the names that annotations give them.

    Args:
        root: The folder; of a file, the one that it lies in, or the one above if that holds no image.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        if root.is_file():
            self.root = root.parent if files_in(root.parent, IMAGE_SUFFIXES) else root.parent.parent
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in files_in(self.root, IMAGE_SUFFIXES):
            self._by_name[path.name].append(path)
            self._by_name[path.stem].append(path)

    def find(self, name: str, near: Path) -> Path | None:
        """Returns the image that `name` means: the same file name, and then as many of the folders as can be.

        Args:
            name: A path in any form, also of another machine; a frame of a video may lack its suffix.
            near: The file that names it; of several, the one nearest to it is taken.
        """
        parts = PurePosixPath(name.replace("\\", "/")).parts
        candidates = self._by_name.get(parts[-1], []) if parts else []

        def fitness(path: Path) -> tuple[int, int, int]:
            own = path.parts
            ends = range(1, min(len(own), len(parts)))
            same = next((n for n in ends if own[-1 - n] != parts[-1 - n]), len(parts))
            words = split_named(near.stem) or split_named(near.parent.name)
            split = any(split_named(part) == words for part in own[:-1]) if words else False
            shared = next((n for n, (a, b) in enumerate(zip(own, near.parts, strict=False)) if a != b), 0)
            return same, split, shared

        return max(candidates, key=fitness, default=None)


@functools.lru_cache(maxsize=16)
def json_kind(path: Path) -> str:
    """Returns which tool's JSON a file is: "coco", "panoptic", "labelme", "label_studio", "supervisely", or ""."""
    try:
        value = read_json(path, "annotations")
    except DataError:
        return ""
    if isinstance(value, list):
        return "label_studio" if value and isinstance(value[0], dict) and _is_task(value[0]) else ""
    if not isinstance(value, dict):
        return ""
    if isinstance(value.get("images"), list) and isinstance(value.get("categories"), list):
        notes = value.get("annotations")
        first = notes[0] if isinstance(notes, list) and notes else {}
        return "panoptic" if isinstance(first, dict) and "segments_info" in first else "coco"
    if isinstance(value.get("shapes"), list) and "imagePath" in value:
        return "labelme"
    if isinstance(value.get("classes"), list) and all(isinstance(c, dict) and "title" in c for c in value["classes"]):
        return "supervisely"
    return ""


def _is_task(task: dict[str, Any]) -> bool:
    if isinstance(task.get("data"), dict):
        return "annotations" in task or "completions" in task
    return any(isinstance(v, list) and v and isinstance(v[0], dict) and "original_width" in v[0] for v in task.values())


def jsons_of(root: Path, kind: str) -> Iterator[Path]:
    """Yields the JSON files of a source that are of a kind."""
    return (path for path in files_in(root, frozenset({".json"})) if json_kind(path) == kind)


def looks_like(root: Path, kind: str) -> bool:
    """Whether one of the first JSON files of a source is of a kind."""
    files = files_in(root, frozenset({".json"}))
    near = sorted(files, key=lambda path: (len(path.parts), path))[:4]
    return any(json_kind(path) == kind for path in near)
