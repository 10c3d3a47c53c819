"""The zoo: trained models that come with edgeseg, one folder each, and finding what a user calls a model.

A folder of `models/` holds `model.keras` (float weights) and `.tflite` files, each with its card inside. In a checkout
the zoo is `models/` beside the package; in an installed wheel it is `edgeseg/_models`, with only the models that may be
used freely.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edgeseg.card import ModelCard
from edgeseg.card_file import read_model
from edgeseg.errors import ModelFileError, unknown_name
from edgeseg.naming import is_compiled, recipe_in
from edgeseg.other_formats import other_format
from edgeseg.recipes import recipe_row

DEFAULT = "aerial"
"""The zoo's model that commands take when none is named."""

FLOAT_SUFFIXES = (".keras", ".h5", ".hdf5")

Kind = Literal["tflite", "float", "any"]


@dataclass(frozen=True, kw_only=True)
class ZooModel:
    """One model of the zoo: its name, and its files with their cards."""

    name: str
    folder: Path
    files: tuple[tuple[Path, ModelCard], ...]


def zoo_folder() -> Path:
    """Returns where the zoo is: in the package when installed from a wheel, beside it in a checkout."""
    package = Path(__file__).parent
    installed = package / "_models"
    return installed if installed.is_dir() else package.parent / "models"


def list_models() -> list[str]:
    """Returns the names of the zoo's models, the default first."""
    found = sorted(p.name for p in zoo_folder().glob("*/") if list(p.glob("*.tflite")))
    return sorted(found, key=lambda name: name != DEFAULT)


def load(name: str) -> ZooModel:
    """Reads the cards of one model of the zoo.

    Raises:
        UsageError: There is no such model.
        ModelFileError: A file is damaged.
    """
    if name not in list_models():
        raise unknown_name("model", name, list_models())
    folder = zoo_folder() / name
    files = []
    for path in [*sorted(folder.glob("*.keras")), *sorted(folder.glob("*.tflite"))]:
        _, card = read_model(path)
        if card is None:
            raise ModelFileError(f"{path} is in the zoo and has no card: convert it again")
        files.append((path, card))
    return ZooModel(name=name, folder=folder, files=tuple(files))


def resolve(model: str | Path | None, *, kind: Kind = "tflite") -> Path:
    """Finds the file that a user means.

    Args:
        model: A file, a model folder, or a name in the zoo; None is the zoo's default. A folder comes before the zoo's
            model of the same name if it holds a model.
        kind: "tflite" wants a `.tflite` file, "float" the Keras network; "any" takes a file as it is, and the
            `.tflite` file of a folder or zoo model.

    Returns:
        The file. Of a folder's several `.tflite` files: the integer one for the CPU.

    Raises:
        ModelFileError: There is no such file, or the folder holds no model of that kind.
        UsageError: The name is neither a path nor in the zoo.
    """
    path = Path(DEFAULT if model is None else model)
    bare = len(path.parts) == 1 and path.name in list_models()
    elsewhere = bare and path.is_dir() and not _models_in(path)  # such as a data set that is called camvid, too
    if model is None or not path.exists() or elsewhere:
        if path.suffix or len(path.parts) > 1:
            raise ModelFileError(f"model {path}: no such file; `edgeseg models` lists the zoo's names")
        if path.name not in list_models():
            raise unknown_name("model", str(path), list_models())
        path = zoo_folder() / path.name
    if found := other_format(path):
        raise ModelFileError(f"{path} {found}")
    if path.is_dir():
        return _in_folder(path, kind)
    if kind == "tflite" and path.suffix in FLOAT_SUFFIXES:
        raise ModelFileError(f"{path} is a Keras model, expected a .tflite file: edgeseg convert {path} --int8")
    if kind == "float" and path.suffix == ".tflite":
        raise ModelFileError(f"{path} is a .tflite file, expected the Keras model (.keras or .h5) it was made from")
    return path


def _models_in(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.suffix in (".tflite", *FLOAT_SUFFIXES)]


def files_of(model: str | os.PathLike[str]) -> list[Path]:
    """Finds all files that a user means to compare: one, or those of a model folder or zoo model for the CPU.

    Raises:
        ModelFileError: There is no such file, or the folder holds none.
        UsageError: The name is neither a path nor in the zoo.
    """
    path = resolve(os.fspath(model), kind="tflite")
    if Path(model).is_file():
        return [path]
    return sorted(file for file in path.parent.glob("*.tflite") if not is_compiled(file))


def _in_folder(folder: Path, kind: Kind) -> Path:
    if kind == "float":
        candidates = [p for s in FLOAT_SUFFIXES for p in sorted(folder.glob(f"*{s}"))]
    else:
        candidates = sorted(p for p in folder.glob("*.tflite") if not is_compiled(p))
        candidates.sort(key=lambda p: (name := recipe_in(p.stem)) == "" or not recipe_row(name).is_integer)
        if kind == "any" and not candidates:
            candidates = [p for s in FLOAT_SUFFIXES for p in sorted(folder.glob(f"*{s}"))]
    if not candidates:
        raise ModelFileError(f"{folder} holds no {'Keras model' if kind == 'float' else '.tflite file'}")
    return candidates[0]
