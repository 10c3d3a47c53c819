"""Other packages, as pip would leave them: a module and its `.dist-info` in a folder on `sys.path`."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeseg import plugins

Install = Callable[..., Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """`install("mynets", code, {"edgeseg.architectures": {"mynet": "mynets:MYNET"}})` installs a package of one module.

    Returns the folder, for the `PYTHONPATH` of other processes.
    """
    names: list[str] = []

    def install_package(name: str, code: str, points: dict[str, dict[str, str]], version: str = "1.0") -> Path:
        folder = tmp_path / f"site-{name}"
        metadata = folder / f"{name}-{version}.dist-info"
        metadata.mkdir(parents=True)
        (folder / f"{name}.py").write_text(textwrap.dedent(code))
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items()) for group, named in points.items()]
        (metadata / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(folder)
        names.append(name)
        forget()
        return folder

    yield install_package
    monkeypatch.undo()
    for name in names:
        sys.modules.pop(name, None)
    forget()


def forget() -> None:
    """Lets the registries look anew for what is installed."""
    plugins.installed.cache_clear()
