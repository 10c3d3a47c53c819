"""Running the command line in tests, in this process or in one of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgeseg.cli import main

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, kw_only=True)
class Finished:
    """A command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What it printed on stdout, which has to be one JSON value and nothing else."""
        return json.loads(self.stdout)

    @property
    def error(self) -> str:
        """The one line of a command that failed as it should: `edgeseg: ...` on stderr, exit 1, silent on stdout."""
        assert self.exit_code == 1, f"exit code {self.exit_code}, expected 1:\n{self.stderr}"
        assert self.stdout == ""
        lines = self.stderr.splitlines()
        assert len(lines) == 1, f"expected one line on stderr:\n{self.stderr}"
        assert lines[0].startswith("edgeseg: ")
        return lines[0].removeprefix("edgeseg: ")


def run_cli(*words: object) -> Finished:
    """Runs `edgeseg WORDS...` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    code = stopped.value.code
    return Finished(exit_code=code if isinstance(code, int) else 0, stdout=out.getvalue(), stderr=err.getvalue())


def run_python(*words: object, timeout_s: float = 120, **environment: str) -> Finished:
    """Runs `python WORDS...` in a process of its own, in which `edgeseg` is this checkout's."""
    done = subprocess.run(
        [sys.executable, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    return Finished(exit_code=done.returncode, stdout=done.stdout, stderr=done.stderr)


def run_cli_process(*words: object, timeout_s: float = 120, **environment: str) -> Finished:
    """Runs `edgeseg WORDS...` in a process of its own: what a user's shell sees, C++ libraries' output included."""
    return run_python("-m", "edgeseg", *words, timeout_s=timeout_s, **environment)
