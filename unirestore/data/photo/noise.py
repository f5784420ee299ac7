"""Octave noise in world coordinates, filtered by how large a pixel is there.

Value noise on a periodic lattice: `noise` is smooth, of mean 0 and deviation about 1; `octaves` adds wavelengths and
leaves out those that a pixel cannot show, so that far asphalt does not sparkle.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np

PERIOD = 256  # lattice cells after which the noise repeats
_FINE = 4  # samples per cell, read bilinearly
_ROW = 8192  # OpenCV samples maps of fewer than 32768 rows and columns


@lru_cache(maxsize=32)
def _tile(seed: int) -> np.ndarray:
    lattice = np.random.default_rng([211, seed]).standard_normal((PERIOD, PERIOD)).astype(np.float32)
    wrapped = np.pad(lattice, 2, mode="wrap")
    side = (PERIOD + 4) * _FINE
    fine = cv2.resize(wrapped, (side, side), interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(fine[: side - _FINE, : side - _FINE]) * np.float32(1.3)


def noise(x: np.ndarray, y: np.ndarray, seed: int) -> np.ndarray:
    """Smooth noise at lattice coordinates `x`, `y` (arrays of one shape); float32 of that shape."""
    x, y = (np.mod(np.asarray(v, np.float64), PERIOD) * _FINE + 2.5 * _FINE - 0.5 for v in (x, y))
    shape, count = x.shape, x.size
    rows = -(-count // _ROW)
    maps = [np.resize(v.astype(np.float32).ravel(), rows * _ROW).reshape(rows, _ROW) for v in (x, y)]
    read = cv2.remap(_tile(seed), maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return read.ravel()[:count].reshape(shape)


def octaves(
    x: np.ndarray,
    y: np.ndarray,
    wavelengths: Sequence[float],
    seed: int,
    *,
    weights: Sequence[float] | None = None,
    footprint: np.ndarray | float = 0.0,
) -> np.ndarray:
    """Sum of noises of the given wavelengths (same unit as `x`, `y` and `footprint`, a pixel's size there).

    `weights` are their deviations, equal shares of 1 without them. Returns float32 of the shape of `x`.
    """
    weights = [1 / np.sqrt(len(wavelengths))] * len(wavelengths) if weights is None else weights
    total = np.zeros(np.shape(x), np.float32)
    for number, (wavelength, weight) in enumerate(zip(wavelengths, weights, strict=True)):
        shown = np.clip(wavelength / (1.5 * np.maximum(footprint, 1e-9)) - 0.4, 0, 1)
        turn = 0.7 * number  # octaves at different angles hide the lattice
        u, v = np.cos(turn) * x + np.sin(turn) * y, np.cos(turn) * y - np.sin(turn) * x
        total += (weight * shown * noise(u / wavelength, v / wavelength, seed + number)).astype(np.float32)
    return total
