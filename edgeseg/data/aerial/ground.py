"""Paints the ground: which surface each pixel shows, its texture, and the shadows that fall on it."""

from __future__ import annotations

import math

import cv2
import numpy as np

from edgeseg.data.aerial import noise, palette
from edgeseg.data.aerial.camera import Points, fill
from edgeseg.data.aerial.canvas import Canvas
from edgeseg.data.aerial.records import Material, Scene
from edgeseg.errors import DataError
from edgeseg.image import Float32, Uint8

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
    texture = noise.over_ground(x, y, shift)
    texture *= _fading(canvas)[:, :, None]
    lit = _light_on_ground(canvas, texture)
    flat_surface, flat_texture = surface.ravel(), texture.reshape(-1, 4)
    flat_x, flat_y, size = x.ravel(), y.ravel(), (camera.depth / np.float32(camera.focal)).ravel()
    image = np.empty((surface.size, 3), np.float32)
    for number, material in enumerate(materials):
        chosen = np.flatnonzero(flat_surface == number)
        if not chosen.size:
            continue
        local = flat_texture[chosen]
        gains = np.array([(material.grain,) * 3, material.mottle, material.drift, material.stain], np.float32)
        colours: Float32 = cv2.transform(local[:, None], gains.T)[:, 0].astype(np.float32, copy=False)
        colours += _ground_colour(canvas, material, (flat_x[chosen], flat_y[chosen]), size[chosen], local)
        image[chosen] = colours
    image = image.reshape(*surface.shape, 3) * lit
    canvas.image[:] = cv2.convertScaleAbs(np.maximum(image, 0))
    canvas.ids[:] = np.array([material.class_id for material in materials], np.uint8)[surface]


def _surfaces(canvas: Canvas, scene: Scene, backdrop: Material) -> tuple[Uint8, list[Material]]:
    surface = np.zeros(canvas.ids.shape, np.uint8)
    materials, numbers = [backdrop], dict[int, int]()
    for patch in scene.patches:
        pixels = canvas.camera.project(np.pad(patch.outline, ((0, 0), (0, 1))))
        if pixels is None:
            continue
        if patch.material not in numbers:
            numbers[patch.material] = len(materials)
            materials.append(scene.materials[patch.material])
            if len(materials) > 255:
                raise DataError("a synthetic view with more than 255 surfaces: expected a lower camera")
        fill(surface, pixels, numbers[patch.material])
    return surface, materials


def _fading(canvas: Canvas) -> Float32:
    """Texture finer than the pixels averages out: amplitude 1 near by, falling with the size of a pixel's footprint."""
    footprint = canvas.camera.depth / np.float32(canvas.camera.focal)
    faded: Float32 = np.clip(0.09 / footprint, 0.35, 1.0).astype(np.float32)
    return faded


def _light_on_ground(canvas: Canvas, texture: Float32) -> Float32:
    light = canvas.light
    sun = 1 - cv2.GaussianBlur(canvas.shadow, (0, 0), 1.1).astype(np.float32) / 255
    if light.cloud:
        sun *= 1 - np.float32(light.cloud) / (1 + np.exp(-3 * texture[:, :, 3]))
    shade = np.array(light.shade, np.float32)
    return shade + (1 - shade) * sun[:, :, None]


def _ground_colour(
    canvas: Canvas, material: Material, at: tuple[Float32, Float32], size: Float32, texture: Float32
) -> Float32:
    """Returns the colours (N, 3) before texture of the pixels at world coordinates `at`."""
    base = np.array(material.base, np.float32)
    if material.pattern == "plain":
        return base
    cos, sin = np.float32(math.cos(material.angle)), np.float32(math.sin(material.angle))
    along, across = at[0] * cos + at[1] * sin, at[1] * cos - at[0] * sin
    other, spacing = np.array(material.other, np.float32), np.float32(material.spacing)
    if material.pattern == "rows":
        wave = 0.5 + 0.5 * np.cos(across * (math.tau / spacing) + 0.5 * texture[:, 1])
        resolved = np.clip(1.4 - 2.2 * size / spacing, 0, 1)
        share = 0.5 + (wave - 0.5) * resolved
        wheels = np.abs(across % np.float32(14.0) - np.float32(7.0))
        share = np.where((wheels > 0.7) & (wheels < 1.05), 1.0, share).astype(np.float32)
        return base + (other - base) * share[:, None]
    if material.pattern == "paving":
        joint = np.maximum(np.abs(along / spacing % 1 - 0.5), np.abs(across / spacing % 1 - 0.5)) > 0.46
        share = joint * np.clip(0.05 / size, 0, 1).astype(np.float32)
        slab = noise.at(np.floor(along / spacing), np.floor(across / spacing), 1.0, 0, 3) * 3.5
        return base + (other - base) * share[:, None] + slab[:, None]
    return _water_colour(canvas, material, at, texture)


def _water_colour(canvas: Canvas, material: Material, at: tuple[Float32, Float32], texture: Float32) -> Float32:
    """Body colour, the sky's reflection after Fresnel (Schlick's formula), and the sun's glitter on the ripples."""
    dx, dy = at[0] - np.float32(canvas.camera.centre[0]), at[1] - np.float32(canvas.camera.centre[1])
    height = np.float32(canvas.camera.centre[2])
    far = np.sqrt(dx * dx + dy * dy + height * height)
    cosine = height / far
    ripple_x, ripple_y = 0.10 * texture[:, 0] + 0.05 * texture[:, 1], 0.10 * texture[:, 1] - 0.06 * texture[:, 0]
    mirror = np.clip(0.02 + 0.98 * (1 - cosine) ** 5 + 0.10 * ripple_x, 0, 0.75)
    sun = canvas.light.sun
    half_z = cosine + sun[2]
    slope_x, slope_y = (sun[0] - dx / far) / half_z, (sun[1] - dy / far) / half_z
    glitter = np.exp(-((slope_x - ripple_x) ** 2 + (slope_y - ripple_y) ** 2) / 0.012) * canvas.light.direct * 150
    base, sky = np.array(material.base, np.float32), np.array(canvas.light.sky, np.float32)
    colours: Float32 = base + (sky - base) * mirror[:, None] + glitter[:, None] + 60 * ripple_x[:, None]
    return colours.astype(np.float32)


def cast(canvas: Canvas, corners: Points) -> None:
    """Darkens the ground under the shadow of a convex body with these corners (N, 3)."""
    sun = canvas.light.sun
    fallen = corners[:, :2] - corners[:, 2:] * (np.array(sun[:2]) / sun[2])
    hull = cv2.convexHull(fallen.astype(np.float32)).reshape(-1, 2).astype(np.float64)
    pixels = canvas.camera.project(np.pad(hull, ((0, 0), (0, 1))))
    if pixels is not None:
        fill(canvas.shadow, pixels, 255, convex=False)


def backdrop(rng: palette.Rng, dryness: float) -> Material:
    """The meadow beyond everything."""
    return palette.lawn(rng, dryness)
