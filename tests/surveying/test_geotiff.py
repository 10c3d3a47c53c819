"""GeoTIFFs in, GeoTIFFs out: where they lie, what has no data, bands and values of all kinds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from painting import TINY_LABELS, make_photo, make_photo_labels
from tiny_models import COLORS_BGR, colour_model

rasterio = pytest.importorskip("rasterio")
from georeferenced import PIXEL, UTM, write_geotiff  # noqa: E402

import edgeseg  # noqa: E402
from edgeseg.errors import DataError, MissingExtraError, UsageError  # noqa: E402

HEIGHT, WIDTH = 150, 210


@pytest.fixture
def ortho(tmp_path: Path) -> Path:
    return write_geotiff(tmp_path / "ortho.tif", make_photo(HEIGHT, WIDTH))


@pytest.fixture
def exact(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A network that tells colours pixel by pixel, and a label map to paint for it."""
    (tmp_path / "exact.tflite").write_bytes(colour_model(32, 48))
    truth = np.random.default_rng(3).integers(0, 4, (90, 130)).astype(np.uint8)
    return tmp_path / "exact.tflite", truth


def read_labels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


def test_the_label_map_lies_where_the_image_lies(ortho: Path, tmp_path: Path, tiny_model: Path) -> None:
    edgeseg.survey(ortho, tmp_path / "out", tiny_model)
    with rasterio.open(ortho) as before, rasterio.open(tmp_path / "out/ortho_labels.tif") as after:
        assert (after.crs, after.transform, after.shape) == (before.crs, before.transform, before.shape)
        assert (after.nodata, after.dtypes, after.profile["tiled"]) == (255, ("uint8",), True)
        assert after.profile["compress"] == "deflate"
        assert [after.colormap(1)[i][:3] for i in range(3)] == list(TINY_LABELS.colors)
        assert [after.tags(1)[f"CLASS_{i}"] for i in range(3)] == list(TINY_LABELS.names)
        assert (after.read(1) == make_photo_labels(HEIGHT, WIDTH)).mean() > 0.97


def test_areas_of_a_painted_map_are_right(tmp_path: Path, exact) -> None:
    model, truth = exact
    source = write_geotiff(tmp_path / "painted.tif", COLORS_BGR[truth])
    found = edgeseg.survey(source, tmp_path / "out", model)
    assert (read_labels(tmp_path / "out/painted_labels.tif") == truth).all()
    expected = [float((truth == i).sum() * PIXEL**2) for i in range(4)]
    assert list(found.areas.values()) == pytest.approx(expected, rel=1e-9)
    assert found.images[0].measured == "in the plane of the map"


def test_feet_and_degrees_become_square_metres(tmp_path: Path, exact) -> None:
    model, truth = exact
    feet = write_geotiff(tmp_path / "feet.tif", COLORS_BGR[truth], crs="EPSG:2263", pixel=1.0, corner=(1e6, 2e5))
    degrees = write_geotiff(tmp_path / "degrees.tif", COLORS_BGR[truth], crs="EPSG:4326", pixel=1e-6, corner=(11, 48))
    web = write_geotiff(tmp_path / "web.tif", COLORS_BGR[truth], crs="EPSG:3857", pixel=0.1, corner=(1224514, 6106855))
    found = edgeseg.survey([feet, degrees, web], tmp_path / "out", model)
    total = [sum(image.areas.values()) / truth.size for image in found.images]
    assert total[0] == pytest.approx((1200 / 3937) ** 2, rel=1e-6)  # the US survey foot
    assert total[2] == pytest.approx(0.1**2 * 0.448, rel=5e-3)  # cos(48 degrees) squared
    assert total[1] == pytest.approx(111_178.9e-6 * 74_625.4e-6, rel=1e-3)  # metres of a degree at 48 degrees north


def test_pixels_without_data_stay_without(tmp_path: Path, tiny_model: Path) -> None:
    image = make_photo(HEIGHT, WIDTH)
    image[:60, 100:] = 0
    found = edgeseg.survey(write_geotiff(tmp_path / "a.tif", image, nodata=0), tmp_path / "out", tiny_model)
    expected = (image == 0).all(axis=2)
    assert ((read_labels(tmp_path / "out/a_labels.tif") == 255) == expected).all()
    assert found.images[0].no_data == expected.sum()
    assert sum(found.pixels.values()) == (~expected).sum()


def test_what_is_transparent_has_no_data(tmp_path: Path, tiny_model: Path) -> None:
    alpha = np.full((1, HEIGHT, WIDTH), 255, np.uint8)
    alpha[:, :, :50] = 0
    bands = np.concatenate([np.moveaxis(make_photo(HEIGHT, WIDTH)[:, :, ::-1], 2, 0), alpha])
    found = edgeseg.survey(
        write_geotiff(tmp_path / "a.tif", bands, photometric="rgb", alpha="yes"), tmp_path / "out", tiny_model
    )
    assert ((read_labels(tmp_path / "out/a_labels.tif") == 255) == (alpha[0] == 0)).all()
    assert found.images[0].no_data == 50 * HEIGHT


def test_a_part_of_a_mosaic_gives_what_the_mosaic_gives(tmp_path: Path, tiny_model: Path) -> None:
    image = np.tile(make_photo(48, 64), (7, 7, 1))
    whole = write_geotiff(tmp_path / "whole.tif", image)
    corner = (500000 + 21 * PIXEL, 5300000 - 13 * PIXEL)
    part = write_geotiff(tmp_path / "part.tif", image[13:, 21:], corner=corner)
    edgeseg.survey([whole, part], tmp_path / "out", tiny_model)
    maps = [read_labels(tmp_path / f"out/{name}_labels.tif") for name in ("whole", "part")]
    assert (maps[0][13:, 21:][48:-48, 64:-64] == maps[1][48:-48, 64:-64]).all()


def test_a_scale_by_metres(tmp_path: Path, tiny_model: Path) -> None:
    """Drawn at three times the size, seen at a third of it: the same image."""
    large = np.repeat(np.repeat(make_photo(48, 64), 3, 0), 3, 1)
    source = write_geotiff(tmp_path / "a.tif", large, corner=(1200 * PIXEL, 2400 * PIXEL))
    options = edgeseg.SurveyOptions(resolution=3 * PIXEL)
    found = edgeseg.survey(source, tmp_path / "out", tiny_model, options=options)
    assert found.images[0].scale == pytest.approx(3)
    expected = edgeseg.Segmenter(tiny_model).segment(large)
    assert (read_labels(tmp_path / "out/a_labels.tif") == expected).all()


def test_bands_of_other_types_and_orders(tmp_path: Path, exact) -> None:
    model, truth = exact
    rgb = np.moveaxis(COLORS_BGR[truth][:, :, ::-1], 2, 0)
    bands = np.stack([rgb[2], np.zeros_like(rgb[0]), rgb[1], rgb[0]]).astype(np.float32) * 10 + 100
    source = write_geotiff(tmp_path / "a.tif", bands)
    with pytest.raises(UsageError, match=r"holds float32: say what becomes 0 and 255, such as --range 0,3000"):
        edgeseg.survey(source, tmp_path / "out", model)
    options = edgeseg.SurveyOptions(bands=(4, 3, 1), value_range=(100, 2650))
    edgeseg.survey(source, tmp_path / "other", model, options=options)
    assert (read_labels(tmp_path / "other/a_labels.tif") == truth).all()


def test_a_grey_one_is_a_image_too(tmp_path: Path, tiny_model: Path) -> None:
    grey = make_photo(HEIGHT, WIDTH)[:, :, :1]
    source = write_geotiff(tmp_path / "a.tif", np.moveaxis(grey, 2, 0))
    edgeseg.survey(source, tmp_path / "out", tiny_model, options=edgeseg.SurveyOptions(overlay=True))
    assert read_labels(tmp_path / "out/a_labels.tif").shape == (HEIGHT, WIDTH)
    with rasterio.open(tmp_path / "out/a_overlay.tif") as overlay:
        assert (overlay.shape, overlay.count, overlay.crs.to_string()) == ((HEIGHT, WIDTH), 3, UTM)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bands": (1, 2, 7)}, r"has 3 bands, 1, 2, 7 asked for: expected 1 or 3 of them"),
        ({"bands": (1, 2)}, r"expected 1 or 3 of them"),
        ({"gsd": 0.1}, r"has a coordinate system.*leave out --gsd"),
    ],
)
def test_options_that_do_not_fit_it(ortho: Path, tmp_path: Path, tiny_model: Path, options, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        edgeseg.survey(ortho, tmp_path / "out", tiny_model, options=edgeseg.SurveyOptions(**options))
    edgeseg.survey(ortho, tmp_path / "out", tiny_model)  # nothing was made with the others: it is no other survey


def test_a_cut_off_file_leaves_nothing_half_written(ortho: Path, tmp_path: Path, tiny_model: Path) -> None:
    ortho.write_bytes(ortho.read_bytes()[:60000])
    with pytest.raises(DataError, match=r"cannot read rows .* of .*ortho.tif"):
        edgeseg.survey(ortho, tmp_path / "out", tiny_model)
    assert not list((tmp_path / "out").glob("*ortho*"))


def test_without_rasterio_it_says_what_to_install(
    ortho: Path, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "rasterio", None)
    monkeypatch.delitem(__import__("sys").modules, "edgeseg.surveying.geotiff", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r'ortho.tif needs rasterio, .* pip install "edgeseg\[geo\]"'):
        edgeseg.survey(ortho, tmp_path / "out", tiny_model)
    plain = write_plain(tmp_path / "plain.tif")
    edgeseg.survey(plain, tmp_path / "plain", tiny_model)
    assert (tmp_path / "plain/plain_labels.png").is_file()


def write_plain(path: Path) -> Path:
    edgeseg.write_image(path, make_photo(48, 64))
    return path


# === Polygons ===


def test_polygons_cover_the_label_map(ortho: Path, tmp_path: Path, tiny_model: Path) -> None:
    options = edgeseg.SurveyOptions(polygons=True)
    found = edgeseg.survey(ortho, tmp_path / "out", tiny_model, options=options)
    collection = json.loads((tmp_path / "out/ortho.geojson").read_text())
    features = collection["features"]
    assert len(features) == found.images[0].polygons > 3
    for name, area in found.areas.items():
        mine = [f["properties"]["square_metres"] for f in features if f["properties"]["class"] == name]
        assert sum(mine) == pytest.approx(area, abs=1e-4 * len(mine))
    longitude, latitude = features[0]["geometry"]["coordinates"][0][0]
    assert (longitude, latitude) == pytest.approx((9.0, 47.85), abs=0.01)  # UTM 32's middle


def test_polygons_of_a_image_are_in_pixels_and_small_ones_stay_out(tmp_path: Path, exact) -> None:
    model, _ = exact
    truth = np.zeros((64, 96), np.uint8)
    truth[10:20, 10:30], truth[12:14, 12:15], truth[40, 50] = 1, 2, 3
    edgeseg.write_image(tmp_path / "a.png", COLORS_BGR[truth])
    options = edgeseg.SurveyOptions(polygons=True, min_area=6)
    edgeseg.survey(tmp_path / "a.png", tmp_path / "out", model, options=options)
    features = json.loads((tmp_path / "out/a.geojson").read_text())["features"]
    areas = {f["properties"]["class"]: f["properties"]["pixels"] for f in features}
    assert areas == {"class_0": 64 * 96 - 201, "class_1": 194, "class_2": 6}
    ring, hole = next(f for f in features if f["properties"]["class"] == "class_1")["geometry"]["coordinates"]
    assert sorted(map(tuple, ring[:-1])) == [(10, 10), (10, 20), (30, 10), (30, 20)]
    assert (turning(ring), turning(hole)) == (1, -1)  # RFC 7946, 3.1.6


def turning(ring: list[list[float]]) -> float:
    x, y = np.array(ring).T
    return float(np.sign(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1])))
