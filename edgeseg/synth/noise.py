"""Tiles of noise that repeat without a seam, made once in a process, and looking them up in metres."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32

SIZE = 512
_FINE_SCALE = 14.0  # pixels of the tile for each metre
_COARSE_SCALE = 1.6


@functools.cache
def tiles() -> tuple[Float32, Float32]:
    """Returns two (SIZE, SIZE, 2) tiles, fine and coarse, each channel of mean 0 and standard deviation 1.

    Fine: grain, and clumps of some tens of pixels. Coarse: two independent clouds, amplitude falling with frequency.
    """
    rng = np.random.default_rng(20240601)
    fine = np.stack([_cloud(rng, 0.25, 0.004), _cloud(rng, 1.1, 0.012)], axis=2)
    coarse = np.stack([_cloud(rng, 1.5, 0.002), _cloud(rng, 1.5, 0.002)], axis=2)
    return np.ascontiguousarray(fine), np.ascontiguousarray(coarse)


def _cloud(rng: np.random.Generator, power: float, low: float) -> Float32:
    """Makes periodic noise whose amplitude falls as frequency^-power above `low` cycles a pixel."""
    frequency = np.hypot(np.fft.fftfreq(SIZE)[:, None], np.fft.rfftfreq(SIZE)[None])
    spectrum = np.fft.rfft2(rng.standard_normal((SIZE, SIZE))) / np.maximum(frequency, low) ** power
    spectrum[0, 0] = 0
    cloud = np.fft.irfft2(spectrum, (SIZE, SIZE))
    scaled: Float32 = (cloud / cloud.std()).astype(np.float32)
    return scaled


def over_ground(x: Float32, y: Float32, shift: tuple[float, float]) -> tuple[Float32, Float32]:
    """Looks the tiles up for world coordinates (H, W) in metres: fine and coarse, (H, W, 2) each.

    The coarse one is looked up at a quarter of the resolution and enlarged.
    """
    fine, coarse = tiles()
    rows, columns = x.shape
    few = np.ix_(
        np.linspace(0, rows - 1, rows // 4 + 1).astype(int), np.linspace(0, columns - 1, columns // 4 + 1).astype(int)
    )
    rough = _look_up(coarse, x[few], y[few], _COARSE_SCALE, shift)
    return _look_up(fine, x, y, _FINE_SCALE, shift), cv2.resize(rough, (columns, rows)).astype(np.float32, copy=False)


def _look_up(tile: Float32, x: Float32, y: Float32, scale: float, shift: tuple[float, float]) -> Float32:
    column, row = (_wrapped(v * np.float32(scale) + np.float32(s)) for v, s in zip((x, y), shift, strict=True))
    return cv2.remap(tile, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP).astype(np.float32, copy=False)


def _wrapped(v: Float32) -> Float32:
    """Returns v modulo SIZE; several times quicker than the operator."""
    turns = v * np.float32(1 / SIZE)
    np.floor(turns, out=turns)
    turns *= np.float32(-SIZE)
    turns += v
    return turns


def at(u: npt.NDArray[np.floating], v: npt.NDArray[np.floating], scale: float, channel: int, seed: int) -> Float32:
    """Looks one fine channel up, nearest entry: any shape, coordinates in metres, `scale` entries a metre."""
    column = (u * scale).astype(np.int64) + seed * 37
    row = (v * scale).astype(np.int64) + seed * 101
    found: Float32 = tiles()[0][row & (SIZE - 1), column & (SIZE - 1), channel]
    return found
