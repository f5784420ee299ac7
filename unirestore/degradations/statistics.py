"""Statistics of photos that bad weather changes; `distance.py` says how far one set is from another by them.

A photo is shrunk to a long side of `SIDE` pixels, so that size and JPEG of the source matter little, and
described by `NAMES`: brightness and contrast (also of the upper and the lower half apart), the dark channel
(He, Sun, Tang, TPAMI 33(12), 2011), saturation and colour cast, gradients, and the slope of the power
spectrum (natural photos: power ~ f^-2, Field, JOSA A 4(12), 1987; fog makes it steeper).

Everything is measured on the values as stored (sRGB, gamma-coded, 0-1), as the dark channel prior and the
work on natural images do, not in linear light; grey is the luma of Rec. 601.
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
        image: (H, W, 3) RGB, uint8 in 0-255 or float32 in [0, 1], at least 32 x 32 and at most ten times
            as long as short. A photo smaller than `SIDE` is not enlarged: its gradients, grain and local
            contrast then belong to another scale, so compare sets that are all larger than that.

    Returns:
        (len(NAMES),) float64; logarithms are base 2.

    Raises:
        ValueError for another shape or values outside [0, 1], TypeError for another dtype.
    """
    image = np.asarray(image)
    require(
        image.ndim == 3 and image.shape[2] == 3 and min(image.shape[:2]) >= 32,
        f"image must be (H, W, 3) and at least 32 x 32, got {image.shape}",
    )
    if image.dtype not in (np.uint8, np.float32):
        raise TypeError(f"image must be uint8 (0-255) or float32 (0-1), got {image.dtype}")
    height, width = image.shape[:2]
    require(
        max(height, width) <= 10 * min(height, width),
        f"image is {height} x {width}: more than ten times as long as short",
    )
    if image.dtype == np.uint8:  # before shrinking: 8 bits would round the finest texture away
        image = image.astype(np.float32) * np.float32(1 / 255)
    else:
        low, high = float(image.min()), float(image.max())
        require(low >= -1e-3 and high <= 1.001, f"float32 image must lie in [0, 1], got {low} to {high}")
    scale = SIDE / max(height, width)
    if scale < 1:
        image = cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    image = np.ascontiguousarray(image)
    red, green, blue = cv2.split(image)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    high, low = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    dark = cv2.erode(low, np.ones((PATCH, PATCH), np.uint8))
    window = (2 * PATCH + 1, 2 * PATCH + 1)
    wide = grey.astype(np.float64)  # E[x^2] - E[x]^2 of a bright even sky cancels in float32
    mean = cv2.blur(wide, window)
    local = np.sqrt(np.maximum(cv2.blur(wide * wide, window) - mean * mean, 0.0))
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    gradient = np.sqrt(across * across + down * down) / 8  # per pixel
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

    About -2 for natural photos, 0 for white noise and for a flat picture; of the Hann-windowed central square
    of `grey` (H, W), by the mean power of eight rings of equal width in log frequency. ValueError below 32.
    """
    require(
        grey.ndim == 2 and min(grey.shape) >= 32, f"grey must be (H, W), at least 32 x 32, got {grey.shape}"
    )
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
    filled = [k for k, band in enumerate(bands) if band.size]  # small pictures leave narrow rings empty
    heights = np.log([bands[k].mean() + 1e-9 for k in filled])
    return float(np.polyfit(np.log(centres[filled]), heights, 1)[0])


def describe_all(images: Iterable[np.ndarray]) -> np.ndarray:
    """(N, len(NAMES)) float64 statistics of N photos."""
    return np.stack([describe(image) for image in images])


def summary(sets: dict[str, np.ndarray], names: Sequence[str] = NAMES) -> str:
    """Markdown table of the median of every statistic (rows) in every set (columns)."""
    lines = ["| statistic | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for k, name in enumerate(names):
        medians = [f"{np.median(rows[:, k]):.3f}" for rows in sets.values()]
        lines.append(f"| {name} | " + " | ".join(medians) + " |")
    return "\n".join(lines)


def _log(value: float) -> float:
    return float(np.log2(value + 1e-4))
