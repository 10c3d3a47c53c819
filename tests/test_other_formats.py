"""What is no Keras network that can be loaded is told in one line with what to do, not by Keras' dump."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeseg.keras_model import load_model


def network(K: Any, *layers: Any) -> Any:
    return K.Sequential([K.Input((16, 16, 3)), K.layers.Conv2D(4, 3), *layers, K.layers.Conv2D(3, 1)])


def write_keras_hub(path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="keras_hub")
    class Gate(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    network(keras, Gate()).save(path)
    keras.saving.get_custom_objects().pop("keras_hub>Gate")


def write_own_layer(path: Path) -> None:
    import keras

    class Gate(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    network(keras, Gate()).save(path)


def write_lambda(path: Path) -> None:
    import keras

    network(keras, keras.layers.Lambda(lambda x: 2 * x)).save(path)


def write_weights(path: Path) -> None:
    import keras

    network(keras).save_weights(path)


def write_keras_2(path: Path) -> None:
    import tf_keras

    image = tf_keras.Input((16, 16, 3))
    tf_keras.Model(image, tf_keras.layers.Conv2D(3, 3)(image)).save(path)


def write_keras_2_weights(path: Path) -> None:
    import tf_keras

    network(tf_keras).save_weights(path)


def write_saved_model(path: Path) -> None:
    import keras

    network(keras).export(path, verbose=False)


def write_bytes(content: bytes) -> Any:
    return lambda path: path.write_bytes(content)


ONNX = b"\x08\x07\x12\x07pytorch\x1a\x031.9"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        (
            "a.keras",
            write_keras_hub,
            "is made of layers of keras_hub, test_other_formats, which Keras",
        ),
        ("a.h5", write_keras_hub, "is made of layers of keras_hub, which Keras alone does not know: load it in Python"),
        (
            "a.keras",
            write_own_layer,
            "is made of layers of test_other_formats, which Keras alone does not know",
        ),
        ("a.keras", write_lambda, "has a Lambda layer, which is code that would run on loading: load it in Python"),
        ("a.h5", write_lambda, "has a Lambda layer, which is code that would run on loading: load it in Python"),
        ("a.weights.h5", write_weights, "holds weights and no network: build the network, load them"),
        ("a.h5", write_keras_2_weights, "holds weights and no network: build the network, load them"),
        ("a.keras", write_keras_2, "was saved by Keras 2.21.0: load it with tf_keras there and save it"),
        ("folder", write_saved_model, "is a TensorFlow SavedModel, a graph without its Keras layers: save the network"),
        ("a.onnx", write_bytes(ONNX), "is an ONNX file, edgeseg reads Keras: build the network in Keras"),
        ("a.keras", write_bytes(ONNX), "is an ONNX file, edgeseg reads Keras: build the network in Keras"),
        ("a.pt", write_bytes(b"PK\x03\x04"), "is a PyTorch file, edgeseg reads Keras"),
        ("a.keras", write_bytes(b"\x1c\x00\x00\x00TFL3"), "is a .tflite file by its content: name it so"),
        ("a.keras", write_bytes(b"nonsense"), "expected .keras or .h5"),
    ],
)
def test_other_formats(name: str, write: Any, message: str, tmp_path: Path, cli: Any) -> None:
    path = tmp_path / name
    write(path)
    refused = cli("convert", path, "--int8", "--calibration", "synthetic:1")
    assert f"{path} " in refused.error
    assert message in refused.error
    assert len(refused.error) < 400


def test_an_h5_file_of_keras_2_loads(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with pytest.warns(UserWarning, match="saving your model as an HDF5"):
        write_keras_2(path)
    loaded, card = load_model(path)
    assert loaded.output_shape == (None, 14, 14, 3)
    assert card is None


def test_run_and_bench_tell_too(tmp_path: Path, cli: Any) -> None:
    path = tmp_path / "network.onnx"
    path.write_bytes(ONNX)
    assert "is an ONNX file" in cli("bench", path).error
