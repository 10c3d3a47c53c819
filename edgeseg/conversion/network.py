"""One network to one file: the converter, the recipe's refinements, agreement, and what is likely to be wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import attach, detach
from edgeseg.conversion.agreement import Agreement, ChoicesOf
from edgeseg.conversion.converter import Advance, check_operators, run_converter
from edgeseg.conversion.float_layers import with_float_layers
from edgeseg.conversion.images import Images
from edgeseg.conversion.normalisation import doubt_about
from edgeseg.conversion.ptq import span_input_range, tensors_digest
from edgeseg.conversion.qat import QatData, QatOptions, train_for_integers
from edgeseg.conversion.refinements import REFINEMENTS, Subject
from edgeseg.conversion.surgery import for_converter, with_output
from edgeseg.errors import ConversionError, UsageError
from edgeseg.foreign import normalisation_text
from edgeseg.host import tool_versions
from edgeseg.image import fit
from edgeseg.naming import artifact_name, resized_name
from edgeseg.provenance import CalibrationRecord
from edgeseg.recipes import recipe_row
from edgeseg.synth import aerial
from edgeseg.tflite.graph import parse_graph

Notify = Callable[[str], None]
"""Called with a line for people."""


AFTER_TRAINING = ("logits",)
"""Refinements that wait for a training's end: logits that are cut cannot be taught to be as far apart as in float."""
FLOAT_LAYERS = 3
"""Layers that stay in float, if nobody says how many."""
LEAST_FAKE_QUANT_AGREEMENT = 0.98
"""Pixels on which a trained file must choose as the network that was trained."""


@dataclass(frozen=True, kw_only=True)
class Training:
    """What a recipe that trains learns from, and how."""

    data: QatData
    options: QatOptions


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What `convert` made.

    Attributes:
        content: The file's bytes, card included.
        card: Its card.
        agreement: Fraction of pixels on which it chooses as its network, on `agreement_on`.
        agreements: The same in all, by class, by quadrant, and of XNNPACK with the reference kernels.
        agreement_on: The images of that, in words.
        cost: What layers in float cost, in words; "" where there are none.
        warnings: What is likely to be wrong, in words.
        file: Where it was written; None if nowhere.
    """

    content: bytes
    card: ModelCard
    agreement: float
    agreements: Agreement
    agreement_on: str
    cost: str = ""
    warnings: tuple[str, ...] = ()
    file: Path | None = None

    @property
    def file_name(self) -> str:
        """What to call the file."""
        return artifact_name(self.card.name, self.card.recipe.name)


def convert_network(
    model: Any,
    card: ModelCard,
    recipe: Recipe,
    images: Images,
    *,
    spec: InputSpec | None = None,
    training: Training | None = None,
    refinements: Sequence[str] | None = None,
    float_layers: int = FLOAT_LAYERS,
    advance: Advance | None = None,
    notify: Notify = lambda line: None,
) -> Conversion:
    """Converts a network that is loaded, and measures the file; refuses none for its agreement.

    Args:
        model: A Keras network.
        card: Its card. Without an architecture in it (a network made elsewhere) the model is converted as it stands.
        recipe: How to quantize.
        images: Images like those the camera will see.
        spec: Another input than the card's.
        training: What a recipe that trains learns from, and how.
        refinements: Names of `edgeseg.recipes.REFINEMENTS` in their order; the recipe's if None.
        float_layers: How many layers stay in float, where the recipe leaves some.
        advance: Called with (done, total) calibration images, then steps of each refinement.
        notify: Called with a line about what each refinement brought.

    Raises:
        ConversionError: The converter failed, or left an operator that the recipe does not allow.
        UsageError: The input size does not fit the network.
    """
    spec = spec or card.input
    row = recipe_row(recipe.name)
    begun = replace(recipe, name=row.base or recipe.name)
    network = for_converter(model, card, spec, recipe)
    tensors = [fit(image, spec) for image in images.calibration] if row.calibrated else []
    if row.calibrated:
        span_input_range(tensors)
    graph = run_converter(with_output(network, recipe), begun, spec, tensors, advance)
    check_operators(parse_graph(graph), begun)
    record = CalibrationRecord(source=images.source, count=len(tensors), digest=tensors_digest(tensors))
    converted = replace(
        card,
        input=spec,
        recipe=recipe,
        calibration=record if row.calibrated else None,
        scores=(),
        name=resized_name(card.name, (card.input.height, card.input.width), (spec.height, spec.width)),
        tools=tool_versions(),
    )
    steps, cost = row.refinements if refinements is None else refinements, ""
    if steps or row.trained or row.base:
        subject = Subject(
            file=graph,
            reference=run_converter(with_output(network, recipe), Recipe(name="float32"), spec, []),
            tensors=tensors,
            spec=spec,
            advance=advance or _silent,
            per_tensor=row.per_tensor,
        )
        choosing = ChoicesOf(network, spec, images.choosing)
        late = [name for name in steps if row.trained and name in AFTER_TRAINING]
        subject = refined(subject, [name for name in steps if name not in late], choosing, converted, notify)
        if row.trained:
            file = trained(subject.file, subject.reference, converted, images, training, advance or _silent, notify)
            subject = refined(replace(subject, file=file), late, choosing, converted, notify)
        graph = subject.file
        if row.base:
            graph, cost = with_float_layers(graph, subject.reference, tensors, spec, float_layers)
            notify(cost)
    choices = ChoicesOf(network, spec, images.unseen)
    agreement = choices.compare(attach(graph, converted), card.labels)
    converted = replace(converted, agreement=round(agreement.overall, 6), agreement_on=images.record)
    content = attach(graph, converted)  # which marks the graph, and tells its digest in the card
    converted = detach(content) or converted
    return Conversion(
        content=content,
        card=converted,
        agreement=agreement.overall,
        agreements=agreement,
        agreement_on=images.description,
        cost=cost,
        warnings=doubts(model, converted, choices, images),
    )


def refined(subject: Subject, names: Sequence[str], choices: ChoicesOf, card: ModelCard, notify: Notify) -> Subject:
    """Applies refinements, each kept only if it helps on images that calibration did not see; says what each did.

    One that brings nothing by itself is tried together with the next: narrower ranges shift means, which biases mend.
    """
    agreement = choices.agreement(attach(subject.file, card))
    waiting: tuple[str, Subject] | None = None
    for name in names:
        for beside, start in [*([waiting] if waiting else []), ("", subject)]:
            found = REFINEMENTS[name](start)
            if found is None:
                notify(f"{name}: left out, the converter's integer graph is not that of the float network")
                break
            better, what = found
            now = choices.agreement(attach(better.file, card))
            told = f"{what} with {beside}" if beside else what
            if now > agreement:
                notify(f"{told}: {now:.2%} agreement, {agreement:.2%} before")
                subject, agreement, waiting = better, now, None
                break
            notify(f"{told}: left out, no gain ({now:.2%} agreement, {agreement:.2%} before)")
            waiting = waiting if beside else (name, better)
    return subject


def trained(
    graph: bytes,
    reference: bytes,
    card: ModelCard,
    images: Images,
    training: Training | None,
    advance: Advance,
    notify: Notify,
) -> bytes:
    """Trains an integer file's weights, and proves that the file does what was trained.

    Raises:
        UsageError: There is nothing to train on.
        ConversionError: The file chooses otherwise than the network that was trained.
    """
    if training is None:
        raise UsageError(f"{card.recipe.name} trains the weights: name a data set with --data")
    content, network = train_for_integers(graph, reference, card, training.data, training.options, advance, notify)
    same = ChoicesOf(network, card.input, images.choosing).agreement(attach(content, card))
    notify(f"the file chooses as the fake-quantized network on {same:.2%} of the pixels")
    if same < LEAST_FAKE_QUANT_AGREEMENT:
        raise ConversionError(
            f"the file chooses as the network that was trained on only {same:.2%} of the pixels, expected "
            f"{LEAST_FAKE_QUANT_AGREEMENT:.0%} or more: use --int8 without --qat, and report this network"
        )
    return content


def _silent(done: int, total: int) -> None:
    """Shows no progress."""


def doubts(model: Any, card: ModelCard, choices: ChoicesOf, images: Images) -> tuple[str, ...]:
    """Says what is likely to be wrong with a conversion that went through."""
    lines = []
    kind = trained_on(card)
    if images.synthetic and not images.distilled and kind != aerial.NAME:
        lines.append(
            f"the images are synthetic, the network was trained on {kind}: name images of its own kind with "
            "--calibration, agreement on these says little"
        )
    blindness = choices.blindness(card.labels)
    doubt = doubt_about(model, card.input, images.unseen) if not card.architecture else ""
    if doubt:
        lines.append(doubt)
    elif blindness:
        told = "" if card.architecture else f", and {normalisation_text(card.input)} may not be it"
        lines.append(
            f"the Keras network is blind on these images: {blindness}; they are not of its kind, or its input is "
            f"normalised in another way (--mean, --std){told}"
        )
    return tuple(lines)


def trained_on(card: ModelCard) -> str:
    """Returns the name of the data set that a network was trained on, as far as its card tells."""
    return card.training.dataset.split("/")[0] if card.training else "unknown images"
