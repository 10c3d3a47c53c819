"""What is in a model's file, and where it will run: `edgeseg inspect`."""

from __future__ import annotations

import os
from typing import Any

from edgeseg.tflite.summary import summarize
from edgeseg.zoo import resolve


def inspect(model: str | os.PathLike[str], *, multiple_subgraphs: bool = False) -> dict[str, Any]:
    """Inspects a `.tflite` file, without TensorFlow and without running it.

    >>> import edgeseg
    >>> found = edgeseg.inspect("aerial")
    >>> len(found["ops"]), found["edgetpu"]["mapped"], found["card"]["labels"]["names"][0]
    (84, 84, 'ground')

    Args:
        model: A zoo name, a model folder or a file.
        multiple_subgraphs: Predict for the Edge TPU compiler's option `-a`.

    Returns:
        The object that `edgeseg inspect --json` prints: `ops`, `edgetpu`, `card` and more.

    Raises:
        ModelFileError: The file is missing, damaged, or no `.tflite`.
        UsageError: The name is neither a path nor in the zoo.
    """
    return summarize(resolve(os.fspath(model)), multiple_subgraphs=multiple_subgraphs)
