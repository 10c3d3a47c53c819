"""Where results go: video files, label maps, events, a window, a browser. One file for each kind."""

from __future__ import annotations

from edgeseg.live.outputs.base import Event, Output, OutputContext, OutputKind

__all__ = ["Event", "Output", "OutputContext", "OutputKind"]
