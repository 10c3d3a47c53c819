"""Files beside masks that say what their ids or colours mean: labels.json, labelmap.txt, and .csv files."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.mask_files import Colour
from edgeseg.errors import DataError
from edgeseg.files import read_json, read_text

LABELS_FILE = "labels.json"
_MAP_FILES = ("labelmap.txt", "label_map.txt", "label_colors.txt")


@dataclass(frozen=True, kw_only=True)
class ClassTable:
    """Classes as a file beside the masks tells them.

    Attributes:
        path: The file.
        names: The classes.
        colours: What each is drawn with; empty if masks hold ids.
        ids: The id of each in the masks; empty if it is their order.
    """

    path: Path
    names: tuple[str, ...]
    colours: tuple[Colour, ...] = ()
    ids: tuple[int, ...] = ()


def find_table(root: Path) -> ClassTable | None:
    """Reads the table of classes in a folder or right below it; None if there is none.

    Raises:
        DataError: There is one that cannot be understood.
    """
    for folder in (root, *sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))):
        for name in (LABELS_FILE, *_MAP_FILES):
            if (folder / name).is_file():
                return _labels(folder / name) if name == LABELS_FILE else read_labelmap(folder / name)
        for path in sorted(folder.glob("*.csv")):
            table = _csv(path)
            if table is not None:
                return table
    return None


def read_labelmap(path: Path) -> ClassTable:
    """Reads CVAT's and Datumaro's `name:red,green,blue:parts:actions`, or `red green blue name` on each line."""
    names, colours = list[str](), list[Colour]()
    for line in read_text(path, "the classes").splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        fields = line.split(":")
        name, numbers = (fields[0], fields[1].split(",")) if len(fields) > 1 else ("", line.split()[:3])
        name = name or " ".join(line.split()[3:])
        try:
            red, green, blue = (int(n) for n in numbers)
        except ValueError as error:
            raise DataError(f"{path} holds the line '{line.strip()}': expected name:red,green,blue::") from error
        names.append(name.strip())
        colours.append(_colour(path, (red, green, blue)))
    return _table(path, names, colours)


def _labels(path: Path) -> ClassTable:
    value = read_json(path, "the classes")
    names = value.get("names") if isinstance(value, dict) else None
    if not isinstance(names, list):
        raise DataError(f'{path} has no list of class names: expected {{"names": ["ground", ...]}}')
    colours = value.get("colors") or []
    try:
        return _table(path, [str(name) for name in names], [_colour(path, tuple(c)) for c in colours])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: its colours are not [red, green, blue] with values 0-255") from error


def _csv(path: Path) -> ClassTable | None:
    """Reads `name, r, g, b` (in any order, with a head line), or Roboflow's `Pixel Value, Class`; else None."""
    rows = list(csv.reader(read_text(path, "the classes").splitlines(), skipinitialspace=True))
    head = [word.strip().lower() for word in rows[0]] if rows else []
    body = [[word.strip() for word in row] for row in rows[1:] if any(word.strip() for word in row)]
    try:
        if "pixel value" in head and "class" in head:
            number, name = head.index("pixel value"), head.index("class")
            return ClassTable(
                path=path, names=tuple(row[name] for row in body), ids=tuple(int(row[number]) for row in body)
            )
        columns = [next(head.index(word) for word in words if word in head) for words in _COLUMNS]
    except StopIteration:
        return None  # a table of something else
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} holds a row that is not 'Pixel Value, Class': {error}") from error
    try:
        colours = [_colour(path, tuple(int(row[column]) for column in columns[1:])) for row in body]
        return _table(path, [row[columns[0]] for row in body], colours)
    except (ValueError, IndexError) as error:
        raise DataError(f"{path} holds a row that is not 'name, r, g, b' with values 0-255: {error}") from error


_COLUMNS = (("name", "class", "label"), ("r", "red"), ("g", "green"), ("b", "blue"))


def _colour(path: Path, values: tuple[int, ...]) -> Colour:
    if len(values) != 3 or not all(isinstance(v, int) and 0 <= v <= 255 for v in values):
        raise DataError(f"{path} holds the colour {values}: expected red, green, blue, 0-255")
    return values[0], values[1], values[2]


def _table(path: Path, names: list[str], colours: list[Colour]) -> ClassTable:
    if not names or len(names) > 255 or len(set(names)) < len(names):
        raise DataError(f"{path} names {len(names)} classes: expected 1 to 255, each once")
    if colours and len(colours) != len(names):
        raise DataError(f"{path} has {len(names)} names and {len(colours)} colours: expected one for each")
    if len(set(colours)) < len(colours):
        raise DataError(f"{path} gives two classes the same colour: expected one of its own for each")
    return ClassTable(path=path, names=tuple(names), colours=tuple(colours))
