"""How a run goes: the network, the masks, the end."""

from __future__ import annotations

import os
from dataclasses import dataclass

from edgeseg.card import ChannelOrder, LabelSet, PerChannel, ResizeMode
from edgeseg.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """When a run ends, and what is shown.

    Attributes:
        frames: End after so many; None for no limit.
        seconds: End after so many; None for no limit.
        exit_on_loss: End with an error when the source is lost, instead of waiting for it.
        legend: Whether the overlay lists the classes.
    """

    frames: int | None = None
    seconds: float | None = None
    exit_on_loss: bool = False
    legend: bool = False

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"--frames {self.frames}: expected 1 or more")
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"--seconds {self.seconds}: expected more than 0")


@dataclass(frozen=True, kw_only=True)
class MaskOptions:
    """How label maps are made.

    Attributes:
        sharp: At the frame's size, from upsampled logits: smooth outlines.
        refine: "crf" sharpens outlines by the frame's colours, slowly; None does not.
        smooth: Steadier from frame to frame: a class must be seen thrice to change.
    """

    sharp: bool = False
    refine: str | None = None
    smooth: bool = False

    def __post_init__(self) -> None:
        if self.sharp and self.refine is not None:
            raise UsageError(f"--sharp with --refine {self.refine}: refining draws the outlines itself, leave one out")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """How the network is opened; see `Segmenter`. None leaves what the file's card says.

    Attributes:
        threads: CPU threads for inference; None is one fewer than there are cores, four at most: the loop needs one.
        delegate: As `--delegate` takes it.
        labels: The classes, or what `load_labels` takes: a data set's name, a file with one name a line.
        resize: Resize mode.
        mean: Mean of the input, or of each channel.
        std: Standard deviation, likewise.
        order: Order of the channels.
        size: (rows, columns) of the input, for a network that takes images of any size.
    """

    threads: int | None = None
    delegate: str | None = None
    labels: LabelSet | str | os.PathLike[str] | None = None
    resize: ResizeMode | None = None
    mean: PerChannel | None = None
    std: PerChannel | None = None
    order: ChannelOrder | None = None
    size: tuple[int, int] | None = None
