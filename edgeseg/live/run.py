"""`edgeseg.run`: the one way into live segmentation, for programs and for the command line."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2

from edgeseg.errors import OutputError, UsageError
from edgeseg.files import ensure_folder, write_json
from edgeseg.host import usable_cores
from edgeseg.live.device import Replace
from edgeseg.live.masks import MaskMaker
from edgeseg.live.options import MaskOptions, ModelOptions, RunOptions
from edgeseg.live.outputs.base import Output
from edgeseg.live.outputs.opening import OutputOptions, check_outputs, open_outputs
from edgeseg.live.pipeline import Pipeline
from edgeseg.live.sources import Source, SourceOptions, check_source_options, describe_source, open_source
from edgeseg.live.stats import RunStats
from edgeseg.process import SharedSetting
from edgeseg.refine.refiners import open_refiner
from edgeseg.refine.temporal import TemporalSmoother
from edgeseg.runtime.fallback import Fallback
from edgeseg.runtime.labels import load_labels
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.runtime.signature import Preprocessing
from edgeseg.zoo import resolve

SWITCH_SECONDS = 0.0005
"""Python's threads take turns so often during a run: inference must not wait 5 ms, the default, for its own."""

Tell = Callable[[str], None]
"""Takes a line for people."""


def _say_nothing(line: object) -> None:
    pass


def _go_on() -> str:
    return ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunHooks:
    """What a program wants to hear of a run, and to say to it.

    Attributes:
        notify: Called with a line when something happens.
        progress: Called with a line of figures twice a second.
        until: Asked every few hundredths of a second; a word ends the run, and is why it `ended`.
        ended: Called with the figures at the end, also when the run ends with an error.
    """

    notify: Tell = _say_nothing
    progress: Tell = _say_nothing
    until: Callable[[], str] = _go_on
    ended: Callable[[RunStats], None] = _say_nothing


def run(
    model: str | os.PathLike[str] | None,
    source: str | int | os.PathLike[str] | Callable[[], Source],
    outputs: OutputOptions | Sequence[Output] = (),
    *,
    options: RunOptions | None = None,
    masks: MaskOptions | None = None,
    model_options: ModelOptions | None = None,
    source_options: SourceOptions | None = None,
    hooks: RunHooks | None = None,
) -> RunStats:
    """Segments a camera, a video or images, live, until it ends or is told to.

    A camera's newest frame is always the one that is segmented; of a video or a folder, every frame is. When a camera
    or stream is lost, masks are marked invalid until it is back. An accelerator that fails is opened again, then
    replaced by the CPU. Meanwhile OpenCV works on one thread, and Python's threads take turns more often; both are put
    back afterwards.

        stats = run("aerial", "flight.mp4", OutputOptions(record="overlay.mp4"), options=RunOptions(frames=300))

    Args:
        model: Zoo name, model folder or `.tflite` file; None is the zoo's default.
        source: What `open_source` takes: a camera's number, a device, a video, an image, a folder, a glob, a URL; or a
            function that opens a `Source` of your own, called again when it is lost.
        outputs: Where results go: the built-in outputs by their options, or your own objects (see `Output`). They are
            closed at the end.
        options: When it ends, and what is shown.
        masks: How label maps are made.
        model_options: How the network is opened.
        source_options: What is asked of the source.
        hooks: What the program hears of the run, and says to it.

    Returns:
        The run's figures.

    Raises:
        UsageError: An option is wrong, or contradicts another.
        ModelFileError: The model is missing, damaged or no segmentation network.
        SourceError: The source cannot be opened, or was lost for good.
        OutputError: An output cannot be opened, or would be written over what the run reads.
        DelegateError: The accelerator cannot be opened, or failed and nothing replaces it.
        DataError: An image cannot be read.
    """
    options, masks, hooks = options or RunOptions(), masks or MaskOptions(), hooks or RunHooks()
    model_options, source_options = model_options or ModelOptions(), source_options or SourceOptions()
    file = resolve(None if model is None else os.fspath(model))
    named = None if callable(source) else str(source) if isinstance(source, int) else os.fspath(source)
    if named is not None:
        _check_source(named, source_options, options)
    if isinstance(outputs, OutputOptions):
        if options.legend and not outputs.drawn:
            raise UsageError("--legend is drawn on the overlay, which nothing shows: add --record, --serve or --window")
        _check_stats(outputs)
        read = [("the model", file)]
        if isinstance(model_options.labels, str | os.PathLike):
            read.append(("the list of classes", Path(model_options.labels)))
        check_outputs(outputs, named, read)
    smoother = TemporalSmoother() if masks.smooth else None
    maker = MaskMaker(sharp=masks.sharp, refine=open_refiner(masks.refine), smooth=smoother)
    with _tuned(), contextlib.ExitStack() as unless_it_runs:
        segmenter, replace = _open_model(file, model_options, hooks.notify)
        reopen = source if callable(source) else lambda: open_source(named or "", source_options)
        opened = reopen()
        unless_it_runs.callback(opened.close)
        if isinstance(outputs, OutputOptions):
            places = open_outputs(outputs, segmenter.labels, opened)
        else:
            places = list(outputs)
        for line in (*segmenter.notices, *(output.announcement for output in places if output.announcement)):
            hooks.notify(line)
        pipeline = Pipeline(
            segmenter, opened, reopen,
            options=options, masks=maker, notify=hooks.notify, progress=hooks.progress, replace=replace,
        )  # fmt: skip
        unless_it_runs.pop_all()
        try:
            pipeline.run(places, hooks.until)
        finally:
            stats = pipeline.stats()
            if smoother is not None:
                stats = dataclasses.replace(stats, smoothing=dataclasses.asdict(smoother.figures()))
            if isinstance(outputs, OutputOptions) and outputs.stats is not None:
                write_json(outputs.stats, stats.as_json())
            hooks.ended(stats)
    return stats


def _check_source(source: str, asked: SourceOptions, options: RunOptions) -> None:
    check_source_options(source, asked)
    if options.exit_on_loss and describe_source(source) in ("video", "images"):
        raise UsageError(f"--exit-on-loss is for a camera or a stream, which can be lost; {source} is neither")


def _check_stats(outputs: OutputOptions) -> None:
    if outputs.stats is not None and Path(outputs.stats).is_dir():
        raise OutputError(f"cannot write {outputs.stats}: it is a folder; name a file in it")
    if outputs.stats is not None:
        ensure_folder(Path(outputs.stats).parent)


def _open_model(file: Path, options: ModelOptions, notify: Tell) -> tuple[Segmenter, Replace | None]:
    """Opens the network, and runs it once: the first inference is slow; with what replaces a failed accelerator."""
    labels = load_labels(options.labels) if isinstance(options.labels, str | os.PathLike) else options.labels
    cores = max(1, min(4, usable_cores() - 1)) if options.threads is None else options.threads

    preprocessing = Preprocessing(resize=options.resize, mean=options.mean, std=options.std, order=options.order)

    def open_model(path: Path, on: str | None) -> Segmenter:
        return Segmenter(
            path, threads=cores, delegate=on, size=options.size, labels=labels, preprocessing=preprocessing
        )

    segmenter = open_model(file, options.delegate)
    segmenter.invoke()
    if not segmenter.accelerated:
        return segmenter, None
    return segmenter, Fallback(file, segmenter.delegate, open_model, notify)


@contextlib.contextmanager
def _tuned() -> Iterator[None]:
    with _one_opencv_thread(), _quick_turns():
        yield


def _limit_opencv() -> Callable[[], None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)  # the cores belong to inference
    return lambda: cv2.setNumThreads(before)


def _switch_often() -> Callable[[], None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_SECONDS)
    return lambda: sys.setswitchinterval(before)


_one_opencv_thread, _quick_turns = SharedSetting(_limit_opencv), SharedSetting(_switch_often)
