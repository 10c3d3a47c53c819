"""Every edge form at the sizes people use maps to the Edge TPU whole, by the prediction. Minutes long: `make slow`."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.architectures.network import NetworkSpec
from edgeseg.architectures.registry import ARCHITECTURES, build_network
from edgeseg.card import InputSpec, LabelSet, ModelCard, Recipe
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.synth import aerial
from edgeseg.tflite.edgetpu.predict import predict
from edgeseg.tflite.graph import parse_graph

pytestmark = pytest.mark.slow
EDGE = [name for name, architecture in ARCHITECTURES.items() if architecture.edge]


@pytest.mark.parametrize("name", EDGE)
@pytest.mark.parametrize(
    ("backbone", "height", "width", "stride"),
    [("resnet18_0.25", 360, 480, 8), ("mobilenetv2_0.35", 240, 320, 16)],
)
def test_all_operators_map_in_one_part_and_labels_are_those_of_the_cpu_file(
    name: str, backbone: str, height: int, width: int, stride: int
) -> None:
    import keras

    from edgeseg.conversion.images import divide_arrays
    from edgeseg.conversion.network import convert_network

    spec = NetworkSpec(
        architecture=name, backbone=backbone, num_classes=11, height=height, width=width, output_stride=stride
    )
    card = ModelCard(
        name=f"{name}_{height}x{width}", architecture=name, backbone=spec.backbone, output_stride=stride,
        input=InputSpec(height=height, width=width), labels=LabelSet.from_names([f"c{i}" for i in range(11)]),
        recipe=Recipe(name="float32"),
    )  # fmt: skip
    network = build_network(keras, spec, batch_size=1)
    images = [aerial.render(i, seed=5, height=height, width=width)[0] for i in range(3)]
    files = {
        target: convert_network(network, card, Recipe(name="int8_ptq", target=target), divide_arrays(images)).content
        for target in ("cpu", "edgetpu")
    }
    graph = parse_graph(files["edgetpu"])
    prediction = predict(graph)
    assert prediction.rejections == ()
    assert len(prediction.segments) == 1
    left = [graph.main.operators[v.index].op for v in prediction.verdicts if not v.mapped]
    assert left == []
    cpu, edgetpu = Segmenter(files["cpu"]), Segmenter(files["edgetpu"])
    same = np.mean([np.mean(cpu.coarse_label_map(p) == edgetpu.coarse_label_map(p)) for p in images])
    assert same >= 0.995
