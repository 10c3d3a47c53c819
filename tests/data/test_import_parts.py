"""The parts of an import: shapes, overlaps, classes, splits, messages, and masks that are read in place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exporters import put_json, put_png

from edgeseg.arrays import Uint8
from edgeseg.data.importing.classes import make_classes, read_class_map
from edgeseg.data.importing.records import Sample, Source, Tally, painter
from edgeseg.data.importing.run import import_set
from edgeseg.data.importing.shapes import box, ellipse, polygon
from edgeseg.data.importing.splits import SplitOptions, choose_splits, parse_shares
from edgeseg.data.layouts import open_dataset
from edgeseg.data.similar import image_hash, scenes
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.image import write_image


def noise(seed: int, height: int = 40, width: int = 60) -> Uint8:
    """A smooth random image: two seeds look nothing alike."""
    grid = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)


def source(*names: str, sparse: bool = True, **colours: tuple[int, int, int]) -> Source:
    sample = Sample(image=Path("a.jpg"), draw=painter([]))
    return Source(names=names, samples=(sample,), tally=Tally(), sparse=sparse, colours=colours)


# === Shapes ===


def test_a_pixel_belongs_to_a_shape_that_covers_its_centre() -> None:
    mask = polygon([box(1, 1, 3.4, 2.6)], 4, 5)
    assert mask.astype(int).tolist() == [[0, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]]


def test_a_ring_inside_another_is_a_hole_and_what_sticks_out_is_cut_off() -> None:
    mask = polygon([box(-5, -5, 5, 50), box(1, 1, 3, 3)], 4, 6)
    assert mask.astype(int).tolist() == [[1, 1, 1, 1, 1, 0], [1, 0, 0, 1, 1, 0], [1, 0, 0, 1, 1, 0], [1, 1, 1, 1, 1, 0]]


def test_an_ellipse_has_its_area_and_a_turned_box_its_place() -> None:
    assert polygon([ellipse(50, 50, 30, 20)], 100, 100).sum() == pytest.approx(np.pi * 600, rel=0.01)
    turned = polygon([box(10, 40, 90, 60, degrees=90)], 100, 100)
    assert (turned == polygon([box(40, 10, 60, 90)], 100, 100)).all()


def test_labelme_draws_every_shape(tmp_path: Path) -> None:
    write_image(tmp_path / "in/a.png", noise(0, 60, 80))
    shapes = [
        {"label": "box", "points": [[30, 40], [10, 20]], "shape_type": "rectangle"},
        {"label": "ball", "points": [[60, 30], [60, 40]], "shape_type": "circle"},
        {"label": "wire", "points": [[0, 5], [79, 5]], "shape_type": "linestrip"},
        {"label": "odd", "points": [[0, 5], [79, 5]], "shape_type": "spiral"},
        {"label": "odd", "points": [[0, 5], [79, 5]], "shape_type": "polygon"},
    ]
    put_json(tmp_path / "in/a.json", {"shapes": shapes, "imagePath": "a.png", "imageHeight": 60, "imageWidth": 80})
    done = import_set(tmp_path / "in", tmp_path / "out", splits=SplitOptions(patterns=(("val", "*"),)))
    pixels = {name: entry["pixels"] for name, entry in done.classes.items()}
    assert pixels["box"] == 400
    assert pixels["ball"] == pytest.approx(np.pi * 100, rel=0.02)
    assert pixels["wire"] == pytest.approx(800, rel=0.15)
    told = {(dropped.what, dropped.why) for dropped in done.dropped}
    assert told == {
        ("annotation", "shape 'spiral' covers no area that is known"),
        ("annotation", "2 points: expected 3 or more"),
    }
    assert done.unlabelled == pytest.approx(pixels["background"] / 4800)


def test_whole_supervisely_coordinates_are_pixels_and_interiors_are_cut_out(tmp_path: Path) -> None:
    write_image(tmp_path / "in/ds/img/a.png", noise(0, 10, 12))
    ring = [[3, 3], [6, 3], [6, 6], [3, 6]]
    points = {"exterior": [[1, 1], [8, 1], [8, 8], [1, 8]], "interior": [ring]}
    thing = {"classTitle": "tyre", "geometryType": "polygon", "points": points}
    put_json(tmp_path / "in/meta.json", {"classes": [{"title": "tyre", "color": "#FF0000"}]})
    put_json(tmp_path / "in/ds/ann/a.png.json", {"size": {"height": 10, "width": 12}, "objects": [thing]})
    done = import_set(tmp_path / "in", tmp_path / "out", splits=SplitOptions(patterns=(("val", "*"),)))
    assert done.classes["tyre"]["pixels"] == 64 - 16


# === Classes ===


def test_a_map_renames_merges_drops_and_ignores(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text("lane: road\nroad: road\ntree: null\nmirror: __ignore__\n")
    class_map = read_class_map(tmp_path / "map.yaml")
    made = make_classes(source("sky", "road", "lane", "tree", "mirror", sky=(1, 2, 3)), class_map)
    assert made.labels.names == ("background", "road", "sky")
    assert made.table == (2, 1, 1, 0, 255, 0)
    assert made.labels.colors[2] == (1, 2, 3)
    assert made.dropped == ("tree", "mirror")
    assert make_classes(source("sky", "road", "lane"), {"sky": "sky", "*": "rest"}, "ignore").table == (0, 1, 1, 255)


def test_label_maps_get_no_background_and_void_is_ignored() -> None:
    made = make_classes(source("road", "Void", "sky", sparse=False))
    assert (made.labels.names, made.table) == (("road", "sky"), (0, 255, 1, 255))


def test_wrong_maps_are_explained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown class in the map 'raod': did you mean road"):
        make_classes(source("road", "sky"), {"raod": "street"})
    with pytest.raises(DataError, match=r"1 classes \(all\).*--classes merges"):
        make_classes(source("road", "sky"), {"*": "all"}, "ignore")
    (tmp_path / "map.json").write_text('{"road": 3}')
    with pytest.raises(DataError, match="maps a class to 3: expected a name or null"):
        read_class_map(tmp_path / "map.json")


# === Splits ===


def test_frames_of_one_scene_stay_together() -> None:
    hashes = [image_hash(noise(seed)) for seed in (1, 2, 3, 4, 5)]
    near = noise(1).copy()
    near[:4] //= 2
    found = scenes(np.stack([*hashes, image_hash(near)]))
    assert found[5] == found[0]
    assert len(set(found)) == 5
    chosen = choose_splits(["x"] * 6, [""] * 6, found, SplitOptions(shares=(("train", 0.5), ("val", 0.5))))
    assert chosen[5] == chosen[0]
    assert sorted(chosen).count("val") == 3


def test_splits_by_names_by_seed_and_as_they_were() -> None:
    names, own = ["a_night.jpg", "b_day.jpg", "c_day.jpg"], ["val", "train", ""]
    assert choose_splits(names, own, [0] * 3, SplitOptions()) == ["val", "train", "train"]
    by_name = SplitOptions(patterns=(("val", "*_night*"),))
    assert choose_splits(names, own, [0] * 3, by_name) == ["val", "train", "train"]
    many = {tuple(choose_splits(["x"] * 20, [""] * 20, range(20), SplitOptions(seed=seed))) for seed in (1, 1, 2)}
    assert len(many) == 2
    assert all(split.count("val") == 4 for split in many)
    with pytest.raises(DataError, match="3 images show 1 scene, too few to part into train, val: --at-random"):
        choose_splits(names, [""] * 3, [0] * 3, SplitOptions())
    with pytest.raises(UsageError, match="sum to"):
        SplitOptions(shares=parse_shares("train=0.8,val=0.3"))
    with pytest.raises(UsageError, match="expected shares such as"):
        parse_shares("train=most")


# === What is wrong with a source or a target ===


def test_an_unknown_folder_is_told_with_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/a.pdf").write_text("x")
    with pytest.raises(DataError, match=r"format that is known; it holds 1 \.pdf in the folders docs\. --format"):
        import_set(tmp_path, tmp_path / "out")


def test_training_on_an_export_names_the_import(tmp_path: Path) -> None:
    put_json(tmp_path / "a.json", {"shapes": [], "imagePath": "a.png"})
    with pytest.raises(DataError, match=r"looks like Labelme .*`edgeseg data import .* OUT` makes it one"):
        open_dataset(tmp_path, "train")


def test_a_target_that_holds_something_stays_and_a_failed_import_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="it holds something already"):
        import_set(tmp_path, tmp_path / "full")
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.jpg").write_text("no image")
    put_png(tmp_path / "in/a_mask.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(DataError, match=r"none of 1 images can be used: .*not an image"):
        import_set(tmp_path / "in", tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "in"]


def test_the_command_tells_what_it_read_and_left_out(cli: Any, tmp_path: Path) -> None:
    for seed in range(5):
        write_image(tmp_path / f"in/{seed}.jpg", noise(seed))
        put_png(tmp_path / f"in/{seed}_mask.png", np.full((40, 60), 255 * (seed > 2), np.uint8))
    write_image(tmp_path / "in/alone.jpg", noise(9))
    done = cli("data", "import", tmp_path / "in", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.stderr
    found = done.json
    assert (found["format"], found["read"], found["splits"]) == ("masks", 5, {"train": 4, "val": 1})
    assert found["classes"]["foreground"] == {"pixels": 4800, "pictures": 2}
    assert [(d["what"], d["example"]) for d in found["dropped"]] == [("image", "alone.jpg")]
    assert "left out: 1 x image: no mask or image has its name (such as alone.jpg)" in done.stderr
    manifest = json.loads((tmp_path / "out/import.json").read_text())
    assert [entry["split"] for entry in manifest["pictures"]].count("val") == 1
    wrong = cli("data", "import", tmp_path / "in", tmp_path / "out2", "--format", "cocoa")
    assert "did you mean coco" in wrong.error


# === In place ===


def test_masks_beside_images_are_read_in_place(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ids = np.array([[0, 255], [255, 0]], np.uint8).repeat(8, 0).repeat(8, 1)
    for split in ("train", "val"):
        write_image(tmp_path / f"{split}/a.jpg", noise(1, 16, 16))
        put_png(tmp_path / f"{split}/a_mask.png", np.stack([ids] * 3, 2))
    dataset = open_dataset(tmp_path, "val")
    assert (dataset.name, dataset.labels.names) == ("masks", ("background", "foreground"))
    assert (dataset.load(0)[1] == ids // 255).all()
    assert "read as the classes background and foreground" in caplog.text
    with pytest.raises(DataError, match="has no split 'test': it has train, val"):
        open_dataset(tmp_path, "test")


def test_colours_of_a_plain_folder_are_read_in_place(tmp_path: Path) -> None:
    ids = np.array([[0, 1], [1, 0]], np.uint8)
    colours = np.array([[10, 20, 30], [200, 0, 0]], np.uint8)
    write_image(tmp_path / "images/val/a.png", noise(1, 2, 2))
    put_png(tmp_path / "labels/val/a.png", colours[ids])
    put_json(tmp_path / "labels.json", {"names": ["ground", "roof"], "colors": colours.tolist()})
    assert (open_dataset(tmp_path, "val").load(0)[1] == ids).all()
    put_png(tmp_path / "labels/val/a.png", colours[ids] + np.uint8(1))
    with pytest.raises(DataError, match=r"holds the colour \[11, 21, 31\] at row 0, column 0: no class has it"):
        open_dataset(tmp_path, "val").load(0)


def test_colours_without_a_table_are_refused_with_what_to_write(tmp_path: Path) -> None:
    write_image(tmp_path / "images/a.png", noise(1, 2, 2))
    put_png(tmp_path / "masks/a.png", np.array([[[9, 0, 0], [0, 9, 0]]] * 2, np.uint8))
    with pytest.raises(DataError, match=r"drawn with 2 colours .*no file says what they mean: write .*labels\.json"):
        open_dataset(tmp_path, "all")


# === Another package's format ===

BRIGHT = """
from functools import partial

import numpy as np

from edgeseg.data.importing.records import Sample, Source, Tally
from edgeseg.image import read_image

NAME, TITLE = "bright", "photos in a folder bright/, whose bright half is class 1"


def matches(root):
    return (root / "bright").is_dir()


def drawn(path, height, width):
    return (read_image(path).mean(2) > 127).astype(np.int16)


def read(root):
    files = sorted((root / "bright").iterdir())
    samples = tuple(Sample(image=path, draw=partial(drawn, path)) for path in files)
    return Source(names=("dark", "light"), samples=samples, tally=Tally(), sparse=False)
"""


def test_another_package_adds_a_format(install: Any, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "in/bright").mkdir(parents=True)
    for seed in range(5):
        write_image(tmp_path / f"in/bright/{seed}.png", noise(seed))
    refused = cli("data", "import", tmp_path / "in", tmp_path / "out")
    assert refused.exit_code == 1
    install("bright", BRIGHT, {"edgeseg.importers": {"bright": "bright"}})
    for out, options in (("out", ()), ("named", ("--format", "bright"))):
        done = cli("data", "import", tmp_path / "in", tmp_path / out, *options, "--json")
        assert done.exit_code == 0, done.stderr
        assert (done.json["format"], done.json["read"]) == ("bright", 5)
    image, label_map = open_dataset(tmp_path / "out", "train").load(0)
    assert ((image.mean(2) > 127) == label_map).all()
