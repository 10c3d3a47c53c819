"""Environments to break: real ones, of their own, with copies of packages that are installed here."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import stat
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from commands import ROOT, Finished
from packaging.requirements import Requirement

CLI = ("typer", "rich")
"""What the command line needs to start."""
CORE = (*CLI, "pillow", "numpy", "opencv-python-headless", "ai-edge-litert", "psutil", "jinja2", "threadpoolctl")
"""What edgeseg depends on."""


class Scratch:
    """An environment without pip of its own: that of this one works on it.

    Args:
        folder: Where it is made.
        packages: Distributions to take over from this environment, with what they depend on.
    """

    def __init__(self, folder: Path, packages: tuple[str, ...] = CORE) -> None:
        venv.create(folder, symlinks=True)
        self.bin = folder / "bin"
        self.site = next(folder.glob("lib/python*/site-packages"))
        pip = self.bin / "pip"
        pip.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m pip --python "{self.bin}/python" -q "$@"\n')
        pip.chmod(pip.stat().st_mode | stat.S_IXUSR)
        for package in sorted(_with_dependencies(packages)):
            self._take_over(package)

    def _take_over(self, package: str) -> None:
        distribution = importlib.metadata.distribution(package)
        for entry in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            source, target = Path(str(distribution.locate_file(entry))), self.site / entry
            if source.is_dir():
                shutil.copytree(source, target, copy_function=_link, dirs_exist_ok=True)
            else:
                _link(str(source), str(target))

    def damage(self, pattern: str) -> None:
        """Puts an empty file in the place of each that matches."""
        files = list(self.site.glob(pattern))
        assert files, f"nothing matches {pattern}"
        for file in files:
            file.unlink()  # the copy may be a hard link
            file.touch()

    def module(self, name: str, code: str) -> None:
        """Makes a module that does this when it is imported."""
        (self.site / f"{name}.py").write_text(code)

    def distribution(self, package: str, version: str = "1.0") -> None:
        """Makes pip believe that this package is installed."""
        info = self.site / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")

    def run(self, *words: object) -> Finished:
        """Runs `python -m edgeseg WORDS...` there: this checkout's, or the installed one if there is one."""
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "COLUMNS")}
        if not list(self.site.glob("edgeseg-*.dist-info")):
            environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(
            [str(self.bin / "python"), "-m", "edgeseg", *map(str, words)],
            capture_output=True, text=True, check=False, timeout=120, env=environment, cwd=self.site,
        )  # fmt: skip
        return Finished(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)

    def doctor(self) -> dict[str, dict[str, Any]]:
        """Returns the findings of `edgeseg doctor` there, by name."""
        done = self.run("doctor", "--json")
        assert done.stdout, done.stderr
        return {check["name"]: check for check in done.json["checks"]}

    def shell(self, line: str) -> None:
        """Runs a line as a user would who has activated the environment."""
        environment = {**os.environ, "PATH": f"{self.bin}:{os.environ['PATH']}"}
        done = subprocess.run(line, shell=True, capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, f"{line}: {done.stderr}"

    def follow(self, check: dict[str, Any]) -> None:
        """Does what a finding says."""
        self.shell(check["fix"][check["fix"].index("pip ") :])


def _with_dependencies(packages: tuple[str, ...]) -> set[str]:
    wanted, found = list(packages), set()
    while wanted:
        name = wanted.pop().lower()
        if name not in found:
            found.add(name)
            needs = map(Requirement, importlib.metadata.distribution(name).requires or ())
            wanted += [need.name for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})]
    return found


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except FileExistsError:
        pass
    except OSError:  # another file system
        shutil.copy2(source, target)
