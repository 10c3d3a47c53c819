"""Trying out a file without a card in a process of its own, once, before it is loaded into this one.

A card's digest proves a file whole. Without one a damaged file may hang, kill its process, or ask for more memory than
there is: so it is loaded and run by a child (`edgeseg.runtime.trial_child`) within limits of time and memory, and what
came of it is remembered under the file's digest in `~/.cache/edgeseg` (or `XDG_CACHE_HOME`). It costs the start
of a Python process and three inferences, the first time. What the trial cannot tell is a change that the network merely
answers differently to: only a card can.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from edgeseg.errors import EdgesegError, ModelFileError, OutputError, quoted
from edgeseg.files import digest, write_json
from edgeseg.version import __version__

TRIAL_SECONDS = 60.0
"""So long may loading and the first inferences take."""
PLACEHOLDER = "the model"
"""What a trial's message calls the file."""

_EDITION = 3
"""Raised whenever the trial asks another question: verdicts on the old one are forgotten."""

_known: dict[str, str] = {}  # what is wrong with a file, "" for nothing, by key; of this process
_trusted: set[str] = set()  # digests of files that this process is the trial of


def try_out(
    content: bytes,
    name: str,
    *,
    runtime: str = "",
    delegate: str = "auto",
    size: tuple[int, int] | None = None,
    seconds: float = TRIAL_SECONDS,
) -> None:
    """Makes certain that a file without a card can be loaded and run without harm to this process.

    Args:
        content: The `.tflite` file.
        name: What messages call it.
        runtime: Name and version of what loads it: another one has to try it again.
        delegate: "auto", "xnnpack" or "none".
        size: Rows and columns of the images, for a network that leaves them open.
        seconds: Limit of the trial.

    Raises:
        ModelFileError: It cannot: the child refused it, died, or did not end.
    """
    whole = digest(content)
    if whole in _trusted:
        return
    key = digest(f"{whole} {runtime} {__version__} {_EDITION} {delegate} {size}".encode())
    if key not in _known:
        remembered = _recall(key)
        if remembered is None:
            remembered = _trial(content, delegate, size, seconds)
            _remember(key, remembered)
        _known[key] = remembered
    if _known[key]:
        raise ModelFileError(_known[key].replace(PLACEHOLDER, name, 1))


def trust(content: bytes) -> None:
    """Lets this process load a file without a trial: it is the trial."""
    _trusted.add(digest(content))


def cache_folder() -> Path | None:
    """Returns the folder in which verdicts are kept, which may not exist; None where there is no home."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    except RuntimeError:
        return None
    return base / "edgeseg" / "trials"


def _recall(key: str) -> str | None:
    folder = cache_folder()
    if folder is None:
        return None
    try:
        trouble = json.loads((folder / f"{key}.json").read_bytes())["trouble"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none yet, or no longer readable
        return None
    return trouble if isinstance(trouble, str) else None


def _remember(key: str, trouble: str) -> None:
    folder = cache_folder()
    if folder is not None:
        with contextlib.suppress(OutputError, OSError):  # then it is tried again another time
            write_json(folder / f"{key}.json", {"trouble": trouble})


def _trial(content: bytes, delegate: str, size: tuple[int, int] | None, seconds: float) -> str:
    """Returns what is wrong with a file, "" for nothing."""
    wanted = json.dumps({"delegate": delegate, "size": size, "seconds": seconds})
    command = [sys.executable, "-m", "edgeseg.runtime.trial_child", wanted]
    # What is freed is overwritten: memory that a damaged file reads by mistake shows itself here
    environment = {**os.environ, "MALLOC_PERTURB_": "165", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    advice = "it has no card to prove it whole; copy or convert it again"
    try:
        done = subprocess.run(
            command, input=content, capture_output=True, timeout=seconds, check=False, env=environment
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"{PLACEHOLDER} does not load and run within {seconds:.0f} s: {advice}"
    except OSError as error:
        raise ModelFileError(f"a file without a card cannot be tried out in another process: {error}") from error
    if done.returncode == 0:
        return ""
    if done.returncode < 0:
        number = -done.returncode
        what = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
        return f"{PLACEHOLDER} kills the process that loads it ({what}): {advice}"
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if lines and lines[-1].startswith(PLACEHOLDER):
        return str(EdgesegError(lines[-1]))
    detail = lines[-1] if lines else (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no reason"])[-1]
    return f"{PLACEHOLDER} cannot be run ({quoted(detail)}): {advice}"
