"""The memory estimate: by hand on a small network, and against packages of the real compiler."""

from __future__ import annotations

import json
from pathlib import Path

from tiny_tflite import TinyModel, conv_model

from edgeseg.tflite.edgetpu.memory import ACTIVATION_CAPACITY, PARAMETER_CAPACITY, estimate
from edgeseg.tflite.graph import parse_graph, read_graph


def test_activations_are_those_alive_at_the_same_time() -> None:
    tiny = TinyModel()
    a, b, c, d = (tiny.tensor((1, 10, 10, n)) for n in (1, 2, 3, 4))
    tiny.op("RELU", [a], [b])  # a + b = 300
    tiny.op("RELU", [b], [c])  # a is still needed: a + b + c = 600
    tiny.op("ADD", [a, c], [d])  # a + c + d = 800
    main = parse_graph(tiny.content([a], [d])).main
    assert estimate(main, range(3)).activation_bytes == 800
    assert estimate(main, [0]).activation_bytes == 300


def test_parameters_beyond_the_chip_are_streamed() -> None:
    tiny = TinyModel()
    image, out = tiny.tensor((1, 4096)), tiny.tensor((1, 4096))
    weights = tiny.tensor((4096, 4096), data=b"\0" * 4096**2)
    tiny.op("FULLY_CONNECTED", [image, weights], [out])
    memory = estimate(parse_graph(tiny.content([image], [out])).main, [0])
    assert memory.cached_bytes == PARAMETER_CAPACITY
    assert memory.streamed_bytes == memory.parameter_bytes - PARAMETER_CAPACITY > 8_000_000


def test_a_small_network_is_cached_whole() -> None:
    memory = estimate(parse_graph(conv_model()).main, [0])
    assert memory.streamed_bytes == 0
    assert memory.activation_bytes < ACTIVATION_CAPACITY


def test_parameters_are_within_7_percent_of_the_real_compilers(test_data: Path) -> None:
    mapping = json.loads((test_data / "edgetpu" / "mapping.json").read_text())
    compared = 0
    for name, real in mapping.items():
        programs = [program for package in real["packages"] for program in package["executables"]]
        parameters = sum(program["parameter_bytes"] for program in programs)
        if parameters < 100_000:
            continue
        found = estimate(read_graph(test_data / "edgetpu" / name).main, real["mapped"]).parameter_bytes
        assert abs(found / parameters - 1) < 0.07, name
        compared += 1
    assert compared == 14
