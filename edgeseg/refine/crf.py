"""The fully connected conditional random field that sharpens DeepLab's label maps.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011. Every
pair of pixels is linked by

    mu(l, l') [ w1 exp(-|x - x'|² / (2 sigma_alpha²) - |c - c'|² / (2 sigma_beta²))     appearance
              + w2 exp(-|x - x'|² / (2 sigma_gamma²)) ]                                smoothness

and mean-field inference (algorithm 1 there) turns the network's probabilities into marginals. Both kernels are
normalised symmetrically, D^-1/2 K D^-1/2 with D the kernel's row sums, as the authors' code does by default
(Krähenbühl and Koltun, "Parameter Learning and Convergent Inference for Dense Random Fields", ICML 2013, section 5),
so that the weights do not depend on the image's size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8, filled
from edgeseg.errors import DataError, UsageError
from edgeseg.refine.bilateral import bilateral_filter
from edgeseg.refine.blas import one_blas_thread

Kernel = Callable[[Float32], Float32]
"""(C, N) planes -> (C, N): at each pixel, the weighted sum over all others."""

SMALLEST_PROBABILITY = 1e-8
"""A probability of 0, as an int8 network gives, is no veto: it counts as this."""
REACH = 4.0
"""The smoothness kernel ends at this many sigmas, where it is 0.0003."""


@dataclass(frozen=True, kw_only=True)
class CrfParams:
    """Parameters of the field, named as in the papers.

    The defaults were chosen, as DeepLab's authors chose theirs for PASCAL VOC, by cross-validation: on 17 images of
    CamVid's validation split, with a network of stride-4 logits, whose poles and signs a stronger field wipes out, and
    one of stride 16. Colours reach as far as in DeepLab, positions a little less, and both kernels weigh less. The
    papers' own parameters are `DEEPLAB` and `KRAEHENBUEHL`.

    Attributes:
        appearance_weight: w1, >= 0.
        sigma_alpha: Reach of the appearance kernel over positions, in pixels.
        sigma_beta: Reach of the appearance kernel over colours, in levels of 0-255.
        smoothness_weight: w2, >= 0.
        sigma_gamma: Reach of the smoothness kernel, in pixels.
        iterations: Mean-field steps, >= 0; the papers take 10.
        compatibility: mu as C rows of C costs of one label beside another; None is Potts: 1 off the diagonal.
    """

    appearance_weight: float = 2.0
    sigma_alpha: float = 40.0
    sigma_beta: float = 5.0
    smoothness_weight: float = 0.5
    sigma_gamma: float = 1.0
    iterations: int = 10
    compatibility: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        for name in ("sigma_alpha", "sigma_beta", "sigma_gamma"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise UsageError(f"CRF {name} is {getattr(self, name)}: expected a number > 0")
        for name in ("appearance_weight", "smoothness_weight", "iterations"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"CRF {name} is {getattr(self, name)}: expected a number >= 0")


DEEPLAB = CrfParams(appearance_weight=4.0, sigma_alpha=49.0, sigma_beta=5.0, smoothness_weight=3.0, sigma_gamma=3.0)
"""What DeepLab's authors released for PASCAL VOC: `run_densecrf.sh` of v1 and v2 (Bi_W 4, Bi_XY_STD 49, Bi_RGB_STD 5,
POS_W 3, POS_XY_STD 3), inside the ranges they searched (Chen et al., "DeepLab", PAMI 2018, section 4.1)."""
KRAEHENBUEHL = CrfParams(
    appearance_weight=10.0, sigma_alpha=80.0, sigma_beta=13.0, smoothness_weight=3.0, sigma_gamma=3.0
)
"""What Krähenbühl and Koltun's example program takes (`dense_inference.cpp`)."""


def refine(probabilities: Float32, image: Uint8, params: CrfParams | None = None) -> Float32:
    """Refines a network's class probabilities by the colours of the image.

    Args:
        probabilities: (H, W, C) class probabilities, C >= 2.
        image: (H, W, 3) uint8; the order of the channels does not matter.
        params: The field; `CrfParams()` if None.

    Returns:
        (H, W, C) float32 marginals; they sum to 1 at each pixel. It takes one core (see `blas`).

    Raises:
        DataError: The shapes do not fit each other, or the probabilities are not finite.
        UsageError: The compatibility matrix is not C x C.
    """
    params = CrfParams() if params is None else params
    _check(probabilities, image)
    with one_blas_thread():
        return _mean_field(probabilities, image, params)


def _mean_field(probabilities: Float32, image: Uint8, params: CrfParams) -> Float32:
    height, width, num_classes = probabilities.shape
    log_unary = np.ascontiguousarray(probabilities.reshape(-1, num_classes).T, np.float32)
    log_unary = np.log(np.maximum(log_unary, SMALLEST_PROBABILITY))
    compatibility = _compatibility(params, num_classes)
    messages = [
        normalised(kernel, weight, height * width)
        for kernel, weight in (
            (bilateral_filter(image, params.sigma_alpha, params.sigma_beta), params.appearance_weight),
            (smoothness_kernel(height, width, params.sigma_gamma), params.smoothness_weight),
        )
        if weight > 0
    ]
    marginals = _softmax(log_unary.copy())
    for _ in range(params.iterations if messages else 0):
        message = sum((passed(marginals) for passed in messages[1:]), start=messages[0](marginals))
        # Potts: the cost of all labels but one's own is a constant less what agrees, and the softmax drops constants.
        scores = message if compatibility is None else -(compatibility @ message)
        scores += log_unary
        marginals = _softmax(scores)
    return np.ascontiguousarray(marginals.T).reshape(height, width, num_classes)


def normalised(kernel: Kernel, weight: float, num_pixels: int) -> Kernel:
    """Returns weight * D^-1/2 K D^-1/2 without its diagonal, D being the row sums of K with its diagonal of 1."""
    row_sums = kernel(np.ones((1, num_pixels), np.float32)) + np.float32(1)
    before = 1 / np.sqrt(np.maximum(row_sums, np.float32(1)))
    after = before * np.float32(weight)

    def apply(planes: Float32) -> Float32:
        result = kernel(planes * before)
        result *= after
        return result

    return apply


def smoothness_kernel(height: int, width: int, sigma: float) -> Kernel:
    """Returns the Gaussian over positions alone; nothing lies beyond the image's edge."""
    radius = math.ceil(REACH * sigma)
    taps = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2).astype(np.float32)

    def apply(planes: Float32) -> Float32:
        result = np.empty_like(planes)
        for plane, out in zip(planes.reshape(-1, height, width), result.reshape(-1, height, width), strict=True):
            filled(out, cv2.sepFilter2D(plane, cv2.CV_32F, taps, taps, dst=out, borderType=cv2.BORDER_CONSTANT))
        result -= planes
        return result

    return apply


def _softmax(scores: Float32) -> Float32:
    """Softmax over the first axis, in place."""
    scores -= scores.max(0)
    np.exp(scores, out=scores)
    scores /= scores.sum(0)
    return scores


def _check(probabilities: Float32, image: Uint8) -> None:
    if probabilities.ndim != 3 or probabilities.shape[2] < 2 or not probabilities.size:
        raise DataError(f"probabilities of shape {probabilities.shape}: expected (H, W, C) with at least 2 classes")
    if image.shape != (*probabilities.shape[:2], 3) or image.dtype != np.uint8:
        raise DataError(
            f"an image of shape {image.shape} and type {image.dtype} beside probabilities of shape "
            f"{probabilities.shape}: expected {(*probabilities.shape[:2], 3)} and uint8"
        )
    if not np.isfinite(probabilities).all():
        raise DataError("probabilities hold NaN or infinity: expected values of 0-1")


def _compatibility(params: CrfParams, num_classes: int) -> Float32 | None:
    if params.compatibility is None:
        return None
    lengths = {len(row) for row in params.compatibility} | {len(params.compatibility)}
    if lengths != {num_classes}:
        raise UsageError(
            f"a CRF compatibility matrix with sides {sorted(lengths)}: expected {num_classes} x {num_classes}"
        )
    return np.asarray(params.compatibility, np.float32)
