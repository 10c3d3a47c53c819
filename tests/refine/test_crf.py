"""The dense CRF against the O(N²) sum of the paper, written out in float64."""

import numpy as np
import pytest

from edgeseg.errors import DataError, UsageError
from edgeseg.refine.crf import DEEPLAB, KRAEHENBUEHL, CrfParams, refine, smoothness_kernel


def brute_force(probabilities, image, params):
    """Algorithm 1 of the paper: every pair of pixels, nothing approximated."""
    height, width, num_classes = probabilities.shape
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(np.float64)
    colour = image.reshape(-1, 3).astype(np.float64)
    distance = (y[:, None] - y) ** 2 + (x[:, None] - x) ** 2
    contrast = sum((colour[:, None, c] - colour[None, :, c]) ** 2 for c in range(3))
    appearance = np.exp(-distance / (2 * params.sigma_alpha**2) - contrast / (2 * params.sigma_beta**2))
    smoothness = np.exp(-distance / (2 * params.sigma_gamma**2))
    pairwise = np.zeros_like(appearance)
    for weight, kernel in ((params.appearance_weight, appearance), (params.smoothness_weight, smoothness)):
        scale = 1 / np.sqrt(kernel.sum(1))
        pairwise += weight * scale[:, None] * kernel * scale
    np.fill_diagonal(pairwise, 0)  # the sum runs over j != i
    mu = 1 - np.eye(num_classes) if params.compatibility is None else np.array(params.compatibility)
    unary = -np.log(probabilities.reshape(-1, num_classes).astype(np.float64))
    q = np.exp(-unary) / np.exp(-unary).sum(1, keepdims=True)
    for _ in range(params.iterations):
        q = np.exp(-unary - pairwise @ q @ mu.T)
        q /= q.sum(1, keepdims=True)
    return q.reshape(probabilities.shape)


def scene(kind, height, width, rng):
    """An image of two regions that meet in a curve, under the texture or noise that the kind names."""
    y, x = np.mgrid[:height, :width]
    inside = (y - 0.4 * height) ** 2 + (x - 0.6 * width) ** 2 < (0.3 * height) ** 2
    image = np.where(inside[..., None], [150, 90, 60], [70, 110, 120]).astype(np.float64)
    noise = {"flat": 0, "grain": 6, "noise": 60}[kind]
    image += rng.normal(0, noise, image.shape) + np.stack([0.5 * x, 0.3 * y, 0.2 * (x + y)], -1)
    return np.clip(image, 0, 255).astype(np.uint8), inside


def unsure(inside, num_classes, rng, scale=1.0):
    logits = rng.normal(0, scale, (*inside.shape, num_classes))
    logits[..., 0] += np.where(inside, -0.7, 0.7)
    logits[..., 1] += np.where(inside, 0.7, -0.7)
    return (np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("kind", ["flat", "grain", "noise"])
@pytest.mark.parametrize(
    "params",
    [
        pytest.param(CrfParams(), id="default"),
        pytest.param(DEEPLAB, id="deeplab"),
        pytest.param(KRAEHENBUEHL, id="kraehenbuehl"),
        pytest.param(CrfParams(sigma_alpha=4.0, sigma_beta=20.0, sigma_gamma=1.0), id="narrow"),
        pytest.param(CrfParams(sigma_alpha=160.0, sigma_beta=3.0, sigma_gamma=10.0), id="wide"),
        pytest.param(CrfParams(smoothness_weight=0.0), id="appearance alone"),
        pytest.param(CrfParams(appearance_weight=0.0, smoothness_weight=3.0, sigma_gamma=3.0), id="smoothness alone"),
    ],
)
@pytest.mark.parametrize("num_classes", [2, 11])
def test_equals_the_brute_force_sum(kind, params, num_classes):
    rng = np.random.default_rng(1)
    image, inside = scene(kind, 24, 24, rng)
    probabilities = unsure(inside, num_classes, rng)
    expected = brute_force(probabilities, image, params)
    assert np.abs(expected - probabilities).max() > 0.02  # the field does something
    refined = refine(probabilities, image, params)
    assert refined.dtype == np.float32
    assert np.abs(refined - expected).max() < 0.002  # the bar is 0.02
    np.testing.assert_allclose(refined.sum(-1), 1, atol=1e-5)


def test_compatibility_matrix_weighs_pairs_of_labels():
    rng = np.random.default_rng(2)
    image, inside = scene("grain", 24, 24, rng)
    probabilities = unsure(inside, 3, rng)
    costs = ((0.0, 1.0, 0.2), (0.5, 0.0, 2.0), (0.2, 1.0, -0.5))
    params = CrfParams(compatibility=costs)
    assert np.abs(refine(probabilities, image, params) - brute_force(probabilities, image, params)).max() < 0.02


def test_potts_is_the_default_compatibility():
    rng = np.random.default_rng(3)
    image, inside = scene("grain", 20, 30, rng)
    probabilities = unsure(inside, 3, rng)
    potts = CrfParams(compatibility=((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)))
    np.testing.assert_allclose(refine(probabilities, image, potts), refine(probabilities, image), atol=1e-4)


@pytest.mark.parametrize("params", [CrfParams(), KRAEHENBUEHL, CrfParams(sigma_alpha=12.0, sigma_beta=8.0)])
def test_larger_images_are_grouped_and_stay_close(params):
    rng = np.random.default_rng(4)
    image, inside = scene("grain", 36, 48, rng)
    probabilities = unsure(inside, 5, rng)
    expected, refined = brute_force(probabilities, image, params), refine(probabilities, image, params)
    assert np.abs(refined - expected).mean() < 0.005
    assert (refined.argmax(-1) == expected.argmax(-1)).mean() > 0.99


def test_cleans_up_a_noisy_map():
    rng = np.random.default_rng(5)
    image, inside = scene("grain", 120, 160, rng)
    probabilities = unsure(inside, 2, rng)
    before = (probabilities.argmax(-1) == inside).mean()
    after = (refine(probabilities, image).argmax(-1) == inside).mean()
    assert before < 0.9
    assert after > 0.99


def test_no_iterations_or_weights_change_nothing():
    rng = np.random.default_rng(6)
    image, inside = scene("grain", 9, 7, rng)
    probabilities = unsure(inside, 4, rng)
    for params in (CrfParams(iterations=0), CrfParams(appearance_weight=0.0, smoothness_weight=0.0)):
        np.testing.assert_allclose(refine(probabilities, image, params), probabilities, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (33, 37)])
def test_any_size(size):
    rng = np.random.default_rng(7)
    image, inside = scene("grain", *size, rng)
    probabilities = unsure(inside, 3, rng)
    refined = refine(probabilities, image)
    assert refined.shape == probabilities.shape
    assert np.abs(refined - brute_force(probabilities, image, CrfParams())).max() < 0.02


def test_certain_and_impossible_classes():
    probabilities = np.zeros((8, 8, 3), np.float32)
    probabilities[..., 1] = 1
    refined = refine(probabilities, np.full((8, 8, 3), 255, np.uint8))
    assert np.isfinite(refined).all()
    np.testing.assert_allclose(refined[..., 1], 1, atol=1e-5)


def test_smoothness_kernel_ends_at_the_image_edge():
    row = np.zeros((1, 5), np.float32)
    row[0, 0] = 1
    expected = [0, *np.exp(-(np.arange(1, 5) ** 2) / 2)]
    np.testing.assert_allclose(smoothness_kernel(1, 5, 1.0)(row)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sigma_beta": 0.0}, "CRF sigma_beta is 0.0: expected a number > 0"),
        ({"sigma_alpha": float("inf")}, "CRF sigma_alpha is inf"),
        ({"appearance_weight": -1.0}, "CRF appearance_weight is -1.0: expected a number >= 0"),
        ({"iterations": -1}, "CRF iterations is -1"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(UsageError, match=message):
        CrfParams(**arguments)


def test_bad_input():
    image, probabilities = np.zeros((4, 6, 3), np.uint8), np.full((4, 6, 2), 0.5, np.float32)
    with pytest.raises(DataError, match=r"expected \(H, W, C\) with at least 2 classes"):
        refine(probabilities[..., :1], image)
    with pytest.raises(DataError, match=r"expected \(4, 6, 3\) and uint8"):
        refine(probabilities, image[:3])
    with pytest.raises(DataError, match="type float32"):
        refine(probabilities, image.astype(np.float32))
    with pytest.raises(DataError, match="NaN"):
        refine(probabilities * np.float32("nan"), image)
    with pytest.raises(UsageError, match="expected 2 x 2"):
        refine(probabilities, image, CrfParams(compatibility=((0.0, 1.0, 1.0),)))
