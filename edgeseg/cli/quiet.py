"""Keeping TensorFlow's start-up lines off the user's screen."""

from __future__ import annotations

import os


def quiet_tensorflow() -> None:
    """Sets what TensorFlow reads at its import; a value that the user set stays."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
