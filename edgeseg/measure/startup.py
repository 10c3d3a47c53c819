"""`python -m edgeseg.measure.startup JSON`: loads a model and runs it once, in a process that has done nothing else."""

from __future__ import annotations

import json
import sys
import time

from edgeseg.host import peak_rss_bytes
from edgeseg.runtime.registry import runtime_of
from edgeseg.runtime.segmenter import Segmenter


def main(request: str) -> None:
    """Prints {init_ms, first_ms, peak_rss_bytes} as JSON.

    Args:
        request: A JSON object {model, threads, delegate, size}.
    """
    wanted = json.loads(request)
    runtime_of(b"", wanted["model"]).health()  # importing the runtime is not the model's doing
    start = time.perf_counter()
    size = wanted["size"] and tuple(wanted["size"])
    segmenter = Segmenter(wanted["model"], threads=wanted["threads"], delegate=wanted["delegate"], size=size)
    loaded = time.perf_counter()
    segmenter.invoke()
    done = time.perf_counter()
    figures = {
        "init_ms": (loaded - start) * 1000,
        "first_ms": (done - loaded) * 1000,
        "peak_rss_bytes": peak_rss_bytes() or 0,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
