"""The steps towards an int8 file that keeps the accuracy: each is made and scored, the cheapest first."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from edgeseg.card import InputSpec, ModelCard, Recipe
from edgeseg.card_file import attach, detach
from edgeseg.conversion.converter import Advance
from edgeseg.conversion.gate import refusal
from edgeseg.conversion.images import Images
from edgeseg.conversion.network import Conversion, Notify, Training, convert_network
from edgeseg.data.dataset import Dataset
from edgeseg.errors import ConversionError, TrainingError
from edgeseg.host import usable_cores
from edgeseg.recipes import RECIPES, REFINEMENTS, recipe_row
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.evaluate import Evaluation, evaluate


@dataclass(frozen=True, kw_only=True)
class Step:
    """One way to an int8 file.

    Attributes:
        flags: What asks `edgeseg convert` for it, besides `--int8`.
        trained: Whether it trains the weights.
        refinements: As `convert` takes them.
        float_layers: How many layers stay in float.
    """

    flags: str
    trained: bool = False
    refinements: tuple[str, ...] | None = None
    float_layers: int = 0


STEPS = (
    Step(flags=""),
    Step(flags="--refine all", refinements=REFINEMENTS),
    Step(flags="--mixed --float-layers 3", float_layers=3),
    Step(flags="--mixed --float-layers 12", float_layers=12),
    Step(flags="--qat", trained=True),
)
"""The cheapest first: a minute, minutes, an hour."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What became of a step.

    Attributes:
        flags: What asks `edgeseg convert` for the same file.
        recipe: The recipe's name.
        seconds: What making the file took; scoring it is not counted.
        conversion: The file; None if it could not be made.
        miou: Its mean IoU on the validation images, 0-1.
        drop: Points of mIoU that it loses to the float network.
        reason: Why it does not hold; "" if it does.
    """

    flags: str
    recipe: str
    seconds: float
    conversion: Conversion | None = None
    miou: float = float("nan")
    drop: float = float("nan")
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Budgeted:
    """What `convert_within` tried, and what it chose.

    Attributes:
        max_miou_drop: The budget, in points of mIoU.
        scored_on: The images, in words.
        float_score: What the float network reaches.
        trials: In the order in which they were made.
        best: The first that holds; if none does, the one that loses least.
        conversion: The best one's file, with its score in its card.
    """

    max_miou_drop: float
    scored_on: str
    float_score: Evaluation
    trials: tuple[Trial, ...]
    best: Trial
    conversion: Conversion

    @property
    def holds(self) -> bool:
        """Whether the best stays within the budget."""
        return not self.best.reason


def trained_twin(recipe: str) -> str:
    """Returns the recipe that trains what another one only calibrates."""
    row = recipe_row(recipe)
    return next(r.name for r in RECIPES.values() if r.trained and r.per_tensor == row.per_tensor)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all steps share.

    Attributes:
        network: The float network.
        card: Its card.
        spec: Its input.
        recipe: The recipe that calibrates; its twin trains.
        images: What calibrates, chooses and tells agreement.
        val_set: What scores.
        training: What the last step trains on; None leaves it out.
        miou: The float network's, 0-1.
        allowed: Points of it that may be lost.
        force: Whether the gate counts for nothing.
        advance: See `budget.convert_within`.
        notify: Likewise.
    """

    network: Any
    card: ModelCard
    spec: InputSpec
    recipe: Recipe
    images: Images
    val_set: Dataset
    training: Training | None
    miou: float
    allowed: float
    force: bool
    advance: Advance | None
    notify: Notify

    @property
    def scored_on(self) -> str:
        """What scores, in words."""
        count = len(self.val_set)
        return f"{count} image{'s' * (count > 1)} of {self.val_set.name}/{self.val_set.split}"

    def run(self, reference: Evaluation) -> Budgeted:
        """Makes step after step until one holds."""
        trials: list[Trial] = []
        for step in STEPS:
            if not self.recipe_of(step) or (step.trained and self.training is None):
                continue
            trials.append(self.attempt(step))
            if not trials[-1].reason:
                break
        made = [(trial, trial.conversion) for trial in trials if trial.conversion is not None]
        if not made:
            raise ConversionError(trials[0].reason)
        best, conversion = min(made, key=lambda pair: (bool(pair[0].reason), pair[0].drop))
        return Budgeted(
            max_miou_drop=self.allowed, scored_on=self.scored_on, float_score=reference, trials=tuple(trials),
            best=best, conversion=conversion,
        )  # fmt: skip

    def recipe_of(self, step: Step) -> str:
        """Returns a step's recipe; "" where there is none: the Edge TPU takes no float, nor do old accelerators."""
        if step.trained:
            return trained_twin(self.recipe.name)
        if not step.float_layers:
            return self.recipe.name
        fitting = (row.name for row in RECIPES.values() if row.base == self.recipe.name)
        return "" if self.recipe.target == "edgetpu" else next(fitting, "")

    def attempt(self, step: Step) -> Trial:
        """Makes and scores one step's file."""
        name = self.recipe_of(step)
        recipe = replace(self.recipe, name=name)
        flags = " ".join([*recipe_row(self.recipe.name).words, *([step.flags] if step.flags else [])])
        self.notify(f"{flags}: trying")
        start = time.monotonic()
        try:
            done = convert_network(
                self.network, self.card, recipe, self.images, spec=self.spec,
                training=self.training if step.trained else None, refinements=step.refinements,
                float_layers=step.float_layers,
                advance=self.advance, notify=self.notify,
            )  # fmt: skip
        except (ConversionError, TrainingError) as error:
            trial = Trial(flags=flags, recipe=name, seconds=time.monotonic() - start, reason=str(error))
        else:
            trial = self.scored(Trial(flags=flags, recipe=name, seconds=time.monotonic() - start), done)
        self.notify(f"{flags}: {told(trial)}")
        return trial

    def scored(self, trial: Trial, done: Conversion) -> Trial:
        """Scores a file, writes that into its card, and says whether it holds."""
        segmenter = Segmenter(done.content, threads=usable_cores())
        score = evaluate(segmenter, self.val_set, advance=self.advance)
        content = attach(done.content, replace(done.card, scores=(score.score,)))
        drop = 100 * (self.miou - score.miou)
        reason = "" if self.force or self.images.distilled else refusal(done)
        if drop > self.allowed:
            reason = f"{drop:.2f} points lost, {self.allowed:g} allowed"
        return replace(
            trial, miou=score.miou, drop=drop, reason=reason,
            conversion=replace(done, content=content, card=detach(content) or done.card),
        )  # fmt: skip


def told(trial: Trial) -> str:
    """Says in words what became of a step."""
    if trial.conversion is None:
        return f"failed, {trial.reason}"
    figures = f"mIoU {trial.miou:.4f}, {trial.drop:.2f} points lost, {trial.conversion.agreement:.2%} agreement"
    return f"{figures}, {trial.seconds:.0f} s: {trial.reason or 'holds'}"
