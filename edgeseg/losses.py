"""The training losses: pixel-wise softmax cross-entropy, focal, dice, and weighted sums of them.

Everything is written on `keras.ops`, so it runs on any Keras 3 backend, eagerly or compiled. With the TensorFlow
backend it takes plain tf tensors too, and so serves tf_keras (quantization-aware training) and XLA.

All losses share three conventions:

- Labels are (batch, height, width) class ids. Pixels with `ignore_index` count nowhere: not in sums, not in means,
  and their gradient is zero. A batch without any other pixel has loss 0 and gradient 0.
- Logits of another size than the labels are first upsampled bilinearly (half-pixel centres) to the labels' size.
- Half-precision logits are computed in float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from keras import ops

from edgeseg.errors import DataError, UsageError, unknown_name

DiceWeights = Literal["uniform", "generalised"]
Loss = Callable[[Any, Any], Any]
"""loss(labels, logits) -> scalar; labels (B, H, W) integer ids, logits (B, h, w, C)."""

LOSSES = ("ce", "focal", "dice")
_SMALLEST_MISS = 1e-30  # keeps the slope of miss**gamma finite where the miss 1 - p is 0 and gamma < 1


def make_loss(
    name: str,
    *,
    num_classes: int,
    class_weights: Sequence[float] | None = None,
    ignore_index: int = 255,
    gamma: float = 2.0,
    dice_weights: DiceWeights = "uniform",
) -> Loss:
    """Builds a loss from its name.

    Args:
        name: "ce", "focal" or "dice", or a sum of them with optional factors: "ce+dice", "0.7*ce+0.3*dice".
        num_classes: At least 2; labels run from 0 to num_classes - 1.
        class_weights: One weight >= 0 for each class; all 1 if None.
        ignore_index: The label of pixels that do not count.
        gamma: Focusing parameter of the focal loss, >= 0; 0 makes it the cross-entropy.
        dice_weights: How `dice` weighs the classes, see there.

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
    weights = _checked_weights(class_weights, num_classes)

    def loss(labels: Any, logits: Any) -> Any:
        if logits.shape[-1] != num_classes:
            raise DataError(f"logits of {logits.shape[-1]} classes: expected {num_classes}, as make_loss was told")
        labels = ops.cast(labels, "int32")
        logits = _at_least_float32(upsample_to(logits, labels))
        values = {
            "ce": lambda: focal(labels, logits, weights, ignore_index, gamma=0.0),
            "focal": lambda: focal(labels, logits, weights, ignore_index, gamma),
            "dice": lambda: dice(labels, logits, weights, ignore_index, dice_weights),
        }
        parts = [values[term]() if factor == 1.0 else factor * values[term]() for factor, term in terms]
        return sum(parts[1:], start=parts[0])

    loss.__name__ = name.replace(" ", "")
    return loss


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
    size = tuple(ops.shape(labels)[1:3])
    if tuple(ops.shape(logits)[1:3]) == size:
        return logits
    return ops.image.resize(logits, size, interpolation="bilinear", data_format="channels_last")


def focal(labels: Any, logits: Any, class_weights: tuple[float, ...] | None, ignore_index: int, gamma: float) -> Any:
    """Focal loss, Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017, eq. 5, on the softmax.

    With p the probability of the pixel's true class and w that class's weight (the paper's alpha), it is the
    weighted mean  sum(w (1 - p)^gamma (-log p)) / sum(w)  over the pixels that count, as PyTorch's cross-entropy
    does it. Gamma 0 is the softmax cross-entropy.

    Args:
        labels: (B, H, W) int32.
        logits: (B, H, W, C) float32 or float64.
        class_weights: C weights, or None for all 1.
        ignore_index: The label of pixels that do not count.
        gamma: >= 0.
    """
    counted = ops.not_equal(labels, ignore_index)
    known = ops.where(counted, labels, 0)
    # One fused kernel in TensorFlow: it costs a third of log_softmax and a gather.
    loss = ops.sparse_categorical_crossentropy(known, logits, from_logits=True)
    if gamma:
        miss = ops.maximum(-ops.expm1(-loss), _SMALLEST_MISS)  # 1 - p, exact where p is close to 1
        loss = ops.power(miss, gamma) * loss
    weight = ops.cast(counted, logits.dtype)
    if class_weights is not None:
        weight = weight * ops.take(ops.convert_to_tensor(class_weights, dtype=logits.dtype), known)
    return _ratio(ops.sum(weight * loss), ops.sum(weight))


def dice(
    labels: Any, logits: Any, class_weights: tuple[float, ...] | None, ignore_index: int, weighting: DiceWeights
) -> Any:
    """Dice loss of the softmax p against the one-hot labels g, with sums over the whole batch.

    - "uniform": Milletari et al., "V-Net", 3DV 2016, section 3, for each class, and their weighted mean:
      sum_c w_c (1 - 2 sum(p g) / (sum p² + sum g²)) / sum_c w_c.
    - "generalised": Sudre et al., "Generalised Dice overlap as a deep learning loss function", DLMIA 2017, eq. 2:
      1 - 2 sum_c v_c sum(p g) / sum_c v_c sum(p + g), with v_c = w_c / (sum g)².

    Classes that no pixel of the batch carries are left out: their overlap is 0 whatever is predicted, so that they
    would add a constant (or, generalised, an infinite weight). This also makes a smoothing constant unnecessary.

    Args:
        labels: (B, H, W) int32.
        logits: (B, H, W, C) float32 or float64.
        class_weights: C weights w, or None for all 1.
        ignore_index: The label of pixels that do not count.
        weighting: See above.
    """
    num_classes = logits.shape[-1]
    counted = ops.not_equal(labels, ignore_index)
    truth = ops.one_hot(ops.where(counted, labels, -1), num_classes, dtype=logits.dtype)
    predicted = ops.softmax(logits) * ops.expand_dims(ops.cast(counted, logits.dtype), -1)
    overlap = ops.sum(predicted * truth, axis=(0, 1, 2))
    true_size = ops.sum(truth, axis=(0, 1, 2))
    weight = ops.cast(true_size > 0, logits.dtype)
    if class_weights is not None:
        weight = weight * ops.convert_to_tensor(class_weights, dtype=logits.dtype)
    safe_size = ops.maximum(true_size, 1.0)  # absent classes have weight 0
    if weighting == "uniform":
        score = 2.0 * overlap / (ops.sum(ops.square(predicted), axis=(0, 1, 2)) + safe_size)
        return _ratio(ops.sum(weight * (1.0 - score)), ops.sum(weight))
    share = safe_size / ops.maximum(ops.sum(true_size), 1.0)
    weight = weight / ops.square(share)
    union = ops.sum(weight * (ops.sum(predicted, axis=(0, 1, 2)) + true_size))
    return _ratio(union - 2.0 * ops.sum(weight * overlap), union)


def _ratio(total: Any, weight: Any) -> Any:
    return total / ops.where(weight > 0, weight, ops.ones_like(weight))


def _at_least_float32(logits: Any) -> Any:
    return ops.cast(logits, "float32") if "16" in str(logits.dtype) else logits


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
