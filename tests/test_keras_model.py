"""Float networks on disk: what is stored is what is loaded, whole or at half the size."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from edgeseg.keras_model import load_model, save_model


@pytest.fixture(scope="module")
def network() -> keras.Model:
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(64, 3, padding="same", use_bias=False, name="wide")(image)
    x = keras.layers.BatchNormalization(name="norm")(x)
    made = keras.Model(image, keras.layers.Conv2D(64, 3, padding="same", name="logits")(x))
    random = np.random.default_rng(0)
    made.set_weights([random.uniform(0.1, 1, w.shape).astype(np.float32) for w in made.get_weights()])
    return made


def test_half_precision_rounds_kernels_alone_and_halves_the_file(network: keras.Model, tmp_path: Path) -> None:
    save_model(tmp_path / "whole.keras", network, None)
    save_model(tmp_path / "half.keras", network, None, half_precision=True)
    whole, half = (load_model(tmp_path / f"{name}.keras")[0] for name in ("whole", "half"))
    for kept, stored, rounded in zip(network.weights, whole.get_weights(), half.get_weights(), strict=True):
        np.testing.assert_array_equal(stored, kept.numpy())
        expected = stored.astype(np.float16).astype(np.float32) if stored.ndim > 1 else stored
        np.testing.assert_array_equal(rounded, expected)
        assert rounded.dtype == np.float32
    sizes = [(tmp_path / f"{name}.keras").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]


def test_half_precision_is_stored_once_and_stays(network: keras.Model, tmp_path: Path) -> None:
    save_model(tmp_path / "once.keras", network, None, half_precision=True)
    again = load_model(tmp_path / "once.keras")[0]
    save_model(tmp_path / "twice.keras", again, None, half_precision=True)
    for first, second in zip(again.get_weights(), load_model(tmp_path / "twice.keras")[0].get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
