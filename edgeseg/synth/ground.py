"""Paints the ground: which surface each pixel shows, its texture, and the shadows that fall on it."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Float32, Uint8, filled
from edgeseg.errors import DataError
from edgeseg.synth import noise
from edgeseg.synth.camera import Points, fill
from edgeseg.synth.canvas import Canvas
from edgeseg.synth.records import Material, Scene

_RESOLVED = 0.09  # metres that a pixel may cover and still show all of the fine texture
Shift = tuple[float, float]


def paint(canvas: Canvas, scene: Scene, shift: Shift, backdrop: Material) -> None:
    """Paints everything that lies flat, and the shadows already in `canvas.shadow`.

    Args:
        canvas: Where to.
        scene: What there is.
        shift: Moves the noise, so that worlds differ.
        backdrop: Shows where no patch lies.
    """
    camera = canvas.camera
    x: Float32 = camera.ray_x + np.float32(camera.centre[0])
    y: Float32 = camera.ray_y + np.float32(camera.centre[1])
    surface, materials = _surfaces(canvas, scene, backdrop)
    fine, coarse = noise.over_ground(x, y, shift)
    footprint: Float32 = camera.depth * np.float32(1 / camera.focal)
    _fade(fine, footprint)
    texture = np.concatenate([fine, coarse], axis=2).view(np.complex128).ravel()  # one number: picks quicker
    flat_surface, flat_x, flat_y = surface.ravel(), x.ravel(), y.ravel()
    size = footprint.ravel()
    painted = np.empty(surface.size, np.uint32)
    for number, material in enumerate(materials):
        chosen = np.flatnonzero(flat_surface == number)
        if not chosen.size:
            continue
        local = texture[chosen].view(np.float32).reshape(-1, 1, 4)
        mix = np.zeros((4, 5), np.float32)
        mix[:3, :4] = np.transpose([(material.grain,) * 3, material.mottle, material.drift, material.stain])
        if material.pattern == "plain":
            mix[:3, 4] = material.base
            colours = cv2.transform(local, mix)
        else:
            colours = cv2.transform(local, mix)
            at = flat_x[chosen], flat_y[chosen]
            colours[:, 0, :3] = colours[:, 0, :3] + _pattern(canvas, material, at, size[chosen], local[:, 0])
        painted[chosen] = _as_bytes(colours)
    pixels = painted.view(np.uint8).reshape(*surface.shape, 4)
    filled(canvas.image, cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR, dst=canvas.image))
    _shade(canvas, coarse)
    classes = np.zeros(256, np.uint8)
    classes[: len(materials)] = [material.class_id for material in materials]
    filled(canvas.ids, cv2.LUT(surface, classes, dst=canvas.ids))


def _as_bytes(colours: npt.NDArray[Any]) -> npt.NDArray[np.uint32]:
    """Rounds (N, 1, 4) float colours to bytes, 0-255, four in one number."""
    return np.asarray(cv2.convertScaleAbs(colours)).view(np.uint32).ravel()


def _surfaces(canvas: Canvas, scene: Scene, backdrop: Material) -> tuple[Uint8, list[Material]]:
    surface = np.zeros(canvas.ids.shape, np.uint8)
    materials, numbers = [backdrop], dict[int, int]()
    for patch in scene.patches:
        pixels = canvas.camera.project_ground(patch.outline)
        if pixels is None:
            continue
        if patch.material not in numbers:
            numbers[patch.material] = len(materials)
            materials.append(scene.materials[patch.material])
            if len(materials) > 255:
                raise DataError("a synthetic view with more than 255 surfaces: expected a lower camera")
        fill(surface, pixels, numbers[patch.material])
    return surface, materials


def _fade(fine: Float32, footprint: Float32) -> None:
    """Texture finer than the pixels averages out: amplitude 1 near by, falling with the size of a pixel's footprint."""
    if footprint.max() > _RESOLVED:
        amplitude = np.clip(np.float32(_RESOLVED) / footprint, 0.35, 1.0).astype(np.float32)
        filled(fine, cv2.multiply(fine, cv2.merge([amplitude, amplitude]), fine))


def _shade(canvas: Canvas, coarse: Float32) -> None:
    """Takes the sun away where something stands in its way."""
    light = canvas.light
    if not light.cloud and not canvas.shadow.any():
        return
    dark = cv2.GaussianBlur(canvas.shadow, (5, 5), 1.1).astype(np.float32) * np.float32(1 / 255)
    if light.cloud:
        cover = np.float32(light.cloud) / (1 + np.exp(np.float32(-3) * coarse[:, :, 1]))
        dark += cover - dark * cover  # either is enough to hide the sun
    blue, green, red = light.shade
    factors = cv2.transform(dark, np.array([[blue - 1, 1], [green - 1, 1], [red - 1, 1]], np.float32))
    filled(canvas.image, cv2.multiply(canvas.image, factors, canvas.image, dtype=cv2.CV_8U))


def _pattern(
    canvas: Canvas, material: Material, at: tuple[Float32, Float32], size: Float32, texture: Float32
) -> Float32:
    """Returns the colours (N, 3) before texture of the pixels at world coordinates `at`, each `size` metres wide."""
    base = np.array(material.base, np.float32)
    cos, sin = np.float32(math.cos(material.angle)), np.float32(math.sin(material.angle))
    along, across = at[0] * cos + at[1] * sin, at[1] * cos - at[0] * sin
    other, spacing = np.array(material.other, np.float32), np.float32(material.spacing)
    if material.pattern == "rows":
        wave = 0.5 + 0.5 * np.cos(across * (math.tau / spacing) + 0.5 * texture[:, 1])
        resolved = np.clip(1.4 - 2.2 * size / spacing, 0, 1)
        share = 0.5 + (wave - 0.5) * resolved
        wheels = np.abs(across % np.float32(14.0) - np.float32(7.0))
        share = np.where((wheels > 0.7) & (wheels < 1.05), 1.0, share).astype(np.float32)
        rows: Float32 = base + (other - base) * share[:, None]
        return rows
    if material.pattern == "paving":
        joint = np.maximum(np.abs(along / spacing % 1 - 0.5), np.abs(across / spacing % 1 - 0.5)) > 0.46
        share = joint * np.clip(0.05 / size, 0, 1).astype(np.float32)
        slab = noise.at(np.floor(along / spacing), np.floor(across / spacing), 1.0, 0, 3) * 3.5
        slabs: Float32 = base + (other - base) * share[:, None] + slab[:, None]
        return slabs
    return _water_colour(canvas, material, at, texture)


def _water_colour(canvas: Canvas, material: Material, at: tuple[Float32, Float32], texture: Float32) -> Float32:
    """Body colour, the sky's reflection after Fresnel (Schlick's formula), and the sun's glitter on the ripples."""
    eye_x, eye_y, height = canvas.camera.centre.tolist()
    dx, dy = at[0] - eye_x, at[1] - eye_y
    far = np.sqrt(dx * dx + dy * dy + height * height)
    cosine = height / far
    ripple_x, ripple_y = 0.10 * texture[:, 0] + 0.05 * texture[:, 1], 0.10 * texture[:, 1] - 0.06 * texture[:, 0]
    mirror = np.clip(0.02 + 0.98 * (1 - cosine) ** 5 + 0.10 * ripple_x, 0, 0.75)
    sun = canvas.light.sun
    half_z = cosine + sun[2]
    slope_x, slope_y = (sun[0] - dx / far) / half_z, (sun[1] - dy / far) / half_z
    glitter = np.exp(-((slope_x - ripple_x) ** 2 + (slope_y - ripple_y) ** 2) / 0.012) * canvas.light.direct * 150
    base, sky = np.array(material.base, np.float32), np.array(canvas.light.sky, np.float32)
    colours: Float32 = base + (sky - base) * mirror[:, None] + glitter[:, None] + 45 * ripple_x[:, None]
    return colours.astype(np.float32)


def cast(canvas: Canvas, corners: Points) -> None:
    """Darkens the ground under the shadow of a convex body with these corners (N, 3)."""
    sun = canvas.light.sun
    fallen = corners[:, :2] - corners[:, 2:] * (np.array(sun[:2]) / sun[2])
    hull = cv2.convexHull(fallen.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    pixels = canvas.camera.project_ground(hull)
    if pixels is not None:
        fill(canvas.shadow, pixels, 255)
