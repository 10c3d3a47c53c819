"""Measures the survey of one large GeoTIFF: `python benchmarks/survey_large.py [--side 20000] [--model aerial]`.

A mosaic is made of rendered aerial views and surveyed by `edgeseg survey` in a process of its own. Prints the time, the
most memory that the process held, and how parts that are cut out of the mosaic and surveyed alone agree with it, by
their pixels' distance from the cut. More than a tile from it all pixels should be equal; nearer to it the network lacks
what lies beyond, and how much that matters is the network's doing, not the tiling's.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

from edgeseg.arrays import Uint8
from edgeseg.runtime.segmenter import Segmenter
from edgeseg.synth import aerial
from edgeseg.zoo import resolve

VIEW = 1000
"""Side of a rendered view."""
VIEWS = 24
"""Different views; each is laid down again and again, turned and mirrored."""
DISTANCES = (0, 8, 32, 128)
"""Where the rings about a cut begin, in pixels; the last ends a tile from it."""

PROGRAM = """
import atexit
from edgeseg.cli.app import main
from edgeseg.host import peak_rss_bytes
atexit.register(lambda: print(peak_rss_bytes() or 0))
main()
"""
"""Runs `edgeseg` and prints the most bytes that its process held."""


def make_mosaic(path: Path, side: int) -> None:
    """Writes a mosaic of rendered views, with pixels of 8 cm in UTM."""
    views = [aerial.render(n, seed=0, height=VIEW, width=VIEW)[0][:, :, ::-1] for n in range(VIEWS)]
    random = np.random.default_rng(0)
    place = {"crs": "EPSG:32632", "transform": from_origin(500_000, 5_300_000, 0.08, 0.08)}
    form = {"driver": "GTiff", "tiled": True, "compress": "deflate", "bigtiff": "if_safer", "photometric": "rgb"}
    with rasterio.open(path, "w", height=side, width=side, count=3, dtype="uint8", **place, **form) as mosaic:
        for top, left in itertools.product(range(0, side, VIEW), repeat=2):
            view = np.rot90(views[random.integers(VIEWS)], random.integers(4))
            view = view[:, :: random.choice((-1, 1))][: side - top, : side - left]
            mosaic.write(np.moveaxis(view, 2, 0), window=Window(left, top, view.shape[1], view.shape[0]))


def run_survey(image: Path, out: Path, model: str, threads: int) -> tuple[float, float]:
    """Runs `edgeseg survey`; returns seconds, and the most megabytes that it held."""
    command = ["survey", str(image), "-o", str(out), "--model", model, "--threads", str(threads)]
    began = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", PROGRAM, *command], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"edgeseg {' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return time.perf_counter() - began, int(done.stdout.split()[-1]) / 1e6


def cut(mosaic: Path, folder: Path, count: int, size: tuple[int, int]) -> Iterator[tuple[Path, Window]]:
    """Cuts parts out of a mosaic at places that fit no grid; yields each file and where it was."""
    random = np.random.default_rng(1)
    with rasterio.open(mosaic) as whole:
        for number in range(count):
            top, left = (int(random.integers(1, side - part)) for side, part in zip(whole.shape, size, strict=True))
            window = Window(left, top, size[1], size[0])
            form = whole.profile | {"height": size[0], "width": size[1], "transform": whole.window_transform(window)}
            path = folder / f"part{number}.tif"
            with rasterio.open(path, "w", **form) as part:
                part.write(whole.read(window=window))
            yield path, window


def labels_in(out: Path, name: str, window: Window | None = None) -> Uint8:
    """Reads a label map, or a part of it."""
    with rasterio.open(out / f"{name}_labels.tif") as file:
        labels: Uint8 = file.read(1, window=window)
    return labels


def edge_distance(size: tuple[int, int], tile: tuple[int, int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Returns each pixel's distance from the cut, and whether it is more than a tile from it on both axes."""
    from_ends = [np.minimum(np.arange(side), np.arange(side)[::-1]) for side in size]
    inside = (from_ends[0] >= tile[0])[:, None] & (from_ends[1] >= tile[1])
    return np.minimum(from_ends[0][:, None], from_ends[1]), inside


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=20_000, help="pixels")
    parser.add_argument("--model", default="aerial")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", type=int, default=3)
    parser.add_argument("--part-size", default="3000x4000", help="rows x columns")
    given = parser.parse_args()
    rows, columns = (min(int(side), given.side - 2) for side in given.part_size.split("x"))
    tile = Segmenter(resolve(Path(given.model), kind="any")).input.inner
    with tempfile.TemporaryDirectory(prefix="edgeseg-") as scratch:
        folder = Path(scratch)
        make_mosaic(folder / "mosaic.tif", given.side)
        seconds, megabytes = run_survey(folder / "mosaic.tif", folder / "whole", given.model, given.threads)
        print(
            f"{given.side}x{given.side}: {seconds:.0f} s, {given.side**2 / seconds / 1e6:.1f} million pixels a second, "
            f"at most {megabytes:.0f} MB", flush=True,
        )  # fmt: skip
        distance, inside = edge_distance((rows, columns), tile)
        rings = np.where(inside, len(DISTANCES) + 1, np.digitize(distance, DISTANCES))
        total, equal = (np.zeros(len(DISTANCES) + 2, np.int64) for _ in range(2))
        for path, window in cut(folder / "mosaic.tif", folder, given.parts, (rows, columns)):
            run_survey(path, folder / path.stem, given.model, given.threads)
            same = labels_in(folder / path.stem, path.stem) == labels_in(folder / "whole", "mosaic", window)
            total += np.bincount(rings.ravel(), minlength=len(total))
            equal += np.bincount(rings.ravel(), same.ravel(), minlength=len(total)).astype(np.int64)
            print(f"{path.stem}: {100 * same.mean():.3f} % equal, {100 * same[inside].mean():.4f} % inside", flush=True)
    names = [f"{a} to {b} pixels" for a, b in itertools.pairwise(DISTANCES)]
    names += [f"{DISTANCES[-1]} pixels to a tile", "more than a tile"]
    for name, all_of, same_of in zip(names, total[1:], equal[1:], strict=True):
        print(f"{name} from the cut: {100 * same_of / max(1, all_of):.4f} % of {all_of} pixels")


if __name__ == "__main__":
    main()
