"""Loading TensorFlow, or Keras on another backend, without start-up lines on the user's screen."""

from __future__ import annotations

import os

from edgeseg.errors import MissingExtraError, UsageError, quoted


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


def quiet_keras() -> None:
    """Imports Keras on the backend that the environment's KERAS_BACKEND names, TensorFlow if it names none.

    Raises:
        MissingExtraError: The backend is not installed.
        UsageError: Training does not run on it.
    """
    backend = os.environ.get("KERAS_BACKEND") or "tensorflow"
    if backend == "tensorflow":
        quiet_tensorflow()
        return
    if backend != "jax":
        raise UsageError(f"KERAS_BACKEND is {quoted(backend)}: expected tensorflow or jax")
    try:
        import jax  # noqa: F401
        import keras  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Keras on JAX", "jax", "KERAS_BACKEND=jax") from error
