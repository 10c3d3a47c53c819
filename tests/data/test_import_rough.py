"""Exports as they come: packed in one file, drawn with soft edges, or a video's tracks."""

from __future__ import annotations

import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from exporters import put_json, put_png

from edgeseg.arrays import Uint8
from edgeseg.data.importing.run import import_set
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError
from edgeseg.image import write_image

COLOURS = np.array([[10, 20, 30], [200, 0, 0], [0, 180, 90]], np.uint8)


def painted(seed: int = 0) -> tuple[Uint8, Uint8]:
    """An image 48x64 and its ids: three classes in large pieces."""
    coarse = np.random.default_rng(seed).integers(0, 3, (3, 4)).astype(np.uint8)
    coarse.flat[:3] = 0, 1, 2
    ids = coarse.repeat(16, 0).repeat(16, 1)
    return COLOURS[ids][..., ::-1].copy(), ids


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Five images and coloured masks."""
    root = tmp_path / "export"
    for seed in range(5):
        image, ids = painted(seed)
        write_image(root / f"images/{seed}.png", np.roll(image, seed, 2))
        put_png(root / f"masks/{seed}.png", COLOURS[ids])
    put_json(root / "labels.json", {"names": ["ground", "roof", "tree"], "colors": COLOURS.tolist()})
    return root


# === Archives ===


def zipped(root: Path, file: Path, extra: dict[str, bytes] | None = None) -> Path:
    with zipfile.ZipFile(file, "w") as archive:
        for path in sorted(p for p in root.rglob("*") if p.is_file()):
            archive.write(path, f"inner/{path.relative_to(root).as_posix()}")
        for name, content in (extra or {}).items():
            archive.writestr(name, content)
    return file


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_is_read_as_its_folder(kind: str, export: Path, tmp_path: Path) -> None:
    file = tmp_path / f"export.{kind}"
    if kind == "zip":
        zipped(export, file, {"__MACOSX/._0.png": b"x"})
    else:
        with tarfile.open(file, f"w:{kind.partition('.')[2]}") as tar:
            tar.add(export, "inner")
    done = import_set(file, tmp_path / "out")
    import_set(export, tmp_path / "plain")
    assert (done.format, done.images) == ("masks", 5)
    for split, count in done.splits.items():
        assert len(open_dataset(tmp_path / "out", split)) == count
    for path in (tmp_path / "plain/labels").rglob("*.png"):
        assert (tmp_path / "out" / path.relative_to(tmp_path / "plain")).read_bytes() == path.read_bytes()
    origin = json.loads((tmp_path / "out/import.json").read_text())["pictures"][0]["from"]
    assert origin.startswith(f"{file}/images/")


def test_nothing_leaves_an_archive(export: Path, tmp_path: Path) -> None:
    outside = {"../stolen.txt": b"x", "/tmp/edgeseg-stolen.txt": b"x"}
    import_set(zipped(export, tmp_path / "a.zip", outside), tmp_path / "out")
    assert not list(tmp_path.rglob("*stolen*"))
    with tarfile.open(tmp_path / "b.tar", "w") as tar:
        tar.add(export, "inner")
        link = tarfile.TarInfo("inner/images/9.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    assert import_set(tmp_path / "b.tar", tmp_path / "out2").images == 5


def test_a_damaged_archive_is_told_in_a_line(export: Path, tmp_path: Path, cli: Any) -> None:
    whole = zipped(export, tmp_path / "a.zip").read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    told = cli("data", "import", tmp_path / "cut.zip", tmp_path / "out").error
    assert "cut.zip cannot be unpacked" in told
    (tmp_path / "empty.zip").write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(DataError, match=r"empty\.zip is in no format that is known; it holds no file"):
        import_set(tmp_path / "empty.zip", tmp_path / "out")
    assert not (tmp_path / "out").exists()


# === Masks that are not clear ===


def shrunk(mask: Uint8) -> Uint8:
    """A mask drawn twice as large and made smaller as photo tools do it: edges a pixel beside the grid."""
    large = np.roll(mask.repeat(2, 0).repeat(2, 1), 1, (0, 1))
    return cv2.resize(large, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_AREA).astype(np.uint8)


def test_mixed_colours_at_edges_take_the_nearest_class(export: Path, tmp_path: Path) -> None:
    for seed in range(5):
        put_png(export / f"masks/{seed}.png", shrunk(COLOURS[painted(seed)[1]]))
    with pytest.raises(DataError, match="takes masks with soft edges"):
        list(open_dataset(export, "all"))
    done = import_set(export, tmp_path / "out")
    assert done.images == 5
    assert any("5 masks have unclear colours: such pixels took the nearest class" in line for line in done.warnings)
    for split in done.splits:
        dataset = open_dataset(tmp_path / "out", split)
        for path, (_, ids) in zip(dataset.images, dataset, strict=True):
            truth = painted(int(path.stem))[1]
            assert np.mean(ids == truth) > 0.93
            assert (ids == truth)[4:12, 4:12].all()


def test_colours_that_jpeg_shifted_are_known_again(export: Path, tmp_path: Path) -> None:
    for seed in range(5):
        shifted = COLOURS[painted(seed)[1]].astype(int) + np.random.default_rng(seed).integers(-6, 7, (48, 64, 3))
        put_png(export / f"masks/{seed}.png", shifted.clip(0, 255).astype(np.uint8))
    done = import_set(export, tmp_path / "out")
    for split in done.splits:
        dataset = open_dataset(tmp_path / "out", split)
        for path, (_, ids) in zip(dataset.images, dataset, strict=True):
            assert (ids == painted(int(path.stem))[1]).all()


def test_black_and_white_with_soft_edges_are_two_classes(tmp_path: Path) -> None:
    root, discs = tmp_path / "export", {}
    for seed in range(5):
        discs[seed] = cv2.circle(np.zeros((96, 128), np.uint8), (40 + 9 * seed, 48), 25, 1, -1)
        write_image(root / f"{seed}.png", cv2.resize(np.roll(painted(seed)[0], seed, 2), (128, 96)))
        put_png(root / f"{seed}_mask.png", cv2.GaussianBlur(discs[seed] * 255, (5, 5), 0))
    done = import_set(root, tmp_path / "out")
    assert list(done.classes) == ["background", "foreground"]
    dataset = open_dataset(tmp_path / "out", "train")
    for path, (_, ids) in zip(dataset.images, dataset, strict=True):
        assert np.mean(ids == discs[int(path.stem)]) > 0.985


def test_a_class_that_the_table_lacks_is_no_soft_edge(export: Path, tmp_path: Path) -> None:
    put_json(export / "labels.json", {"names": ["ground", "roof"], "colors": COLOURS[:2].tolist()})
    with pytest.raises(DataError, match=r"none of 5 images can be used: its mask holds \[0, 180, 90\]"):
        import_set(export, tmp_path / "out")


# === Video ===


def test_tracks_of_a_video_are_drawn_frame_by_frame(tmp_path: Path) -> None:
    root = tmp_path / "video"
    for number in range(3):
        write_image(root / f"images/frame_{number:06d}.PNG", painted(number)[0])
    track = "".join(
        f'<box frame="{n}" outside="{int(n == 2)}" keyframe="{int(n == 0)}" xtl="{n}" ytl="2" xbr="{n + 4}" ybr="6"/>'
        for n in range(3)
    )
    still = '<polygon frame="2" outside="0" points="10,10;20,10;20,20;10,20" z_order="1"/>'
    root.joinpath("annotations.xml").write_text(
        "<annotations><meta><task><original_size><width>64</width><height>48</height></original_size></task></meta>"
        f'<track id="0" label="car">{track}</track><track id="1" label="tree">{still}</track></annotations>'
    )
    done = import_set(root, tmp_path / "out", format="cvat")
    assert (done.format, done.images) == ("cvat", 3)
    assert done.classes["car"] == {"pixels": 2 * 16, "pictures": 2}
    assert done.classes["tree"] == {"pixels": 100, "pictures": 1}
    names = open_dataset(tmp_path / "out", "train").labels.names
    frames = {p.stem: cv2.imread(str(p), 0) for p in (tmp_path / "out/labels").rglob("*.png")}
    assert (frames["frame_000001"][2:6, 1:5] == names.index("car")).all()
    assert (frames["frame_000002"] != names.index("car")).all()


def test_a_video_without_its_images_says_so(tmp_path: Path) -> None:
    write_image(tmp_path / "video/images/other.png", painted()[0])
    (tmp_path / "video/annotations.xml").write_text(
        '<annotations><track label="car"><box frame="7" xtl="1" ytl="1" xbr="4" ybr="4"/></track></annotations>'
    )
    with pytest.raises(DataError, match=r"named in the annotations, but not there, such as 'frame_000007'"):
        import_set(tmp_path / "video", tmp_path / "out", format="cvat")
