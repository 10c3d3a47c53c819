"""What is not written unless it is forced: a file that does not choose as the network that it came from."""

from __future__ import annotations

from edgeseg.conversion.agreement import LEAST_KERNEL_AGREEMENT
from edgeseg.conversion.network import Conversion
from edgeseg.recipes import recipe_row


def refusal(done: Conversion) -> str:
    """Says why a file is not to be written, and what to do; "" if it may be."""
    row = recipe_row(done.card.recipe.name)
    kernels = done.agreements.of_kernels
    if done.agreement >= row.lowest_agreement:
        if kernels >= LEAST_KERNEL_AGREEMENT:
            return ""
        return (
            f"XNNPACK and the reference kernels choose alike on only {kernels:.2%} of the pixels of the {row.name} "
            f"file, expected {LEAST_KERNEL_AGREEMENT:.0%} or more: devices would differ; `edgeseg explain` tells the "
            "coarse layers; --force accepts it as it is"
        )
    return (
        f"the {row.name} file chooses as the Keras network on only {done.agreement:.2%} of the pixels of "
        f"{done.agreement_on}, expected {row.lowest_agreement:.0%} or more (least: {done.agreements.weakest}): "
        f"{_remedy(done)}; --force accepts it as it is"
    )


def _remedy(done: Conversion) -> str:
    if done.warnings:
        return done.warnings[0]
    if recipe_row(done.card.recipe.name).is_integer:
        return (
            "calibrate on more pictures like those that it was trained on (--calibration), try --refine all, or use "
            "--int8-weights"
        )
    return "the network is not what it seems: look at what it gives in Keras"
