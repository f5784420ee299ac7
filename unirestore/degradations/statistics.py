"""Statistics of photos that bad weather changes, and how far one set of photos is from another by them.

A photo is shrunk to a long side of `SIDE` pixels, so that size and JPEG of the source matter little, and
described by `NAMES`: brightness and contrast (also of the upper and the lower half apart), the dark channel
(He, Sun, Tang, TPAMI 33(12), 2011), saturation and colour cast, gradients, and the slope of the power
spectrum (natural photos: power ~ f^-2, Field, JOSA A 4(12), 1987; fog makes it steeper).

Two sets are compared by
  - `wasserstein`: the first Wasserstein distance of each statistic, divided by the standard deviation of the
    reference, averaged over the statistics: 0.1 means "off by a tenth of the real spread";
  - `frechet`: the Frechet distance of two Gaussians in the space of all statistics together (the formula of
    Heusel et al., "GANs Trained by a Two Time-Scale Update Rule", NeurIPS 2017, arXiv:1706.08500, equation
    6), which also sees whether statistics go together as in the reference; rank-transformed tails would be
    safer with few photos, so read it beside the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from .base import require

SIDE = 320  # pixels, long side at which photos are described
PATCH = 11  # pixels, window of the dark channel and (twice that) of the local contrast
NAMES = (
    "bright",  # mean grey
    "p5",  # 5th percentile of grey
    "p95",
    "contrast",  # standard deviation of grey
    "top_minus_bottom",  # mean grey of the upper quarter minus the lower one
    "local",  # median local standard deviation, log2
    "local_top",
    "local_bottom",
    "local_p95",
    "dark",  # mean dark channel
    "dark_p10",  # 10th percentile of the dark channel
    "saturation",  # mean (max - min) / max
    "colourfulness",  # spread of the opponent colours around their mean
    "red_green",  # mean opponent colours: the cast
    "blue_yellow",
    "gradient",  # mean gradient magnitude, log2
    "gradient_bottom",
    "gradient_tail",  # 98th percentile over the mean: few strong edges among smooth air
    "slope",  # of log power over log frequency
    "grain",  # median |high-pass|, log2: noise and fine texture
)


def describe(image: np.ndarray) -> np.ndarray:
    """The statistics `NAMES` of one photo.

    Args:
        image: (H, W, 3) RGB, uint8 in 0-255 or float32 in [0, 1], at least 32 x 32.

    Returns:
        (len(NAMES),) float64; logarithms are base 2.

    Raises:
        ValueError for another shape, TypeError for another dtype.
    """
    image = np.asarray(image)
    require(
        image.ndim == 3 and image.shape[2] == 3 and min(image.shape[:2]) >= 32,
        f"image must be (H, W, 3) and at least 32 x 32, got {image.shape}",
    )
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"image must be uint8 (0-255) or float32 (0-1), got {image.dtype}")
    scale = SIDE / max(image.shape[:2])
    if scale < 1:
        size = (max(16, round(image.shape[1] * scale)), max(16, round(image.shape[0] * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    if image.dtype == np.uint8:
        image = image.astype(np.float32) * np.float32(1 / 255)
    red, green, blue = cv2.split(np.ascontiguousarray(image))
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    dark = cv2.erode(low, np.ones((PATCH, PATCH), np.uint8))
    window = (2 * PATCH + 1, 2 * PATCH + 1)
    mean = cv2.blur(grey, window)
    local = np.sqrt(np.maximum(cv2.blur(grey * grey, window) - mean * mean, 1e-7))
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    gradient = np.sqrt(across * across + down * down) / 8
    fine = np.abs(grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    red_green, blue_yellow = red - green, blue - 0.5 * (red + green)
    half, quarter = grey.shape[0] // 2, grey.shape[0] // 4
    values = {
        "bright": grey.mean(),
        "p5": np.percentile(grey, 5),
        "p95": np.percentile(grey, 95),
        "contrast": grey.std(),
        "top_minus_bottom": grey[:quarter].mean() - grey[-quarter:].mean(),
        "local": _log(np.median(local)),
        "local_top": _log(np.median(local[:half])),
        "local_bottom": _log(np.median(local[half:])),
        "local_p95": _log(np.percentile(local, 95)),
        "dark": dark.mean(),
        "dark_p10": np.percentile(dark, 10),
        "saturation": ((high - low) / (high + np.float32(1e-3))).mean(),
        "colourfulness": np.hypot(red_green.std(), blue_yellow.std()),
        "red_green": red_green.mean(),
        "blue_yellow": blue_yellow.mean(),
        "gradient": _log(gradient.mean()),
        "gradient_bottom": _log(gradient[half:].mean()),
        "gradient_tail": _log(np.percentile(gradient, 98) / (gradient.mean() + 1e-4)),
        "slope": spectral_slope(grey),
        "grain": _log(np.median(fine)),
    }
    return np.array([values[name] for name in NAMES], np.float64)


def spectral_slope(grey: np.ndarray) -> float:
    """Slope of log power over log frequency, between 4 cycles per side and half the Nyquist frequency.

    About -2 for natural photos, 0 for white noise; of the Hann-windowed central square of `grey` (H, W).
    """
    side = min(grey.shape)
    top, left = (grey.shape[0] - side) // 2, (grey.shape[1] - side) // 2
    square = grey[top : top + side, left : left + side].astype(np.float64)
    window = np.hanning(side)
    square = (square - square.mean()) * window[:, None] * window[None, :]
    power = np.abs(np.fft.rfft2(square)) ** 2
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None, :]) * side
    edges = np.geomspace(4, side / 4, 9)
    which = np.digitize(frequency.ravel(), edges)
    bands = [power.ravel()[which == k] for k in range(1, len(edges))]
    centres = np.sqrt(edges[:-1] * edges[1:])
    filled = [k for k, band in enumerate(bands) if band.size]
    if len(filled) < 2:
        return 0.0
    heights = np.log([bands[k].mean() + 1e-9 for k in filled])
    return float(np.polyfit(np.log(centres[filled]), heights, 1)[0])


def describe_all(images: Iterable[np.ndarray]) -> np.ndarray:
    """(N, len(NAMES)) float64 statistics of N photos."""
    return np.stack([describe(image) for image in images])


def wasserstein_each(reference: np.ndarray, other: np.ndarray) -> np.ndarray:
    """First Wasserstein distance of every column, in standard deviations of `reference`.

    `reference` (N, K) and `other` (M, K); N and M may differ. The distance in one dimension is the area
    between the two quantile functions.
    """
    _check(reference, other)
    steps = (np.arange(512) + 0.5) / 512
    gap = np.abs(np.quantile(reference, steps, axis=0) - np.quantile(other, steps, axis=0))
    return gap.mean(axis=0) / np.maximum(reference.std(axis=0), 1e-9)


def wasserstein(reference: np.ndarray, other: np.ndarray) -> float:
    """Mean over the statistics of `wasserstein_each`."""
    return float(wasserstein_each(reference, other).mean())


def frechet(reference: np.ndarray, other: np.ndarray) -> float:
    """Frechet distance |m1 - m2|^2 + Tr(C1 + C2 - 2 (C1 C2)^(1/2)) after scaling by `reference`, square root.

    Columns are divided by their deviation in `reference`; unit: such deviations.
    """
    _check(reference, other)
    scale = np.maximum(reference.std(axis=0), 1e-9)
    a, b = reference / scale, other / scale
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    root = _root(cov_a)
    cross = np.sqrt(np.clip(np.linalg.eigvalsh(root @ cov_b @ root), 0, None)).sum()
    squared = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross
    return float(np.sqrt(max(squared, 0.0)))


def bootstrap(
    reference: np.ndarray, other: np.ndarray, *, seed: int = 0, resamples: int = 200
) -> tuple[float, float]:
    """95 % interval of `wasserstein` when the photos of both sets are drawn again."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(resamples):
        rows = rng.integers(0, len(reference), len(reference))
        columns = rng.integers(0, len(other), len(other))
        values.append(wasserstein(reference[rows], other[columns]))
    return tuple(float(v) for v in np.quantile(values, (0.025, 0.975)))


def summary(sets: dict[str, np.ndarray], names: Sequence[str] = NAMES) -> str:
    """Markdown table of the median of every statistic (rows) in every set (columns)."""
    lines = ["| statistic | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for k, name in enumerate(names):
        medians = [f"{np.median(rows[:, k]):.3f}" for rows in sets.values()]
        lines.append(f"| {name} | " + " | ".join(medians) + " |")
    return "\n".join(lines)


def _log(value: float) -> float:
    return float(np.log2(value + 1e-4))


def _root(symmetric: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(symmetric)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T


def _check(reference: np.ndarray, other: np.ndarray) -> None:
    shapes = (np.shape(reference), np.shape(other))
    require(
        len(shapes[0]) == 2
        and len(shapes[1]) == 2
        and shapes[0][1] == shapes[1][1]
        and min(shapes[0][0], shapes[1][0]) >= 2,
        f"expected (N, K) and (M, K) statistics with N, M >= 2, got {shapes[0]} and {shapes[1]}",
    )
