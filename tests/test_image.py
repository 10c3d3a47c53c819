"""The one preprocessing path: reading, resizing, normalising, painting."""

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from painting import make_photo
from PIL import Image

from edgeseg.card import InputSpec, LabelSet
from edgeseg.errors import DataError, OutputError, UsageError
from edgeseg.image import (
    colorize,
    content_size,
    fit,
    normalise,
    palette,
    read_image,
    read_label_map,
    resize_label_map,
    write_image,
)

# === Reading images ===


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".ppm"])
def test_a_image_is_read_as_it_was_written(tmp_path: Path, photo, suffix: str) -> None:
    write_image(tmp_path / f"photo{suffix}", photo)
    assert np.array_equal(read_image(tmp_path / f"photo{suffix}"), photo)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_a_lossy_image_is_read_nearly_as_it_was_written(tmp_path: Path, photo, suffix: str) -> None:
    write_image(tmp_path / f"photo{suffix}", photo)
    assert np.abs(read_image(tmp_path / f"photo{suffix}").astype(int) - photo).mean() < 6


def test_channels_are_blue_green_red(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2), (255, 0, 10)).save(tmp_path / "red.png")
    assert read_image(tmp_path / "red.png")[0, 0].tolist() == [10, 0, 255]


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    Image.new("L", (3, 2), 77).save(tmp_path / "grey.png")
    assert read_image(tmp_path / "grey.png").tolist() == [[[77] * 3] * 3] * 2


def test_transparency_is_dropped(tmp_path: Path) -> None:
    Image.new("RGBA", (3, 2), (255, 0, 10, 40)).save(tmp_path / "see_through.png")
    assert read_image(tmp_path / "see_through.png")[0, 0].tolist() == [10, 0, 255]


def test_a_palette_image_gives_its_colours(tmp_path: Path) -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    image.save(tmp_path / "palette.png")
    assert read_image(tmp_path / "palette.png")[0, 0].tolist() == [50, 100, 200]


def test_of_16_bits_the_upper_8_are_taken(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), np.full((2, 3), 0xAB12, np.uint16))
    assert read_image(tmp_path / "deep.png").tolist() == [[[0xAB] * 3] * 3] * 2


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    upright = np.zeros((16, 32, 3), np.uint8)
    upright[:, 16:] = 255  # the right half is white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    Image.fromarray(upright).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    turned = read_image(tmp_path / "turned.jpg")
    assert turned.shape == (32, 16, 3)
    assert turned[:14].max() < 30
    assert turned[18:].min() > 225


def encoded(suffix: str) -> bytes:
    return cv2.imencode(suffix, make_photo(60, 80))[1].tobytes()


def test_what_is_no_image_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read image .*absent\.png: No such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(DataError, match="Is a directory"):
        read_image(tmp_path)
    for content in (b"", b"text, not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", bytes(4000)):
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(DataError, match=r"x\.png is not an image that can be read \(\d+ bytes\)"):
            read_image(tmp_path / "x.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp", ".ppm"])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.99])
def test_a_cut_off_image_is_refused(tmp_path: Path, suffix: str, part: float) -> None:
    """Some decoders would paint the missing rows grey and say nothing."""
    content = encoded(suffix)
    (tmp_path / f"cut{suffix}").write_bytes(content[: int(len(content) * part)])
    with pytest.raises(DataError):
        read_image(tmp_path / f"cut{suffix}")


def test_a_cut_off_jpeg_with_a_whole_thumbnail_is_refused(tmp_path: Path) -> None:
    whole, thumbnail = encoded(".jpg"), encoded(".jpg")
    comment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    with_thumbnail = whole[:2] + comment + whole[2:]
    (tmp_path / "whole.jpg").write_bytes(with_thumbnail)
    assert read_image(tmp_path / "whole.jpg").shape == (60, 80, 3)
    (tmp_path / "cut.jpg").write_bytes(with_thumbnail[:-200])
    with pytest.raises(DataError):
        read_image(tmp_path / "cut.jpg")


@given(index=st.integers(0, len(encoded(".png")) - 1), change=st.integers(1, 255))
def test_a_damaged_png_is_refused(tmp_path_factory, index: int, change: int) -> None:
    content = bytearray(encoded(".png"))
    content[index] ^= change
    path = tmp_path_factory.mktemp("png") / "damaged.png"
    path.write_bytes(content)
    with pytest.raises(DataError):
        read_image(path)


def test_bytes_after_the_end_are_no_damage(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png"):
        (tmp_path / f"more{suffix}").write_bytes(encoded(suffix) + b"\0" * 50)
        assert read_image(tmp_path / f"more{suffix}").shape == (60, 80, 3)


# === Label maps ===

IDS = np.array([[0, 1, 2], [7, 254, 255]], np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".pgm", ".tif"])
def test_a_label_map_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    write_image(tmp_path / f"ids{suffix}", IDS)
    assert np.array_equal(read_label_map(tmp_path / f"ids{suffix}"), IDS)


def test_a_palette_label_map_gives_its_indices(tmp_path: Path) -> None:
    image = Image.fromarray(IDS, mode="L").convert("P")
    image.putdata(IDS.ravel().tolist())
    image.putpalette([value for i in range(256) for value in ((i * 37) % 256, 0, 255 - i)])
    image.save(tmp_path / "voc.png")
    assert np.array_equal(read_label_map(tmp_path / "voc.png"), IDS)


def test_a_16_bit_label_map_within_8_bits_is_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "deep.png"), IDS.astype(np.uint16))
    assert np.array_equal(read_label_map(tmp_path / "deep.png"), IDS)
    cv2.imwrite(str(tmp_path / "deep.png"), IDS.astype(np.uint16) + 1)
    with pytest.raises(DataError, match="holds ids up to 256: expected 0-255"):
        read_label_map(tmp_path / "deep.png")


def test_a_one_bit_label_map_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255], [255, 0]], np.uint8)).convert("1").save(tmp_path / "bits.png")
    assert read_label_map(tmp_path / "bits.png").tolist() == [[0, 1], [1, 0]]


def test_what_is_no_label_map_is_told(tmp_path: Path, photo) -> None:
    write_image(tmp_path / "photo.png", photo)
    with pytest.raises(DataError, match=r"holds colours \(mode RGB\): expected one channel of class ids"):
        read_label_map(tmp_path / "photo.png")
    with pytest.raises(DataError, match="no such file"):
        read_label_map(tmp_path / "absent.png")
    with pytest.raises(DataError, match="Is a directory"):
        read_label_map(tmp_path)
    packed = io.BytesIO()
    Image.fromarray(np.tile(IDS, (40, 40))).save(packed, "PNG")
    for content in (b"", b"no image", packed.getvalue()[:60], packed.getvalue()[:-30]):
        (tmp_path / "x.png").write_bytes(content)
        with pytest.raises(DataError, match="is not a label map that can be read"):
            read_label_map(tmp_path / "x.png")


# === Writing ===


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_a_label_map_is_not_written_where_its_ids_would_change(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(OutputError, match=f"{suffix} would change its ids; use .png"):
        write_image(tmp_path / f"ids{suffix}", IDS)
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_written_is_told(tmp_path: Path, photo) -> None:
    with pytest.raises(OutputError, match=r"expected a name that ends in \.png or \.jpg"):
        write_image(tmp_path / "photo.txt", photo)
    with pytest.raises(OutputError, match=r"no image is float64 of shape \(2, 3, 7\)"):
        write_image(tmp_path / "photo.png", np.zeros((2, 3, 7)))
    assert not list(tmp_path.iterdir())


# === Fitting to a network's input ===


def test_a_image_of_the_right_size_only_changes_its_channel_order(photo) -> None:
    assert np.array_equal(fit(photo, InputSpec(height=48, width=64)), photo[:, :, ::-1])


def test_stretch_fills_the_input(photo) -> None:
    rgb = fit(photo, InputSpec(height=30, width=20))
    expected = cv2.resize(photo, (20, 30), interpolation=cv2.INTER_LINEAR)[:, :, ::-1]
    assert np.array_equal(rgb, expected)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ((48, 64), (48, 64)),  # the same aspect ratio
        ((64, 48), (48, 36)),  # higher: columns are padded
        ((48, 128), (24, 64)),  # wider: rows are padded
        ((1, 1000), (1, 64)),  # never less than a pixel
        ((1080, 1920), (36, 64)),
    ],
)
def test_letterbox_keeps_the_aspect_ratio(source, expected) -> None:
    spec = InputSpec(height=48, width=64, mean=100.0, resize="letterbox")
    assert content_size(*source, spec) == expected
    image = np.full((*source, 3), 255, np.uint8)
    rgb = fit(image, spec)
    assert (rgb[: expected[0], : expected[1]] == 255).all()
    assert (rgb[expected[0] :] == 100).all()
    assert (rgb[:, expected[1] :] == 100).all()


def test_padding_is_what_normalises_to_zero() -> None:
    spec = InputSpec(height=8, width=8, resize="letterbox")
    assert not normalise(fit(np.full((4, 8, 3), 255, np.uint8), spec), spec)[4:].any()


@pytest.mark.parametrize(("mean", "padding"), [(-20.0, 0), (300.0, 255), (127.5, 128)])
def test_padding_is_a_pixel_value_whatever_the_mean(mean: float, padding: int) -> None:
    spec = InputSpec(height=8, width=8, mean=mean, resize="letterbox")
    assert (fit(np.zeros((4, 8, 3), np.uint8), spec)[4:] == padding).all()


@given(
    height=st.integers(1, 900),
    width=st.integers(1, 900),
    rows=st.integers(1, 300),
    columns=st.integers(1, 300),
)
def test_content_fits_and_touches_an_edge(height: int, width: int, rows: int, columns: int) -> None:
    spec = InputSpec(height=rows, width=columns, resize="letterbox")
    content = content_size(height, width, spec)
    assert 1 <= content[0] <= rows
    assert 1 <= content[1] <= columns
    assert content[0] == rows or content[1] == columns
    scale = min(rows / height, columns / width)
    assert abs(content[0] - height * scale) <= 1
    assert abs(content[1] - width * scale) <= 1


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
@pytest.mark.parametrize("size", [(240, 320), (320, 240), (100, 500)])
def test_a_label_map_finds_its_way_back(resize, size) -> None:
    """What is drawn in a frame is, after fit and the way back, where it was: the content is cropped and resized."""
    image = np.zeros((*size, 3), np.uint8)
    image[size[0] // 4 : size[0] // 2, size[1] // 2 : size[1] * 3 // 4] = 255
    spec = InputSpec(height=96, width=128, resize=resize)
    label_map = (fit(image, spec)[:, :, 0] > 127).astype(np.uint8)
    rows, columns = content_size(*size, spec)
    back = resize_label_map(np.ascontiguousarray(label_map[:rows, :columns]), *size)
    assert back.shape == size
    assert (back == (image[:, :, 0] > 127)).mean() > 0.985


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_the_result_goes_where_it_is_wanted(photo, resize) -> None:
    spec = InputSpec(height=30, width=20, resize=resize)
    tensor = np.full((1, 30, 20, 3), 9, np.uint8)
    assert fit(photo, spec, out=tensor[0]) is not None
    assert np.array_equal(tensor[0], fit(photo, spec))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((20, 30, 3), np.uint8),
        np.zeros((30, 20, 3), np.int8),
        np.zeros((30, 20, 4), np.uint8)[:, :, :3],
        np.zeros((30, 20, 3), np.uint8)[:, ::-1],
        np.zeros((30, 40, 3), np.uint8)[:, :20],
    ],
    ids=["size", "type", "channels", "mirrored", "columns"],
)
def test_a_place_that_cannot_take_the_result_is_refused(photo, out) -> None:
    """OpenCV would put it elsewhere and leave the network with its last frame."""
    with pytest.raises(UsageError, match="expected contiguous uint8 30x20x3"):
        fit(photo, InputSpec(height=30, width=20), out=out)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_frame_that_is_a_view_is_fitted_as_its_copy(photo, resize) -> None:
    spec = InputSpec(height=30, width=20, resize=resize)
    for view in (photo[:, ::-1], photo[5:40, 8:60], photo[::2, ::2]):
        assert np.array_equal(fit(view, spec), fit(view.copy(), spec))


# === Channels ===

GREY = {"order": "grey", "channels": 1}


def test_a_blue_first_input_only_resizes(photo) -> None:
    fitted = fit(photo, InputSpec(height=30, width=20, order="bgr"))
    assert np.array_equal(fitted, cv2.resize(photo, (20, 30), interpolation=cv2.INTER_LINEAR))
    assert np.array_equal(fit(photo, InputSpec(height=48, width=64, order="bgr")), photo)


@pytest.mark.parametrize("size", [(48, 64), (30, 20)])
@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_grey_input_takes_colour_and_grey_alike(photo, size, resize) -> None:
    spec = InputSpec(height=size[0], width=size[1], resize=resize, **GREY)
    grey = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    out = np.empty((*size, 1), np.uint8)
    assert fit(grey, spec, out=out).base is out or fit(grey, spec, out=out) is out
    assert np.array_equal(out, fit(grey[:, :, None], spec))
    assert np.array_equal(out, fit(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR), spec))
    coloured = np.empty_like(out)
    fit(photo, spec, out=coloured)
    assert np.abs(coloured.astype(int) - out).max() <= 2  # resized before or after


def test_any_number_of_channels_goes_in_as_it_is(photo) -> None:
    many = np.dstack([photo, photo, photo[:, :, :1]])
    spec = InputSpec(height=48, width=64, order="as_is", channels=7, mean=tuple(range(7)), resize="letterbox")
    assert np.array_equal(fit(many, spec), many)
    assert fit(many[:20], spec)[-1, -1].tolist() == list(range(7))
    assert np.array_equal(fit(many[:20], spec)[:20], many[:20])


@pytest.mark.parametrize("order", ["rgb", "bgr", "grey"])
@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6, 3), np.float32),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros(4, np.uint8),
    ],
    ids=["four channels", "float", "empty", "a line"],
)
def test_a_image_that_the_network_cannot_take_is_refused(order, frame) -> None:
    spec = InputSpec(height=4, width=6, order=order, channels=1 if order == "grey" else 3)
    with pytest.raises(UsageError, match=r"image is .*: expected \(height, width, 3\)"):
        fit(frame, spec)


def test_a_colour_input_takes_no_grey_image() -> None:
    with pytest.raises(UsageError, match=r"image is uint8 of shape \(4, 6\): expected \(height, width, 3\) uint8"):
        fit(np.zeros((4, 6), np.uint8), InputSpec(height=4, width=6))


@pytest.mark.parametrize("order", ["rgb", "as_is"])
def test_each_channel_is_normalised_by_its_own(photo, order) -> None:
    spec = InputSpec(height=48, width=64, order=order, mean=(10.0, 20.0, 30.5), std=(2.0, 50.0, 7.0))
    expected = ((photo - np.array(spec.means)) / np.array(spec.stds)).astype(np.float32)
    out = np.empty(photo.shape, np.float32)
    assert normalise(photo, spec, out) is out
    assert out == pytest.approx(expected, abs=1e-5)
    strided = np.empty((48, 128, 3), np.float32)[:, ::2]
    for values in (
        normalise(photo, spec), normalise(photo[None], spec)[0], normalise(photo.astype(float), spec),
        normalise(photo, spec, strided),
    ):  # fmt: skip
        assert np.array_equal(values, out)
    assert np.array_equal(strided, out)


def test_the_frame_is_left_as_it_was(photo) -> None:
    before = photo.copy()
    fit(photo, InputSpec(height=48, width=64))
    fit(photo, InputSpec(height=30, width=20, resize="letterbox"))
    assert np.array_equal(photo, before)


# === Normalising and painting ===


def test_normalise() -> None:
    spec = InputSpec(height=1, width=1, mean=128.0, std=128.0)
    values = normalise(np.array([0, 128, 255], np.uint8), spec)
    assert values.dtype == np.float32
    assert values.tolist() == [-1.0, 0.0, 127 / 128]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float32, np.float64])
def test_normalise_takes_any_number(dtype) -> None:
    values = normalise(np.array([[0, 51]], dtype), InputSpec(height=1, width=1, mean=0.0, std=255.0))
    assert values == pytest.approx(np.array([[0.0, 0.2]]))


def test_resizing_a_label_map_samples_pixel_centres() -> None:
    doubled = resize_label_map(IDS, 4, 6)
    assert np.array_equal(doubled, IDS.repeat(2, 0).repeat(2, 1))
    assert np.array_equal(resize_label_map(doubled, 2, 3), IDS)
    thrice = np.arange(9, dtype=np.uint8)[None]
    assert resize_label_map(thrice, 1, 3).tolist() == [[1, 4, 7]]


def test_colours_are_those_of_the_label_set() -> None:
    labels = LabelSet(names=("a", "b"), colors=((255, 0, 1), (0, 20, 30)))
    assert palette(labels)[:3].tolist() == [[1, 0, 255], [30, 20, 0], [0, 0, 0]]
    assert colorize(np.array([[1, 255]], np.uint8), labels).tolist() == [[[30, 20, 0], [0, 0, 0]]]
