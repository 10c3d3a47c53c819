"""Registries take what other installed packages add, and name the package where that goes wrong."""

from __future__ import annotations

import sys
from types import SimpleNamespace as Fruit
from typing import Any

import pytest

from edgeseg.errors import PluginError, UsageError
from edgeseg.plugins import Registry

GROUP = "edgeseg.fruits"
APPLE = Fruit(name="apple", shape="round")
PEAR = {GROUP: {"pear": "orchard:PEAR"}}
ORCHARD = "from types import SimpleNamespace\nPEAR = SimpleNamespace(name='pear', shape='long')"


@pytest.fixture
def fruits() -> Registry[Fruit]:
    return Registry("fruit", GROUP, {"apple": f"{__name__}:APPLE"}, Fruit)


def test_a_package_adds_a_name_and_is_imported_only_when_it_is_asked_for(fruits: Registry[Fruit], install: Any) -> None:
    install("orchard", ORCHARD, PEAR)
    assert list(fruits) == ["apple", "pear"]
    assert len(fruits) == 2
    assert "pear" in fruits
    assert fruits.find("apple") is APPLE
    assert "orchard" not in sys.modules
    assert fruits.find("pear").shape == "long"
    assert [fruit.name for fruit in fruits.values()] == ["apple", "pear"]


def test_an_unknown_name_is_answered_with_those_of_packages_too(fruits: Registry[Fruit], install: Any) -> None:
    install("orchard", ORCHARD, PEAR)
    with pytest.raises(UsageError, match=r"unknown fruit 'peer': did you mean pear\? known: apple, pear"):
        fruits.find("peer")
    assert fruits.get("peer") is None


def test_a_name_that_edgeseg_has_is_refused(fruits: Registry[Fruit], install: Any) -> None:
    install("orchard", ORCHARD, {GROUP: {"apple": "orchard:PEAR"}})
    with pytest.raises(PluginError, match=r"^fruit 'apple' exists 2 times, in edgeseg and orchard 1.0: uninstall one$"):
        fruits.find("apple")


def test_a_name_that_two_packages_add_is_refused(fruits: Registry[Fruit], install: Any) -> None:
    install("orchard", ORCHARD, PEAR)
    code = "from types import SimpleNamespace\nFIG = SimpleNamespace()"
    install("grove", code, {GROUP: {"pear": "grove:FIG", "fig": "grove:FIG"}}, version="2.1")
    with pytest.raises(PluginError, match=r"'pear' exists 2 times, in grove 2.1 and orchard 1.0"):
        fruits.find("pear")
    assert fruits.find("fig") is sys.modules["grove"].FIG


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module", r"cannot be loaded \(ModuleNotFoundError: No module named 'no_such_module'\)"),
        ("raise RuntimeError('two\\nlines')", r"cannot be loaded \(RuntimeError: two lines\)"),
        ("OTHER = 1", r"cannot be loaded \(AttributeError: .*'PEAR'.*\)"),
        ("PEAR = 3", r"is of type int \(orchard:PEAR\): expected SimpleNamespace"),
        (ORCHARD.replace("'pear'", "'plum'"), r"calls itself 'plum': expected one name"),
    ],
)
def test_a_package_that_fails_is_named_in_one_line(
    fruits: Registry[Fruit], install: Any, code: str, reason: str
) -> None:
    install("orchard", code, PEAR)
    with pytest.raises(PluginError, match=rf"^fruit 'pear' of the package orchard 1.0 {reason}") as caught:
        fruits.find("pear")
    assert "\n" not in str(caught.value)
    assert fruits.find("apple") is APPLE
