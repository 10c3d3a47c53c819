"""Where frames come from: cameras, streams, videos, pictures. One file for each kind."""

from __future__ import annotations

from edgeseg.live.sources.base import Source
from edgeseg.live.sources.opening import SourceOptions, describe_source, open_source, source_files

__all__ = ["Source", "SourceOptions", "describe_source", "open_source", "source_files"]
