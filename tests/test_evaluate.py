"""What an evaluation tells: by class, by image, how sure it is, and of networks whose classes are others."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeseg.arrays import Uint8
from edgeseg.card import LabelSet
from edgeseg.card_file import read_model, write_model
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.files import write_json
from edgeseg.image import read_image, write_image
from edgeseg.metrics import CalibrationError, class_iou, confusion_matrix, miou
from edgeseg.scoring.class_map import UNKNOWN, make_class_map
from edgeseg.scoring.evaluate import Segment, evaluate
from edgeseg.scoring.intervals import difference_interval, miou_interval

NAMES = ("road", "tree", "car")
SIZE = (24, 32)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Twelve label maps of random blocks; the images hold the ids, so that a function can "see" them."""
    root, random = tmp_path_factory.mktemp("blocks"), np.random.default_rng(0)
    for number in range(12):
        ids = np.kron(random.integers(0, 3, (6, 8)), np.ones((4, 4))).astype(np.uint8)
        write_image(root / f"images/val/{number:02}.png", np.dstack([ids] * 3))
        write_image(root / f"labels/val/{number:02}.png", ids)
    write_json(root / "labels.json", {"names": list(NAMES)})
    return open_dataset(root, "val")


def seen(image: Uint8, height: int, width: int) -> Uint8:
    return image[:, :, 0].copy()


def wrong_in(share: float) -> Segment:
    """A network that takes road for tree in so many of the rows."""

    def segment(image: Uint8, height: int, width: int) -> Uint8:
        ids = seen(image, height, width)
        rows = ids[: round(share * height)]
        rows[rows == 0] = 1
        return ids

    return segment


def test_scores_of_images_and_of_all_come_from_the_same_counts(dataset: Dataset) -> None:
    found = evaluate(wrong_in(0.5), dataset)
    assert found.per_image is not None
    assert found.confusion is not None
    maps = [(dataset.load(n)[1], wrong_in(0.5)(dataset.load(n)[0], *SIZE)) for n in range(12)]
    matrices = [confusion_matrix(truth, predicted, 3) for truth, predicted in maps]
    np.testing.assert_array_equal(found.confusion, sum(matrices))
    np.testing.assert_allclose(found.per_image.miou, [miou(matrix) for matrix in matrices])
    np.testing.assert_allclose(found.per_image.class_iou, [class_iou(matrix) for matrix in matrices])
    np.testing.assert_allclose(found.per_image.pixel_accuracy, [np.trace(m) / m.sum() for m in matrices])
    assert found.per_image.names == tuple(f"{number:02}.png" for number in range(12))
    iou = np.array(list(found.class_iou.values()))
    np.testing.assert_allclose(list(found.class_dice.values()), 2 * iou / (1 + iou))


def test_what_is_watched_is_what_is_scored(dataset: Dataset) -> None:
    watched: list[int] = []

    def watch(index: int, image: Uint8, truth: Uint8, predicted: Uint8) -> None:
        np.testing.assert_array_equal(truth, dataset.load(index)[1])
        np.testing.assert_array_equal(predicted, seen(image, *SIZE))
        watched.append(index)

    evaluate(seen, dataset, limit=4, watch=watch)
    assert watched == [0, 4, 7, 11]


def test_an_interval_holds_the_score_and_narrows_with_more_images(dataset: Dataset) -> None:
    few, all_of_them = (evaluate(wrong_in(0.3), dataset, limit=limit) for limit in (3, None))
    assert few.per_image is not None
    assert all_of_them.per_image is not None
    wide, narrow = miou_interval(few.per_image), miou_interval(all_of_them.per_image)
    assert narrow.low < all_of_them.miou < narrow.high
    assert narrow.high - narrow.low < wide.high - wide.low
    assert miou_interval(all_of_them.per_image) == narrow, "the same seed, the same interval"


def test_a_small_difference_on_the_same_images_is_told_from_chance(dataset: Dataset) -> None:
    """Each network's own interval is wide, since images differ; the difference of the two is sure."""
    better, worse = (evaluate(wrong_in(share), dataset).per_image for share in (0.3, 0.35))
    assert better is not None
    assert worse is not None
    apart = difference_interval(better, worse)
    assert 0 < apart.low < apart.high
    assert miou_interval(worse).high > miou_interval(better).low
    same = difference_interval(better, better)
    assert same.low == same.high == 0


def test_only_scores_of_the_same_images_are_compared(dataset: Dataset) -> None:
    few, more = (evaluate(seen, dataset, limit=limit).per_image for limit in (3, 4))
    assert few is not None
    assert more is not None
    with pytest.raises(DataError, match="3 and 4 images: expected the same"):
        difference_interval(few, more)


def test_a_calibrated_network_has_no_error_and_an_overconfident_one_has_what_it_claims_too_much() -> None:
    random = np.random.default_rng(0)
    truth = (random.random((400, 500)) < 0.3).astype(np.uint8)  # class 1 in three pixels of ten
    truth[:10] = 255

    def error(claimed: float) -> float:
        measured = CalibrationError()
        measured.add(np.broadcast_to(np.array([claimed, 1 - claimed]), (400, 500, 2)), truth)
        return measured.value

    right = float((truth[10:] == 0).mean())
    assert error(0.7) == pytest.approx(abs(right - 0.7), abs=1e-9)
    assert error(0.95) == pytest.approx(0.95 - right, abs=1e-9)
    assert np.isnan(CalibrationError().value)
    with pytest.raises(DataError, match=r"expected \(H, W, classes\), \(H, W\)"):
        CalibrationError().add(np.zeros((4, 5, 2)), np.zeros((4, 6), np.uint8))


NETWORK = LabelSet.from_names(("street", "bush", "van", "sky"))


def test_a_network_of_other_classes_is_scored_on_those_that_the_data_has(dataset: Dataset) -> None:
    """Street is road, bush is tree, what it takes for a van or the sky is nothing that this data set has."""
    class_map = make_class_map({"street": "road", "bush": "tree", "van": None, "sky": None}, NETWORK, dataset.labels)
    assert class_map.labels.names == ("road", "tree")
    assert class_map.ignored == ("car",)
    found = evaluate(class_map.segment(seen), class_map.dataset(dataset), unknown=UNKNOWN)
    assert found.class_iou == {"road": 1.0, "tree": 1.0}
    mistaken = evaluate(class_map.segment(lambda *frame: np.where(seen(*frame) == 0, 3, seen(*frame)).astype(np.uint8)),
                        class_map.dataset(dataset), unknown=UNKNOWN)  # fmt: skip
    assert mistaken.class_iou == {"road": 0.0, "tree": 1.0}, "roads are missed, no other class is charged with them"
    assert mistaken.miou == 0.5
    assert 0.4 < mistaken.pixel_accuracy < 0.6


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"boat": None}, "unknown class of the network 'boat'"),
        ({"street": "lane"}, "unknown class of the data set 'lane'"),
        ({"street": "road"}, "says nothing of bush, van, sky"),
        ({"street": "road", "bush": None, "van": None, "sky": None}, "1 of the data set's classes are left"),
    ],
)
def test_a_map_that_leaves_something_open_is_refused(names: dict[str, str | None], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_class_map(names, NETWORK, LabelSet.from_names(NAMES))


@pytest.fixture
def scored(cli: Any, tiny_model: Path, tiny_dataset: Path) -> Callable[..., Any]:
    return lambda *options: cli("eval", tiny_model, "--data", tiny_dataset, *options, "--json")


def test_a_user_sees_the_worst_images_and_every_images_score(scored: Any, tmp_path: Path) -> None:
    done = scored("--csv", tmp_path / "scores.csv", "--worst", 2, "--overlays", tmp_path / "worst")
    assert done.exit_code == 0, done.stderr
    with (tmp_path / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == done.json["images"]
    lowest = sorted(rows, key=lambda row: float(row["miou"]))[:2]
    assert [entry["miou"] for entry in done.json["worst"]] == pytest.approx(
        [float(r["miou"]) for r in lowest], abs=1e-6
    )
    written = sorted((tmp_path / "worst").iterdir())
    assert [path.name.split("_miou")[0] for path in written] == [
        f"{place:03}_{Path(entry['image']).stem}" for place, entry in enumerate(done.json["worst"], 1)
    ]
    height, width = read_image(written[0]).shape[:2]
    assert width == 3 * height * 64 // 48, "image, labels and prediction side by side"


def test_boundaries_confidence_and_mistakes_are_told(scored: Any) -> None:
    done = scored("--boundary", "--ece")
    assert 0 < done.json["boundary_f"] <= 1
    assert set(done.json["class_boundary_f"]) == set(done.json["class_iou"]) == set(done.json["class_dice"])
    assert 0 <= done.json["ece"] <= 1
    low, high = done.json["miou_interval"]
    assert low <= done.json["miou"] <= high
    assert "boundary F" in done.stderr
    assert "expected calibration error" in done.stderr


def test_a_model_is_no_better_than_itself(scored: Any, tiny_model: Path) -> None:
    done = scored("--against", tiny_model)
    assert done.json["against"]["difference_interval"] == [0, 0]
    assert "do not tell the two apart" in done.stderr


def test_a_model_is_scored_on_data_whose_classes_have_other_names(scored: Any, tmp_path: Path) -> None:
    names = list(scored().json["class_iou"])
    write_json(tmp_path / "map.json", {names[0]: names[1], names[1]: names[0]})  # on purpose the wrong way round
    swapped = scored("--map-classes", tmp_path / "map.json").json
    assert swapped["class_iou"][names[0]] < 0.2
    assert swapped["class_iou"][names[2]] == pytest.approx(scored().json["class_iou"][names[2]])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--overlays", "worst"), "--overlays without --worst"),
        (("--ece", "--refine", "crf"), "--ece with --refine"),
        (("--record", "--refine", "crf"), "--record with --refine"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(scored: Any, options: tuple[str, ...], message: str) -> None:
    done = scored(*options)
    assert done.exit_code == 1
    assert message in done.error


def test_a_recorded_score_replaces_the_one_before_and_nothing_else(
    cli: Any, tiny_model: Path, tiny_dataset: Path, tmp_path: Path
) -> None:
    content, before = read_model(tiny_model)
    file = tmp_path / "model.tflite"
    write_model(file, content, before)
    for _ in range(2):
        done = cli("eval", file, "--data", tiny_dataset, "--record", "--json")
        assert done.exit_code == 0, done.stderr
        assert f"recorded in the card of {file}" in done.stderr
    card = read_model(file)[1]
    assert before is not None
    assert card is not None
    recorded = [score for score in card.scores if score.dataset == done.json["dataset"]]
    assert [(score.split, score.images, score.miou) for score in recorded] == [("val", 3, done.json["miou"])]
    assert (card.labels, card.recipe, card.training) == (before.labels, before.recipe, before.training)
