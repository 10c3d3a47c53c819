"""What refines an integer file behind the converter, by the names that `edgeseg.recipes` gives.

A refinement changes numbers in the file, never its graph. Each gets the file that came before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeseg.card import InputSpec
from edgeseg.conversion.converter import Advance, run_file
from edgeseg.conversion.tuning import tune
from edgeseg.image import Uint8


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a refinement works on.

    Attributes:
        file: The integer file, without a card.
        reference: The float32 file of the same network.
        tensors: Calibration tensors, (height, width, 3) uint8 RGB.
        spec: The network's input.
        advance: Called with (done, total) steps.
    """

    file: bytes
    reference: bytes
    tensors: Sequence[Uint8]
    spec: InputSpec
    advance: Advance


def ranges_and_biases(subject: Subject) -> tuple[bytes, str]:
    """Narrows ranges to least error and corrects biases, see `conversion.tuning`."""
    tuned, biases = tune(subject.file, subject.reference, subject.tensors, subject.spec, run_file, subject.advance)
    return tuned, f"ranges and {biases} biases tuned"


Refinement = Callable[[Subject], tuple[bytes, str]]
"""From a subject to the refined file, and what was done in words."""

REFINEMENTS: dict[str, Refinement] = {"ranges and biases": ranges_and_biases}
