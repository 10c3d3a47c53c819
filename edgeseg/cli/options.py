"""Reading the values of options that several commands share."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from edgeseg.card import PerChannel
from edgeseg.errors import UsageError

OrderOption = Annotated[
    str | None, typer.Option("--order", metavar="ORDER", help="Channels of the input: rgb, bgr, grey, or as_is.")
]
DelegateOption = Annotated[
    str | None,
    typer.Option("--delegate", metavar="NAME|PATH", help="edgetpu[:usb|:pci|:N], xnnpack, none, reference, an .so."),
]
MEAN_HELP = "Input mean of a file without a card: a number, or one for each channel."
STD_HELP = "Input std of a file without a card; likewise."


def parse_size(text: str) -> tuple[int, int]:
    """Reads "HxW" into (height, width)."""
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text.strip())
    if not match or not all(int(n) for n in match.groups()):
        raise UsageError(f"size '{text}': expected height x width, such as 240x320")
    return int(match[1]), int(match[2])


def parse_per_channel(option: str, text: str | None) -> PerChannel | None:
    """Reads "127.5", or "123.68,116.78,103.94" for each channel of the input in its order.

    Args:
        option: "--mean" or "--std", for the message.
        text: What was given; None stays None.
    """
    if text is None:
        return None
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(
            f"{option} {text}: expected a number, or one for each channel, such as 123.68,116.78,103.94"
        ) from error
    return values if len(values) > 1 else values[0]
