"""Registries: what edgeseg knows by name, with what other installed packages add.

A package adds to a registry by an entry point in its own pyproject.toml; nothing in edgeseg names it:

    [project.entry-points."edgeseg.architectures"]
    mynet = "mypackage.mynet:MYNET"

Names come from the packages' metadata, which is read once and only when a registry is asked; the code behind a name is
imported only when that name is. A name that exists twice is refused, and a plug-in that cannot be loaded is named.
edgeseg's own are told in the same way, "module:object", one line each.
"""

from __future__ import annotations

import functools
import importlib
import itertools
from collections.abc import Iterator, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import Generic, TypeVar

from edgeseg.errors import PluginError, unknown_name

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """Things by name: edgeseg's own first, in their order, then those of other packages, by name.

    Args:
        kind: What one of them is called in messages ("architecture").
        group: The entry points' group ("edgeseg.architectures").
        own: Those that come with edgeseg, each "module:object" or the object itself.
        expected: What each must be an instance of; its `name`, where it has one, must be the name here.
    """

    def __init__(self, kind: str, group: str, own: dict[str, str | T], expected: type[T]) -> None:
        self.kind = kind
        self.group = group
        self.own = own
        self._expected = expected
        self._loaded: dict[str, T] = {}

    def find(self, name: str) -> T:
        """Returns what is called `name`.

        Raises:
            UsageError: Nothing is.
            PluginError: Two are, or the package that adds it cannot be loaded.
        """
        if name not in self:
            raise unknown_name(self.kind, name, self)
        return self[name]

    def __getitem__(self, name: str) -> T:
        added = installed(self.group).get(name, ())
        if name in self.own and not added:
            return self._own(name)
        if not added:
            raise KeyError(name)
        if name in self.own or len(added) > 1:
            owners = ["edgeseg"] * (name in self.own) + [package_of(point) for point in added]
            raise PluginError(
                f"{self.kind} '{name}' exists {len(owners)} times, in {' and '.join(owners)}: uninstall one"
            )
        if name not in self._loaded:
            self._loaded[name] = self._load(added[0])
        return self._loaded[name]

    def _own(self, name: str) -> T:
        known = self.own[name]
        if isinstance(known, self._expected):
            return known
        module, _, attribute = str(known).partition(":")
        value = getattr(importlib.import_module(module), attribute)
        assert isinstance(value, self._expected), f"{known} is a {type(value).__name__}"
        return value

    def _load(self, point: EntryPoint) -> T:
        subject = f"{self.kind} '{point.name}' of the package {package_of(point)}"
        try:
            value = point.load()
        except Exception as error:  # whatever another package's code raises
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
            raise PluginError(f"{subject} cannot be loaded ({reason}): mend or uninstall the package") from error
        if not isinstance(value, self._expected):
            raise PluginError(
                f"{subject} is of type {type(value).__name__} ({point.value}): expected {self._expected.__name__}"
            )
        if getattr(value, "name", point.name) != point.name:
            raise PluginError(f"{subject} calls itself '{getattr(value, 'name', '')}': expected one name")
        return value

    def __iter__(self) -> Iterator[str]:
        return itertools.chain(self.own, (name for name in sorted(installed(self.group)) if name not in self.own))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in installed(self.group)


@functools.cache
def installed(group: str) -> dict[str, tuple[EntryPoint, ...]]:
    """Returns the entry points of a group by name, without importing what they point to."""
    found: dict[str, tuple[EntryPoint, ...]] = {}
    for point in entry_points(group=group):
        found[point.name] = (*found.get(point.name, ()), point)
    return found


def package_of(point: EntryPoint) -> str:
    """Returns the name and version of the package that an entry point comes from."""
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
