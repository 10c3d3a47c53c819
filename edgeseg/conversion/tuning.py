"""What makes post-training quantization lose less: activation ranges of least error, and corrected biases.

The converter spans each activation's int8 range over the smallest and the largest value it sees, so that one outlier
costs every other value its precision; and rounding shifts the mean of each channel, which adds up from layer to layer.

- **Ranges** are narrowed to where clipping and rounding together cost least (mean squared error), as in Banner,
  Nahshan, Soudry, "Post training 4-bit quantization of convolutional networks", NeurIPS 2019, section 3, but on the
  histogram that is measured, not on a fitted one.
- **Biases** take up the shift of each channel's mean between float and integer network, layer after layer, each
  measured behind the corrections before it: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
  Correction", ICCV 2019, section 4.2 and appendix D (empirical bias correction).
- **Logits** need not reach below the weakest winner nor above the strongest loser to tell them apart at their own
  pixel; but label maps are of logits interpolated between pixels, where it counts by how much a class wins. So the
  range is narrowed only as far as label maps at the input's size come nearer to the float network's.

All this changes numbers in the file, not the graph: it runs as fast as before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.conversion.integer_file import BIAS, IntegerFile, Scale
from edgeseg.conversion.ptq import stored_inputs
from edgeseg.image import normalise
from edgeseg.postprocess import label_map

RANGE_IMAGES = 20
BIAS_IMAGES = 10
_LEVELS = np.arange(-128, 128)
_ENDS = np.linspace(0.2, 1.0, 41)
"""What an end of a range is tried at, of where it is."""
_NARROWINGS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""How far logits are narrowed, of the way to where only their order at a pixel is kept."""
_SAME_WEIGHTS = 0.95
"""Least correlation of a float kernel with the integer one that it became."""

Advance = Callable[[int, int], None]
Run = Callable[[bytes, Sequence[npt.NDArray[Any]]], Iterator[list[npt.NDArray[Any]]]]
"""From a file and inputs (height, width, channels) to the file's outputs for each, in the file's order."""


def tune_ranges(content: bytes, tensors: Sequence[Uint8], spec: InputSpec, run: Run) -> bytes:
    """Narrows the ranges of an int8 file's activations, but for its logits, to least error.

    Args:
        content: The int8 file, with uint8 input.
        tensors: Calibration tensors, (height, width, channels) uint8.
        spec: The network's input.
        run: Runs a file on inputs (height, width, channels); yields its outputs for each.
    """
    file = IntegerFile(content)
    narrow_activations(file, run, stored_inputs(content, spaced(tensors, RANGE_IMAGES), spec))
    return file.content()


def tune_logits(content: bytes, reference: bytes, tensors: Sequence[Uint8], spec: InputSpec, run: Run) -> bytes:
    """Narrows the range of an int8 file's logits, as far as label maps gain by it; arguments as for `tune_biases`."""
    file, floating = IntegerFile(content), IntegerFile(reference)
    group = next((group for group in file.groups() if file.logits in group), None)
    scale = file.scale(file.logits)
    if group is None or scale is None or file.shape(file.logits)[-1] < 2:
        return content
    inputs = [normalise(tensor, spec) for tensor in spaced(tensors, RANGE_IMAGES)]
    wanted = [logits[0] for (logits,) in run(floating.content([floating.logits]), inputs)]
    file.rescale(group, deciding_scale(scale, wanted, (spec.height, spec.width)))
    return file.content()


def tune_biases(
    content: bytes, reference: bytes, tensors: Sequence[Uint8], spec: InputSpec, run: Run, advance: Advance
) -> tuple[bytes, int]:
    """Corrects the biases of an int8 file; arguments as for `tune_ranges`.

    Args:
        content: The int8 file.
        reference: The float32 file of the same network.
        tensors: Calibration tensors.
        spec: The network's input.
        run: Runs a file.
        advance: Called with (done, total) steps.

    Returns:
        The file with other biases, and how many: 0 where the float file's graph is another.
    """
    file, floating = IntegerFile(content), IntegerFile(reference)
    pairs = matching_convolutions(file, floating)
    fewer = spaced(tensors, BIAS_IMAGES)
    normalised = [normalise(tensor, spec) for tensor in fewer]
    fewer = stored_inputs(content, fewer, spec)
    wanted = channel_means(floating, [theirs for _, theirs in pairs], len(floating.operators), run, normalised)
    for done, ((index, _), mean) in enumerate(zip(pairs, wanted, strict=True), 1):
        (got,) = channel_means(file, file.operators[index].outputs, index + 1, run, fewer)
        file.add_to_bias(index, mean - got)
        advance(done, len(pairs))
    return file.content(), len(pairs)


def spaced(tensors: Sequence[Uint8], count: int) -> Sequence[Uint8]:
    """Picks about `count` of some tensors, evenly spaced."""
    return tensors[:: max(1, len(tensors) // count)]


def narrow_activations(file: IntegerFile, run: Run, tensors: Sequence[Uint8]) -> None:
    """Narrows the ranges of all activations but the logits to where they cost least."""
    groups = [group for group in file.groups() if file.logits not in group]
    watched = [tensor for group in groups for tensor in group]
    counts = {tensor: np.zeros(256) for tensor in watched}
    for outputs in run(file.content(watched), tensors):
        for tensor, stored in zip(watched, outputs, strict=True):
            counts[tensor] += np.bincount(stored.view(np.uint8).ravel() ^ 128, minlength=256)
    for group in groups:
        scale = file.scale(group[0])
        assert scale is not None
        file.rescale(group, least_error_scale(np.sum([counts[tensor] for tensor in group], 0), scale))


def deciding_scale(scale: Scale, wanted: Sequence[Float32], size: tuple[int, int]) -> Scale:
    """Returns the scale of logits with which label maps are most like those of logits that are not rounded.

    Args:
        scale: The scale as it is: no wider one is tried.
        wanted: Logits (h, w, classes) of some images, in real units.
        size: Rows and columns of the label maps.
    """
    maps = [label_map(logits, *size) for logits in wanted]
    ordered = [np.partition(logits.reshape(-1, logits.shape[-1]), -2, axis=-1) for logits in wanted]
    weakest, strongest = min(x[:, -1].min() for x in ordered), max(x[:, -2].max() for x in ordered)

    def differing(candidate: Scale) -> float:
        pairs = zip(wanted, maps, strict=True)
        return float(np.mean([np.mean(label_map(candidate.stored(x), *size) != chosen) for x, chosen in pairs]))

    return min((narrowed(scale, float(weakest), float(strongest), share) for share in _NARROWINGS), key=differing)


def narrowed(scale: Scale, weakest_winner: float, strongest_loser: float, share: float) -> Scale:
    """Returns a scale that goes a share of the way to one that just tells winners from losers; never a wider one."""
    low, high = (scale.step * (end - scale.zero_point) for end in (-128, 127))
    tight_low, tight_high = max(low, min(0.0, weakest_winner)), min(high, strongest_loser + 4 * scale.step)
    return Scale.of_range(low + share * (tight_low - low), high + share * (tight_high - high))


def least_error_scale(counts: npt.NDArray[np.float64], scale: Scale) -> Scale:
    """Returns the scale of least mean squared error for an activation.

    Args:
        counts: How often each of the 256 levels was seen, from -128 up.
        scale: What those levels stand for.

    Returns:
        A scale whose ends lie at 20-100 % of those that were seen.
    """
    seen = np.flatnonzero(counts)
    if not len(seen):
        return scale
    values = scale.real(_LEVELS).astype(np.float64)
    rounded = counts[values != 0].sum()  # zero itself is always exact
    low, high = min(values[seen[0]], 0.0), max(values[seen[-1]], 0.0)
    best = (np.inf, low, high)
    for bottom in _ENDS if low < 0 else (1.0,):
        below = (counts * np.square(np.maximum(low * bottom - values, 0))).sum()
        for top in _ENDS if high > 0 else (1.0,):
            above = (counts * np.square(np.maximum(values - high * top, 0))).sum()
            step = (high * top - low * bottom) / 255
            best = min(best, (below + above + rounded * step**2 / 12, low * bottom, high * top))
    return Scale.of_range(best[1], best[2])


def matching_convolutions(file: IntegerFile, reference: IntegerFile) -> list[tuple[int, int]]:
    """Pairs the operators that have a bias with the output tensors of the same operators in the float file.

    Returns:
        (operator number in `file`, tensor number in `reference`); nothing where the converter has made two different
        graphs, which is told by their kernels.
    """
    ours, theirs = ([n for n, op in enumerate(f.operators) if op.name in BIAS] for f in (file, reference))
    if len(ours) != len(theirs):
        return []
    pairs = []
    for mine, its in zip(ours, theirs, strict=True):
        if not _alike(file.weights(mine).ravel(), reference.weights(its).ravel()):
            return []
        if file.bias(mine) is not None:
            pairs.append((mine, reference.operators[its].outputs[0]))
    return pairs


def _alike(a: Float32, b: Float32) -> bool:
    return a.shape == b.shape and float(a @ b) >= _SAME_WEIGHTS * float(np.sqrt((a @ a) * (b @ b)))


def channel_means(
    file: IntegerFile, outputs: Sequence[int], operators: int, run: Run, inputs: Sequence[npt.NDArray[Any]]
) -> list[Float32]:
    """Returns the mean of each channel of some tensors, in real units, from a file's first operators."""
    if not outputs:
        return []
    sums = [np.zeros(file.shape(tensor)[-1]) for tensor in outputs]
    scales = [file.scale(tensor) for tensor in outputs]
    for arrays in run(file.content(outputs, operators), inputs):
        for total, scale, array in zip(sums, scales, arrays, strict=True):
            mean = array.reshape(-1, array.shape[-1]).mean(0, dtype=np.float64)
            total += mean if scale is None else scale.real(mean)
    return [(total / len(inputs)).astype(np.float32) for total in sums]
