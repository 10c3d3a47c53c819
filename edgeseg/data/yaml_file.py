"""Reading a YAML file, or JSON, which YAML contains: only YAML needs the extra `data`."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from edgeseg.errors import DataError, MissingExtraError
from edgeseg.files import read_json, read_text


def read_yaml(path: str | os.PathLike[str], what: str) -> Any:
    """Reads a YAML file; one whose name ends in .json as JSON.

    Args:
        path: The file.
        what: What it is, for messages.

    Raises:
        DataError: It cannot be read, or is neither.
        MissingExtraError: PyYAML is not installed.
    """
    if Path(path).suffix.lower() == ".json":
        return read_json(path, what)
    text = read_text(path, what)
    try:
        yaml = importlib.import_module("yaml")
    except ImportError as error:
        raise MissingExtraError("PyYAML", "data", f"reading {path}") from error
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise DataError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
