"""The losses against their formulas, written out once more in float64 NumPy."""

import math

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")
keras = pytest.importorskip("keras")

from edgeseg.errors import DataError, UsageError  # noqa: E402
from edgeseg.losses import make_loss, parse_loss  # noqa: E402

pytestmark = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients by tf.GradientTape")

CLASSES = 4
WEIGHTS = (0.5, 2.0, 0.0, 1.25)
IGNORE = 255


def softmax(logits):
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def focal_and_gradient(labels, logits, weights=None, gamma=0.0):
    """Value, and d/dlogits by hand: dFL/dp = γ(1-p)^(γ-1) log p - (1-p)^γ / p, dp/dz_j = p (1[j=y] - p_j)."""
    weights = np.ones(logits.shape[-1]) if weights is None else np.asarray(weights)
    log_p = logits - logits.max(-1, keepdims=True)
    log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    total, norm, gradient = 0.0, 0.0, np.zeros_like(logits)
    for where in np.argwhere(labels != IGNORE):
        y, where = labels[tuple(where)], tuple(where)
        p, w = np.exp(log_p[where]), weights[y]
        rest = np.delete(p, y).sum()  # 1 - p_y without cancellation
        total += w * rest**gamma * -log_p[where][y]
        norm += w
        slope = gamma * rest ** (gamma - 1) * p[y] * log_p[where][y] if gamma and rest else 0.0
        step = -p.copy()
        step[y] = rest
        gradient[where] = w * (slope - rest**gamma) * step
    norm = norm or 1.0
    return total / norm, gradient / norm


def dice_value(labels, logits, weights=None, weighting="uniform"):
    num_classes = logits.shape[-1]
    weights = np.ones(num_classes) if weights is None else np.asarray(weights)
    kept = labels != IGNORE
    p, y = softmax(logits)[kept], labels[kept]
    top = bottom = norm = 0.0
    for c in set(y.tolist()):
        g = (y == c).astype(np.float64)
        overlap = (g * p[:, c]).sum()
        if weighting == "uniform":
            top += weights[c] * (1 - 2 * overlap / ((p[:, c] ** 2).sum() + (g**2).sum()))
            norm += weights[c]
        else:
            v = weights[c] / g.sum() ** 2
            top += v * overlap
            bottom += v * (p[:, c] + g).sum()
    if weighting == "uniform":
        return top / norm if norm else 0.0
    return 1 - 2 * top / bottom if bottom else 0.0


def numeric_gradient(value, logits, step=1e-5):
    gradient = np.zeros_like(logits)
    for where in np.ndindex(logits.shape):
        up, down = logits.copy(), logits.copy()
        up[where] += step
        down[where] -= step
        gradient[where] = (value(up) - value(down)) / (2 * step)
    return gradient


def value_and_gradient(loss, labels, logits):
    logits = tf.constant(logits)
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.constant(labels), logits)
    return float(value), np.asarray(tape.gradient(value, logits))


def some_labels(kind, rng):
    if kind == "one pixel":
        return np.array([[[2]]], np.uint8)
    labels = rng.integers(0, CLASSES, (2, 5, 4)).astype(np.uint8)
    if kind == "ignored pixels":
        labels[rng.random(labels.shape) < 0.3] = IGNORE
    if kind == "empty classes":
        labels[labels % 2 == 1] = 0
    return labels


KINDS = ["all classes", "ignored pixels", "empty classes", "one pixel"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0])
def test_cross_entropy_and_focal_equal_the_formula(kind, weights, gamma):
    rng = np.random.default_rng(3)
    labels = some_labels(kind, rng)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    loss = make_loss("focal", num_classes=CLASSES, class_weights=weights, gamma=gamma)
    value, gradient = value_and_gradient(loss, labels, logits)
    expected, expected_gradient = focal_and_gradient(labels, logits, weights, gamma)
    assert value == pytest.approx(expected, rel=1e-6, abs=1e-6)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-6, atol=1e-6)


def test_the_focal_loss_takes_the_papers_gamma_unless_told():
    """Lin et al., section 5.1: gamma = 2 works best."""
    rng = np.random.default_rng(3)
    labels = some_labels("all classes", rng)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    value, _ = value_and_gradient(make_loss("focal", num_classes=CLASSES), labels, logits)
    assert value == pytest.approx(focal_and_gradient(labels, logits, gamma=2.0)[0], rel=1e-6)


def hard_value(labels, logits, share, weights=None):
    """The weighted mean cross-entropy of each image's hardest pixels, by sorting all of them."""
    weights = np.ones(logits.shape[-1]) if weights is None else np.asarray(weights)
    total = norm = 0.0
    for truth, scores in zip(labels, logits, strict=True):
        kept = truth != IGNORE
        y, p = truth[kept], softmax(scores)[kept]
        loss = -np.log(p[np.arange(len(y)), y])
        chosen = np.argsort(-loss)[: max(1, math.ceil(share * len(y)))]
        total += (weights[y] * loss)[chosen].sum()
        norm += weights[y][chosen].sum()
    return total / norm if norm else 0.0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("share", [0.01, 0.25, 0.6, 1.0])
def test_hard_pixels_equal_the_formula(kind, weights, share):
    rng = np.random.default_rng(3)
    labels = some_labels(kind, rng)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    loss = make_loss("ohem", num_classes=CLASSES, class_weights=weights, hard_share=share)
    value, gradient = value_and_gradient(loss, labels, logits)
    assert value == pytest.approx(hard_value(labels, logits, share, weights), rel=1e-6, abs=1e-9)
    moved = numeric_gradient(lambda z: hard_value(labels, z, share, weights), logits)
    np.testing.assert_allclose(gradient, moved, rtol=1e-4, atol=1e-6)


def test_the_hardest_quarter_counts_unless_told():
    rng = np.random.default_rng(3)
    labels = some_labels("all classes", rng)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    value, _ = value_and_gradient(make_loss("ohem", num_classes=CLASSES), labels, logits)
    assert value == pytest.approx(hard_value(labels, logits, 0.25), rel=1e-6)


def test_in_large_images_some_rows_and_columns_tell_which_pixels_are_hard():
    """Of 200 x 200 pixels every third row and column is sorted; the share that counts is met to two points."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, (2, 200, 200)).astype(np.uint8)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    value, gradient = value_and_gradient(make_loss("ohem", num_classes=CLASSES, hard_share=0.3), labels, logits)
    for image in np.abs(gradient).sum(-1) > 0:
        assert image.mean() == pytest.approx(0.3, abs=0.02)
    assert value == pytest.approx(hard_value(labels, logits, 0.3), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("weighting", ["uniform", "generalised"])
def test_dice_equals_the_formula(kind, weights, weighting):
    rng = np.random.default_rng(4)
    labels = some_labels(kind, rng)
    logits = rng.normal(0, 2, (*labels.shape, CLASSES))
    loss = make_loss("dice", num_classes=CLASSES, class_weights=weights, dice_weights=weighting)
    value, gradient = value_and_gradient(loss, labels, logits)
    assert value == pytest.approx(dice_value(labels, logits, weights, weighting), rel=1e-6, abs=1e-6)
    expected = numeric_gradient(lambda z: dice_value(labels, z, weights, weighting), logits)
    np.testing.assert_allclose(gradient, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["ce", "focal", "dice", "ohem"])
def test_float32_training_agrees_with_float64(name):
    rng = np.random.default_rng(5)
    labels = some_labels("ignored pixels", rng)
    logits = rng.normal(0, 3, (*labels.shape, CLASSES))
    loss = make_loss(name, num_classes=CLASSES, class_weights=WEIGHTS)
    exact, exact_gradient = value_and_gradient(loss, labels, logits)
    value, gradient = value_and_gradient(loss, labels, logits.astype(np.float32))
    assert value == pytest.approx(exact, rel=1e-6)
    np.testing.assert_allclose(gradient, exact_gradient, atol=1e-6)


def test_gamma_zero_is_cross_entropy_to_the_bit():
    rng = np.random.default_rng(6)
    labels, logits = some_labels("ignored pixels", rng), rng.normal(0, 3, (2, 5, 4, CLASSES)).astype(np.float32)
    focal = value_and_gradient(make_loss("focal", num_classes=CLASSES, gamma=0.0), labels, logits)
    cross_entropy = value_and_gradient(make_loss("ce", num_classes=CLASSES), labels, logits)
    assert focal[0] == cross_entropy[0]
    np.testing.assert_array_equal(focal[1], cross_entropy[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_huge_logits_stay_exact(dtype, gamma):
    labels = np.array([[[0, 1, 2, IGNORE]]], np.uint8)
    logits = np.array([[[[1e4, -1e4, 0], [1e4, -1e4, 0], [1e4, -1e4, 0], [1e4, 1e4, -1e4]]]], dtype)
    loss = make_loss("focal", num_classes=3, gamma=gamma)
    value, gradient = value_and_gradient(loss, labels, logits)
    assert value == pytest.approx((0 + 2e4 + 1e4) / 3, rel=1e-6)
    expected = focal_and_gradient(labels, logits.astype(np.float64), None, gamma)
    np.testing.assert_allclose(gradient, expected[1], atol=1e-6)


@pytest.mark.parametrize("weighting", ["uniform", "generalised"])
def test_dice_of_huge_logits(weighting):
    labels = np.array([[[0, 1, 1, IGNORE]]], np.uint8)
    logits = 1e4 * np.array([[[[1, -1, 0], [-1, 1, 0], [1, -1, 0], [-1, 0, 1]]]], np.float32)
    value, gradient = value_and_gradient(make_loss("dice", num_classes=3, dice_weights=weighting), labels, logits)
    assert value == pytest.approx(dice_value(labels, logits.astype(np.float64), None, weighting), abs=1e-6)
    np.testing.assert_array_equal(gradient, 0)  # the softmax is saturated everywhere


@pytest.mark.parametrize("name", ["ce", "focal", "dice", "ohem", "ce+dice"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_nothing_to_learn_from_is_zero_not_nan(name, weights):
    labels = np.full((1, 3, 3), IGNORE, np.uint8)
    logits = np.random.default_rng(7).normal(size=(1, 3, 3, CLASSES)).astype(np.float32)
    for weighting in ("uniform", "generalised"):
        loss = make_loss(name, num_classes=CLASSES, class_weights=weights, dice_weights=weighting)
        value, gradient = value_and_gradient(loss, labels, logits)
        assert value == 0.0
        np.testing.assert_array_equal(gradient, 0)


@pytest.mark.parametrize("ignore_index", [0, -1, 7])
def test_any_label_can_be_the_ignored_one(ignore_index):
    rng = np.random.default_rng(8)
    labels = rng.integers(1, CLASSES, (1, 4, 4)).astype(np.int32)
    labels[0, :2] = ignore_index
    logits = rng.normal(size=(1, 4, 4, CLASSES))
    for name in ("ce", "dice"):
        value, gradient = value_and_gradient(
            make_loss(name, num_classes=CLASSES, ignore_index=ignore_index), labels, logits
        )
        alone, _ = value_and_gradient(make_loss(name, num_classes=CLASSES), labels[:, 2:], logits[:, 2:])
        assert value == pytest.approx(alone, rel=1e-12)
        np.testing.assert_array_equal(gradient[0, :2], 0)


def test_sums_add_their_terms():
    rng = np.random.default_rng(9)
    labels, logits = some_labels("ignored pixels", rng), rng.normal(size=(2, 5, 4, CLASSES))
    value, _ = value_and_gradient(make_loss("0.7*ce + 0.3*dice", num_classes=CLASSES), labels, logits)
    assert value == pytest.approx(0.7 * focal_and_gradient(labels, logits)[0] + 0.3 * dice_value(labels, logits))
    value, _ = value_and_gradient(make_loss("ce+2*dice", num_classes=CLASSES), labels, logits)
    assert value == pytest.approx(focal_and_gradient(labels, logits)[0] + 2 * dice_value(labels, logits))
    assert parse_loss("ce+2*dice") == ((1.0, "ce"), (2.0, "dice"))


def test_small_logits_are_upsampled_with_half_pixel_centres():
    labels = np.zeros((1, 1, 4), np.uint8)
    small = np.array([[[[0.0, 0.0], [4.0, 0.0]]]], np.float32)
    large = np.array([[[[0.0, 0.0], [1.0, 0.0], [3.0, 0.0], [4.0, 0.0]]]])
    value, gradient = value_and_gradient(make_loss("ce", num_classes=2), labels, small)
    expected, large_gradient = focal_and_gradient(labels, large)
    assert value == pytest.approx(expected, rel=1e-6)
    taps = np.array([[1, 0.75, 0.25, 0], [0, 0.25, 0.75, 1]])
    np.testing.assert_allclose(gradient[0, 0], taps @ large_gradient[0, 0], atol=1e-6)


@pytest.mark.parametrize("jit", [False, True])
def test_compiled_and_of_unknown_batch(jit):
    rng = np.random.default_rng(10)
    labels, logits = some_labels("ignored pixels", rng), rng.normal(size=(2, 5, 4, CLASSES)).astype(np.float32)
    loss = make_loss("ce+focal+dice", num_classes=CLASSES, class_weights=WEIGHTS)
    shapes = [tf.TensorSpec((None, 5, 4), tf.uint8), tf.TensorSpec((None, 5, 4, CLASSES), tf.float32)]
    compiled = tf.function(loss, input_signature=shapes, jit_compile=jit)
    assert float(compiled(labels, logits)) == pytest.approx(float(loss(labels, logits)), rel=1e-6)


@pytest.mark.parametrize("batches", [(None, 2), (2, None)])
def test_a_batch_that_only_one_side_knows(batches):
    rng = np.random.default_rng(10)
    labels, logits = some_labels("all classes", rng), rng.normal(size=(2, 5, 4, CLASSES)).astype(np.float32)
    loss = make_loss("ce", num_classes=CLASSES)
    shapes = [tf.TensorSpec((batches[0], 5, 4), tf.uint8), tf.TensorSpec((batches[1], 5, 4, CLASSES), tf.float32)]
    compiled = tf.function(loss, input_signature=shapes)
    assert float(compiled(labels, logits)) == pytest.approx(float(loss(labels, logits)), rel=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_logits_are_summed_in_float32(dtype):
    labels = np.zeros((1, 300, 300), np.uint8)  # 90,000 pixels: a float16 sum would overflow
    value = make_loss("ce", num_classes=2)(labels, tf.zeros((1, 300, 300, 2), dtype))
    assert value.dtype == "float32"
    assert float(value) == pytest.approx(np.log(2), rel=1e-6)


@pytest.mark.parametrize("namespace", ["keras", "tf_keras"])
def test_trains_under_both_keras(namespace):
    K = pytest.importorskip(namespace)
    model = K.Sequential([K.Input((6, 8, 3)), K.layers.Conv2D(CLASSES, 3, strides=2, padding="same")])
    model.compile(optimizer=K.optimizers.SGD(0.5), loss=make_loss("ce+dice", num_classes=CLASSES))
    rng = np.random.default_rng(11)
    images = rng.normal(size=(4, 6, 8, 3)).astype(np.float32)
    labels = (images[..., 0] > 0).astype(np.uint8)
    losses = model.fit(images, labels, epochs=8, batch_size=4, verbose=0).history["loss"]
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "dise"}, "unknown loss 'dise': did you mean dice"),
        ({"name": ""}, "unknown loss ''"),
        ({"name": "x*ce"}, "factor 'x' in loss 'x\\*ce': expected a positive number"),
        ({"name": "-1*ce+dice"}, "factor '-1'"),
        ({"name": "0*ce+dice"}, "factor '0'"),
        ({"name": "inf*ce"}, "factor 'inf'"),
        ({"name": "ce+ce"}, "names a term twice"),
        ({"num_classes": 1}, "num_classes is 1: expected at least 2"),
        ({"class_weights": [1.0, 2.0]}, "2 class weights: expected 4"),
        ({"class_weights": [1.0, -2.0, 1.0, 1.0]}, "expected finite numbers >= 0"),
        ({"class_weights": [0.0] * 4}, "not all 0"),
        ({"gamma": -0.5}, "gamma is -0.5"),
        ({"gamma": float("nan")}, "gamma is nan"),
        ({"hard_share": 0.0}, "hard_share is 0.0: expected a number above 0, at most 1"),
        ({"hard_share": 1.5}, "hard_share is 1.5"),
        ({"dice_weights": "uniformly"}, "unknown dice weighting 'uniformly': did you mean uniform"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(UsageError, match=message):
        make_loss(**{"name": "ce", "num_classes": CLASSES, **arguments})


@pytest.mark.parametrize("name", ["ce", "focal", "dice", "ohem"])
@pytest.mark.parametrize("label", [CLASSES, 254, -1])
def test_a_label_that_is_no_class_is_not_passed_over(name, label):
    labels = np.array([[[0, label]]], np.int32)
    value = make_loss(name, num_classes=CLASSES)(labels, tf.zeros((1, 1, 2, CLASSES)))
    assert np.isnan(float(value))


def test_logits_of_another_class_count():
    with pytest.raises(DataError, match="logits of 3 classes: expected 4"):
        make_loss("ce", num_classes=CLASSES)(np.zeros((1, 2, 2), np.uint8), tf.zeros((1, 2, 2, 3)))


@pytest.mark.parametrize(
    ("labels", "logits", "message"),
    [
        (
            np.zeros((1, 2, 2, 1), np.uint8),
            np.zeros((1, 2, 2, CLASSES), np.float32),
            r"labels are of shape \(1, 2, 2, 1\)",
        ),
        (
            np.zeros((1, 2, 2), np.uint8),
            np.zeros((2, 2, CLASSES), np.float32),
            r"logits are float32 of shape \(2, 2, 4\)",
        ),
        (np.zeros((1, 2, 2), np.uint8), np.zeros((1, 2, 2, CLASSES), np.int32), "logits are int32"),
        (np.zeros((3, 2, 2), np.uint8), np.zeros((1, 2, 2, CLASSES), np.float32), "3 label maps with 1 maps of logits"),
    ],
)
def test_tensors_of_other_shapes_or_types(labels, logits, message):
    with pytest.raises(DataError, match=message):
        make_loss("ce", num_classes=CLASSES)(labels, tf.constant(logits))


@pytest.mark.parametrize("name", ["ce", "focal", "dice"])
def test_logits_of_the_centre_meet_the_labels_of_the_centre(name):
    rng = np.random.default_rng(12)
    labels, logits = rng.integers(0, CLASSES, (2, 8, 10)), rng.normal(size=(2, 4, 6, CLASSES))
    centred = make_loss(name, num_classes=CLASSES, covers=(slice(2, 6), slice(2, 8)))
    alone, gradient = value_and_gradient(make_loss(name, num_classes=CLASSES), labels[:, 2:6, 2:8], logits)
    value, same_gradient = value_and_gradient(centred, labels, logits)
    assert value == alone
    np.testing.assert_array_equal(same_gradient, gradient)
    stretched, _ = value_and_gradient(make_loss(name, num_classes=CLASSES), labels, logits)
    assert value != stretched
