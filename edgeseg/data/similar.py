"""Which images are nearly the same: frames of one scene, the same photo saved twice.

Each image becomes a difference hash of 256 bits (Krawetz, "Kind of Like That", hackerfactor.com, 2013, there of 64
bits): whether each of 16x16 cells is brighter than its right neighbour. Images are alike if few bits differ.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from edgeseg.arrays import Uint8

BITS = 256
SAME_SCENE = 40
"""Bits that may differ between frames of one scene."""
NEARLY_EQUAL = 20
"""Bits that may differ between copies of a photo, saved anew, brighter, smaller; and between frames close in time."""
_BLOCK = 2048

Hash = npt.NDArray[np.bool_]


def image_hash(image: Uint8) -> Hash:
    """Returns the 256 bits of an image (H, W, 3)."""
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (17, 16), interpolation=cv2.INTER_AREA)
    bits: Hash = (small[:, 1:] > small[:, :-1]).ravel()
    return bits


def near_pairs(one: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], most: int) -> npt.NDArray[np.int64]:
    """Returns (N, 2) which hashes of `one` and of `other` differ in at most `most` bits.

    Args:
        one: (A, 256).
        other: (B, 256).
        most: Bits.
    """
    signs = np.where(other, 1, -1).astype(np.float32).T
    found = []
    for start in range(0, len(one), _BLOCK):  # of +1 and -1, the product is 256 - 2 differences
        products = np.where(one[start : start + _BLOCK], 1, -1).astype(np.float32) @ signs
        rows, columns = np.nonzero(products >= BITS - 2 * most)
        found.append(np.stack([rows + start, columns], 1))
    return np.concatenate(found) if found else np.empty((0, 2), np.int64)


def scenes(hashes: npt.NDArray[np.bool_], most: int = SAME_SCENE) -> list[int]:
    """Returns the scene of each image, a number: whatever a chain of alike images joins is one scene."""
    parent = list(range(len(hashes)))

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = item = parent[parent[item]]
        return item

    for a, b in near_pairs(hashes, hashes, most).tolist():
        if a < b:
            parent[find(b)] = find(a)
    return [find(item) for item in range(len(hashes))]
