"""Each layout on a tree of its own, small enough to check by eye: which files, which order, which ids."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgeseg.data import ade20k, camvid, cityscapes, voc
from edgeseg.data.layouts import LAYOUTS, open_dataset
from edgeseg.data.oddities import count_ids, oddities
from edgeseg.errors import DataError, UsageError
from edgeseg.image import write_image


def put_image(path: Path, shade: int = 100, size: tuple[int, int] = (2, 2)) -> None:
    write_image(path, np.full((*size, 3), shade, np.uint8))


def put_ids(path: Path, rows: list[list[int]]) -> None:
    """Writes a label map; as a palette PNG, the way VOC does, so that reading colours instead of ids would show."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.array(rows, np.uint8), mode=None).convert("L")
    image.putpalette([value % 256 for value in range(7, 7 + 768)])
    image.save(path)


def put_json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def voc_root(tmp_path: Path) -> Path:
    home = tmp_path / "VOCdevkit" / "VOC2012"
    for name, shade in (("2007_000032", 10), ("2007_000001", 20), ("2007_000063", 30)):
        put_image(home / "JPEGImages" / f"{name}.jpg", shade)
    put_ids(home / "SegmentationClass" / "2007_000032.png", [[0, 1], [20, 255]])
    put_ids(home / "SegmentationClass" / "2007_000001.png", [[15, 15], [0, 0]])
    lists = home / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("2007_000032\n2007_000001\n")
    (lists / "val.txt").write_text("2007_000063\n")
    return tmp_path


@pytest.fixture
def cityscapes_root(tmp_path: Path) -> Path:
    for city, number, rows in (("ulm", 3, [[7, 8], [33, 0]]), ("aachen", 1, [[11, 26], [29, 5]])):
        stem = f"{city}_{number:06d}_000019"
        put_image(tmp_path / "leftImg8bit" / "train" / city / f"{stem}_leftImg8bit.png")
        put_ids(tmp_path / "gtFine" / "train" / city / f"{stem}_gtFine_labelIds.png", rows)
    return tmp_path


@pytest.fixture
def ade_root(tmp_path: Path) -> Path:
    home = tmp_path / "ADEChallengeData2016"
    put_image(home / "images" / "training" / "ADE_train_00000001.jpg")
    put_ids(home / "annotations" / "training" / "ADE_train_00000001.png", [[0, 1], [150, 13]])
    put_image(home / "images" / "validation" / "ADE_val_00000001.jpg")
    put_ids(home / "annotations" / "validation" / "ADE_val_00000001.png", [[2, 2], [2, 151]])
    return tmp_path


@pytest.fixture
def camvid_root(tmp_path: Path) -> Path:
    for split, rows in (("train", [[0, 10], [11, 3]]), ("val", [[4, 4], [4, 4]])):
        put_image(tmp_path / split / "0001TP_0.png")
        put_ids(tmp_path / f"{split}annot" / "0001TP_0.png", rows)
    return tmp_path


@pytest.fixture
def plain_root(tmp_path: Path) -> Path:
    for split, rows in (("train", [[0, 1], [1, 9]]), ("val", [[1, 1], [0, 0]])):
        put_image(tmp_path / "images" / split / "a.jpg")
        put_ids(tmp_path / "labels" / split / "a.png", rows)
    put_json(
        tmp_path / "labels.json", {"names": ["soil", "leaf"], "colors": [[9, 8, 7], [0, 255, 0]], "ignore_index": 9}
    )
    return tmp_path


def test_voc_follows_the_order_of_its_list(voc_root: Path) -> None:
    dataset = open_dataset(voc_root, "train")
    assert dataset.name == "voc"
    assert [path.name for path in dataset.images] == ["2007_000032.jpg", "2007_000001.jpg"]
    image, label_map = dataset.load(0)
    assert image.shape == (2, 2, 3)
    assert label_map.tolist() == [[0, 1], [20, 255]]
    assert (dataset.labels.names[15], dataset.labels.num_classes) == ("person", 21)


@pytest.mark.parametrize("inside", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_is_found_from_its_folder_and_its_parents(voc_root: Path, inside: str) -> None:
    assert voc.matches(voc_root / inside)
    assert len(open_dataset(voc_root / inside, "train")) == 2


def test_voc_names_the_label_map_that_is_missing(voc_root: Path) -> None:
    with pytest.raises(DataError, match=r"2007_000063\.jpg has no label map: expected .*2007_000063\.png"):
        open_dataset(voc_root, "val")


def test_cityscapes_ids_become_train_ids(cityscapes_root: Path) -> None:
    dataset = open_dataset(cityscapes_root, "train")
    assert [path.parent.name for path in dataset.images] == ["aachen", "ulm"]
    assert dataset.load(0)[1].tolist() == [[2, 13], [255, 255]]  # building, car; caravan and dynamic are not scored
    assert dataset.load(1)[1].tolist() == [[0, 1], [18, 255]]  # road, sidewalk; bicycle, unlabelled
    assert dataset.labels.names[13] == "car"
    assert dataset.labels.colors[13] == (0, 0, 142)


def test_cityscapes_table_keeps_nineteen_classes() -> None:
    assert sorted(set(cityscapes.ID_TABLE)) == [*range(19), 255]
    assert len(cityscapes.ID_TABLE) == 256


def test_ade20k_ignores_other_and_counts_from_wall(ade_root: Path) -> None:
    dataset = open_dataset(ade_root, "train")
    assert dataset.load(0)[1].tolist() == [[255, 0], [149, 12]]
    assert dataset.labels.num_classes == 150
    assert dataset.labels.names[0] == "class_1"


def test_ade20k_refuses_ids_above_150(ade_root: Path) -> None:
    with pytest.raises(DataError, match="holds id 151"):
        open_dataset(ade_root, "val").load(0)


def test_ade20k_reads_its_names(ade_root: Path) -> None:
    lines = [f"{number} \t0.1\t5\t1\tthing {number}, more" for number in range(1, 151)]
    path = ade_root / "ADEChallengeData2016" / ade20k.NAMES_FILE
    path.write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *lines]))
    assert open_dataset(ade_root, "train").labels.names[149] == "thing 150"
    path.write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *lines[:-1]]))
    with pytest.raises(DataError, match="names no class 150"):
        open_dataset(ade_root, "train")


def test_camvid_ignores_void(camvid_root: Path) -> None:
    dataset = open_dataset(camvid_root, "train")
    assert dataset.name == "camvid"
    assert dataset.load(0)[1].tolist() == [[0, 10], [255, 3]]
    assert len(open_dataset(camvid_root, "trainval")) == 2
    assert camvid.LABELS.num_classes == 11


def test_plain_folder_brings_its_own_classes(plain_root: Path) -> None:
    dataset = open_dataset(plain_root, "train")
    assert dataset.name == "folder"
    assert dataset.labels.names == ("soil", "leaf")
    assert dataset.labels.colors == ((9, 8, 7), (0, 255, 0))
    assert dataset.load(0)[1].tolist() == [[0, 1], [1, 9]]  # 9 is this set's ignored id


def test_plain_folder_may_merge_its_classes(plain_root: Path) -> None:
    names = ["soil", "leaf", "stem", "sky"]
    merge = {"plant": ["leaf", "stem"], "ground": ["soil"]}
    put_json(plain_root / "labels.json", {"names": names, "merge": merge, "colors": [[1, 2, 3], [4, 5, 6]]})
    put_ids(plain_root / "labels" / "train" / "a.png", [[0, 1], [2, 3]])
    dataset = open_dataset(plain_root, "train")
    assert dataset.labels.names == ("plant", "ground")
    assert dataset.labels.colors == ((1, 2, 3), (4, 5, 6))
    assert dataset.load(0)[1].tolist() == [[1, 0], [0, 255]]  # sky is in no class: ignored


def test_plain_folder_may_have_a_name(plain_root: Path) -> None:
    put_json(plain_root / "labels.json", {"name": "yard", "names": ["soil", "leaf"], "ignore_index": 9})
    assert open_dataset(plain_root, "train").name == "yard"


def test_plain_folder_without_splits_is_all(tmp_path: Path) -> None:
    put_image(tmp_path / "images" / "b.png")
    put_image(tmp_path / "images" / "a.jpg")
    put_image(tmp_path / "images" / ".a-half-written.jpg")
    for name in "ab":
        put_ids(tmp_path / "labels" / f"{name}.png", [[0, 1], [1, 1]])
    put_json(tmp_path / "labels.json", {"names": ["soil", "leaf"]})
    dataset = open_dataset(tmp_path, "all")
    assert [path.name for path in dataset.images] == ["a.jpg", "b.png"]
    assert dataset.labels.ignore_index == 255


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([1, 2], "no list of class names"),
        ({"names": ["soil", 3]}, "no list of class names"),
        ({"names": ["soil"]}, "expected 2 to 255"),
        ({"names": ["soil", "leaf"], "colors": [[1, 2, 3]]}, "2 names and 1 colours"),
        ({"names": ["soil", "leaf"], "colors": [[1, 2, 3], [1, 2, 256]]}, r"not \[red, green, blue\]"),
        ({"names": ["soil", "leaf"], "name": "my yard"}, "name 'my yard': expected up to 40 letters"),
        ({"names": ["soil", "leaf"], "ignore_index": 300}, "ignore_index 300: expected 0-255"),
        ({"names": ["soil", "leaf"], "merge": {"all": ["soil"]}}, '"merge" is no object of two classes or more'),
        ({"names": ["soil", "leaf"], "merge": {"a": [], "b": ["soil"]}}, "no list of names"),
        ({"names": ["soil", "leaf"], "merge": {"a": ["sol"], "b": ["soil"]}}, "'sol' into 'a': it is none of"),
        ({"names": ["soil", "leaf"], "merge": {"a": ["soil"], "b": ["soil"]}}, "'soil' into 'a' and into 'b'"),
    ],
)
def test_a_wrong_labels_json_is_explained(plain_root: Path, value: object, complaint: str) -> None:
    put_json(plain_root / "labels.json", value)
    with pytest.raises(DataError, match=complaint):
        open_dataset(plain_root, "train")


def test_labels_json_that_is_no_json(plain_root: Path) -> None:
    (plain_root / "labels.json").write_text("names: soil")
    with pytest.raises(DataError, match="is not JSON"):
        open_dataset(plain_root, "train")


def test_an_id_without_a_class_is_refused(plain_root: Path) -> None:
    put_ids(plain_root / "labels" / "train" / "a.png", [[0, 2], [0, 0]])
    with pytest.raises(DataError, match=r"a\.png holds id 2: expected 0-1, or 9 to ignore"):
        open_dataset(plain_root, "train").load(0)


def test_a_label_map_of_another_size_is_refused(plain_root: Path) -> None:
    put_ids(plain_root / "labels" / "train" / "a.png", [[0, 1, 0]])
    with pytest.raises(DataError, match=r"a\.png is 1x3, its image a\.jpg is 2x2"):
        open_dataset(plain_root, "train").load(0)


def test_a_missing_label_map_is_named(plain_root: Path) -> None:
    (plain_root / "labels" / "val" / "a.png").unlink()
    with pytest.raises(DataError, match=r"has no label map: expected .*a\.png"):
        open_dataset(plain_root, "val")


@pytest.mark.parametrize("root", ["voc_root", "cityscapes_root", "ade_root", "camvid_root", "plain_root"])
def test_an_unknown_split_is_answered_with_the_known_ones(root: str, request: pytest.FixtureRequest) -> None:
    with pytest.raises(DataError, match=r"has no split 'night': it has .*train"):
        open_dataset(request.getfixturevalue(root), "night")


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_a_named_layout_says_what_it_misses(name: str, tmp_path: Path) -> None:
    assert not LAYOUTS[name].matches(tmp_path)
    with pytest.raises(DataError, match=str(tmp_path)):
        open_dataset(tmp_path, "train", layout=name)


def test_a_folder_in_no_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="in no known data set layout"):
        open_dataset(tmp_path, "train")
    with pytest.raises(UsageError, match="unknown data set layout 'camvit': did you mean camvid"):
        open_dataset(tmp_path, "train", layout="camvit")
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "missing", "train")


def test_the_real_camvid_opens(test_data: Path) -> None:
    dataset = open_dataset(test_data / "camvid", "val")
    assert (len(dataset), dataset.name) == (101, "camvid")
    image, label_map = dataset.load(0)
    assert image.shape == (*label_map.shape, 3)
    assert set(np.unique(label_map).tolist()) <= {*range(11), 255}


# === Binary masks, and what is odd about labels ===


def binary_set(root: Path, masks: dict[str, list[list[int]]], **labels: object) -> Path:
    for name, ids in masks.items():
        write_image(root / f"images/{name}.png", np.zeros((*np.shape(ids), 3), np.uint8))
        put_ids(root / f"labels/{name}.png", ids)
    put_json(root / "labels.json", {"names": ["ground", "crack"], **labels})
    return root


@pytest.mark.parametrize("labels", [{}, {"ignore_index": 255}])
def test_masks_of_0_and_255_are_two_classes_and_it_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, labels: dict[str, int]
) -> None:
    masks = {"train/a": [[0, 255], [0, 0]], "val/b": [[0, 0], [0, 0]]}
    root = binary_set(tmp_path, masks, **labels)
    assert open_dataset(root, "train").load(0)[1].tolist() == [[0, 1], [0, 0]]
    assert "255 is read as class 1, crack" in caplog.text
    assert open_dataset(root, "val").load(0)[1].tolist() == [[0, 0], [0, 0]]


def test_255_stays_ignored_where_any_split_has_class_1(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = binary_set(tmp_path, {"train/a": [[0, 1], [0, 255]], "val/b": [[0, 255], [0, 0]]})
    assert open_dataset(root, "val").load(0)[1].tolist() == [[0, 255], [0, 0]]
    assert not caplog.text


def test_masks_with_grey_edges_are_refused(tmp_path: Path) -> None:
    root = binary_set(tmp_path, {"train/a": [[0, 255], [128, 0]]})
    with pytest.raises(DataError, match="holds id 128: expected 0-1, or 255 to ignore"):
        open_dataset(root, "train").load(0)


def test_absent_classes_and_much_that_is_ignored_are_told(tmp_path: Path) -> None:
    dataset = open_dataset(binary_set(tmp_path, {"train/a": [[0, 9], [9, 9]]}, ignore_index=9), "train")
    assert oddities(dataset, count_ids(dataset)) == (
        "the train split of folder has no pixel of crack: check the ids in its label maps",
        "the train split of folder ignores 75 % of its pixels (id 9)",
    )
    with pytest.raises(DataError, match="no labelled pixel"):
        oddities(dataset, np.eye(256, dtype=np.int64)[9])


def test_another_package_adds_a_layout(install: Any, plain_root: Path, tmp_path_factory: Any) -> None:
    code = """
    from edgeseg.data import folder

    NAME = "farm"


    def matches(root):
        return (root / "farm").is_dir()


    def open_split(root, split):
        return folder.open_split(root / "farm", split)
    """
    root = tmp_path_factory.mktemp("set")
    shutil.copytree(plain_root, root / "farm")
    assert open_dataset(root, "train").name == "masks"  # whatever pairs by name is read as it looks
    install("farming", code, {"edgeseg.layouts": {"farm": "farming"}})
    for layout in ("auto", "farm"):
        assert open_dataset(root, "train", layout).name == "folder"
