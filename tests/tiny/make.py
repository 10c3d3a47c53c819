"""Makes the models of this folder again: `PYTHONPATH=tests python tests/tiny/make.py`.

They tell sky, field and anything else by colour, with one average pooling and one 1x1 convolution of hand-set weights:
a few kilobytes, and right on the tests' painted images. What surrounds a network can so be tested in milliseconds
and without TensorFlow.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from painting import TINY_LABELS, make_photo

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.conversion.images import divide_arrays
from edgeseg.conversion.network import convert_network
from edgeseg.files import write_bytes
from edgeseg.keras_model import save_model

HEIGHT, WIDTH = 48, 64


def main() -> None:
    """Writes the Keras file, and from it the float32 and the int8_ptq file."""
    import keras

    image = keras.Input((HEIGHT, WIDTH, 3))
    layer = keras.layers.Conv2D(3, 1, name="logits")
    network = keras.Model(image, layer(keras.layers.AveragePooling2D(2)(image)), name="colours")
    # Of red, green, blue: sky is more blue than red, a field more green than both.
    kernel = np.array([[-3, -3, 0], [0, 6, 0], [3, -3, 0]], np.float32)[None, None]
    layer.set_weights([kernel, np.array([0, 0, 1.2], np.float32)])
    card = ModelCard(
        name=f"colours_tiny_paint_{HEIGHT}x{WIDTH}",
        architecture="",
        backbone="",
        output_stride=0,
        input=InputSpec(height=HEIGHT, width=WIDTH),
        labels=TINY_LABELS,
        recipe=Recipe(name="float32"),
        licence="Apache-2.0",
    )
    save_model(Path(__file__).parent / "colours.keras", network, card)
    images = [make_photo(HEIGHT, WIDTH)]
    for name in ("float32", "int8_ptq"):
        done = convert_network(network, card, Recipe(name=name), divide_arrays(images, "the tests' painted image"))
        path = Path(__file__).parent / f"{card.name}_{name}.tflite"
        write_bytes(path, done.content)
        print(f"{path}: {len(done.content)} bytes, agreement {done.agreement}")


if __name__ == "__main__":
    main()
