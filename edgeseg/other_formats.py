"""What is not a Keras network that can be loaded: which format it is, and what to do with it, in one line."""

from __future__ import annotations

import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

_HDF5 = b"\x89HDF\r\n\x1a\n"
_ZIP = b"PK\x03\x04"
_IN_PYTHON = "load it in Python, where you trust it, and call edgeseg.convert(network)"
_SUFFIXES = {
    ".onnx": "ONNX",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".pb": "frozen TensorFlow graph",
    ".safetensors": "safetensors",
}


def other_format(path: str | os.PathLike[str]) -> str:
    """Tells by its name and first bytes that a file or folder is a network of another kind.

    Returns:
        "is ...: what to do", to stand behind the path; "" for what may be Keras or TFLite.
    """
    path = Path(path)
    if path.is_dir():
        if not (path / "saved_model.pb").is_file():
            return ""
        if (path / "keras_metadata.pb").is_file():
            return (
                "is a TensorFlow SavedModel of Keras 2: save it as .h5 (tf_keras.models.load_model(folder).save("
                '"model.h5")) and convert that'
            )
        return (
            "is a TensorFlow SavedModel, a graph without its Keras layers: save the network as .keras where it is "
            "made; or let TensorFlow's own converter make a .tflite file, which edgeseg inspects and runs"
        )
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        head = file.read(64)
    kind = _SUFFIXES.get(path.suffix.lower(), "")
    if not kind and head[:1] == b"\x08" and re.match(rb"\x08[\x03-\x10](\x12|:)", head):
        kind = "ONNX"
    if not kind and head[:4] == _ZIP and any(name.endswith("/data.pkl") for name in _members(path)):
        kind = "PyTorch"
    if kind:
        return (
            f"is {'an' if kind == 'ONNX' else 'a'} {kind} file, edgeseg reads Keras: build the network in Keras"
            ", copy its weights, and save it as .keras; or bring a .tflite file, which edgeseg inspects and runs"
        )
    if head[4:8] == b"TFL3" and path.suffix != ".tflite":
        return "is a .tflite file by its content: name it so"
    return ""


def unloadable(path: str | os.PathLike[str]) -> str:
    """Tells why Keras cannot load a `.keras` or `.h5` file, from what is in it.

    Returns:
        As `other_format`; "" where nothing tells.
    """
    path = Path(path)
    if found := other_format(path):
        return found
    config, version, whole = _keras_config(path)
    if not whole:
        return (
            "holds weights and no network: build the network, load them with load_weights, and save it as .keras, or "
            "call edgeseg.convert(network)"
        )
    if '"class_name": "Lambda"' in config:
        return f"has a Lambda layer, which is code that would run on loading: {_IN_PYTHON}; or build it without"
    strangers = sorted(_packages(config))
    if strangers:
        return f"is made of layers of {', '.join(strangers)}, which Keras alone does not know: {_IN_PYTHON}"
    if version.startswith("2."):
        return (
            f'was saved by Keras {version}: load it with tf_keras there and save it as .h5 (network.save("model.h5"))'
        )
    return ""


def _packages(config: str) -> set[str]:
    """The packages of a network's layers, Keras's own left out; custom classes by their names."""
    modules = {module.split(".")[0] for module in re.findall(r'"module": "([\w.]+)"', config)}
    registered = set(re.findall(r'"(?:registered_name|class_name)": "([\w.]+)>', config)) - {"Custom"}
    found = (modules | registered) - {"keras", "tf_keras", "builtins", "tensorflow", "numpy"}
    return found or set(re.findall(r'"module": null, "class_name": "(\w+)"', config))


def _keras_config(path: Path) -> tuple[str, str, bool]:
    """A network's configuration as JSON, the Keras version that saved it, and whether there is a network at all."""
    with path.open("rb") as file:
        head = file.read(8)
    if head == _HDF5:
        import h5py  # noqa: PLC0415  (comes with Keras, which is not needed to read this module)

        with h5py.File(path, "r") as stored:
            config, version = (_text(stored.attrs.get(name)) for name in ("model_config", "keras_version"))
        return config, version, bool(config)
    if head[:4] != _ZIP:
        return "", "", True
    try:
        with zipfile.ZipFile(path) as archive:
            config = archive.read("config.json").decode(errors="replace")
            metadata = json.loads(archive.read("metadata.json"))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile):
        return "", "", True
    return config, str(metadata.get("keras_version", "")) if isinstance(metadata, dict) else "", True


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return []


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
