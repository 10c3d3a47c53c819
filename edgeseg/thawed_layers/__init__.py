"""Layers for those operators of TFLite that Keras has no layer for.

`edgeseg thaw` builds networks of Keras' own layers and of these, which have no trainable weights. They are registered,
so that a `.keras` file with them loads wherever this package has been imported (`edgeseg.keras_model` does). Axes and
sizes are those of the whole tensor, the batch being axis 0, which no layer touches.
"""

from __future__ import annotations

from edgeseg.thawed_layers.layer import Layer
from edgeseg.thawed_layers.pointwise import Arithmetic, Elementwise, Gelu, Rounded, WithConstant
from edgeseg.thawed_layers.resize import Resize
from edgeseg.thawed_layers.shapes import ArgMax, Pad, Reduce, Shuffle, Slice, Stack, Tile

__all__ = [
    "REGISTERED", "ArgMax", "Arithmetic", "Elementwise", "Gelu", "Layer", "Pad", "Reduce", "Resize", "Rounded",
    "Shuffle", "Slice", "Stack", "Tile", "WithConstant",
]  # fmt: skip

REGISTERED: dict[str, type[Layer]] = {
    f"edgeseg>{layer.__name__}": layer
    for layer in (
        Elementwise, Gelu, Arithmetic, WithConstant, Rounded, Pad, Reduce, Resize, Slice, Stack, Tile, ArgMax, Shuffle,
    )
}  # fmt: skip
"""The layers by their registered names."""
