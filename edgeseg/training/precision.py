"""Building a network under a precision and a seed that leave no trace outside."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import keras
import numpy as np


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Lets layers made inside compute by a Keras dtype policy, such as "mixed_bfloat16"; restores the one before.

    A layer keeps the policy it was made under, so only the building needs to be inside.
    """
    before = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.mixed_precision.set_dtype_policy(before)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Makes Keras draw weights and the seeds of dropout from `seed`; restores Python's and NumPy's generators."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002  (Keras draws from these)
    keras.utils.set_random_seed(seed)
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
