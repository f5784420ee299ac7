"""Seeded random fields by table: normal and Poisson values at the cost of raw bits and a look-up.

A table holds the quantiles of a distribution at equally spaced probabilities; raw bits of the generator choose
among them. 65,536 normal quantiles have mean 0 and deviation 1 to float precision and reach 4.3 deviations.
Tables are built from Python's own arithmetic, so that they are the same on every machine.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np

POISSON_QUANTILES = 4096


def bits16(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """`shape` uint16, every value alike."""
    count = math.prod(shape)
    words = rng.bit_generator.random_raw(count // 4 + 1).astype("<u8", copy=False)
    return words.view("<u2")[:count].reshape(shape)


@lru_cache(maxsize=1)
def _normal_quantiles() -> np.ndarray:
    inverse = NormalDist().inv_cdf
    upper = np.array([inverse((i + 0.5) / 65536) for i in range(32768, 65536)])
    table = np.concatenate([-upper[::-1], upper])
    table = (table / table.std()).astype(np.float32)
    table.setflags(write=False)
    return table


def normal(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """`shape` float32 from the standard normal distribution."""
    return _normal_quantiles().take(bits16(rng, shape))


@lru_cache(maxsize=8)
def _rounded_quantiles(sigma: float) -> np.ndarray:
    table = np.rint(_normal_quantiles() * np.float32(sigma)).astype(np.int16)
    table.setflags(write=False)
    return table


def rounded_normal(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> np.ndarray:
    """`shape` int16: `sigma` times `normal(rng, shape)`, rounded."""
    return _rounded_quantiles(float(sigma)).take(bits16(rng, shape))


@lru_cache(maxsize=8)
def _poisson_quantiles(peak: float) -> np.ndarray:
    """(256, POISSON_QUANTILES) uint16: row v holds the quantiles of a Poisson count of mean `peak * v / 255`."""
    table = np.zeros((256, POISSON_QUANTILES), np.uint16)
    probabilities = (np.arange(POISSON_QUANTILES) + 0.5) / POISSON_QUANTILES
    counts = np.arange(int(peak + 10 * math.sqrt(peak) + 20))
    log_factorial = np.array([math.lgamma(n + 1) for n in counts])
    for level in range(1, 256):
        mean = peak * level / 255
        cumulative = np.cumsum(np.exp(counts * math.log(mean) - mean - log_factorial))
        table[level] = np.searchsorted(cumulative, probabilities)
    table.setflags(write=False)
    return table


def poisson(rng: np.random.Generator, image: np.ndarray, peak: float) -> np.ndarray:
    """Photon counts for `image` in [0, 1] with `peak` photons at white, uint16.

    The light is counted from 8-bit levels, as the benchmark does; each count is one of 4,096 quantiles.
    """
    index = np.rint(image * np.float32(255)).astype(np.int32)
    np.clip(index, 0, 255, out=index)
    index *= POISSON_QUANTILES
    index += bits16(rng, image.shape) >> 4
    return _poisson_quantiles(float(peak)).reshape(-1).take(index)
