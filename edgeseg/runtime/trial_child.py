"""`python -m edgeseg.runtime.trial_child JSON < FILE`: loads and runs a file; see `edgeseg.runtime.trial`."""

from __future__ import annotations

import contextlib
import json
import resource
import sys

import numpy as np

from edgeseg.errors import EdgesegError, UsageError
from edgeseg.runtime.protocol import OpenOptions
from edgeseg.runtime.registry import open_network
from edgeseg.runtime.trial import trust

_MEMORY = 4 << 30
_MEMORY_PER_BYTE = 16
_RUNS = 3


def main(request: str) -> int:
    """Loads the file on stdin and runs it a few times on noise, whatever it computes.

    Args:
        request: A JSON object {delegate, size, seconds}.

    Returns:
        0, or 1 after printing the reason.
    """
    wanted = json.loads(request)
    content = sys.stdin.buffer.read()
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, _MEMORY + _MEMORY_PER_BYTE * len(content)),
        (resource.RLIMIT_CPU, int(wanted["seconds"]) + 1),
    ):
        with contextlib.suppress(ValueError, OSError):  # a lower limit holds already
            resource.setrlimit(kind, (limit, limit))
    trust(content)
    try:
        network = open_network(
            content,
            OpenOptions(
                delegate=None if wanted["delegate"] == "auto" else wanted["delegate"],
                size=None if wanted["size"] is None else (wanted["size"][0], wanted["size"][1]),
            ),
        )
        random = np.random.default_rng(0)
        for _ in range(_RUNS):
            for tensor in network.inputs:
                network.view(tensor)[...] = random.integers(0, 128, tensor.shape).astype(tensor.dtype)
            network.invoke()
            for tensor in network.outputs:
                network.view(tensor).copy()
    except UsageError:
        return 0  # what is missing is told by opening it: here that did no harm
    except EdgesegError as error:
        print(error)
        return 1
    except Exception as error:  # whatever a damaged file makes Python's side of the runtime raise
        print(f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
