"""What the painters paint on: an image and its class ids, always filled together."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8
from edgeseg.synth.camera import SHIFT, Camera, Points, fixed_point
from edgeseg.synth.light import Light
from edgeseg.synth.records import Colour

Window = tuple[slice, slice]


class Canvas:
    """An image under way.

    Attributes:
        camera: What projects onto it.
        light: What lights it.
        image: (H, W, 3) uint8, blue-green-red.
        ids: (H, W) uint8 class ids.
        shadow: (H, W) uint8, 255 where the ground is in the shade.
    """

    def __init__(self, camera: Camera, light: Light) -> None:
        self.camera, self.light = camera, light
        shape = (camera.height, camera.width)
        self.image: Uint8 = np.zeros((*shape, 3), np.uint8)
        self.ids: Uint8 = np.zeros(shape, np.uint8)
        self.shadow: Uint8 = np.zeros(shape, np.uint8)

    def sees(self, x: Points, y: Points, z: Points, radius: Points) -> npt.NDArray[np.bool_]:
        """Whether each ball (centres and radii of shape (N,), metres) may show in the image."""
        seen = self.camera.in_view(np.stack([x, y, z], axis=1))
        slope = np.array([self.camera.width, self.camera.height]) / (2 * self.camera.focal)
        room = np.abs(seen[:, :2]) - seen[:, 2:] * slope
        inside: npt.NDArray[np.bool_] = np.all(room < radius[:, None] * np.sqrt(1 + slope**2), axis=1)
        return inside & (seen[:, 2] > -radius)

    def flat(self, polygon: Points, colour: Colour, class_id: int) -> None:
        """Fills a convex polygon (N, 3) with one colour."""
        pixels = self.camera.project(polygon)
        if pixels is not None:
            self.fixed(fixed_point(pixels), colour, class_id)

    def fixed(self, points: npt.NDArray[np.int32], colour: Colour, class_id: int) -> None:
        """Fills a convex polygon given in fixed point (see `fixed_point`) with one colour."""
        cv2.fillConvexPoly(self.image, points, colour, cv2.LINE_8, SHIFT)
        cv2.fillConvexPoly(self.ids, points, (class_id,), cv2.LINE_8, SHIFT)

    def disc(self, column: float, row: float, radius: float, colour: Colour, class_id: int) -> None:
        """Fills a disc given in pixels."""
        if radius < 0.4 or not (-2000 < column < 9000 and -2000 < row < 9000):
            return
        centre = (round(column * (1 << SHIFT)), round(row * (1 << SHIFT)))
        cv2.circle(self.image, centre, round(radius * (1 << SHIFT)), colour, -1, cv2.LINE_8, SHIFT)
        cv2.circle(self.ids, centre, round(radius * (1 << SHIFT)), (class_id,), -1, cv2.LINE_8, SHIFT)

    def select(self, polygon: Points) -> tuple[Window, npt.NDArray[np.bool_]] | None:
        """Returns the window and mask of a convex polygon (N, 3), or None if it is out of sight."""
        pixels = self.camera.project(polygon)
        if pixels is None:
            return None
        low = np.maximum(np.floor(pixels.min(0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(pixels.max(0)).astype(int) + 2, (self.camera.width, self.camera.height))
        if (high <= low).any():
            return None
        mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillConvexPoly(mask, fixed_point(pixels - low), (1,), cv2.LINE_8, SHIFT)
        return (slice(low[1], high[1]), slice(low[0], high[0])), mask.astype(bool)

    def rays(self, window: Window, mask: npt.NDArray[np.bool_]) -> tuple[Float32, Float32]:
        """Returns x and y of the rays of the chosen pixels (see Camera)."""
        return self.camera.ray_x[window][mask], self.camera.ray_y[window][mask]

    def put(self, window: Window, mask: npt.NDArray[np.bool_], colours: Float32, class_id: int) -> None:
        """Sets the chosen pixels to (N, 3) colours and to a class."""
        self.image[window][mask] = np.clip(colours, 0, 255).astype(np.uint8)
        self.ids[window][mask] = class_id

    def shaded(self, x: float, y: float) -> bool:
        """Whether a point of the ground lies in a shadow that is in the image."""
        seen = self.camera.in_view(np.array([[x, y, 0.0]]))
        if seen[0, 2] < 1:
            return False
        column, row = np.rint(self.camera.to_pixels(seen)[0]).astype(int)
        inside = 0 <= column < self.camera.width and 0 <= row < self.camera.height
        return bool(inside and self.shadow[row, column] > 127)


def times(colour: Colour, factor: Colour) -> Colour:
    """Multiplies channel by channel, kept below 250."""
    return (
        min(250.0, colour[0] * factor[0]),
        min(250.0, colour[1] * factor[1]),
        min(250.0, colour[2] * factor[2]),
    )
