"""Each format, written by an exporter after its specification, comes back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from exporters import EXPORTERS, Labelled, Sample
from painting import TINY_LABELS, make_photo, make_photo_labels

from edgeseg.arrays import Uint8
from edgeseg.data.importing.formats import recognise
from edgeseg.data.importing.run import import_set
from edgeseg.data.layouts import open_dataset
from edgeseg.image import read_label_map

SAME = 0.995


@pytest.fixture(scope="module")
def painted() -> Labelled:
    """Painted images, mirrored and turned so that no two look alike, with a stripe that has no class."""
    samples = []
    for index, (height, width) in enumerate([(48, 64), (96, 128), (72, 96)]):
        image, label_map = make_photo(height, width), make_photo_labels(height, width)
        label_map[3:9, 5:40] = 255
        flipped = (slice(None, None, -1 if index & 1 else 1), slice(None, None, -1 if index & 2 else 1))
        sample = Sample(name=f"photo_{index}", image=image[flipped].copy(), label_map=label_map[flipped].copy())
        samples.append(sample)
    return Labelled(names=TINY_LABELS.names, colors=TINY_LABELS.colors, samples=tuple(samples))


@pytest.fixture(scope="module")
def streets(test_data: Path) -> Labelled:
    """Three images of CamVid's val split."""
    dataset = open_dataset(test_data / "camvid", "val")
    samples = tuple(
        Sample(name=dataset.images[index].stem, image=image, label_map=label_map)
        for index in (0, 40, 100)
        for image, label_map in [dataset.load(index)]
    )
    return Labelled(names=dataset.labels.names, colors=dataset.labels.colors, samples=samples)


def read_back(out: Path, data: Labelled) -> dict[str, Uint8]:
    """Reads the label maps of an imported set, in the ids of `data`."""
    names = json.loads((out / "labels.json").read_text())["names"]
    table = np.full(256, 255, np.uint8)
    for number, name in enumerate(names):
        table[number] = data.names.index(name)
    return {path.stem: table[read_label_map(path)] for path in (out / "labels").rglob("*.png")}


def assert_same(out: Path, data: Labelled) -> None:
    found = read_back(out, data)
    assert found.keys() == {sample.name for sample in data.samples}
    for sample in data.samples:
        share = float((found[sample.name] == sample.label_map).mean())
        assert share >= SAME, f"{sample.name}: {share:.4f} of the pixels"


@pytest.mark.parametrize("name", EXPORTERS)
def test_painted_images_come_back(name: str, painted: Labelled, tmp_path: Path) -> None:
    export, format = EXPORTERS[name]
    (tmp_path / "in").mkdir()
    export(painted, tmp_path / "in")
    assert recognise(tmp_path / "in") == format
    done = import_set(tmp_path / "in", tmp_path / "out", unlabelled="ignore")
    assert (done.format, done.images) == (format, 3)
    assert {dropped.what for dropped in done.dropped} <= {"class", "split"}, done.dropped
    assert_same(tmp_path / "out", painted)
    split = next(iter(done.splits))
    assert len(open_dataset(tmp_path / "out", split)) == done.splits[split]


@pytest.mark.parametrize("name", EXPORTERS)
def test_camvid_comes_back(name: str, streets: Labelled, tmp_path: Path) -> None:
    export, _ = EXPORTERS[name]
    (tmp_path / "in").mkdir()
    export(streets, tmp_path / "in")
    import_set(tmp_path / "in", tmp_path / "out", unlabelled="ignore")
    assert_same(tmp_path / "out", streets)
