"""`edgeseg run`: live segmentation of a camera, a video or images."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from edgeseg.cli.options import MEAN_HELP, STD_HELP, DelegateOption, OrderOption, parse_per_channel, parse_size
from edgeseg.cli.output import console

if TYPE_CHECKING:
    from edgeseg.card import ChannelOrder, ResizeMode
    from edgeseg.live.stats import RunStats


def command(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Zoo name, model folder or .tflite; the zoo's default.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="N", help="Camera number, /dev/videoN, csi.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", metavar="SOURCE", help="Video, image, folder, glob, URL, '-' (raw), pipeline."),
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
    save_overlays: Annotated[
        Path | None, typer.Option("--save-overlays", metavar="DIR", help="One overlay, a JPEG, for each frame.")
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
    output: Annotated[
        list[str] | None,
        typer.Option("--output", metavar="NAME[:ARGUMENT]", help="Any output by name, also of another package."),
    ] = None,
    stats: Annotated[Path | None, typer.Option("--stats", metavar="FILE", help="Write the run's figures.")] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", metavar="N", help="CPU threads for inference; one core fewer than here.")
    ] = None,
    delegate: DelegateOption = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="HxW", help="Frame size to ask a camera for; of raw frames.")
    ] = None,
    input_size: Annotated[
        str | None, typer.Option("--input-size", metavar="HxW", help="The network's, for one that takes any size.")
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
    """Segment a camera, a video or images, live.

    A camera's newest frame is always the one that is segmented; of a video or a folder, every frame is. When a camera
    or stream is lost, masks are marked invalid until it is back.

    \b
    Examples:
      edgeseg run --camera 0 --serve 8000
      edgeseg run model.tflite --source drone.mp4 --record overlay.mp4 --headless
      edgeseg run --source photos/ --save-labels masks/ --save-overlays overlays/ --headless
      edgeseg run --camera 0 --size 720x1280 --events udp://127.0.0.1:9000 --stats stats.json
      edgeseg run --camera 0 --safe grass,field --camera-height 20 --fov 66 --mavlink udpout:127.0.0.1:14550
    """  # noqa: D301
    from edgeseg.errors import UsageError
    from edgeseg.live.options import MaskOptions, ModelOptions, RunOptions
    from edgeseg.live.outputs.opening import OutputOptions
    from edgeseg.live.outputs.window import window_trouble
    from edgeseg.live.run import RunHooks, run
    from edgeseg.live.sources import SourceOptions

    what = _source_name(camera, source)
    if window and headless:
        raise UsageError("--window with --headless: one shows, the other shows nothing; leave one out")
    no_window = "" if headless else window_trouble()
    outputs = OutputOptions(
        record=record, save_labels=save_labels, save_overlays=save_overlays, events=events, stats=stats, serve=serve,
        window=window or not (headless or serve or no_window), mavlink=mavlink, others=tuple(output or ()),
        safe=tuple(name.strip() for name in safe.split(",")) if safe else (),
        camera_height=camera_height, fov=fov, pitch=pitch,
    )  # fmt: skip
    unseen = (
        [f"no window: {no_window}; --headless says that none is wanted"] if no_window and not outputs.wanted else []
    )

    def progress(line: str) -> None:
        while unseen:  # once it runs
            _notify(unseen.pop())
        _show_progress(line)

    with _signals() as signalled:
        run(
            model, what, outputs,
            options=RunOptions(frames=frames, seconds=seconds, exit_on_loss=exit_on_loss, legend=legend),
            masks=MaskOptions(sharp=sharp, refine=refine, smooth=smooth),
            model_options=ModelOptions(
                threads=threads, delegate=delegate, labels=labels,
                resize=cast("ResizeMode | None", resize), order=cast("ChannelOrder | None", order),
                mean=parse_per_channel("--mean", mean), std=parse_per_channel("--std", std),
                size=None if input_size is None else parse_size(input_size),
            ),
            source_options=SourceOptions(size=None if size is None else parse_size(size), fps=fps, realtime=realtime),
            hooks=RunHooks(
                notify=_notify, progress=progress, until=lambda: signalled[0] if signalled else "", ended=_finish
            ),
        )  # fmt: skip


@contextlib.contextmanager
def _signals() -> Iterator[list[str]]:
    """Lets SIGINT and SIGTERM mean a clean end: yields where their names appear."""
    names: list[str] = []

    def note(number: int, _: object) -> None:
        names.append(signal.Signals(number).name)

    previous = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield names
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _finish(stats: RunStats) -> None:
    """Prints what the run did; ends the process where a read never returned: everything is written by now."""
    _show_progress("")
    failed = stats.ended.startswith("error: ")
    if stats.frames or not failed:
        _print_summary(stats)
    if stats.stuck:
        if failed:
            print(f"edgeseg: {stats.ended.removeprefix('error: ')}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1 if failed else 0)


def _show_progress(line: str) -> None:
    """Rewrites one line of the terminal: a spinner of its own would cost a small board a tenth of a core."""
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def _notify(line: str) -> None:
    _show_progress("")
    console.print(line, soft_wrap=True, markup=False)


def _source_name(camera: str | None, source: str | None) -> str:
    if (camera is None) == (source is None):
        raise typer.BadParameter("give one of --camera N and --source SOURCE")
    return str(camera if source is None else source)


def _print_summary(stats: RunStats) -> None:
    lines = [
        f"{stats.frames} frames in {stats.wall_s:.1f} s ({stats.fps:.1f} fps), {stats.dropped} dropped, "
        f"{stats.reconnects} reconnects; ended: {stats.ended}"
    ]
    stages = [f"{name} {values['p50']:.1f}" for name, values in stats.stages_ms.items() if values["p50"] is not None]
    if stages:
        lines.append(f"ms (p50): {', '.join(stages)}")
    if stats.smoothing is not None:
        lines.append(
            f"smoothing: {stats.smoothing['raw_flicker']:.2%} of the pixels changed class from frame to frame before, "
            f"{stats.smoothing['flicker']:.2%} after, {stats.smoothing['mean_ms']:.1f} ms a frame"
        )
    for line in lines:
        console.print(line, soft_wrap=True, markup=False)
