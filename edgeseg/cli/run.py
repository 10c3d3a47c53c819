"""`edgeseg run`: live segmentation of a camera, a video or pictures."""

from __future__ import annotations

import dataclasses
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgeseg.cli.options import MEAN_HELP, STD_HELP, OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import console
from edgeseg.errors import EdgesegError, UsageError

if TYPE_CHECKING:
    from edgeseg.live.outputs import Output
    from edgeseg.live.pipeline import Pipeline


def command(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Zoo name, model folder or .tflite; the zoo's default.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="N", help="Camera number, /dev/videoN, csi.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Video, picture, folder, glob, URL, '-' (raw), pipeline."),
    ] = None,
    frames: Annotated[int | None, typer.Option("--frames", metavar="N", help="End after N frames.")] = None,
    seconds: Annotated[float | None, typer.Option("--seconds", metavar="S", help="End after S seconds.")] = None,
    headless: Annotated[bool, typer.Option("--headless", help="Show nothing.")] = False,
    window: Annotated[bool, typer.Option("--window", help="Show a window (the default where there is one).")] = False,
    serve: Annotated[
        str | None, typer.Option("--serve", metavar="[HOST:]PORT", help="Show it in the browser, on this machine.")
    ] = None,
    record: Annotated[Path | None, typer.Option("--record", metavar="FILE", help="Record the overlay.")] = None,
    save_labels: Annotated[
        Path | None, typer.Option("--save-labels", metavar="DIR", help="One PNG of class ids for each frame.")
    ] = None,
    events: Annotated[
        str | None, typer.Option("--events", metavar="FILE|udp://HOST:PORT", help="One JSON line for each mask.")
    ] = None,
    safe: Annotated[
        str | None,
        typer.Option("--safe", metavar="A,B", help="Classes that are free ground: adds free space to events."),
    ] = None,
    camera_height: Annotated[
        float | None, typer.Option("--camera-height", metavar="M", help="Metres above ground, for lengths in metres.")
    ] = None,
    fov: Annotated[
        float | None, typer.Option("--fov", metavar="DEG", help="Horizontal field of view, with --camera-height.")
    ] = None,
    pitch: Annotated[
        float, typer.Option("--pitch", metavar="DEG", help="Degrees below the horizon; 90 looks straight down.")
    ] = 90.0,
    mavlink: Annotated[
        str | None,
        typer.Option("--mavlink", metavar="ADDRESS", help="Tell an autopilot: udpout:HOST:PORT, /dev/tty,BAUD."),
    ] = None,
    stats: Annotated[Path | None, typer.Option("--stats", metavar="FILE", help="Write the run's figures.")] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", help="CPU threads for inference; one core fewer than here.")
    ] = None,
    delegate: Annotated[
        str | None,
        typer.Option("--delegate", metavar="NAME|PATH", help="edgetpu[:usb|:pci|:N], xnnpack, none, or an .so."),
    ] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Frame size to ask a camera for; of raw frames.")
    ] = None,
    fps: Annotated[float | None, typer.Option("--fps", metavar="F", help="Frame rate to ask a camera for.")] = None,
    realtime: Annotated[bool, typer.Option("--realtime", help="Play a video at its own speed.")] = False,
    sharp: Annotated[bool, typer.Option("--sharp", help="Upsample logits, then decide: smooth outlines.")] = False,
    refine: Annotated[
        str | None,
        typer.Option("--refine", metavar="crf", help="Sharpen outlines by a dense CRF (slow)."),
    ] = None,
    smooth: Annotated[
        bool, typer.Option("--smooth", help="Steadier masks: a class must be seen thrice to change.")
    ] = False,
    exit_on_loss: Annotated[bool, typer.Option("--exit-on-loss", help="End when the source is lost.")] = False,
    legend: Annotated[bool, typer.Option("--legend", help="List the classes in view.")] = False,
    labels: Annotated[
        str | None, typer.Option("--labels", metavar="NAME|FILE", help="Class names for a file without a card.")
    ] = None,
    mean: Annotated[str | None, typer.Option("--mean", help=MEAN_HELP)] = None,
    std: Annotated[str | None, typer.Option("--std", help=STD_HELP)] = None,
    order: OrderOption = None,
    resize: Annotated[str | None, typer.Option("--resize", metavar="MODE", help="stretch or letterbox.")] = None,
) -> None:
    """Segment a camera, a video or pictures, live.

    A camera's newest frame is always the one that is segmented; of a video or a folder, every frame is. When a camera
    or stream is lost, masks are marked invalid until it is back.

    \b
    Examples:
      edgeseg run --camera 0 --serve 8000
      edgeseg run model.tflite --source drone.mp4 --record overlay.mp4 --headless
      edgeseg run --source photos/ --save-labels masks/ --headless
      edgeseg run --camera 0 --size 720x1280 --events udp://127.0.0.1:9000 --stats stats.json
      edgeseg run --camera 0 --safe grass,field --camera-height 20 --fov 66 --mavlink udpout:127.0.0.1:14550
    """  # noqa: D301
    what = _source_name(camera, source)
    _check_limits(frames, seconds)
    asked_size = None if size is None else parse_size(size)

    import cv2

    from edgeseg.cli.refining import open_refiner
    from edgeseg.files import ensure_folder, write_json
    from edgeseg.host import usable_cores
    from edgeseg.live.masks import MaskMaker
    from edgeseg.live.outputs.browser import BrowserView
    from edgeseg.live.outputs.opening import OutputOptions, check_outputs, open_outputs
    from edgeseg.live.outputs.window import window_trouble
    from edgeseg.live.pipeline import Pipeline, RunOptions
    from edgeseg.live.sources import SourceOptions, open_source
    from edgeseg.refine.temporal import TemporalSmoother
    from edgeseg.runtime.delegates import parse_delegate
    from edgeseg.runtime.fallback import Fallback
    from edgeseg.runtime.labels import load_labels
    from edgeseg.runtime.segmenter import Segmenter
    from edgeseg.zoo import resolve

    no_window = "" if headless else window_trouble()
    where_to = OutputOptions(
        record=record,
        save_labels=save_labels,
        events=events,
        stats=stats,
        serve=serve,
        window=window or not (headless or serve or no_window),
        mavlink=mavlink,
        safe=tuple(name.strip() for name in safe.split(",")) if safe else (),
        camera_height=camera_height,
        fov=fov,
        pitch=pitch,
    )
    if stats is not None:
        _check_file(stats)
        ensure_folder(stats.parent)
    preprocessing: dict[str, Any] = {  # InputSpec refuses what it does not know
        "resize": resize,
        "mean": parse_per_channel("--mean", mean),
        "std": parse_per_channel("--std", std),
        "order": order,
    }
    named = None if labels is None else load_labels(labels)
    cores = max(1, min(4, usable_cores() - 1)) if threads is None else threads
    file = resolve(model)
    read = [("the model", file)] if labels is None else [("the model", file), ("the list of classes", Path(labels))]
    check_outputs(where_to, what, read)

    def open_model(path: Path, on: str | None) -> Segmenter:
        return Segmenter(path, threads=cores, delegate=on, labels=named, **preprocessing)

    segmenter = open_model(file, delegate)
    cv2.setNumThreads(1)  # the cores belong to inference
    sys.setswitchinterval(0.0005)  # inference must not wait 5 ms for another thread's turn
    segmenter.invoke()  # the first inference is slow: not while the first frame waits
    options = SourceOptions(size=asked_size, fps=fps, realtime=realtime)
    opened = open_source(what, options)
    try:
        outputs = open_outputs(where_to, segmenter.labels, opened)
    except BaseException:
        opened.close()
        raise
    for notice in segmenter.notices:
        _notify(notice)
    smoother = TemporalSmoother() if smooth else None
    pipeline = Pipeline(
        segmenter,
        opened,
        lambda: open_source(what, options),
        options=RunOptions(frames=frames, seconds=seconds, exit_on_loss=exit_on_loss, legend=legend),
        masks=MaskMaker(sharp=sharp, refine=open_refiner(refine), smooth=smoother),
        notify=_notify,
        progress=_show_progress,
        replace=Fallback(file, delegate, open_model, _notify)
        if delegate and parse_delegate(delegate).is_external
        else None,
    )
    if no_window and not outputs:
        _notify(f"no window: {no_window}; --headless says that none is wanted")
    for output in outputs:
        if isinstance(output, BrowserView):
            output.stats = pipeline.stats
            console.print(f"browser view: {output.url}", soft_wrap=True, markup=False)
    failure = _run(pipeline, outputs)
    _clear_progress()
    figures = pipeline.stats()
    if smoother is not None:
        figures["smoothing"] = dataclasses.asdict(smoother.figures())
    if stats is not None:
        write_json(stats, figures)
    if failure is None or pipeline.frames:
        _print_summary(figures)
    if pipeline.stuck:
        _leave(failure)
    if failure is not None:
        raise failure


def _run(pipeline: Pipeline, outputs: list[Output]) -> EdgesegError | None:
    """Runs with SIGINT and SIGTERM meaning a clean end; returns what went wrong."""

    def end(number: int, _: Any) -> None:
        pipeline.stop(signal.Signals(number).name)

    previous = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        pipeline.run(outputs)
    except EdgesegError as error:
        return error
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return None


def _leave(failure: EdgesegError | None) -> None:
    """Ends the process although a read never returned; everything is written by now."""
    if failure is not None:
        print(f"edgeseg: {failure}", file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if failure is None else 1)


def _show_progress(line: str) -> None:
    """Rewrites one line of the terminal: a spinner of its own would cost a small board a tenth of a core."""
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    _show_progress("")


def _notify(line: str) -> None:
    _clear_progress()
    console.print(line, soft_wrap=True, markup=False)


def _source_name(camera: str | None, source: str | None) -> str:
    if (camera is None) == (source is None):
        raise typer.BadParameter("give one of --camera N and --source SOURCE")
    return str(camera if source is None else source)


def _check_limits(frames: int | None, seconds: float | None) -> None:
    if frames is not None and frames < 1:
        raise UsageError(f"--frames {frames}: expected 1 or more")
    if seconds is not None and seconds <= 0:
        raise UsageError(f"--seconds {seconds}: expected more than 0")


def _check_file(path: Path) -> None:
    from edgeseg.errors import OutputError

    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file in it")


def _print_summary(stats: dict[str, Any]) -> None:
    stages = stats["stages_ms"]
    console.print(
        f"{stats['frames']} frames in {stats['wall_s']:.1f} s ({stats['fps']:.1f} fps), {stats['dropped']} dropped, "
        f"{stats['reconnects']} reconnects; ended: {stats['ended']}",
        soft_wrap=True,
        markup=False,
    )
    parts = [f"{name} {values['p50']:.1f}" for name, values in stages.items() if values["p50"] is not None]
    if parts:
        console.print(f"ms (p50): {', '.join(parts)}", soft_wrap=True)
    if "smoothing" in stats:
        done = stats["smoothing"]
        console.print(
            f"smoothing: {done['raw_flicker']:.2%} of the pixels changed class from frame to frame before, "
            f"{done['flicker']:.2%} after, {done['mean_ms']:.1f} ms a frame",
            soft_wrap=True,
        )
