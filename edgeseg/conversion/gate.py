"""What is not written unless it is forced: a file that does not choose as the network that it came from."""

from __future__ import annotations

from edgeseg.conversion.agreement import LEAST_KERNEL_AGREEMENT, Agreement
from edgeseg.conversion.network import Conversion
from edgeseg.recipes import recipe_row

LEAST_CLASS_AGREEMENT = 0.75
"""Pixels of a class that must keep it. Of thin and rare classes most pixels are borders, where rounding decides."""
LEAST_CLASS_SHARE = 0.001
"""Of all pixels; a class with fewer is told, and not judged."""
LEAST_QUADRANT_AGREEMENT = 0.95
"""Pixels of a quarter of the images that must keep their class."""


def refusal(done: Conversion) -> str:
    """Says why a file is not to be written, and what to do; "" if it may be."""
    row = recipe_row(done.card.recipe.name)
    kernels = done.agreements.of_kernels
    if done.agreement < row.lowest_agreement:
        wrong = (
            f"on only {done.agreement:.2%} of the pixels of {done.agreement_on}, expected {row.lowest_agreement:.0%} "
            f"or more (least: {done.agreements.weakest})"
        )
    elif lost := broken(done.agreements):
        wrong = f"on {done.agreement:.2%} of the pixels of {done.agreement_on}, but {lost}"
    elif kernels < LEAST_KERNEL_AGREEMENT:
        return (
            f"XNNPACK and the reference kernels choose alike on only {kernels:.2%} of the pixels of the {row.name} "
            f"file, expected {LEAST_KERNEL_AGREEMENT:.0%} or more: devices would differ; `edgeseg explain` tells the "
            "coarse layers; --force accepts it as it is"
        )
    else:
        return ""
    return f"the {row.name} file chooses as the Keras network {wrong}: {_remedy(done)}; --force accepts it as it is"


def broken(agreements: Agreement) -> str:
    """Names, in words, the class or else the quadrant that is lost in a file that is right elsewhere; "" if none is."""
    shares = dict(agreements.class_shares)
    judged = [(kept, name) for name, kept in agreements.by_class if shares[name] >= LEAST_CLASS_SHARE]
    kept, name = min(judged, default=(1.0, ""))
    if kept < LEAST_CLASS_AGREEMENT:
        return f"on only {kept:.2%} of class '{name}', expected {LEAST_CLASS_AGREEMENT:.0%} or more"
    kept, name = min((kept, name) for name, kept in agreements.by_quadrant)
    if kept < LEAST_QUADRANT_AGREEMENT:
        return f"on only {kept:.2%} of the images' {name} quarter, expected {LEAST_QUADRANT_AGREEMENT:.0%} or more"
    return ""


def _remedy(done: Conversion) -> str:
    if done.warnings:
        return done.warnings[0]
    if recipe_row(done.card.recipe.name).calibrated:
        return (
            "calibrate on more images like those that it was trained on (--calibration), try --refine all, or use "
            "--int8-weights"
        )
    return "the network is not what it seems: look at what it gives in Keras"
