"""Everything that is worth telling of a model on a data set, measured in one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from edgeseg.arrays import Uint8
from edgeseg.data.dataset import Dataset
from edgeseg.errors import UsageError
from edgeseg.refine.refiners import open_refiner
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.scoring.class_map import UNKNOWN, ClassMap, make_class_map
from edgeseg.scoring.evaluate import Evaluation, Segment, Watch, check_classes, evaluate
from edgeseg.scoring.measures import BoundaryScore, calibration_watch


@dataclass(frozen=True, kw_only=True)
class Detail:
    """A model's scores on a data set, and what is needed to look closer.

    Attributes:
        model: What the model is called.
        scores: The scores.
        boundary: Boundary F score by class name; None if it was not measured.
        boundary_mean: Its mean over the classes; None likewise.
        ece: Expected calibration error; None likewise.
        refine: The refiner; None without one.
        refine_ms: Milliseconds that it takes for an image.
        ignored: Classes of the data set that the model does not know, and whose pixels do not count.
        dataset: The images, with the classes that are scored.
        segment: The model, giving those classes.
    """

    model: str
    scores: Evaluation
    boundary: dict[str, float] | None
    boundary_mean: float | None
    ece: float | None
    refine: str | None
    refine_ms: float | None
    ignored: tuple[str, ...]
    dataset: Dataset
    segment: Segment


def score_in_detail(
    segmenter: Segmenter,
    dataset: Dataset,
    *,
    class_map: Mapping[str, str | None] | None = None,
    refine: str | None = None,
    boundary: bool = False,
    ece: bool = False,
    limit: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Detail:
    """Scores a model, and measures what else is asked for on the way.

    Args:
        segmenter: The model.
        dataset: Images and label maps.
        class_map: For a model of other classes than the data's, see `edgeseg.scoring.class_map.make_class_map`.
        refine: A refiner's name, such as "crf".
        boundary: Score the classes' boundaries, too.
        ece: Measure the expected calibration error, too.
        limit: Score only so many images, evenly spread.
        advance: Called with (done, total) images.

    Raises:
        DataError: The data set is empty or has other classes.
        UsageError: An option does not fit the model or another option.
    """
    if ece and (refine or class_map is not None):
        raise UsageError(
            "--ece with --refine or --map-classes: it is of the network's own probabilities, leave one out"
        )
    seconds: list[float] = []
    refiner = open_refiner(refine, seconds)
    segment: Segment = segmenter.segment if refiner is None else refined(segmenter, refiner)
    mapped: ClassMap | None = None
    if class_map is None:
        check_classes(segmenter, dataset)
    else:
        mapped = make_class_map(class_map, segmenter.labels, dataset.labels)
        segment, dataset = mapped.segment(segment), mapped.dataset(dataset)
    edges = BoundaryScore(dataset.labels) if boundary else None
    error, confidence = calibration_watch(segmenter, dataset.labels.ignore_index) if ece else (None, None)
    scores = evaluate(
        segment, dataset, limit=limit, advance=advance, unknown=None if mapped is None else UNKNOWN,
        watch=_all([edges.watch if edges else None, confidence]),
    )  # fmt: skip
    return Detail(
        model=segmenter.name, scores=scores, boundary=edges.by_class if edges else None,
        boundary_mean=edges.mean if edges else None, ece=error.value if error else None, refine=refine,
        refine_ms=1000 * sum(seconds) / len(seconds) if seconds else None,
        ignored=() if mapped is None else mapped.ignored, dataset=dataset, segment=segment,
    )  # fmt: skip


def refined(segmenter: Segmenter, refiner: Callable[..., Uint8]) -> Segment:
    """Returns a function (image, height, width) -> label map that refines what the network gives."""

    def segment(image: Uint8, height: int, width: int) -> Uint8:
        segmenter.prepare(image)
        segmenter.invoke()
        return refiner(segmenter.probabilities(height, width), image)

    return segment


def _all(watches: list[Watch | None]) -> Watch | None:
    wanted = [watch for watch in watches if watch is not None]
    if not wanted:
        return None

    def watch(index: int, image: Uint8, truth: Uint8, predicted: Uint8) -> None:
        for each in wanted:
            each(index, image, truth, predicted)

    return watch
