"""What 16-bit activations with 8-bit weights would bring and cost, beside int8 and float32.

    python benchmarks/int16_activations.py models/camvid --calibration camvid-train --data camvid/

TensorFlow's converter makes all three files of one network, from the same calibration images, unrefined. Prints a
Markdown table: processor time of one invocation on one thread (the least of `--runs`), how many operators XNNPACK
takes, and on how many pixels of the validation images (`--every` N-th) a file chooses as the float file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec, Recipe
from edgeseg.conversion.converter import run_converter
from edgeseg.conversion.images import divide
from edgeseg.conversion.ptq import representative, span_input_range
from edgeseg.conversion.surgery import for_converter
from edgeseg.data.calibration import open_calibration
from edgeseg.data.layouts import open_dataset
from edgeseg.float_model import open_float_model
from edgeseg.image import fit, normalise
from edgeseg.runtime.protocol import OpenOptions
from edgeseg.runtime.registry import open_network
from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.xnnpack import coverage


def int16_file(network: Any, spec: InputSpec, tensors: list[Uint8]) -> bytes:
    """Lets the converter write a file of int16 activations and int8 weights; its input and output are float."""
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    mode = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    converter.target_spec.supported_ops = [mode]

    def images() -> Iterator[list[Float32]]:
        yield from representative(tensors, spec)

    converter.representative_dataset = images
    return bytes(converter.convert())


def measured(content: bytes, tensors: list[Uint8], spec: InputSpec, runs: int) -> tuple[float, list[Any]]:
    """Returns the least processor time of an invocation, in ms, and the class chosen at each place of each image."""
    network = open_network(content, OpenOptions(threads=1, proven=True))
    (entry,), (logits,) = network.inputs, network.outputs
    takes_bytes = network.view(entry).dtype == np.uint8
    chosen, least = [], np.inf
    for number, tensor in enumerate(tensors):
        network.view(entry)[:] = (tensor if takes_bytes else normalise(tensor, spec))[None]
        for _ in range(max(1, runs // len(tensors)) if number else runs):
            begun = time.process_time()
            network.invoke()
            least = min(least, time.process_time() - begun)
        chosen.append(network.view(logits)[0].argmax(-1))
    return 1000 * least, chosen


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--images", type=int, default=20, help="calibration images")
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    model, card, _ = open_float_model(options.model)
    spec, network = card.input, for_converter(model, card, card.input, Recipe(name="float32"))
    calibration = divide(open_calibration(options.calibration, data=options.data), options.images).calibration
    tensors = [fit(image, spec) for image in calibration]
    span_input_range(tensors)
    dataset = open_dataset(options.data, "val")
    seen = [fit(dataset.load(n)[0], spec) for n in range(0, len(dataset), options.every)]
    files = {
        "float32": run_converter(network, Recipe(name="float32"), spec, []),
        "int8": run_converter(network, Recipe(name="int8_ptq"), spec, tensors),
        "int16 activations, int8 weights": int16_file(network, spec, tensors),
    }
    print(f"\n{options.model}, {len(tensors)} calibration images, {len(seen)} of val\n")
    print("| file | ms, one thread | operators in XNNPACK | agreement |\n|---|---|---|---|")
    first: list[Any] = []
    for name, content in files.items():
        reasons = coverage(parse_graph(content)).reasons
        milliseconds, chosen = measured(content, seen, spec, options.runs)
        first = first or chosen
        same = np.mean([np.mean(a == b) for a, b in zip(chosen, first, strict=True)])
        taken = sum(reason is None for reason in reasons)
        print(f"| {name} | {milliseconds:.0f} | {taken} of {len(reasons)} | {same:.2%} |", flush=True)


if __name__ == "__main__":
    main()
