"""Running a Keras network, in training or not, on any of Keras' backends."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import keras


def forward(model: Any) -> Callable[[Any], Any]:
    """Returns what runs a network on images, not in training; on JAX as one program, where layer by layer is slow."""
    if keras.backend.backend() != "jax":
        return lambda images: model(images, training=False)
    return _jax_program(model, training=False)


def training_pass(model: Any) -> Callable[[Any], None]:
    """Returns what runs a network in training mode and keeps what its layers then remember; on JAX as one program."""
    if keras.backend.backend() != "jax":
        return lambda images: model(images, training=True)
    run = _jax_program(model, training=True)

    def step(images: Any) -> None:
        for variable, value in zip(model.non_trainable_variables, run(images), strict=True):
            variable.assign(value)

    return step


def _jax_program(model: Any, *, training: bool) -> Callable[[Any], Any]:
    """Returns what runs a network as one program: not in training to its outputs, in training to its new state."""
    jax = importlib.import_module("jax")  # only where it is the backend

    run = jax.jit(lambda *state_and_images: model.stateless_call(*state_and_images, training=training)[int(training)])

    def call(images: Any) -> Any:
        trainable, others = model.trainable_variables, model.non_trainable_variables
        return run([v.value for v in trainable], [v.value for v in others], images)

    return call
