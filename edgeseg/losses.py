"""The training losses: pixel-wise softmax cross-entropy, of all or of the hard pixels, focal, dice, and weighted sums.

Everything is written on `keras.ops`, so it runs on any Keras 3 backend, eagerly or compiled. With the TensorFlow
backend it takes plain tf tensors too, and so serves tf_keras (quantization-aware training) and XLA.

All losses share these conventions:

- Labels are (batch, height, width) class ids. Pixels with `ignore_index` count nowhere: not in sums, not in means,
  and their gradient is zero. A batch without any other pixel has loss 0 and gradient 0.
- Logits of another size than the labels are first upsampled bilinearly (half-pixel centres) to the labels' size.
- Half-precision logits are computed in float32.
- A label that is neither a class nor `ignore_index` makes the loss NaN: a wrong label map shows at the first step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

from keras import ops

from edgeseg.errors import DataError, UsageError, unknown_name

DiceWeights = Literal["uniform", "generalised"]
Loss = Callable[[Any, Any], Any]
"""loss(labels, logits) -> scalar; labels (B, H, W) integer ids, logits (B, h, w, C)."""

LOSSES = ("ce", "focal", "dice", "ohem")
_MEASURED_ROWS = 64  # of an image, at least, from which it is reckoned which of its pixels are hard
_SMALLEST_MISS = 1e-30  # keeps the slope of miss**gamma finite where the miss 1 - p is 0 and gamma < 1


def make_loss(
    name: str,
    *,
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    ignore_index: int = 255,
    gamma: float = 2.0,
    dice_weights: DiceWeights = "uniform",
    hard_share: float = 0.25,
    covers: tuple[slice, slice] | None = None,
) -> Loss:
    """Builds a loss from its name.

    Args:
        name: "ce", "focal", "dice" or "ohem", or a sum of them with optional factors: "ce+dice", "0.7*ce+0.3*dice".
        num_classes: At least 2; labels run from 0 to num_classes - 1.
        class_weights: One weight >= 0 for each class; all 1 if None.
        ignore_index: The label of pixels that do not count.
        gamma: Focusing parameter of the focal loss, >= 0; 0 makes it the cross-entropy.
        dice_weights: How `dice` weighs the classes, see there.
        hard_share: Share of each image's pixels that `ohem` counts, above 0 and at most 1.
        covers: Rows and columns of the labels that the logits answer, for a network without padding; all if None.

    Returns:
        A function of labels (B, H, W) and logits (B, h, w, num_classes) that gives a scalar.

    Raises:
        UsageError: The name or an argument is not as above.
    """
    terms = parse_loss(name)
    if num_classes < 2:
        raise UsageError(f"num_classes is {num_classes}: expected at least 2")
    if not (math.isfinite(gamma) and gamma >= 0):
        raise UsageError(f"gamma is {gamma}: expected a finite number >= 0")
    if dice_weights not in get_args(DiceWeights):
        raise unknown_name("dice weighting", dice_weights, get_args(DiceWeights))
    if not 0 < hard_share <= 1:
        raise UsageError(f"hard_share is {hard_share}: expected a number above 0, at most 1")
    weights = _checked_weights(class_weights, num_classes)

    def loss(labels: Any, logits: Any) -> Any:
        _check(labels, logits, num_classes)
        if covers is not None:
            labels = labels[:, covers[0], covers[1]]
        pixels = _pixels(ops.cast(labels, "int32"), logits, weights, ignore_index)
        values = {
            "ce": lambda: focal(pixels, gamma=0.0),
            "focal": lambda: focal(pixels, gamma),
            "dice": lambda: dice(pixels, dice_weights),
            "ohem": lambda: ohem(pixels, hard_share),
        }
        parts = [factor * values[term]() for factor, term in terms]
        return sum(parts[1:], start=parts[0])

    return loss


def _check(labels: Any, logits: Any, num_classes: int) -> None:
    """Raises DataError unless labels are (B, H, W) and logits (B, h, w, num_classes) floats."""
    wrong = None
    if len(labels.shape) != 3:  # of any type: Keras turns them into floats before they come here
        wrong = f"labels are of shape {tuple(labels.shape)}: expected ids (batch, H, W)"
    elif len(logits.shape) != 4 or "float" not in _type_name(logits):
        wrong = (
            f"logits are {_type_name(logits)} of shape {tuple(logits.shape)}: expected floats (batch, h, w, classes)"
        )
    elif logits.shape[-1] != num_classes:
        wrong = f"logits of {logits.shape[-1]} classes: expected {num_classes}, as make_loss was told"
    elif labels.shape[0] is not None and logits.shape[0] is not None and labels.shape[0] != logits.shape[0]:
        wrong = f"{labels.shape[0]} label maps with {logits.shape[0]} maps of logits: expected as many of each"
    if wrong:
        raise DataError(wrong)


def _type_name(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def parse_loss(name: str) -> tuple[tuple[float, str], ...]:
    """Splits a loss's name into (factor, term) pairs: "0.7*ce+dice" -> ((0.7, "ce"), (1.0, "dice")).

    Raises:
        UsageError: A term is unknown or named twice, or a factor is not a positive number.
    """
    terms: list[tuple[float, str]] = []
    for part in name.split("+"):
        factor, star, term = part.rpartition("*")
        term = term.strip()
        if term not in LOSSES:
            raise unknown_name("loss", term, LOSSES)
        terms.append((_factor(factor, name) if star else 1.0, term))
    if len({term for _, term in terms}) < len(terms):
        raise UsageError(f"loss '{name}' names a term twice: expected each of {', '.join(LOSSES)} at most once")
    return tuple(terms)


def upsample_to(logits: Any, labels: Any) -> Any:
    """Resizes logits (B, h, w, C) bilinearly, half-pixel centres, to the size of labels (B, H, W)."""
    size = tuple(ops.shape(labels)[1:])
    if tuple(ops.shape(logits)[1:3]) == size:
        return logits
    return ops.image.resize(logits, size, interpolation="bilinear", data_format="channels_last")


class Pixels(NamedTuple):
    """What all terms are computed from, each tensor float32 or float64.

    Attributes:
        log_p: (B, H, W, C) logarithm of the softmax.
        truth: (B, H, W, C) one-hot labels; all 0 where a pixel does not count.
        counted: (B, H, W) 1 where a pixel counts, else 0; NaN for a label that is no class.
        class_weights: (C,), or None for all 1.
    """

    log_p: Any
    truth: Any
    counted: Any
    class_weights: Any | None


def focal(pixels: Pixels, gamma: float) -> Any:
    """Focal loss, Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 5, on the softmax.

    With p the probability of the pixel's true class and w that class's weight (the paper's alpha), it is the
    weighted mean  sum(w (1 - p)^gamma (-log p)) / sum(w)  over the pixels that count, as PyTorch's cross-entropy
    does it. Gamma 0 is the softmax cross-entropy.
    """
    loss, weight = _cross_entropy(pixels), _weight(pixels)
    if gamma:
        miss = ops.maximum(-ops.expm1(-loss), _SMALLEST_MISS)  # 1 - p, exact where p is close to 1
        loss = ops.power(miss, gamma) * loss
    return _ratio(_total(weight * loss), _total(weight))


def ohem(pixels: Pixels, share: float) -> Any:
    """Cross-entropy of the hard pixels alone: in each image the `share` of those that count whose loss is largest.

    Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining", CVPR 2016, section 4;
    for pixels as in Wu et al., "Bridging Category-level and Instance-level Semantic Image Segmentation", 2016. Which
    loss is large is told by every n-th row and column, so that little is sorted: the share is met nearly, not
    exactly. The mean over the chosen pixels is weighted as the cross-entropy's; share 1 is the cross-entropy.
    """
    loss = _cross_entropy(pixels)
    step = max(1, (loss.shape[1] or _MEASURED_ROWS) // _MEASURED_ROWS)
    some, counted = loss[:, ::step, ::step], pixels.counted[:, ::step, ::step]
    shape = (ops.shape(some)[0], -1)
    ranked = ops.flip(ops.sort(ops.reshape(ops.where(counted > 0, some, -1.0), shape), axis=1), axis=1)
    many = ops.sum(ops.cast(counted > 0, "int32"), axis=(1, 2))
    last = ops.maximum(ops.cast(ops.ceil(share * ops.cast(many, loss.dtype)), "int32"), 1) - 1
    least = ops.take_along_axis(ranked, ops.expand_dims(last, 1), axis=1)
    weight = _weight(pixels) * ops.cast(loss >= ops.expand_dims(least, 2), loss.dtype)
    return _ratio(_total(weight * loss), _total(weight))


def dice(pixels: Pixels, weighting: DiceWeights) -> Any:
    """Dice loss of the softmax p against the one-hot labels g, with sums over the whole batch.

    - "uniform": Milletari et al., "V-Net", 3DV 2016, section 3, for each class, and their weighted mean:
      sum_c w_c (1 - 2 sum(p g) / (sum p² + sum g²)) / sum_c w_c.
    - "generalised": Sudre et al., "Generalised Dice overlap as a deep learning loss function", DLMIA 2017, eq. 2:
      1 - 2 sum_c v_c sum(p g) / sum_c v_c sum(p + g), with v_c = w_c / (sum g)².

    Classes that no pixel of the batch carries are left out: their overlap is 0 whatever is predicted, so that they
    would add a constant (or, generalised, an infinite weight). This also makes a smoothing constant unnecessary.
    """
    predicted = ops.exp(pixels.log_p) * ops.expand_dims(pixels.counted, -1)
    overlap = _total(predicted * pixels.truth)
    true_size = _total(pixels.truth)
    weight = ops.cast(true_size > 0, true_size.dtype)
    if pixels.class_weights is not None:
        weight = weight * pixels.class_weights
    safe_size = ops.maximum(true_size, 1.0)  # absent classes have weight 0
    if weighting == "uniform":
        score = 2.0 * overlap / (_total(ops.square(predicted)) + safe_size)
        return _ratio(ops.sum(weight * (1.0 - score)), ops.sum(weight))
    weight = weight / ops.square(safe_size)
    union = ops.sum(weight * (_total(predicted) + true_size))
    return _ratio(union - 2.0 * ops.sum(weight * overlap), union)


def _cross_entropy(pixels: Pixels) -> Any:
    """Returns each pixel's -log p of its true class, (B, H, W); 0 where a pixel does not count."""
    # On a CPU the one-hot product is faster than a gather (by 40 %) and than TensorFlow's fused sparse kernel (30 %).
    return -ops.sum(pixels.truth * pixels.log_p, axis=-1)


def _weight(pixels: Pixels) -> Any:
    """Returns each pixel's class weight, (B, H, W); 0 where it does not count."""
    if pixels.class_weights is None:
        return pixels.counted
    return pixels.counted * ops.sum(pixels.truth * pixels.class_weights, axis=-1)


def _pixels(labels: Any, logits: Any, class_weights: tuple[float, ...] | None, ignore_index: int) -> Pixels:
    num_classes = logits.shape[-1]
    logits = upsample_to(ops.cast(logits, "float32") if "16" in str(logits.dtype) else logits, labels)
    dtype = logits.dtype
    ignored = ops.equal(labels, ignore_index)
    known = ops.logical_and(labels >= 0, labels < num_classes)
    counted = ops.where(ignored, 0.0, ops.where(known, 1.0, math.nan))
    return Pixels(
        log_p=ops.log_softmax(logits),
        truth=ops.one_hot(ops.where(ignored, -1, labels), num_classes, dtype=dtype),
        counted=ops.cast(counted, dtype),
        class_weights=None if class_weights is None else ops.convert_to_tensor(class_weights, dtype=dtype),
    )


def _total(values: Any) -> Any:
    """Sums over the pixels (axes 0-2), rows first: one long float32 sum would lose digits."""
    return ops.sum(ops.sum(values, axis=2), axis=(0, 1))


def _ratio(total: Any, weight: Any) -> Any:
    return total / ops.where(weight > 0, weight, ops.ones_like(weight))


def _factor(text: str, name: str) -> float:
    try:
        factor = float(text)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise UsageError(f"factor '{text.strip()}' in loss '{name}': expected a positive number, as in 0.7*ce+0.3*dice")
    return factor


def _checked_weights(weights: Sequence[float] | None, num_classes: int) -> tuple[float, ...] | None:
    if weights is None:
        return None
    checked = tuple(float(weight) for weight in weights)
    if len(checked) != num_classes:
        raise UsageError(f"{len(checked)} class weights: expected {num_classes}, one for each class")
    if not all(math.isfinite(weight) and weight >= 0 for weight in checked) or not any(checked):
        raise UsageError(f"class weights {checked}: expected finite numbers >= 0, not all 0")
    return checked
