"""The image for people: frame, coloured classes over it, a line of figures, and a banner when the source is lost."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8, check_image, check_label_map, filled
from edgeseg.card import LabelSet
from edgeseg.image import palette

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_STRIP = 72  # rows blended at once: they stay in the second-level cache
_WHITE, _RED = (255, 255, 255), (40, 40, 220)


class Overlay:
    """Draws label maps over frames; keeps its buffers from frame to frame.

    The blend is half frame, half colour, made of halves: shifting and adding bytes takes half the time of a weighted
    sum, and the palette is halved once. Colours are looked up at the label map's resolution, then repeated; as four
    bytes, the fourth unused, because those are looked up and repeated in one piece, three are not.

    Args:
        labels: Classes and their colours.
        legend: Whether to list the classes in view.
    """

    def __init__(self, labels: LabelSet, *, legend: bool = False) -> None:
        self._labels = labels
        self._legend = legend
        table = np.zeros((256, 4), np.uint8)
        table[:, :3] = palette(labels) >> 1
        self._table = table.view(np.int32).ravel()
        self._narrow = np.empty((0, 0), np.int32)
        self._wide = np.empty((0, 0, 4), np.uint8)
        self._strip = self._tall = np.empty((0, 0, 3), np.uint8)
        self._bands: list[tuple[slice, slice, npt.NDArray[np.intp]]] = []
        self._canvas: Uint8 | None = None

    def render(self, frame: Uint8, label_map: Uint8, line: str = "") -> Uint8:
        """Draws a label map over a frame.

        Args:
            frame: (H, W, 3) uint8, blue-green-red; left as it is.
            label_map: (h, w) uint8 of the same scene, any size.
            line: Text for the top left corner.

        Returns:
            (H, W, 3) uint8, overwritten by the next call.

        Raises:
            UsageError: `frame` is no image, or `label_map` no label map.
        """
        check_image(frame, "frame")
        check_label_map(label_map)
        height = frame.shape[0]
        canvas = self._sized(frame)
        painted = self._paint(label_map, *frame.shape[:2])
        for place, source, rows in self._bands:
            shown, colours = canvas[place], self._tall[: len(rows)]
            band = painted[source]
            strip = self._strip[: len(band)]
            filled(strip, cv2.cvtColor(band, cv2.COLOR_BGRA2BGR, dst=strip))
            np.take(strip, rows, axis=0, out=colours, mode="clip")
            np.right_shift(frame[place], 1, out=shown)
            filled(shown, cv2.add(shown, colours, dst=shown))
        scale = max(0.4, height / 1080)
        if self._legend:
            self._draw_legend(canvas, label_map, scale)
        if line:
            _write(canvas, line, (round(12 * scale), round(32 * scale)), scale)
        return canvas

    def lost(self, line: str) -> Uint8 | None:
        """Darkens the last image and writes a banner across it; None if there has been no image.

        A lost source must not look like a dark scene that was segmented.
        """
        if self._canvas is None:
            return None
        canvas: Uint8 = np.right_shift(self._canvas, 2, dtype=np.uint8)
        height, width = canvas.shape[:2]
        band = max(12, height // 10)
        canvas[(height - band) // 2 : (height + band) // 2] = _RED
        (text_width, _), _ = cv2.getTextSize(line, _FONT, 1.0, 2)
        scale = min(band / 50, 0.9 * width / max(1, text_width))
        place = (round(width * 0.05), height // 2 + round(10 * scale))
        cv2.putText(canvas, line, place, _FONT, scale, _WHITE, max(1, round(2 * scale)), cv2.LINE_AA)
        return canvas

    def _sized(self, frame: Uint8) -> Uint8:
        if self._canvas is None or self._canvas.shape != frame.shape:
            self._canvas = np.empty_like(frame)
            self._tall = np.empty((_STRIP, *frame.shape[1:]), np.uint8)
            self._narrow = np.empty((0, 0), np.int32)
        return self._canvas

    def _paint(self, label_map: Uint8, height: int, width: int) -> Uint8:
        """Returns the halved colours, looked up and widened: (label rows, width, 4); `_bands` says what goes where."""
        rows, columns = label_map.shape
        if self._narrow.shape != label_map.shape:
            self._narrow = np.empty((rows, columns), np.int32)
            self._wide = np.empty((rows, width, 4), np.uint8)
            numbers = np.arange(rows, dtype=np.int32)[:, None]
            sources = cv2.resize(numbers, (1, height), interpolation=cv2.INTER_NEAREST_EXACT).ravel().astype(np.intp)
            self._bands = []
            for top in range(0, height, _STRIP):
                chosen = sources[top : top + _STRIP]
                first, last = int(chosen[0]), int(chosen[-1])
                self._bands.append((slice(top, top + _STRIP), slice(first, last + 1), chosen - first))
            most = max(band.stop - band.start for _, band, _ in self._bands)
            self._strip = np.empty((most, width, 3), np.uint8)
        filled(self._narrow, cv2.LUT(np.ascontiguousarray(label_map), self._table, dst=self._narrow))
        colours = self._narrow.view(np.uint8).reshape(rows, columns, 4)
        return filled(
            self._wide, cv2.resize(colours, (width, rows), dst=self._wide, interpolation=cv2.INTER_NEAREST_EXACT)
        )

    def _draw_legend(self, canvas: Uint8, label_map: Uint8, scale: float) -> None:
        """Lists the classes that cover more than half a percent, largest first."""
        counts = np.bincount(label_map.ravel(), minlength=256)[: self._labels.num_classes]
        shown = [int(c) for c in np.argsort(-counts) if counts[c] > 0.005 * label_map.size]
        step = round(34 * scale)
        for row, class_id in enumerate(shown):
            y = canvas.shape[0] - step * (len(shown) - row)
            red, green, blue = self._labels.colors[class_id]
            box = round(24 * scale)
            cv2.rectangle(canvas, (box // 2, y), (box // 2 + box, y + box), (blue, green, red), -1)
            share = counts[class_id] / label_map.size
            _write(
                canvas,
                f"{self._labels.names[class_id]} {share:.0%}",
                (2 * box + box // 2, y + round(21 * scale)),
                0.8 * scale,
            )


def _write(canvas: Uint8, text: str, place: tuple[int, int], scale: float) -> None:
    """Writes white text on a darkened strip, so that it can be read over anything."""
    thickness = max(1, round(2 * scale))
    (width, height), below = cv2.getTextSize(text, _FONT, scale, thickness)
    x, y = place
    strip = canvas[max(0, y - height - below) : y + below, max(0, x - below) : x + width + below]
    np.right_shift(strip, 2, out=strip)
    cv2.putText(canvas, text, place, _FONT, scale, _WHITE, thickness, cv2.LINE_AA)
