"""What the layers of thawed networks have in common."""

from __future__ import annotations

from typing import Any

import keras

Tensor = Any
"""A Keras tensor."""

register = keras.saving.register_keras_serializable(package="edgeseg")


class Layer(keras.layers.Layer):  # type: ignore[misc]
    """A layer whose constructor's arguments, named in `SETTINGS`, are attributes."""

    SETTINGS: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        """Returns what the constructor needs."""
        return {**super().get_config(), **{name: getattr(self, name) for name in self.SETTINGS}}
