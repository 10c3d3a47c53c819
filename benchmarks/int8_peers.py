"""Quantization head to head: TensorFlow's converter alone, ai-edge-quantizer, and edgeseg.

    python benchmarks/int8_peers.py models/camvid --calibration camvid-train --data camvid/ --peer venv/bin/python
    python benchmarks/int8_peers.py models/camvid ... --apart    # channels scaled apart first, function unchanged
    python benchmarks/int8_peers.py runs/hard ... --all --epochs 3    # with adaptive rounding, and trained for integers

One network, the same calibration images, the same validation images (`--every` N-th). Prints a Markdown table:
mIoU, its drop from the float file with the bootstrap interval over images, and the share of pixels on which a file
chooses as the float file does.

ai-edge-quantizer pins other versions than edgeseg's: give the Python of an environment of its own (`python -m venv v;
v/bin/pip install ai-edge-quantizer`). Its static int8 recipes are run: min-max, MSE and OCTAV.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg.arrays import Uint8
from edgeseg.card import ModelCard, Recipe
from edgeseg.conversion.converter import run_converter, run_file
from edgeseg.conversion.equalize import Gains, scaled_apart
from edgeseg.conversion.images import Images, divide
from edgeseg.conversion.integer_file import BIAS, IntegerFile
from edgeseg.conversion.network import Training, convert_network
from edgeseg.conversion.ptq import span_input_range
from edgeseg.conversion.qat import QatData, QatOptions
from edgeseg.conversion.surgery import for_converter
from edgeseg.conversion.twins import channel_ranges
from edgeseg.data.calibration import open_calibration
from edgeseg.data.dataset import Dataset
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import EdgesegError
from edgeseg.float_model import open_float_model
from edgeseg.image import fit, normalise
from edgeseg.metrics import confusion_matrix
from edgeseg.recipes import REFINEMENTS
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import ImageCounts
from edgeseg.scoring.intervals import LEVEL, difference_interval

PEER = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import algorithm_manager, quantizer, recipe

graph, images, out = sys.argv[1:]
images = np.load(images)
(key, signature), = Interpreter(model_path=graph).get_signature_list().items()
(name,) = signature["inputs"]
for algorithm in ("MIN_MAX_UNIFORM_QUANT", "MSE", "OCTAV"):
    try:
        peer = quantizer.Quantizer(graph, recipe.static_wi8_ai8(getattr(algorithm_manager.AlgorithmName, algorithm)))
        seen = peer.calibrate({key: [{name: image[None]} for image in images]}, num_threads=2)
        peer.quantize(seen).export_model(f"{out}/{algorithm}.tflite", overwrite=True)
    except Exception as error:
        print(f"{algorithm}: {type(error).__name__}: {str(error).splitlines()[0]}")
"""
PEER_NAMES = {"MIN_MAX_UNIFORM_QUANT": "min-max", "MSE": "MSE", "OCTAV": "OCTAV"}


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One network to quantize.

    Attributes:
        network: Under tf_keras, batch 1.
        card: Its card.
        floating: Its float32 file.
        tensors: Calibration images, fitted to the input.
        images: The same and those that edgeseg chooses refinements by.
    """

    network: Any
    card: ModelCard
    floating: bytes
    tensors: list[Uint8]
    divided: Images


def opened(options: argparse.Namespace) -> Subject:
    """Opens the network and the images; scales channels apart if that is asked for."""
    model, card, _ = open_float_model(options.model)
    network = for_converter(model, card, card.input, Recipe(name="float32"))
    divided = divide(open_calibration(options.calibration, data=options.data), options.images)
    tensors = [fit(image, card.input) for image in divided.calibration]
    span_input_range(tensors)
    floating = run_converter(network, Recipe(name="float32"), card.input, [])
    if options.apart:
        file = IntegerFile(floating)
        outputs = [tensor for op in file.operators for tensor in op.outputs]
        images = [normalise(tensor, card.input) for tensor in tensors[::5]]
        ranges = channel_ranges(file, outputs, run_file, images)
        scale_layers(network, file, scaled_apart(floating, ranges, np.random.default_rng(0)))
        floating = run_converter(network, Recipe(name="float32"), card.input, [])
    return Subject(network=network, card=card, floating=floating, tensors=tensors, divided=divided)


def scale_layers(network: Any, file: IntegerFile, gains: Gains) -> None:
    """Gives the layers of a Keras network the gains of its float file, through their batch normalisations."""
    kernels = {n: (op, file.weights(n)) for n, op in enumerate(file.operators) if op.name in BIAS}
    one = np.ones(1)
    for layer in network.layers:
        if type(layer).__name__ not in ("Conv2D", "DepthwiseConv2D"):
            continue
        depthwise = type(layer).__name__ == "DepthwiseConv2D"
        kernel, *bias = layer.get_weights()
        follower = layer.outbound_nodes[0].outbound_layer if layer.outbound_nodes else None
        norm = follower if type(follower).__name__ == "BatchNormalization" else None
        folded = kernel[..., 0][None] if depthwise else kernel.transpose(3, 0, 1, 2)
        if norm is not None:
            gamma, beta, mean, variance = norm.get_weights()
            by_channel = gamma / np.sqrt(variance + norm.epsilon)
            folded = folded * (by_channel if depthwise else by_channel[:, None, None, None])
        found = [n for n, (_, k) in kernels.items() if k.shape == folded.shape and np.allclose(k, folded, atol=1e-4)]
        if len(found) != 1:
            raise SystemExit(f"{layer.name} is {len(found)} operators of the float file, expected 1")
        op, _ = kernels.pop(found[0])
        given, wanted = gains.get(op.inputs[BIAS[op.name][0]], one), gains.get(op.outputs[0], one)
        divided = kernel / (given[:, None] if len(given) > 1 else given)
        if norm is not None:
            layer.set_weights([divided])
            norm.set_weights([gamma * wanted, beta * wanted, mean, variance])
        else:
            layer.set_weights([divided * wanted, *(b * wanted for b in bias)])


def files_of(subject: Subject, options: argparse.Namespace) -> Iterator[tuple[str, bytes]]:
    """Yields names and files."""
    spec, card = subject.card.input, replace(subject.card, scores=())
    integer = Recipe(name="int8_ptq")
    yield "float32", subject.floating
    yield "TensorFlow's converter", run_converter(subject.network, integer, spec, subject.tensors)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for name in peer_files(subject, place, options.peer):
            yield f"ai-edge-quantizer, {PEER_NAMES[name]}", (place / f"{name}.tflite").read_bytes()
    ours: dict[str, dict[str, Any]] = {"edgeseg": {}}
    if options.all:
        ours["edgeseg, --refine all"] = {"refinements": REFINEMENTS}
    if options.epochs:
        train_set, val_set = (open_dataset(options.data, split) for split in ("train", "val"))
        data = QatData(train_set=train_set, val_set=val_set)
        ours["edgeseg, --qat"] = {"training": Training(data=data, options=QatOptions(epochs=options.epochs))}
    for name, how in ours.items():
        recipe = Recipe(name="int8_qat") if "training" in how else integer
        done = convert_network(
            subject.network, replace(card, architecture=""), recipe, subject.divided, **how,
            notify=lambda line: print(f"  {line}", flush=True),
        )  # fmt: skip
        yield name, done.content


def peer_files(subject: Subject, place: Path, python: Path | None) -> list[str]:
    """Lets ai-edge-quantizer write its files into a folder; returns their names."""
    if python is None:
        print("ai-edge-quantizer is left out: name the Python of its environment with --peer")
        return []
    (place / "float.tflite").write_bytes(subject.floating)
    np.save(place / "images.npy", np.stack([normalise(tensor, subject.card.input) for tensor in subject.tensors]))
    command = [python, "-c", PEER, place / "float.tflite", place / "images.npy", place]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    written = [name for name in PEER_NAMES if (place / f"{name}.tflite").exists()]
    if done.returncode or len(written) < len(PEER_NAMES):
        print("ai-edge-quantizer:", (done.stdout.strip() or done.stderr.strip())[-500:])
    return written


def scored(content: bytes, card: ModelCard, dataset: Dataset, every: int) -> tuple[ImageCounts, list[Any]]:
    """Returns what was counted in each image, and a file's choices at the logits' resolution."""
    segmenter, classes = Segmenter(content, input_spec=card.input, labels=card.labels), dataset.labels.num_classes
    numbers, counts, chosen = range(0, len(dataset), every), [], []
    for number in numbers:
        image, labels = dataset.load(number)
        counts.append(confusion_matrix(labels, segmenter.segment(image), classes))
        chosen.append(segmenter.coarse_label_map(image).copy())
    per_image = np.stack(counts)
    found = ImageCounts(
        names=tuple(map(str, numbers)),
        indices=tuple(numbers),
        hits=per_image.diagonal(axis1=1, axis2=2),
        truth=per_image.sum(2),
        predicted=per_image.sum(1),
    )
    return found, chosen


def score(counts: ImageCounts) -> float:
    """The mIoU of all images together."""
    hits, truth, predicted = (part.sum(0) for part in (counts.hits, counts.truth, counts.predicted))
    union = truth + predicted - hits
    return float((hits[union > 0] / union[union > 0]).mean())


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--calibration", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--apart", action="store_true")
    parser.add_argument("--all", action="store_true", help="edgeseg with adaptive rounding, too: minutes more")
    parser.add_argument("--epochs", type=int, default=0, help="edgeseg trained for integers, too, on the train split")
    options = parser.parse_args()
    subject = opened(options)
    dataset = open_dataset(options.data, "val")
    rows, files = [], files_of(subject, options)
    name, content = next(files)
    floating, wanted = scored(content, subject.card, dataset, options.every)
    told = score(floating)
    rows.append(f"| {name} | {told:.4f} | | | |")
    for name, content in files:
        try:
            counts, chosen = scored(content, subject.card, dataset, options.every)
        except EdgesegError as error:
            rows.append(f"| {name} | {str(error).splitlines()[0]} | | | |")
            continue
        lost, span = 100 * (told - score(counts)), difference_interval(floating, counts)
        same = np.mean([np.mean(a == b) for a, b in zip(chosen, wanted, strict=True)])
        between = f"{100 * span.low:+.2f} to {100 * span.high:+.2f}"
        rows.append(f"| {name} | {score(counts):.4f} | {lost:+.2f} | {between} | {same:.2%} |")
        print(rows[-1], flush=True)
    images = len(floating.names)
    print(f"\n{options.model}, {len(subject.tensors)} calibration images, {images} of {dataset.split}\n")
    print("\n".join([f"| file | mIoU | points lost | {LEVEL:.0%} | agreement |", "|---|---|---|---|---|", *rows]))


if __name__ == "__main__":
    main()
