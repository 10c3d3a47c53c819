"""Errors: one tree, one line, a way out."""

import inspect

import pytest

from edgeseg import errors
from edgeseg.errors import MOST_QUOTED, MOST_SAID, EdgesegError, MissingExtraError, quoted, unknown_name

ALL = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_in_the_tree_drawn_in_the_docstring(kind: type[Exception]) -> None:
    assert issubclass(kind, EdgesegError)
    assert kind.__name__ in errors.__doc__


def test_an_unknown_name_is_answered_with_near_ones_first() -> None:
    message = str(unknown_name("backbone", "mobilnet_v2", ["resnet50", "mobilenet_v2", "vgg16"]))
    assert message == (
        "unknown backbone 'mobilnet_v2': did you mean mobilenet_v2? known: mobilenet_v2, resnet50, vgg16"
    )


def test_a_name_near_to_none_lists_all() -> None:
    assert str(unknown_name("split", "zzz", ["val", "train"])) == "unknown split 'zzz': known: train, val"


def test_a_missing_extra_gives_the_pip_line() -> None:
    message = str(MissingExtraError("tensorflow", "train", "training"))
    assert message == 'training needs tensorflow, which is not installed: pip install "edgeseg[train]"'


@pytest.mark.parametrize("value", ["x" * 100_000, 10**4000, ["y"] * 1000, {"z": "\n" * 500}, b"\0" * 99, None, "ü"])
def test_what_is_quoted_is_printable_and_short(value: object) -> None:
    assert quoted(value).isprintable()
    assert len(quoted(value)) <= MOST_QUOTED + 2
    assert quoted("ab") == "'ab'"
    assert quoted(12) == "12"


def test_no_message_steers_a_terminal_or_fills_it() -> None:
    """Escape sequences, a bell, a new line, and the mark that turns the direction of writing."""
    said = str(EdgesegError("a\x1b[2Jb\x07c\nd\u202ee" + "f" * 100_000 + "get it again"))
    assert said.startswith("a\ufffd[2Jb\ufffdc d\ufffdef")
    assert said.endswith("get it again")
    assert said.isprintable()
    assert len(said) == MOST_SAID
