"""How a delegate cuts a graph: drawn by hand, one letter an operator, upper case taken by the delegate."""

from __future__ import annotations

import pytest
from tiny_tflite import TinyModel

from edgeseg.tflite.graph import parse_graph
from edgeseg.tflite.partition import partition

Edges = dict[str, str]


def cut(operators: str, edges: Edges) -> str:
    """Partitions the graph whose operator x reads the outputs of the operators edges[x], or the input."""
    tiny = TinyModel()
    start = tiny.tensor((1, 4))
    outputs = {name: tiny.tensor((1, 4)) for name in operators}
    for name in operators:
        tiny.op("RELU", [outputs[other] for other in edges.get(name, "")] or [start], [outputs[name]])
    graph = parse_graph(tiny.content([start], [outputs[operators[-1]]]))
    subsets = partition(graph.main, [name.isupper() for name in operators])
    assert all(all(operators[i].isupper() == s.delegated for i in s.operators) for s in subsets)
    return " ".join("".join(operators[i] for i in subset.operators) for subset in subsets)


@pytest.mark.parametrize(
    ("operators", "edges", "parts"),
    [
        ("ABC", {"B": "A", "C": "B"}, "ABC"),
        ("AbC", {"b": "A", "C": "b"}, "A b C"),
        ("aBC", {"B": "a", "C": "B"}, "a BC"),
        # C is listed after b but does not depend on it: it joins the first part (the old DeepLabs' ASPP branch)
        ("AbC", {"b": "A", "C": "A"}, "AC b"),
        # two branches meet behind an unsupported operator
        ("ABcDE", {"B": "A", "c": "A", "D": "B", "E": "cD"}, "ABD c E"),
        # the first operator that is ready decides which side begins, and that side takes all it can reach
        ("aBcD", {"B": "a", "c": "a", "D": "Bc"}, "ac BD"),
        ("AbCdE", {"b": "A", "C": "b", "d": "A", "E": "Cd"}, "A bd CE"),
    ],
)
def test_parts(operators: str, edges: Edges, parts: str) -> None:
    assert cut(operators, edges) == parts


def test_operators_that_wait_for_each_other_are_in_no_part() -> None:
    assert cut("AB", {"A": "B", "B": "A"}) == ""


def test_an_operator_that_reads_one_tensor_twice() -> None:
    assert cut("AB", {"B": "AA"}) == "AB"
