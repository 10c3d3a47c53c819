"""Records: what they refuse, and their way through JSON and back."""

import dataclasses
import json
import math

import pytest
from cards import FULL, SMALL
from hypothesis import given
from hypothesis import strategies as st

from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe, input_channels, per_channel_text, voc_color
from edgeseg.card_json import from_json, to_json
from edgeseg.errors import ModelFileError, UsageError
from edgeseg.provenance import AgreementRecord, CalibrationRecord, Score

PAPER = dataclasses.replace(
    SMALL, form="paper", agreement=1.0, agreement_on=AgreementRecord(source="camvid val", count=101, unseen=True)
)


@pytest.mark.parametrize("card", [SMALL, FULL, PAPER], ids=["small", "full", "paper"])
def test_a_card_goes_through_json_and_back(card: ModelCard) -> None:
    assert from_json(ModelCard, to_json(card)) == card
    assert from_json(ModelCard, to_json(card).encode()) == card


@given(
    height=st.integers(1, 10**6),
    width=st.integers(1, 10**6),
    mean=st.floats(-1e6, 1e6),
    std=st.floats(1e-9, 1e9),
    resize=st.sampled_from(["stretch", "letterbox"]),
)
def test_any_input_spec_goes_through_json_and_back(**values) -> None:
    spec = InputSpec(**values)
    assert from_json(InputSpec, to_json(spec)) == spec


printable = st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" "), min_size=1)


@given(st.lists(printable.filter(str.strip), min_size=2, max_size=20, unique=True))
def test_any_class_names_go_through_json_and_back(names: list[str]) -> None:
    labels = LabelSet.from_names(names)
    assert from_json(LabelSet, to_json(labels)) == labels


def test_a_card_is_written_with_a_line_for_each_field() -> None:
    assert to_json(Recipe(name="float32")) == '{\n "name": "float32",\n "output": "logits",\n "target": "cpu"\n}'


def test_whole_numbers_may_stand_for_floats() -> None:
    spec = from_json(InputSpec, '{"height": 2, "width": 3, "mean": 0, "std": 1}')
    assert spec == InputSpec(height=2, width=3, mean=0.0, std=1.0)
    assert isinstance(spec.mean, float)


PER_CHANNEL = InputSpec(height=2, width=3, order="bgr", mean=(103.9, 116.8, 123.7), std=(1.0, 2.0, 3.0))


def test_what_older_readers_would_misread_has_a_higher_format() -> None:
    """A reader of format 1 passes over fields that it does not know: it must not run such a network."""
    plain = dataclasses.replace(SMALL, input=InputSpec(height=4, width=6, mean=127.5, std=1.0, resize="letterbox"))
    assert plain.format == 1
    others = (
        PER_CHANNEL,
        InputSpec(height=4, width=6, order="bgr"),
        InputSpec(height=4, width=6, order="grey", channels=1),
        InputSpec(height=4, width=6, mean=(1.0, 2.0, 3.0)),
        InputSpec(height=4, width=6, std=(1.0, 2.0, 3.0)),
        InputSpec(height=4, width=6, order="as_is", channels=5),
        InputSpec(height=4, width=6, margin=1),
    )
    for spec in others:
        card = dataclasses.replace(SMALL, input=spec)
        assert card.format == json.loads(to_json(card))["format"] == 2
        assert from_json(ModelCard, to_json(card)) == card


def test_a_card_of_format_1_is_read_as_ever() -> None:
    written = json.loads(to_json(SMALL))
    written["input"] = {"height": 4, "width": 6, "mean": 128.0, "std": 128.0, "resize": "stretch"}
    written["format"] = 1
    assert from_json(ModelCard, json.dumps(written)) == SMALL


def test_equal_numbers_for_all_channels_are_kept_as_one() -> None:
    assert InputSpec(height=4, width=6, mean=(128.0,) * 3, std=(128.0,)) == InputSpec(height=4, width=6)
    assert PER_CHANNEL.means == PER_CHANNEL.mean
    assert InputSpec(height=4, width=6).stds == (128.0, 128.0, 128.0)


def test_a_field_that_a_later_minor_version_added_is_passed_over() -> None:
    assert from_json(InputSpec, '{"height": 2, "width": 3, "gamma": 2.2}') == InputSpec(height=2, width=3)


def edited(**changes) -> str:
    return json.dumps({**json.loads(to_json(FULL)), **changes})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the card is not JSON"),
        ("{", "the card is not JSON"),
        ("[" * 100_000, "the card is not JSON"),
        (b"\xff\xfe", "the card is not JSON"),
        ("[]", "the card's ModelCard is list, expected an object"),
        ("null", "the card's ModelCard is NoneType, expected an object"),
        ("{}", "the card's ModelCard lacks name, architecture, backbone"),
        (edited(format=3), "the card has format 3, this edgeseg reads up to 2: upgrade edgeseg"),
        (edited(format="3"), "ModelCard.format is str, expected int"),
        (edited(agreement=True), "ModelCard.agreement is bool, expected float"),
        (edited(name=7), "ModelCard.name is int, expected str"),
        (edited(output_stride=True), "ModelCard.output_stride is bool, expected int"),
        (edited(output_stride="16"), "ModelCard.output_stride is str, expected int"),
        (edited(input={"height": 4}), "ModelCard.input lacks width"),
        (edited(input={"height": 0, "width": 3}), "ModelCard.input: input size 0x3"),
        (edited(input={"height": 4, "width": 3, "std": math.nan}), "ModelCard.input: input std nan"),
        (edited(input={"height": 4, "width": 3, "resize": "crop"}), "resize is 'crop', expected one of 'stretch'"),
        (edited(input={"height": 4, "width": 3, "mean": [1, "2", 3]}), "input.mean is str, expected float"),
        (edited(recipe={"name": 4}), "ModelCard.recipe.name is int, expected str"),
        (edited(labels={"names": ["a"], "colors": [[0, 0, 0]]}), "ModelCard.labels: label set with 1 classes"),
        (edited(labels={"names": ["a", "b"], "colors": [[0, 0, 0], [1, 2]]}), "colors has 2 items, expected 3"),
        (edited(labels={"names": "ab", "colors": []}), "ModelCard.labels.names is str, expected a list"),
        (edited(agreement=10**400), "ModelCard.agreement is 1000.* … .*000, too large a number"),
        (edited(input={"height": 4, "width": 3, "mean": 10**400}), "input.mean is 1000.* … .*000, too large"),
        (edited(input={"height": 4, "width": 3, "std": 1e-320}), "input std 1e-320: expected a positive number"),
        (edited(form="x" * 100_000), "form is 'xxx.* … .*xxx', expected one of"),
        (edited(form="\x1b[2Jpaper\n"), "form is '\ufffd\\[2Jpaper ', expected one of"),
        (edited(labels={"names": ["a", "\x1b[2J"], "colors": [[0, 0, 0]] * 2}), "class 1 is named '\ufffd\\[2J'"),
        (edited(scores={}), "ModelCard.scores is dict, expected a list"),
        (edited(calibration=[]), "ModelCard.calibration is list, expected an object"),
    ],
)
def test_a_card_that_is_none_is_refused_in_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message) as caught:
        from_json(ModelCard, text)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"height": 0}, "input size 0x6: expected two positive numbers, height x width"),
        ({"width": -1}, "input size 4x-1"),
        ({"std": 0.0}, "input std 0.0: expected a positive number"),
        ({"std": math.inf}, "input std inf"),
        ({"mean": math.nan}, "input mean nan"),
        ({"mean": (1.0, 2.0)}, "input mean of 2 numbers for 3 channels: give one, or one for each"),
        ({"std": (1.0, 2.0, 0.0)}, r"input std \(1.0, 2.0, 0.0\): expected a positive number"),
        ({"order": "rbg"}, "unknown channel order 'rbg': did you mean rgb"),
        ({"order": "grey"}, "input of 3 channels in the order grey, which has 1"),
        ({"channels": 1}, "input of 1 channels in the order rgb, which has 3"),
        ({"order": "as_is", "channels": 0}, "input of 0 channels: expected 1 to 512"),
        ({"order": "as_is", "channels": 513}, "input of 513 channels: expected 1 to 512"),
        ({"margin": -1}, "input margin -1 of 4x6: expected 0 to less than half a side"),
        ({"margin": 2}, "input margin 2 of 4x6"),
        ({"mean": 1e9 + 0.5}, "input mean 1000000000.5: expected a number, as pixels count"),
        ({"std": 1e9 + 0.5}, "input std 1000000000.5: expected a positive number, from 1e-9 to 1e9"),
        ({"std": 0.9e-9}, "input std 9e-10"),
        ({"resize": "letterbx"}, "unknown resize mode 'letterbx': did you mean letterbox"),
    ],
)
def test_an_input_spec_refuses(changes, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        InputSpec(**{"height": 4, "width": 6, **changes})


@pytest.mark.parametrize(
    "values",
    [
        {"height": 1, "width": 1},
        {"order": "as_is", "channels": 1},
        {"order": "as_is", "channels": 512},
        {"margin": 1},
        {"height": 5, "margin": 2},
        {"mean": 1e9, "std": 1e9},
        {"mean": -1e9, "std": 1e-9},
    ],
    ids=str,
)
def test_an_input_spec_takes_the_least_and_the_most(values) -> None:
    spec = InputSpec(**{"height": 4, "width": 6, **values})
    assert {name: getattr(spec, name) for name in values} == values


def test_margins_lie_at_all_four_sides() -> None:
    assert InputSpec(height=10, width=16, margin=2).inner == (6, 12)


def test_the_channels_of_an_input_follow_from_its_order_and_the_other_way_round() -> None:
    assert input_channels(None, None) == {}
    assert input_channels("bgr", None) == {"order": "bgr", "channels": 3}
    assert input_channels("grey", None) == {"order": "grey", "channels": 1}
    assert input_channels("as_is", 5) == {"order": "as_is", "channels": 5}
    assert [input_channels(None, channels)["order"] for channels in (1, 2, 3, 4)] == ["grey", "as_is", "rgb", "as_is"]
    assert input_channels(None, 4)["channels"] == 4


def test_a_mean_is_written_as_the_flag_takes_it() -> None:
    assert per_channel_text(127.5) == "127.5"
    assert per_channel_text((123.68, 116.0, 103.94)) == "123.68,116,103.94"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"names": ("a",), "colors": ((0, 0, 0),)}, "1 classes: expected 2 to 255"),
        ({"names": tuple(map(str, range(256))), "colors": ((0, 0, 0),) * 256}, "256 classes: expected 2 to 255"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0),)}, "2 names and 1 colours"),
        ({"names": ("a", "a"), "colors": ((0, 0, 0),) * 2}, "class 1 is named 'a'"),
        ({"names": ("a", " "), "colors": ((0, 0, 0),) * 2}, "class 1 is named ' '"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0), (0, 0, 256))}, "of class 'b': expected red, green, blue"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0), (-1, 0, 0))}, "of class 'b'"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0),) * 2, "ignore_index": 1}, "expected an id that no class has"),
        ({"names": ("a", "b"), "colors": ((0, 0, 0),) * 2, "ignore_index": 256}, "expected an id that no class has"),
    ],
)
def test_a_label_set_refuses(values, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        LabelSet(**values)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("output", "masks", "unknown output 'masks'"),
        ("target", "gpu", "unknown target 'gpu'"),
    ],
)
def test_a_recipe_refuses(field: str, value: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Recipe(**{"name": "float32", field: value})


def test_a_recipe_that_is_not_known_here_is_none_to_convert_by() -> None:
    """A device reads such a card: another package's recipe, or a newer edgeseg's."""
    card = from_json(ModelCard, edited(recipe={"name": "int4"}))
    assert card.recipe == Recipe(name="int4")
    with pytest.raises(UsageError, match=r"unknown recipe 'int4': .*known: float16"):
        print(card.recipe.is_integer)


def test_which_recipes_are_integer() -> None:
    integer = [n for n in ("int8_ptq", "int8_qat", "int8_weights", "float16", "float32") if Recipe(name=n).is_integer]
    assert integer == ["int8_ptq", "int8_qat"]


def test_the_most_classes_a_label_map_can_hold() -> None:
    labels = LabelSet.from_names([f"class {i}" for i in range(255)])
    assert labels.num_classes == 255
    assert len(set(labels.colors)) == 255


def test_the_first_id_that_no_class_has_can_be_ignored() -> None:
    assert LabelSet.from_names(("a", "b"), ignore_index=2).ignore_index == 2


def test_the_palette_is_pascal_vocs() -> None:
    # aeroplane, person and tv monitor, as on every PASCAL VOC mask
    assert [voc_color(i) for i in (0, 1, 15, 20)] == [(0, 0, 0), (128, 0, 0), (192, 128, 128), (0, 64, 128)]


@pytest.mark.parametrize("kind", [InputSpec, LabelSet, Recipe, CalibrationRecord, Score, ModelCard])
def test_records_are_frozen_and_keyword_only(kind: type) -> None:
    assert kind.__dataclass_params__.frozen
    assert all(field.kw_only for field in dataclasses.fields(kind))
