"""Checkpoints: all that a training needs to go on after a kill, in one file, variables by name."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from edgeseg.errors import DataError, UsageError
from edgeseg.files import replacing
from edgeseg.training.history import History, from_json, to_json

CHECKPOINT_FORMAT = 2
Settings = Mapping[str, Any]
"""What must agree between the first run and a resumed one: names to JSON values."""


def named_variables(network: Any) -> dict[str, Any]:
    """Returns the variables of a compiled network and of its optimizer by names that the next process gives, too.

    Args:
        network: Of `keras` or `tf_keras`; the optimizer is built and has a name of its own.
    """
    named: dict[str, Any] = {}
    for inside, layer in _flat(network):
        for variable in layer.variables:
            # Keras numbers the states of random generators through the whole process: their layer names them better.
            path = _path(variable)
            own = path if path.startswith(f"{layer.name}/") else _owned(layer.name, path)
            _add(named, f"{inside}{own}", variable)
    optimizer = network.optimizer
    for variable in _listed(optimizer.variables):
        _add(named, _owned("optimizer", _path(variable)), variable)
    return named


def _flat(network: Any, inside: str = "") -> Iterator[tuple[str, Any]]:
    """Yields each layer with the networks that it is inside of, "shared/": layers may be whole networks."""
    for layer in network.layers:
        if getattr(layer, "layers", None):
            yield from _flat(layer, f"{inside}{layer.name}/")
        else:
            yield inside, layer


def _owned(owner: str, path: str) -> str:
    """Returns a variable's name under its owner's."""
    return f"{owner}/{path.partition('/')[2] or path}"


def _add(named: dict[str, Any], name: str, variable: Any) -> None:
    if name in named:
        raise ValueError(f"two variables are called {name}: a checkpoint needs names of their own")
    named[name] = variable


def _path(variable: Any) -> str:
    return str(getattr(variable, "path", variable.name)).partition(":")[0]


def _listed(variables: Any) -> list[Any]:
    return list(variables() if callable(variables) else variables)


class Checkpoint:
    """The state of one training, and the file it is kept in.

    Args:
        path: The file.
        settings: What must agree between the first run and a resumed one.
        anew: What messages advise to whoever would rather begin anew.

    Attributes:
        history: The epochs that are done.
        wall_s: Seconds they took.
    """

    def __init__(self, path: Path, settings: Settings, *, anew: str = "--overwrite it") -> None:
        self.path = path
        self.history: History = ()
        self.wall_s = 0.0
        self._settings, self._anew = settings, anew

    def save(self, network: Any, history: History, wall_s: float) -> None:
        """Writes the state atomically."""
        self.history, self.wall_s = history, wall_s
        arrays = {f"v/{name}": keras.ops.convert_to_numpy(v) for name, v in named_variables(network).items()}
        facts = {
            "format": CHECKPOINT_FORMAT,
            "wall_s": wall_s,
            "history": [to_json(row) for row in history],
            "settings": self._settings,
        }
        with replacing(self.path) as temporary:
            np.savez(temporary, facts=np.array(json.dumps(facts)), **arrays)

    def load(self, network: Any) -> None:
        """Takes up the state in the file.

        Raises:
            UsageError: It belongs to a training with other settings; the message names each.
            DataError: It is damaged, of an earlier edgeseg, or of another network.
        """
        facts = read_facts(self.path, self._anew)
        different = differences(facts["settings"], json.loads(json.dumps(self._settings)))
        if different:
            raise UsageError(
                f"{self.path.parent} holds a training with other settings ({'; '.join(different)}): --resume with the "
                f"same ones, {self._anew}, or name another folder"
            )
        variables = named_variables(network)
        with np.load(io.BytesIO(self.path.read_bytes()), allow_pickle=False) as stored:
            arrays = {name.removeprefix("v/"): stored[name] for name in stored.files if name != "facts"}
        for name in sorted(arrays.keys() ^ variables.keys()):
            where = "the network" if name in arrays else "the checkpoint"
            raise DataError(f"{self.path} does not fit the network: {where} has no {name}; {self._anew}")
        for name, variable in variables.items():
            if arrays[name].shape != tuple(variable.shape):
                raise DataError(
                    f"{self.path} does not fit the network: {name} has shape {arrays[name].shape}, expected "
                    f"{tuple(variable.shape)}; {self._anew}"
                )
        for name, variable in variables.items():
            variable.assign(arrays[name])
        self.history, self.wall_s = facts["history"], facts["wall_s"]


def read_facts(path: Path, anew: str = "--overwrite it") -> dict[str, Any]:
    """Reads what a checkpoint says beside its variables: "history", "wall_s", "settings".

    Raises:
        DataError: It is damaged, or of an earlier edgeseg.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as stored:
            if "facts" in stored.files and stored["facts"].dtype.kind != "U":
                raise DataError(
                    f"{path} was written by an earlier edgeseg, which this one cannot go on from: {anew}, or "
                    "name another folder"
                )
            facts = json.loads(str(stored["facts"]))
        facts["history"] = tuple(from_json(row) for row in facts["history"])
        return {"wall_s": float(facts["wall_s"]), "settings": dict(facts["settings"]), "history": facts["history"]}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is no checkpoint of a training ({error}): {anew} to begin anew") from error


def differences(then: Settings, now: Settings) -> list[str]:
    """Tells each setting that is not what it was, such as "learning_rate 0.001 then, 0.01 now"."""
    return [
        f"{name} {_value(then, name)} then, {_value(now, name)} now"
        for name in {**then, **now}
        if then.get(name) != now.get(name)
    ]


def _value(settings: Settings, name: str) -> str:
    value = settings.get(name)
    if isinstance(value, list):
        return "x".join(map(str, value)) if len(value) == 2 else ", ".join(map(str, value))
    return "none" if value is None else str(value)
