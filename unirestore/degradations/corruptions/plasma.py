"""Plasma fractal: the height field from which the benchmark makes fog."""

from __future__ import annotations

import numpy as np


def plasma(side: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """Diamond-square fractal on a torus, whole levels at a time.

    Fournier, Fussell and Carpenter, "Computer Rendering of Stochastic Models", CACM 25(6), 1982. Corners are
    known; each level first sets the middles of the squares, then the middles of their edges, to the mean of
    four neighbours plus uniform noise whose amplitude falls by `decay` squared from level to level.

    Args:
        side: a power of two.
        decay: above 1 smoother, at 1 white noise.
        rng: source of randomness.

    Returns:
        (side, side) float32 from 0 to 1.
    """
    if side < 1 or side & (side - 1):
        raise ValueError(f"side must be a power of two, got {side}")
    field = np.zeros((side, side), np.float32)
    step, amplitude = side, 1.0
    while step >= 2:
        half = step // 2
        count = side // step
        noise = rng.random((3, count, count), dtype=np.float32)
        noise *= np.float32(2 * amplitude)
        noise -= np.float32(amplitude)
        corners = field[::step, ::step]
        pairs = corners + np.roll(corners, -1, axis=1)  # of the upper and lower edges of the squares
        middles = (pairs + np.roll(pairs, -1, axis=0)) * np.float32(0.25) + noise[0]
        field[half::step, half::step] = middles
        # the middle of an edge has two corners and the two square middles on its sides
        across = pairs + middles + np.roll(middles, 1, axis=0)
        field[::step, half::step] = across * np.float32(0.25) + noise[1]
        columns = corners + np.roll(corners, -1, axis=0)
        down = columns + middles + np.roll(middles, 1, axis=1)
        field[half::step, ::step] = down * np.float32(0.25) + noise[2]
        step //= 2
        amplitude /= decay**2
    field -= field.min()
    top = field.max()
    return field / top if top > 0 else field
