"""What the air, the lens and the sensor do to the image: haze, blur, vignette, exposure, noise, compression."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.arrays import Float32, Uint8, filled
from edgeseg.synth.light import Light
from edgeseg.synth.palette import Rng

_MID_GREY = 118.0  # 18 % reflectance in sRGB


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """One camera's faults.

    Attributes:
        blur: Standard deviation of the lens' blur, pixels; 0 for none.
        vignette: Loss of light in the corners, 0-1.
        noise: Standard deviation of the noise at mid grey, 0-255.
        contrast: Slope of the tone curve at mid grey.
        saturation: 1 as is, 0 grey.
        quality: JPEG quality, 0 for none.
    """

    blur: float
    vignette: float
    noise: float
    contrast: float
    saturation: float
    quality: int

    @classmethod
    def draw(cls, rng: Rng) -> Sensor:
        """Draws a camera: mostly decent, now and then soft, noisy or compressed."""
        return cls(
            blur=float(rng.uniform(0.4, 0.9)) if rng.random() < 0.3 else 0.0,
            vignette=float(rng.uniform(0, 0.3)),
            noise=float(rng.gamma(2.0, 1.4)),
            contrast=float(rng.uniform(0.88, 1.22)),
            saturation=float(rng.uniform(0.78, 1.2)),
            quality=int(rng.integers(55, 95)) if rng.random() < 0.6 else 0,
        )


def expose(image: Uint8, depth: Float32, light: Light, sensor: Sensor, rng: Rng) -> Uint8:
    """Turns what was painted into what a camera delivers.

    Args:
        image: (H, W, 3) uint8, blue-green-red.
        depth: (H, W) distance, metres.
        light: Gives haze, tint and exposure.
        sensor: The camera's faults.
        rng: Draws the noise.
    """
    height, width = image.shape[:2]
    clear: Float32 = np.exp(depth * np.float32(np.log(max(1e-3, 1 - light.haze)) / 100))
    row = np.linspace(-1, 1, height, dtype=np.float32)[:, None] ** 2
    column = np.linspace(-1, 1, width, dtype=np.float32) ** 2
    lens: Float32 = 1 - np.float32(sensor.vignette / 2) * (row + column)
    seen, veil = clear * lens, (1 - clear) * lens
    exposed = cv2.multiply(image, cv2.merge([seen, seen, seen]), dtype=cv2.CV_32F)
    filled(exposed, cv2.add(exposed, cv2.transform(veil, np.array(light.sky, np.float32)[:, None]), exposed))
    if sensor.blur:
        exposed = cv2.GaussianBlur(exposed, (0, 0), sensor.blur)
    developed = cv2.transform(exposed, _development(light, sensor)).astype(np.float32, copy=False)
    developed += rng.standard_normal(developed.shape, np.float32) * np.float32(sensor.noise)
    taken = np.asarray(cv2.convertScaleAbs(np.maximum(developed, 0, out=developed)), np.uint8)
    if not sensor.quality:
        return taken
    _, packed = cv2.imencode(".jpg", taken, (cv2.IMWRITE_JPEG_QUALITY, sensor.quality))
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR), np.uint8)


def _development(light: Light, sensor: Sensor) -> Float32:
    """Returns the matrix (3, 4) of tint, then saturation about grey, then contrast about mid grey."""
    saturation = np.full((3, 3), (1 - sensor.saturation) / 3) + sensor.saturation * np.eye(3)
    mix = sensor.contrast * saturation @ np.diag(light.tint)
    matrix: Float32 = np.column_stack([mix, np.full(3, _MID_GREY * (1 - sensor.contrast))]).astype(np.float32)
    return matrix
