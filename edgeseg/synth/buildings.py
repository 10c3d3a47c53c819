"""Paints buildings: walls with windows, roofs with tiles, ribs, gravel or panels, each face with its own light."""

from __future__ import annotations

import math

import numpy as np

from edgeseg.arrays import Float32
from edgeseg.synth import ground, noise
from edgeseg.synth.camera import Points
from edgeseg.synth.canvas import Canvas, times
from edgeseg.synth.records import BUILDING, Building
from edgeseg.synth.solids import prism

_FACES: dict[str, tuple[tuple[int, ...], ...]] = {
    # corners 0-3: wall tops, 4 and 5: ends of the ridge
    "flat": ((0, 1, 2, 3),),
    "gable": ((0, 1, 5, 4), (2, 3, 4, 5), (1, 2, 5), (3, 0, 4)),
    "hip": ((0, 1, 5, 4), (2, 3, 4, 5), (1, 2, 5), (3, 0, 4)),
}


def corners(building: Building) -> Points:
    """Returns the top's corners: 4 wall tops counter-clockwise, then the ridge's 2 ends if there is one."""
    along = np.array([math.cos(building.angle), math.sin(building.angle), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    middle = np.array([building.x, building.y, building.wall])
    x, y = along * building.length / 2, across * building.width / 2
    tops = [middle - x - y, middle + x - y, middle + x + y, middle - x + y]
    if building.ridge:
        end = along * max(0.3, building.length / 2 - (building.width / 2 if building.roof == "hip" else 0.0))
        up = np.array([0.0, 0.0, building.ridge])
        tops += [middle - end + up, middle + end + up]
    return np.array(tops)


def cast(canvas: Canvas, building: Building) -> None:
    """Lays the building's shadow on the ground."""
    tops = corners(building)
    ground.cast(canvas, np.concatenate([tops, tops[:4] * (1, 1, 0)]))


def paint(canvas: Canvas, building: Building) -> None:
    """Paints the faces that look at the camera."""
    tops = corners(building)
    floor = tops[:4] * (1, 1, 0)
    for k in range(4):
        n = (k + 1) % 4
        _face(canvas, building, np.array([floor[k], floor[n], tops[n], tops[k]]), roof=False)
    for face in _FACES[building.roof if building.ridge else "flat"]:
        gable = building.roof == "gable" and len(face) == 3
        solar = building.solar and face[0] == 0
        _face(canvas, building, tops[list(face)], roof=not gable, solar=solar)
    for dx, dy, length, width in building.plant if not building.ridge else ():
        _plant(canvas, building, dx, dy, length, width)


def _face(canvas: Canvas, building: Building, polygon: Points, *, roof: bool, solar: bool = False) -> None:
    """Paints one face; its first edge is level, and it is seen from outside counter-clockwise."""
    u_axis = polygon[1] - polygon[0]
    u_axis = u_axis / np.linalg.norm(u_axis)
    normal = np.cross(u_axis, polygon[-1] - polygon[0])
    normal /= np.linalg.norm(normal)
    eye = canvas.camera.centre
    away = float(normal @ (polygon[0] - eye))
    if away >= -1e-6:
        return
    chosen = canvas.select(polygon)
    if chosen is None:
        return
    window, mask = chosen
    ray_x, ray_y = canvas.rays(window, mask)
    v_axis = np.cross(normal, u_axis)

    def along(axis: Points) -> Float32:
        """How far each ray goes along a unit vector by the time that it meets the ground."""
        x, y, z = axis.tolist()
        gone: Float32 = x * ray_x + y * ray_y - z * float(eye[2])
        return gone

    reach = away / along(normal)
    u: Float32 = float((eye - polygon[0]) @ u_axis) + reach * along(u_axis)
    v: Float32 = float((eye - polygon[0]) @ v_axis) + reach * along(v_axis)
    size = float(np.linalg.norm(polygon.mean(0) - eye)) / canvas.camera.focal
    if roof:
        colours = _roof(building, u, v, size, solar=solar)
    else:
        colours = _wall(building, u, v, size, float(np.linalg.norm(polygon[1] - polygon[0])))
    colours = colours * np.array(canvas.light.on(tuple(normal.tolist())), np.float32)
    canvas.put(window, mask, colours.astype(np.float32), BUILDING)


def _roof(building: Building, u: Float32, v: Float32, size: float, *, solar: bool) -> Float32:
    colour = np.array(building.roof_colour, np.float32)
    fine = min(1.0, 0.08 / size)
    blotch = noise.at(u, v, 3.0, 1, building.texture)
    level = 1 + 0.055 * blotch + 0.05 * fine * noise.at(u, v, 14.0, 0, building.texture)
    if building.roof_pattern == "tiles":
        course = 0.42
        level += (0.20 * (v / course % 1) - 0.10) * min(1.0, course / size / 4)
        tile = noise.at(
            np.floor(u / 0.3 + 0.5 * (np.floor(v / course) % 2)), np.floor(v / course), 1.0, 0, building.texture
        )
        level += 0.06 * tile * min(1.0, 0.3 / size / 3)
    elif building.roof_pattern == "ribs":
        level += (0.22 * (np.abs(u / 0.6 % 1 - 0.5) < 0.12) - 0.05) * min(1.0, 0.6 / size / 5)
    elif building.roof_pattern == "gravel":
        level += 0.07 * noise.at(u, v, 9.0, 0, building.texture + 7) * fine
    else:
        level -= 0.12 * ((u % 2.2 < 0.09) | (v % 6.0 < 0.09)) * min(1.0, 0.1 / size)
    colours: Float32 = colour * level[:, None].astype(np.float32)
    if not building.ridge:  # a parapet: a bright rim and the shade inside it
        length, width = building.length, building.width
        rim = np.minimum(np.minimum(u, length - u), np.minimum(v, width - v))
        colours = np.where((rim < 0.35)[:, None], colours * 0.35 + 120, colours)
        colours = np.where(((rim >= 0.35) & (rim < 0.6))[:, None], colours * 0.78, colours)
    if solar:
        length = building.length
        inside = (u > length * 0.2) & (u < length * 0.75) & (v > 0.9) & (v < min(5.2, building.width * 0.42))
        grid = (u % 1.0 < 0.07) | (v % 1.65 < 0.07)
        panel = np.where(grid[:, None], np.float32(120), np.array((78, 48, 34), np.float32))
        colours = np.where(inside[:, None], panel, colours)
    return colours.astype(np.float32)


def _wall(building: Building, u: Float32, v: Float32, size: float, length: float) -> Float32:
    colour = np.array(building.wall_colour, np.float32)
    level = 1 + 0.05 * noise.at(u, v, 2.5, 1, building.texture) + 0.03 * noise.at(u, v, 14.0, 0, building.texture)
    level -= 0.16 * (v < 0.35)
    colours: Float32 = (colour * level[:, None]).astype(np.float32)
    if building.windows:
        columns = max(1, round(length / 2.7))
        place_u, place_v = u * (columns / length) % 1, v / 2.8 % 1
        glass = (np.abs(place_u - 0.5) < 0.23) & (place_v > 0.34) & (place_v < 0.80) & (v < building.wall - 0.3)
        frame = (np.abs(place_u - 0.5) < 0.28) & (place_v > 0.29) & (place_v < 0.84) & (v < building.wall - 0.3)
        pane = (
            np.array((92, 78, 66), np.float32)
            + 22 * noise.at(np.floor(u * (columns / length)), np.floor(v / 2.8), 1.0, 0, building.texture)[:, None]
        )
        colours = np.where((frame & ~glass)[:, None], colours * 0.55 + 95, colours)
        colours = np.where(glass[:, None], pane, colours)
    return colours.astype(np.float32)


def _plant(canvas: Canvas, building: Building, dx: float, dy: float, length: float, width: float) -> None:
    """Paints a box on a flat roof with the shadow at its foot."""
    along = np.array([math.cos(building.angle), math.sin(building.angle), 0.0])
    across = np.array([-along[1], along[0], 0.0])
    middle = np.array([building.x, building.y, building.wall]) + along * dx + across * dy
    x, y, up = along * length / 2, across * width / 2, np.array([0.0, 0.0, 1.1])
    floor = np.array([middle - x - y, middle + x - y, middle + x + y, middle - x + y])
    drop = np.array([canvas.light.sun[0], canvas.light.sun[1], 0.0]) * (-0.9 / canvas.light.sun[2])
    dark = times(building.roof_colour, canvas.light.shade)
    if canvas.light.direct > 0.3:
        canvas.flat(floor + drop, dark, BUILDING)
    prism(canvas, floor, floor + up, (165.0, 168.0, 170.0), BUILDING, 1.0)
