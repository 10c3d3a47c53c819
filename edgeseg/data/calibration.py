"""Calibration sets: the images that set the ranges of activations when a network is quantized after training.

A manifest, `calibration/<name>.json`, pins a set down. Two kinds:

- `"kind": "files"` lists images and the SHA-256 of each. They are looked for under a data folder that the user names;
  an image that is missing or has changed is an error.
- `"kind": "synthetic"` names seed, count and size for the renderer of the synthetic aerial set, and each image's mean
  level. A digest of pixels would be wrong here: another processor or version of OpenCV may round a few pixels
  differently. Levels off by more than `LEVEL_TOLERANCE` mean another renderer, and are an error.

`"digest"` is the SHA-256 of the rest of the manifest (`manifest_digest`), so that an edited one is noticed; manifests
written by hand may leave it out. `"note"` may say anything. The digest of what a network really was fed goes into the
model's card.
"""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import check_folder
from edgeseg.data.folder import images_in
from edgeseg.errors import DataError, quoted, unknown_name
from edgeseg.files import digest, file_digest, read_json
from edgeseg.image import IMAGE_SUFFIXES, read_image
from edgeseg.synth import aerial

T = TypeVar("T")
DEFAULT = "synthetic-aerial"
RENDERED_MORE = 1000
_TOO_LARGE = 1 << 31
LEVEL_TOLERANCE = 0.5
"""How far a rendered image's mean (0-255) may be from the manifest's."""
_HERE = Path(__file__).resolve().parents[1]
_FOLDERS = (_HERE / "_calibration", _HERE.parent / "calibration")  # installed; a checkout of the repository


@dataclass(frozen=True, kw_only=True)
class CalibrationSet:
    """Images, read or rendered while iterating, which yields uint8 (H, W, 3) blue-green-red.

    Attributes:
        record_source: What the model's card says about it: the manifest's name, or the folder's.
        licence: Terms of the images; empty if unknown.
        files: The images, for a set of files.
        others: Images of the same folders that are not in the set, for a manifest of files.
        digests: SHA-256 of each file; empty if they are not pinned.
        seed: The renderer's seed, for a synthetic set.
        size: Height and width of rendered images.
        rendered: How many images to render.
        levels: Mean of each rendered image; empty if they are not pinned.
    """

    record_source: str
    licence: str = ""
    files: tuple[Path, ...] = ()
    others: tuple[Path, ...] = ()
    digests: tuple[str, ...] = ()
    seed: int = 0
    size: tuple[int, int] = (0, 0)
    rendered: int = 0
    levels: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.count:
            raise DataError(f"calibration set {self.record_source} has no images: expected at least one, better 100")

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.files) or self.rendered

    def __len__(self) -> int:
        """Returns the number of images."""
        return self.count

    @property
    def more(self) -> int:
        """How many images of the same source there are beyond the set; a renderer never runs out of them."""
        return len(self.others) if self.files else RENDERED_MORE

    @property
    def is_synthetic(self) -> bool:
        """Whether the images are rendered."""
        return bool(self.rendered)

    def __iter__(self) -> Iterator[Uint8]:
        """Yields every image in order; raises what `image` raises."""
        return map(self.image, range(self.count))

    def image(self, index: int) -> Uint8:
        """Reads or renders one image; from `count` on they are of those beyond the set.

        Raises:
            DataError: A file is missing, unreadable or not the one that the manifest pins; or the renderer is another.
        """
        if self.files:
            path = (*self.files, *self.others)[index]
            if index < len(self.digests) and path.is_file() and file_digest(path) != self.digests[index]:
                raise DataError(
                    f"{path} is not the image that calibration set {self.record_source} names: get it again"
                )
            return read_image(path)
        image, _ = aerial.render(index, seed=self.seed, height=self.size[0], width=self.size[1])
        level = float(image.mean())
        if index < len(self.levels) and abs(level - self.levels[index]) > LEVEL_TOLERANCE:
            raise DataError(
                f"image {index} of calibration set {self.record_source} has mean {level:.2f}, expected "
                f"{self.levels[index]:.2f}: this is another renderer; use the manifest of this edgeseg"
            )
        return image


def open_calibration(
    source: str | None = None,
    *,
    data: str | os.PathLike[str] | None = None,
    size: tuple[int, int] | None = None,
) -> CalibrationSet:
    """Opens a calibration set.

    Args:
        source: A manifest's name (`calibration_names`) or file (`*.json`); an image, a folder of images or a glob;
            "synthetic" or "synthetic:COUNT" for the synthetic aerial set; the default manifest if None.
        data: Folder under which a manifest of files finds them.
        size: Height and width to render synthetic images at, such as a network's input; the manifest's if None.

    Raises:
        DataError: It is not there, is not whole, or has no images.
        UsageError: `source` is no file, no folder and no known name.
    """
    source = DEFAULT if source is None else source
    kind, _, number = source.partition(":")
    if kind == aerial.NAME and not Path(source).exists():
        return _synthetic(number, size)
    path = manifest_path(source)
    if path is not None:
        return _from_manifest(path, data, size)
    if any(mark in source for mark in "*?["):
        found = [Path(name) for name in sorted(glob.glob(source, recursive=True))]
        files = [file for file in found if file.suffix.lower() in IMAGE_SUFFIXES]
        return CalibrationSet(record_source=f"glob {Path(source).name}", files=tuple(files))
    place = Path(source)
    if place.is_dir():
        return CalibrationSet(record_source=f"folder {place.resolve().name}", files=tuple(images_in(place)))
    if place.is_file():
        return CalibrationSet(record_source=f"file {place.name}", files=(place,))
    if os.sep in source or place.suffix:
        raise DataError(f"calibration set {source}: no such file or folder")
    raise unknown_name("calibration set", source, [*calibration_names(), aerial.NAME])


def calibration_names() -> list[str]:
    """Returns the names of the manifests that ship with edgeseg."""
    return sorted({path.stem for folder in _FOLDERS for path in folder.glob("*.json")})


def manifest_path(source: str) -> Path | None:
    """Returns the manifest's file for a name or a path to a .json file; None if it is neither."""
    if source.endswith(".json"):
        if not Path(source).is_file():
            raise DataError(f"calibration manifest {source}: no such file")
        return Path(source)
    candidates = (folder / f"{source}.json" for folder in _FOLDERS)
    return next((path for path in candidates if os.sep not in source and path.is_file()), None)


def lists_files(source: object) -> bool:
    """Whether a calibration source is a manifest of files, which needs the folder that they are in."""
    if not isinstance(source, str | os.PathLike):
        return False
    path = manifest_path(os.fspath(source))
    return path is not None and _read_manifest(path)["kind"] == "files"


def manifest_digest(manifest: dict[str, Any]) -> str:
    """Returns the SHA-256 of a manifest without its "digest", keys sorted, no spaces."""
    rest = {key: value for key, value in manifest.items() if key != "digest"}
    return digest(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode())


def files_manifest(name: str, root: Path, files: Sequence[Path], licence: str) -> dict[str, Any]:
    """Makes a manifest that pins files under `root`."""
    manifest: dict[str, Any] = {
        "name": name,
        "kind": "files",
        "licence": licence,
        "files": {file.relative_to(root).as_posix(): file_digest(file) for file in files},
    }
    return {**manifest, "digest": manifest_digest(manifest)}


def synthetic_manifest(name: str, seed: int, count: int, size: tuple[int, int], licence: str) -> dict[str, Any]:
    """Makes a manifest that pins `count` images of the synthetic set's train split of `seed`."""
    pinned = CalibrationSet(record_source=name, seed=aerial.split_seed(seed, "train"), size=size, rendered=count)
    manifest: dict[str, Any] = {
        "name": name,
        "kind": "synthetic",
        "licence": licence,
        "renderer": aerial.VERSION,
        "seed": seed,
        "split": "train",
        "count": count,
        "size": list(size),
        "levels": [round(float(image.mean()), 2) for image in pinned],
    }
    return {**manifest, "digest": manifest_digest(manifest)}


def spaced(items: Sequence[T], count: int) -> list[T]:
    """Picks `count` of some items, such as files, evenly spaced; all of them if there are fewer."""
    if count >= len(items):
        return list(items)
    return [items[index * len(items) // count] for index in range(count)]


def _synthetic(number: str, size: tuple[int, int] | None) -> CalibrationSet:
    if number and not number.isdigit():
        raise DataError(f"calibration set synthetic:{number}: expected a number of images, such as synthetic:100")
    count = int(number) if number else 100
    return CalibrationSet(
        record_source=f"synthetic:{count}",
        licence="rendered, free of rights",
        seed=aerial.split_seed(0, "train"),
        size=size or (256, 320),
        rendered=count,
    )


def _from_manifest(path: Path, data: str | os.PathLike[str] | None, size: tuple[int, int] | None) -> CalibrationSet:
    manifest = _read_manifest(path)
    name, licence = str(manifest.get("name", path.stem)), str(manifest.get("licence", ""))
    if manifest["kind"] == "files":
        if data is None:
            raise DataError(f"calibration set {name} lists files: name the folder they are in, with --data")
        root = check_folder(data)
        files = tuple(root / file for file in manifest["files"])
        missing = next((file for file in files if not file.is_file()), None)
        if missing is not None:
            raise DataError(f"calibration set {name} needs {missing}, which is not there: check the data folder {root}")
        digests = tuple(str(value) for value in manifest["files"].values())
        listed = {file.resolve() for file in files}
        beside = [file for folder in dict.fromkeys(file.parent for file in files) for file in images_in(folder)]
        others = tuple(file for file in beside if file.resolve() not in listed)
        return CalibrationSet(record_source=name, licence=licence, files=files, others=others, digests=digests)
    if manifest.get("renderer") != aerial.VERSION:
        raise DataError(
            f"calibration set {name} is of renderer {manifest.get('renderer')}, this edgeseg has {aerial.VERSION}: "
            "use the manifest that came with it"
        )
    own = int(manifest["size"][0]), int(manifest["size"][1])
    return CalibrationSet(
        record_source=name,
        licence=licence,
        seed=aerial.split_seed(int(manifest["seed"]), str(manifest.get("split", "train"))),
        size=size or own,
        rendered=int(manifest["count"]),
        levels=tuple(float(level) for level in manifest.get("levels", ())) if size in (None, own) else (),
    )


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path, "calibration manifest")
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    needed: dict[str, dict[str, type]] = {
        "files": {"files": dict},
        "synthetic": {"seed": int, "count": int, "size": list},
    }
    if not isinstance(kind, str) or kind not in needed:
        raise DataError(f'calibration manifest {path} has kind {quoted(kind)}: expected "files" or "synthetic"')
    for key, type_ in needed[kind].items():
        if not isinstance(manifest.get(key), type_):
            raise DataError(f"calibration manifest {path} has no {key}: expected {type_.__name__}")
    if "digest" in manifest and manifest["digest"] != manifest_digest(manifest):
        raise DataError(f"calibration manifest {path} was edited: its digest does not match; get it again")
    if kind == "synthetic":
        levels, size = manifest.get("levels", []), manifest["size"]
        whole = [manifest["seed"], manifest["count"], *size]
        if len(size) != 2 or not all(type(number) is int and 0 <= number < _TOO_LARGE for number in whole) or 0 in size:
            raise DataError(
                f"calibration manifest {path}: expected whole numbers as seed, count and size [height, width]"
            )
        pinned = isinstance(levels, list) and all(type(level) in (int, float) and 0 <= level <= 255 for level in levels)
        if not pinned or (levels and len(levels) != manifest["count"]):
            raise DataError(f"calibration manifest {path}: expected one level for each image, 0-255")
    return dict(manifest)
