"""How TFLite cuts a graph between a delegate and the CPU.

TFLite walks the operators in execution order and gathers, again and again, all that are ready (their inputs are
computed) and on the same side as the first ready one; where none is left, a new subset begins on the other side
(`PartitionGraphIntoIndependentNodeSubsets` in tensorflow/lite/graph_info.cc). So what stands behind an unsupported
operator in the list, but does not depend on it, still joins the first subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeseg.tflite.graph import Subgraph


@dataclass(frozen=True, kw_only=True)
class Subset:
    """Operators that run together, in execution order, on the delegate (`delegated`) or on the CPU."""

    delegated: bool
    operators: tuple[int, ...]


def partition(subgraph: Subgraph, supported: Sequence[bool]) -> list[Subset]:
    """Cuts a subgraph into subsets that run one after the other.

    Args:
        subgraph: The graph.
        supported: For each operator, whether the delegate would take it.

    Returns:
        All operators, each in one subset. Operators on a cycle are in none: no runtime can run them.
    """
    computed = {tensor for op in subgraph.operators for tensor in op.outputs}
    waiting = [{i for i in op.inputs if i in computed} for op in subgraph.operators]
    readers: dict[int, list[int]] = {}
    for index, tensors in enumerate(waiting):
        for tensor in tensors:
            readers.setdefault(tensor, []).append(index)
    ready = {True: set[int](), False: set[int]()}
    for index, tensors in enumerate(waiting):
        if not tensors:
            ready[bool(supported[index])].add(index)
    subsets: list[Subset] = []
    while ready[True] or ready[False]:
        first = min(ready[True] | ready[False])
        side = first in ready[True]
        taken: list[int] = []
        while ready[side]:
            taken += ready[side]
            batch, ready[side] = ready[side], set()
            for index in batch:
                for tensor in subgraph.operators[index].outputs:
                    for reader in readers.get(tensor, ()):
                        if tensor in waiting[reader]:
                            waiting[reader].discard(tensor)
                            if not waiting[reader]:
                                ready[bool(supported[reader])].add(reader)
        subsets.append(Subset(delegated=side, operators=tuple(sorted(taken))))
    return subsets
