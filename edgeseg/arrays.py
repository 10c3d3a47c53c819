"""Arrays that cross borders: what an image and a label map are, and refusing what is neither."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from edgeseg.errors import UsageError

Uint8 = npt.NDArray[np.uint8]
Float32 = npt.NDArray[np.float32]

T = TypeVar("T", bound=npt.NDArray[Any])


CHANNELS: dict[str, tuple[int, ...]] = {"rgb": (3,), "bgr": (3,), "grey": (3, 1)}
"""How many channels an image may have for an input of each order; as many as the input for "as_is"."""


def check_image(image: Any, name: str = "image", channels: tuple[int, ...] = (3,)) -> None:
    """Refuses what is no image.

    Args:
        image: What is expected to be (H, W, channels) uint8, at least one pixel; (H, W) counts as one channel.
        name: What the message calls it.
        channels: How many it may have.

    Raises:
        UsageError: It is something else; the message says what, and how to make an image of it.
    """
    wanted = " or ".join(f"(height, width, {count})" for count in channels) + " uint8"
    wanted += ", blue-green-red" if 3 in channels else ""
    if not isinstance(image, np.ndarray):
        raise UsageError(f"the {name} is {type(image).__name__}: expected {wanted}")
    found = image.shape[2] if image.ndim == 3 else 1 if image.ndim == 2 else 0
    if image.dtype != np.uint8 or found not in channels or not image.size:
        remedy = _image_remedy(image) if 3 in channels else ""
        raise UsageError(f"the {name} is {image.dtype} of shape {image.shape}: expected {wanted}{remedy}")


def _image_remedy(image: npt.NDArray[Any]) -> str:
    if image.dtype != np.uint8:
        return ", values 0-255"
    channels = 1 if image.ndim == 2 else image.shape[2] if image.ndim == 3 else 0
    conversion = {1: "GRAY2BGR", 4: "BGRA2BGR"}.get(channels)
    return f"; cv2.cvtColor(image, cv2.COLOR_{conversion}) makes one" if conversion and image.size else ""


def check_label_map(label_map: Any, name: str = "label map") -> None:
    """Refuses what is no label map: (H, W) uint8 class ids, at least one pixel.

    Raises:
        UsageError: It is something else.
    """
    if not isinstance(label_map, np.ndarray):
        raise UsageError(f"the {name} is {type(label_map).__name__}: expected (height, width) uint8 class ids")
    if label_map.dtype != np.uint8 or label_map.ndim != 2 or not label_map.size:
        raise UsageError(
            f"the {name} is {label_map.dtype} of shape {label_map.shape}: expected (height, width) uint8 class ids"
        )


def check_size(height: int, width: int) -> None:
    """Refuses a size that no image has.

    Raises:
        UsageError: A side is not a number of pixels from 1 up.
    """
    for side in (height, width):
        if not isinstance(side, int | np.integer) or side < 1:
            raise UsageError(f"size {height} x {width}: expected height and width, whole numbers of 1 and more")


def filled(out: T, written: Any) -> T:
    """Returns `out` after making certain that OpenCV wrote its result there.

    Given a `dst` of another shape or type than the result's, OpenCV makes a new array and leaves `dst` as it was.

    Args:
        out: What was given as `dst`.
        written: What OpenCV returned.

    Raises:
        UsageError: They are not the same array.
    """
    if written is not out:
        raise UsageError(
            f"the result is {written.dtype} of shape {written.shape}, "
            f"it was to go into {out.dtype} of shape {out.shape}: expected the same"
        )
    return out
