"""What refines an integer file behind the converter, by the names that `edgeseg.recipes` and `--refine` give.

A refinement changes numbers in the file, never its graph. Each gets what came before it, in the order of the table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from edgeseg.arrays import Uint8
from edgeseg.card import InputSpec
from edgeseg.conversion.converter import Advance, run_file
from edgeseg.conversion.equalize import equalized
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.rounding import round_adaptively
from edgeseg.conversion.tuning import RANGE_IMAGES, spaced, tune_biases, tune_logits, tune_ranges
from edgeseg.conversion.twins import channel_ranges, requantized
from edgeseg.image import normalise


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a refinement works on.

    Attributes:
        file: The integer file, without a card.
        reference: The float32 file of the same network.
        tensors: Calibration tensors, (height, width, 3) uint8 RGB.
        spec: The network's input.
        advance: Called with (done, total) steps.
        per_tensor: Whether a kernel has one scale; else each of its output channels has its own.
    """

    file: bytes
    reference: bytes
    tensors: Sequence[Uint8]
    spec: InputSpec
    advance: Advance
    per_tensor: bool = False


Refinement = Callable[[Subject], tuple[Subject, str] | None]
"""From a subject to the refined one, and what was done in words; None where the integer graph is not the float one."""


def equalization(subject: Subject) -> tuple[Subject, str] | None:
    """Makes the ranges of channels alike, see `conversion.equalize`; the float file changes, too."""
    floating = IntegerFile(subject.reference)
    outputs = [tensor for op in floating.operators for tensor in op.outputs]
    images = [normalise(tensor, subject.spec) for tensor in spaced(subject.tensors, RANGE_IMAGES)]
    ranges = channel_ranges(floating, outputs, run_file, images)
    subject.advance(1, 2)
    reference, ranges, count = equalized(subject.reference, ranges, per_tensor=subject.per_tensor)
    file = requantized(subject.file, reference, ranges)
    subject.advance(2, 2)
    if file is None:
        return None
    return replace(subject, file=file, reference=reference), f"{count} channels equalized"


def ranges(subject: Subject) -> tuple[Subject, str]:
    """Narrows the ranges of activations to least error, see `conversion.tuning`."""
    file = tune_ranges(subject.file, subject.tensors, subject.spec, run_file)
    return replace(subject, file=file), "ranges of least error"


def rounding(subject: Subject) -> tuple[Subject, str] | None:
    """Rounds weights by what that does to their layer, see `conversion.rounding`."""
    done = round_adaptively(subject.file, subject.reference, subject.tensors, subject.spec, run_file, subject.advance)
    if done is None:
        return None
    file, moved, total = done
    return replace(subject, file=file), f"{moved} of {total} weights rounded the other way"


def biases(subject: Subject) -> tuple[Subject, str] | None:
    """Corrects biases, see `conversion.tuning`."""
    file, count = tune_biases(subject.file, subject.reference, subject.tensors, subject.spec, run_file, subject.advance)
    return (replace(subject, file=file), f"{count} biases corrected") if count else None


def logits(subject: Subject) -> tuple[Subject, str]:
    """Narrows the range of the logits as far as label maps gain by it, see `conversion.tuning`."""
    file = tune_logits(subject.file, subject.reference, subject.tensors, subject.spec, run_file)
    return replace(subject, file=file), "logits narrowed"


REFINEMENTS: dict[str, Refinement] = {
    "equalization": equalization, "ranges": ranges, "rounding": rounding, "biases": biases, "logits": logits,
}  # fmt: skip
"""By the names of `edgeseg.recipes.REFINEMENTS`."""
