"""What is kept of refinements: what brings the file nearer to its network, by itself or with the one before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgeseg.card import ModelCard
from edgeseg.conversion import network
from edgeseg.conversion.refinements import REFINEMENTS as DONE
from edgeseg.conversion.refinements import Subject
from edgeseg.errors import UsageError
from edgeseg.recipes import REFINEMENTS, refinements_of


class Worth:
    """Agreement of files that are lists of letters."""

    def __init__(self, worth: dict[str, float]) -> None:
        self._worth = worth

    def agreement(self, file: bytes) -> float:
        return self._worth[file.decode()]


def refined(
    worth: dict[str, float], names: str, card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str]]:
    """Tries steps of one letter each on files that are lists of letters."""

    def step(letter: str) -> Any:
        return lambda subject: (replace(subject, file=subject.file + letter.encode()), letter)

    monkeypatch.setattr(network, "REFINEMENTS", {letter: step(letter) for letter in names})
    monkeypatch.setattr(network, "attach", lambda file, card: file)
    subject = Subject(file=b"", reference=b"", tensors=[], spec=card.input, advance=lambda done, total: None)
    lines: list[str] = []
    found = network.refined(subject, names, Worth(worth), card, lines.append)  # type: ignore[arg-type]
    return found.file.decode(), lines


def test_each_is_kept_that_helps(small_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    file, lines = refined({"": 0.9, "a": 0.95, "ab": 0.97}, "ab", small_card, monkeypatch)
    assert file == "ab"
    assert lines == ["a: 95.00% agreement, 90.00% before", "b: 97.00% agreement, 95.00% before"]


def test_one_that_needs_the_next_is_kept_with_it(small_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    file, lines = refined({"": 0.9, "a": 0.89, "ab": 0.97}, "ab", small_card, monkeypatch)
    assert file == "ab"
    assert lines[-1] == "b with a: 97.00% agreement, 90.00% before"


def test_one_that_spoils_the_next_is_not(small_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    file, lines = refined({"": 0.9, "a": 0.5, "ab": 0.6, "b": 0.92, "bc": 0.9}, "abc", small_card, monkeypatch)
    assert file == "b"
    assert lines[-2:] == [
        "b: 92.00% agreement, 90.00% before",
        "c: left out, no gain (90.00% agreement, 92.00% before)",
    ]


def test_the_table_does_what_recipes_name() -> None:
    assert tuple(DONE) == REFINEMENTS


def test_names_come_in_their_order() -> None:
    assert refinements_of(["biases", "equalization"]) == ("equalization", "biases")
    assert refinements_of(["all"]) == REFINEMENTS
    assert refinements_of(["none"]) == ()
    with pytest.raises(UsageError, match="unknown refinement 'bias': did you mean biases"):
        refinements_of(["bias"])
