"""Loading TensorFlow without its start-up lines on the user's screen."""

from __future__ import annotations

import os

from edgeseg.errors import MissingExtraError


def quiet_tensorflow() -> None:
    """Imports TensorFlow; settings of its log that the user made stay.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from edgeseg.runtime.quiet import captured_stderr

    try:
        with captured_stderr():
            import tensorflow
    except ImportError as error:
        raise MissingExtraError("TensorFlow", "train", "this command") from error
    tensorflow.get_logger().setLevel("ERROR")
