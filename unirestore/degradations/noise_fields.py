"""Seeded smooth noise: the irregular part of fog banks, spray and depth.

Value noise: random numbers on a coarse lattice, enlarged with a cubic kernel, octaves added. Everything is
done at low resolution (at most `LOW` pixels a side) and enlarged once. Randomness comes only from the
`numpy.random.Generator` that is passed in; the same generator state and shape give the same bits.
"""

from __future__ import annotations

import cv2
import numpy as np

LOW = 64  # longest side, in pixels, at which octaves are added


def generator(seed: int, *path: int) -> np.random.Generator:
    """The generator that belongs to `seed` and a path of small integers (a child of an effect, a layer).

    Raises ValueError for a negative seed, which numpy would refuse with a less helpful message.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or seed < 0:
        raise ValueError(f"seed must be an integer >= 0, got {seed!r}")
    return np.random.Generator(np.random.PCG64([int(seed), *path]))


def smooth_noise(
    shape: tuple[int, int],
    rng: np.random.Generator,
    *,
    cells: float = 4.0,
    octaves: int = 3,
    persistence: float = 0.5,
    stretch: float = 1.0,
) -> np.ndarray:
    """Smooth noise of mean about 0 and standard deviation about 1.

    Args:
        shape: (H, W) of the field.
        rng: source of randomness.
        cells: lattice cells along the shorter side in the first octave; each octave doubles it.
        octaves: number of octaves.
        persistence: amplitude ratio of one octave to the one before it.
        stretch: above 1 makes structures wider than tall, as fog banks are.

    Returns:
        (H, W) float32.
    """
    height, width = shape
    shrink = max(1.0, max(height, width) / LOW)
    low_h, low_w = max(1, round(height / shrink)), max(1, round(width / shrink))
    field = np.zeros((low_h, low_w), np.float32)
    amplitude, energy = 1.0, 0.0
    short = max(1, min(low_h, low_w))
    for octave in range(octaves):
        across = cells * 2**octave
        rows = int(np.clip(round(across * low_h / short), 1, LOW)) + 2
        cols = int(np.clip(round(across * low_w / short / stretch), 1, LOW)) + 2
        lattice = rng.standard_normal((rows, cols), dtype=np.float32)
        field += amplitude * cv2.resize(lattice, (low_w, low_h), interpolation=cv2.INTER_CUBIC)
        energy += amplitude**2
        amplitude *= persistence
    field *= np.float32(1.25 / np.sqrt(energy))  # cubic enlarging loses about a fifth of the deviation
    if (low_h, low_w) == (height, width):
        return field
    return cv2.resize(field, (width, height), interpolation=cv2.INTER_CUBIC)
