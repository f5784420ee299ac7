"""Fast exact filtering with large kernels: sums of separable filters for discs, pieces for motion lines.

OpenCV turns to a Fourier transform for kernels of more than some 11 x 11 taps; what is done here stays below that
size. Photos per second: `benchmarks/degradation_speed.py --only defocus_blur motion_blur`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np

from ..base import require
from ..blur import TILE
from ..portable import portable

DIRECT = TILE  # a kernel of up to this side is filtered directly


def gaussian(image: np.ndarray, sigma: float, truncate: float = 4.0) -> np.ndarray:
    """Gaussian blur, cut at `truncate` deviations, the border repeated. Sigma 0 returns the input."""
    if sigma <= 0:
        return image
    side = 2 * int(truncate * sigma + 0.5) + 1
    blurred = cv2.GaussianBlur(image, (side, side), sigma, borderType=cv2.BORDER_REPLICATE)
    return blurred.reshape(image.shape)


@lru_cache(maxsize=32)
@portable()
def disc(radius: float, alias: float) -> np.ndarray:
    """(K, K) float32 kernel of sum 1: the pixels within `radius`, their edge blurred by a Gaussian `alias`.

    The blur has 3 taps up to radius 8 and 5 above, as published. There the disc of radius 8 or 10 meets the edge
    of its array and gains up to 1 % of brightness; here it has room.
    """
    reach = math.ceil(radius)
    margin = 1 if radius <= 8 else 2
    span = np.arange(-reach - margin, reach + margin + 1, dtype=np.float32)
    kernel = (span[:, None] ** 2 + span[None, :] ** 2 <= radius**2).astype(np.float32)
    side = 2 * margin + 1
    kernel = cv2.GaussianBlur(kernel / kernel.sum(), (side, side), alias, borderType=cv2.BORDER_CONSTANT)
    kernel[kernel < 1e-9] = 0  # the tails of a narrow Gaussian make products too small for fast arithmetic
    kernel.setflags(write=False)
    return kernel


@lru_cache(maxsize=32)
def _separable(key: bytes, side: int, tolerance: float) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    kernel = np.frombuffer(key, np.float32).reshape(side, side).astype(np.float64)
    left, strength, right = np.linalg.svd(kernel)
    terms: list[tuple[np.ndarray, np.ndarray]] = []
    rest = kernel.copy()
    while np.abs(rest).sum() > tolerance and len(terms) < side:
        n = len(terms)
        rest -= strength[n] * np.outer(left[:, n], right[n])
        terms.append(((left[:, n] * strength[n]).astype(np.float32), right[n].astype(np.float32)))
    return tuple(terms)


def filter_separable_sum(image: np.ndarray, kernel: np.ndarray, tolerance: float = 1e-3) -> np.ndarray:
    """Correlates `image` with a symmetric square `kernel` as a sum of separable filters, border mirrored.

    No pixel of an image in [0, 1] is off by more than `tolerance`.
    """
    if kernel.shape[0] <= DIRECT:
        return cv2.filter2D(image, -1, kernel, borderType=cv2.BORDER_REFLECT_101).reshape(image.shape)
    out: np.ndarray | None = None
    for column, row in _separable(kernel.tobytes(), kernel.shape[0], tolerance):
        part = cv2.sepFilter2D(image, -1, row, column, borderType=cv2.BORDER_REFLECT_101)
        out = part if out is None else cv2.add(out, part, dst=out)
    return out.reshape(image.shape)


def check_radius(radius: int) -> None:
    """Raise ValueError unless `radius` can be that of a motion blur."""
    require(
        isinstance(radius, int) and 1 <= radius <= 200,
        f"radius must be a whole number of pixels in 1..200, got {radius!r}",
    )


def motion_taps(radius: int, sigma: float, angle: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (N,) and whole-pixel offsets dy, dx (N,) of a one-sided motion blur: half a Gaussian on a line.

    Args:
        radius: the line has 2 * radius + 1 taps.
        sigma: deviation of the Gaussian along the line, in pixels.
        angle: of the line, in degrees.
    """
    steps = np.arange(2 * radius + 1)
    weights = np.exp(-0.5 * (steps / sigma) ** 2)
    turn = math.radians(angle)
    dy = -np.ceil(steps * math.sin(turn) - 0.5).astype(int)
    dx = -np.ceil(steps * math.cos(turn) - 0.5).astype(int)
    return (weights / weights.sum()).astype(np.float32), dy, dx


def motion_blur(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Motion blur with `motion_taps`, the border repeated; cost grows with the taps, not with their square."""
    weights, dy, dx = motion_taps(radius, sigma, angle)
    height, width = image.shape[:2]
    reach = 2 * radius + 1
    padded = cv2.copyMakeBorder(image, reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    out: np.ndarray | None = None
    first = 0
    while first < len(weights):
        last = first + 1  # the longest run whose bounding box is small enough to be filtered directly
        while last < len(weights) and np.ptp(dy[first : last + 1]) < DIRECT > np.ptp(dx[first : last + 1]):
            last += 1
        top, left = dy[first:last].min(), dx[first:last].min()
        kernel = np.zeros((np.ptp(dy[first:last]) + 1, np.ptp(dx[first:last]) + 1), np.float32)
        np.add.at(kernel, (dy[first:last] - top, dx[first:last] - left), weights[first:last])
        kernel = kernel[::-1, ::-1]  # a tap at +3 brings the photo 3 pixels to the right
        y0, x0 = reach - (top + kernel.shape[0] - 1), reach - (left + kernel.shape[1] - 1)
        piece = padded[y0 : y0 + height + kernel.shape[0] - 1, x0 : x0 + width + kernel.shape[1] - 1]
        part = cv2.filter2D(piece, -1, kernel, anchor=(0, 0))[:height, :width]
        out = part.copy() if out is None else np.add(out, part.reshape(out.shape), out=out)
        first = last
    return out.reshape(image.shape)


def centre_zoom(plane: np.ndarray, factor: float) -> np.ndarray:
    """Enlarges the middle by `factor` >= 1, bilinear, same size.

    As the benchmark does it: a crop of whole pixels, corner pixels kept at the corners, cut at the lower right.
    """
    height, width = plane.shape[:2]
    (crop_y, large_y), (crop_x, large_x) = (_crop(size, factor) for size in (height, width))
    step_y, step_x = (crop_y - 1) / max(1, large_y - 1), (crop_x - 1) / max(1, large_x - 1)
    matrix = np.array([[step_x, 0, (width - crop_x) // 2], [0, step_y, (height - crop_y) // 2]], np.float64)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(plane, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return out.reshape(plane.shape)


def centre_resize(image: np.ndarray, factor: float) -> np.ndarray:
    """`centre_zoom` to within a tenth of a pixel for factors near 1, with edges kept at the edges.

    A plain resize of the crop, which OpenCV does without a matrix per pixel.
    """
    height, width = image.shape[:2]
    (crop_y, large_y), (crop_x, large_x) = (_crop(size, factor) for size in (height, width))
    top, left = (height - crop_y) // 2, (width - crop_x) // 2
    out = cv2.resize(image[top : top + crop_y, left : left + crop_x], (large_x, large_y))
    return out.reshape(large_y, large_x, *image.shape[2:])[:height, :width]


def _crop(size: int, factor: float) -> tuple[int, int]:
    """Pixels of an axis of `size` that are kept, and how many they become."""
    crop = math.ceil(size / factor)
    return crop, max(size, round(crop * factor))
