"""Ray, started here or joined on a cluster: the one way in for all that spreads work over processes."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import ray

from edgeseg.errors import UsageError
from edgeseg.runtime.quiet import captured_stderr

_STORE = 128 << 20  # bytes of shared memory: names, figures and records travel, images and networks do not
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is sent anywhere
    "RAY_worker_niceness": "0",  # as nice as the program itself, not 15
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # its C++ half warns of what its Python half does
}


@contextlib.contextmanager
def ray_running(
    processors: int,
    address: str | None = None,
    *,
    settings: Mapping[str, str] | None = None,
    worker_settings: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[None]:
    """Has Ray running for the duration of the block, quietly; one that runs in this process already is used as it is.

    Args:
        processors: What Ray may use, where it is started here.
        address: Of a cluster; None starts Ray here.
        settings: Environment variables for Ray itself, as long as the block lasts.
        worker_settings: Environment variables for the processes that Ray starts.
        folder: Where Ray keeps its own files, where it is started here; its usual place if None.

    Raises:
        UsageError: No cluster answers at the address.
    """
    if ray.is_initialized():
        yield
        return
    place: dict[str, Any] = {"address": address}
    if address is None:
        place = {
            "address": "local", "num_cpus": processors, "object_store_memory": _STORE, "include_dashboard": False,
            **({} if folder is None else {"_temp_dir": str(folder)}),
        }  # fmt: skip
    if worker_settings:
        place["runtime_env"] = {"env_vars": dict(worker_settings)}
    with _environment({**_QUIET, **(settings or {})}):
        try:
            with captured_stderr():
                ray.init(**place, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"no Ray cluster at {address or 'this machine'}: {' '.join(str(error).split())}; expected host:port of "
                "its head, `ray start --head`"
            ) from error
        try:
            yield
        finally:
            ray.shutdown()


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables that are not set already, and takes them back."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)
