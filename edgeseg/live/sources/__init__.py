"""Where frames come from: cameras, streams, videos, images. One file for each kind."""

from __future__ import annotations

from edgeseg.live.sources.base import Source
from edgeseg.live.sources.opening import (
    SourceOptions,
    check_source_options,
    describe_source,
    open_source,
    source_files,
)

__all__ = ["Source", "SourceOptions", "check_source_options", "describe_source", "open_source", "source_files"]
