"""The data set layouts that edgeseg reads, and opening a folder in one of them.

A layout is one module of this package with three names: `NAME`, `matches(root)` (does this folder look like mine?) and
`open_split(root, split)`. To add one, add its file and its line in `LAYOUTS`; or, in a package of your own, an entry
point of the group `edgeseg.layouts` that names the module.
"""

from __future__ import annotations

import os
from types import ModuleType

from edgeseg.data import ade20k, camvid, cityscapes, folder, masks, voc
from edgeseg.data.dataset import Dataset, check_folder
from edgeseg.data.importing.formats import FORMATS, recognise, seen
from edgeseg.errors import DataError, unknown_name
from edgeseg.plugins import Registry

LAYOUTS: Registry[ModuleType] = Registry(
    "data set layout",
    "edgeseg.layouts",
    {module.NAME: module for module in (camvid, voc, cityscapes, ade20k, folder, masks)},
    ModuleType,
)


def open_dataset(root: str | os.PathLike[str], split: str, layout: str = "auto") -> Dataset:
    """Opens a split of the data set in a folder.

    Args:
        root: The data set's folder.
        split: "train", "val", ... as the layout names them.
        layout: A key of `LAYOUTS`, or "auto" to recognise it by its folders.

    Raises:
        DataError: The folder is missing, in no known layout, or has no such split.
        UsageError: `layout` is unknown.
    """
    path = check_folder(root)
    if layout != "auto":
        if layout not in LAYOUTS:
            raise unknown_name("data set layout", layout, [*LAYOUTS, "auto"])
        return open_in(LAYOUTS[layout], path, split)
    for module in sorted(LAYOUTS.values(), key=lambda one: one is masks):  # what pairs by name comes last
        if module.matches(path):
            return open_in(module, path, split)
    told = f"{path} is in no known data set layout ({', '.join(LAYOUTS)})"
    found = recognise(path)
    if found:
        raise DataError(f"{told}, but looks like {FORMATS[found].TITLE}: `edgeseg data import {path} OUT` makes it one")
    raise DataError(f"{told}; it holds {seen(path)}: see docs/datasets.md")


def open_in(module: ModuleType, folder: os.PathLike[str], split: str) -> Dataset:
    """Opens `folder` with the layout in `module`."""
    dataset: Dataset = module.open_split(folder, split)
    return dataset
