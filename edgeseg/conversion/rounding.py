"""Adaptive rounding: each weight goes up or down by what that does to its layer's output, not to the nearest step.

Nagel, Amjad, van Baalen, Louizos, Blankevoort, "Up or Down? Adaptive Rounding for Post-Training Quantization", ICML
2020, section 3.3: layer by layer, a soft rounding h(V) (equation 23) is trained on the layer's output behind its
activation, with the inputs that the integer file itself gives (equation 25), and is driven to 0 or 1 by a regularizer
whose exponent falls (equation 24). Errors are told in steps of the output's own integers, so that one regularization
serves all layers. The output is cut where the file cuts it, by its activation and its range. A layer's bias takes up
the shift of means that has arrived at it.

Every gradient is of a matrix product and written out, so it runs in NumPy on sampled pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.card import InputSpec
from edgeseg.conversion.fake_quant import channels_last, file_layout
from edgeseg.conversion.integer_file import IntegerFile
from edgeseg.conversion.ptq import stored_inputs
from edgeseg.conversion.tuning import Advance, Run, spaced
from edgeseg.conversion.twins import twin_tensors
from edgeseg.image import normalise
from edgeseg.refine.blas import one_blas_thread
from edgeseg.tflite.graph import Operator, parse_graph

ROUNDING_IMAGES = 16
ROWS = 8192
"""Output pixels that a layer learns from."""
_CUTS = {"NONE": (-np.inf, np.inf), "RELU": (0.0, np.inf), "RELU6": (0.0, 6.0)}
_ZETA, _GAMMA = 1.1, -0.1
"""How far the rectified sigmoid reaches beyond 0 and 1 (Louizos, Welling, Kingma, 2018)."""


@dataclass(frozen=True, kw_only=True)
class RoundingOptions:
    """How to train a layer's rounding.

    Attributes:
        steps: Of Adam.
        batch: Rows a step.
        learning_rate: Adam's.
        regularization: Weight of the regularizer against the error in squared integer steps.
        warm: Share of the steps without it.
        exponents: Of the regularizer, at first and at last.
        seed: Of the rows and their order.
    """

    steps: int = 300
    batch: int = 256
    learning_rate: float = 3e-2
    regularization: float = 0.1
    warm: float = 0.2
    exponents: tuple[float, float] = (20.0, 2.0)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One layer as a product of rows: a patch of the input for each sampled output pixel.

    Attributes:
        rows: (n, k, in): patches in real units, as the integer file has them; in of a depthwise layer is out.
        targets: (n, out): the float network's outputs.
        kernel: (k, in, out) in integer steps, not rounded; (k, out) for a depthwise layer.
        steps: (out,): real units of an integer step of each output channel's weights.
        bias: (out,) in real units.
        low: Least output.
        high: Largest output.
        unit: Real units of one integer step of the output.
    """

    rows: Float32
    targets: Float32
    kernel: Float32
    steps: Float32
    bias: Float32
    low: float
    high: float
    unit: float

    def outputs(self, levels: Float32, bias: Float32, rows: Float32) -> Float32:
        """The layer's outputs before its cut, (n, out), for a kernel in integer steps."""
        if levels.ndim == 2:
            scaled = levels * self.steps
            return np.asarray(sum(rows[:, k] * scaled[k] for k in range(len(scaled))) + bias, np.float32)
        return rows.reshape(len(rows), -1) @ (levels * self.steps).reshape(-1, levels.shape[-1]) + bias

    def gradient(self, errors: Float32, rows: Float32) -> Float32:
        """Gradient by the kernel in integer steps, of outputs' gradient (n, out)."""
        if self.kernel.ndim == 2:
            return np.stack([(rows[:, k] * errors).sum(0) for k in range(rows.shape[1])]) * self.steps
        product = rows.reshape(len(rows), -1).T @ errors
        return product.reshape(self.kernel.shape) * self.steps

    def cost(self, levels: Float32, bias: Float32) -> float:
        """Mean squared error of the outputs behind the cut, in integer steps, summed over channels."""
        got = np.clip(self.outputs(levels, bias, self.rows), self.low, self.high)
        return float(np.square((got - self.targets) / self.unit).sum(1).mean())

    def balanced_bias(self, levels: Float32) -> Float32:
        """The bias with which outputs behind the cut have the targets' mean, nearly."""
        bias = self.bias
        for _ in range(3):
            got = np.clip(self.outputs(levels, bias, self.rows), self.low, self.high)
            bias = bias + (self.targets - got).mean(0)
        return bias


def round_adaptively(
    content: bytes,
    reference: bytes,
    tensors: Sequence[Uint8],
    spec: InputSpec,
    run: Run,
    advance: Advance,
    options: RoundingOptions | None = None,
) -> tuple[bytes, int, int] | None:
    """Rounds the weights of an int8 file anew.

    Args:
        content: The int8 file, with uint8 input.
        reference: The float32 file of the same network.
        tensors: Calibration tensors, (height, width, channels) uint8.
        spec: The network's input.
        run: Runs a file on inputs (height, width, channels); yields its outputs for each.
        advance: Called with (done, total) layers.
        options: How to train.

    Returns:
        The file with other weights and biases, how many weights went to another step than the nearest, and of how
        many; None where the float file's graph is another.
    """
    options = options or RoundingOptions()
    file, floating, graph = IntegerFile(content), IntegerFile(reference), parse_graph(content).main
    twins = twin_tensors(file, floating)
    if twins is None:
        return None
    makers = {op.outputs[0]: number for number, op in enumerate(floating.operators)}
    rng = np.random.default_rng(options.seed)
    chosen = [op for op in graph.operators if _is_learnt(op, file)]
    some = spaced(tensors, ROUNDING_IMAGES)
    stored, images = stored_inputs(content, some, spec), [normalise(tensor, spec) for tensor in some]
    pixels = {op.index: _pixels(file.shape(op.outputs[0]), len(some), rng) for op in chosen}
    targets = _targets(floating, {op.index: twins[op.outputs[0]] for op in chosen}, pixels, run, images)
    moved = total = 0
    for done, op in enumerate(chosen, 1):
        source = file.scale(op.inputs[0])
        assert source is not None
        inputs = run(file.content([op.inputs[0]], op.index), stored)
        rows = [_patches(source.real(x[0]), op, file, at) for (x,), at in zip(inputs, pixels[op.index], strict=True)]
        kernel = floating.weights(makers[twins[op.outputs[0]]])
        layer = _layer(file, op, kernel, np.concatenate(rows), targets[op.index])
        with one_blas_thread():
            levels, bias = learn_rounding(layer, options, rng)
        nearest = np.clip(np.rint(layer.kernel), -127, 127)
        moved, total = moved + int((levels != nearest).sum()), total + levels.size
        shape = channels_last(op.op, kernel).shape
        file.set_levels(op.index, file_layout(op.op, levels.reshape(shape)))
        file.add_to_bias(op.index, bias - layer.bias)
        advance(done, len(chosen))
    return file.content(), moved, total


def learn_rounding(layer: Layer, options: RoundingOptions, rng: np.random.Generator) -> tuple[Float32, Float32]:
    """Learns which weights go up.

    Returns:
        The kernel in whole integer steps and the bias; the nearest steps where those do better.
    """
    floor = np.floor(layer.kernel)
    rest = layer.kernel - floor
    logits = _inverse_soft(rest)
    bias = layer.balanced_bias(np.clip(layer.kernel, -127, 127))
    first, second = np.zeros_like(logits), np.zeros_like(logits)
    for step in range(options.steps):
        batch = rng.integers(0, len(layer.rows), options.batch)
        up, slope = _soft(logits)
        levels = np.clip(floor + up, -127, 127)
        rows, outputs = layer.rows[batch], layer.outputs(levels, bias, layer.rows[batch])
        inside = (outputs > layer.low) & (outputs < layer.high)
        errors = (np.clip(outputs, layer.low, layer.high) - layer.targets[batch]) * inside
        gradient = layer.gradient(errors * np.float32(2 / layer.unit**2 / len(batch)), rows)
        gradient += options.regularization * _regularizer_slope(up, step / options.steps, options)
        gradient *= slope
        first = 0.9 * first + 0.1 * gradient
        second = np.asarray(0.999 * second + 0.001 * np.square(gradient), np.float32)
        corrected = np.sqrt(second / np.float32(1 - 0.999 ** (step + 1))) + np.float32(1e-8)
        logits -= np.float32(options.learning_rate / (1 - 0.9 ** (step + 1))) * first / corrected
    learnt = np.clip(floor + (_soft(logits)[0] >= 0.5), -127, 127).astype(np.float32)
    nearest = np.clip(np.rint(layer.kernel), -127, 127).astype(np.float32)
    return min(((found, layer.balanced_bias(found)) for found in (learnt, nearest)), key=lambda x: layer.cost(*x))


def _soft(logits: Float32) -> tuple[Float32, Float32]:
    """The rectified sigmoid of equation 23, and its slope."""
    sigmoid = 1 / (1 + np.exp(-logits))
    stretched = sigmoid * np.float32(_ZETA - _GAMMA) + np.float32(_GAMMA)
    inside = (stretched > 0) & (stretched < 1)
    slope = sigmoid * (1 - sigmoid) * np.float32(_ZETA - _GAMMA) * inside
    return np.clip(stretched, 0, 1), np.asarray(slope, np.float32)


def _inverse_soft(up: Float32) -> Float32:
    sigmoid = (up - _GAMMA) / (_ZETA - _GAMMA)
    return np.asarray(np.log(sigmoid / (1 - sigmoid)), np.float32)


def _regularizer_slope(up: Float32, progress: float, options: RoundingOptions) -> Float32:
    """Derivative of the sum of 1 - |2h - 1|^beta (equation 24)."""
    if progress < options.warm:
        return np.zeros_like(up)
    start, end = options.exponents
    beta = end + (start - end) * (1 + np.cos(np.pi * (progress - options.warm) / (1 - options.warm))) / 2
    apart = 2 * up - 1
    return np.asarray(-2 * beta * np.abs(apart) ** (beta - 1) * np.sign(apart), np.float32)


def _is_learnt(op: Operator, file: IntegerFile) -> bool:
    known = op.op in ("CONV_2D", "DEPTHWISE_CONV_2D") and op.options["activation"] in _CUTS
    return known and file.scale(op.outputs[0]) is not None and file.has_bias(op.index)


def _pixels(shape: tuple[int, ...], images: int, rng: np.random.Generator) -> list[npt.NDArray[np.intp]]:
    """Chooses output pixels of each image, (n, 2) rows and columns."""
    count = max(1, ROWS // images)
    return [np.stack([rng.integers(0, size, count) for size in shape[1:3]], 1) for _ in range(images)]


def _targets(
    floating: IntegerFile,
    outputs: dict[int, int],
    pixels: dict[int, list[npt.NDArray[np.intp]]],
    run: Run,
    images: Sequence[Float32],
) -> dict[int, Float32]:
    """What the float network gives at the chosen pixels, by the integer operator's number."""
    found: dict[int, list[Float32]] = {index: [] for index in outputs}
    for number, arrays in enumerate(run(floating.content(list(outputs.values())), images)):
        for index, array in zip(outputs, arrays, strict=True):
            at = pixels[index][number]
            found[index].append(array[0][at[:, 0], at[:, 1]])
    return {index: np.concatenate(rows) for index, rows in found.items()}


def _patches(x: Float32, op: Operator, file: IntegerFile, at: npt.NDArray[np.intp]) -> Float32:
    """Cuts what the kernel sees at some output pixels out of a map (h, w, in): (n, k, in)."""
    (height, width), out = x.shape[:2], file.shape(op.outputs[0])[1:3]
    kernel, options = file.shape(op.inputs[1])[1:3], op.options
    places = []
    for axis, (size, name) in enumerate(((height, "h"), (width, "w"))):
        stride, dilation = int(options[f"stride_{name}"]), int(options[f"dilation_{name}"])  # type: ignore[arg-type]
        reach = (kernel[axis] - 1) * dilation + 1
        missing = max(0, (out[axis] - 1) * stride + reach - size) if options["padding"] == "SAME" else 0
        places.append(at[:, axis, None] * stride - missing // 2 + np.arange(kernel[axis]) * dilation)
    rows, columns = places[0][:, :, None], places[1][:, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    seen = x[np.clip(rows, 0, height - 1), np.clip(columns, 0, width - 1)] * inside[..., None]
    return np.asarray(seen.reshape(len(at), -1, x.shape[-1]), np.float32)


def _layer(file: IntegerFile, op: Operator, kernel: Float32, rows: Float32, targets: Float32) -> Layer:
    scale, bias = file.scale(op.outputs[0]), file.bias(op.index)
    assert scale is not None
    assert bias is not None
    cuts = _CUTS[str(op.options["activation"])]
    low, high = (scale.step * (end - scale.zero_point) for end in (-128, 127))
    turned = channels_last(op.op, kernel)
    steps = np.broadcast_to(file.weight_steps(op.index), turned.shape[-1]).astype(np.float32)
    flat = (turned / steps).reshape(rows.shape[1], *turned.shape[2:]).astype(np.float32)
    if op.op == "DEPTHWISE_CONV_2D":
        rows = np.repeat(rows, turned.shape[-1] // rows.shape[-1], -1)
    low, high = max(low, cuts[0]), min(high, cuts[1])
    return Layer(
        rows=rows, targets=np.clip(targets, low, high), kernel=flat, steps=steps, bias=bias, low=low, high=high,
        unit=scale.step,
    )  # fmt: skip
