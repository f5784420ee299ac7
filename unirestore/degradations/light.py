"""sRGB to linear light and back, and small picture arithmetic that effects share.

Conversion uses tables (IEC 61966-2-1 curve): exact at the 256 levels of an 8-bit photo, elsewhere within
2e-4. Training calls it for every sample, and a look-up needs no powers.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from .memory import keep_freed_memory

_STEPS = 255 * 32  # a multiple of 255, so that 8-bit levels fall on table entries
_PIECE = 1 << 15  # values looked up at a time

keep_freed_memory()


def _decode(srgb: np.ndarray) -> np.ndarray:
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def _encode(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


_LINEAR = _decode(np.linspace(0, 1, _STEPS + 1)).astype(np.float32)
_SRGB = _encode(np.linspace(0, 1, _STEPS + 1) ** 2).astype(np.float32)  # indexed by the square root


def _look_up(table: np.ndarray, values: np.ndarray, *, root: bool) -> np.ndarray:
    """Nearest entry of `table` for `values` in [0, 1] (its square root if `root`), piece by piece in the cache."""
    values = np.asarray(values, np.float32, order="C")
    out = np.empty_like(values)
    source, target = values.reshape(-1), out.reshape(-1)
    for start in range(0, source.size, _PIECE):
        index = source[start : start + _PIECE]
        index = np.sqrt(np.clip(index, 0, 1)) * np.float32(_STEPS) if root else index * np.float32(_STEPS)
        index += np.float32(0.5)
        np.take(table, index.astype(np.intp), mode="clip", out=target[start : start + _PIECE])
    return out


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light in [0, 1]; float32, any shape; clipped to the range."""
    return _look_up(_LINEAR, srgb, root=False)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light to sRGB in [0, 1], the inverse of `to_linear`; above 1 it saturates, as a sensor does."""
    return _look_up(_SRGB, linear, root=True)


def picture_unit(shape: tuple[int, ...]) -> float:
    """Pixels in 1/320 of the mean side sqrt(H W) of a picture (H, W, ...); lengths of effects are given in it."""
    return float(np.sqrt(shape[0] * shape[1])) / 320


def triple(plane: np.ndarray) -> np.ndarray:
    """(H, W) to (H, W, 3), so that pictures are multiplied without broadcasting."""
    return cv2.merge([plane, plane, plane])


def mixed(picture: np.ndarray, other: np.ndarray, share: np.ndarray) -> np.ndarray:
    """`picture` with the (H, W) `share` of it, in [0, 1], replaced by `other`; (H, W, C) float32, within 1e-5."""
    return cv2.blendLinear(picture, other, 1 - share, share).reshape(picture.shape)


def added(picture: np.ndarray, share: float, other: np.ndarray, other_share: float) -> np.ndarray:
    """`share` times `picture` plus `other_share` times `other`, in one pass; float32, same shape."""
    return cv2.addWeighted(picture, share, other, other_share, 0).reshape(picture.shape)


def exp(plane: np.ndarray) -> np.ndarray:
    """exp of an (H, W) float32 plane; exponents are cut to -40..40, as denormal numbers are slow."""
    plane = np.clip(plane, -40, 40).astype(np.float32, copy=False)
    return cv2.exp(plane, plane).reshape(plane.shape)


def ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """0 below `low`, 1 above `high`, straight between; float32, any shape."""
    out = values - np.float32(low)
    out *= np.float32(1 / (high - low))
    return np.clip(out, 0, 1, out=out)


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of (H, W) or (H, W, C), cut at 3 sigma, done on a smaller picture where sigma allows it."""
    height, width = image.shape[:2]
    shrink = int(min(max(1, sigma / 1.5), height, width))
    sigma = max(sigma / shrink, 0.1)
    window = (2 * math.ceil(3 * sigma) + 1,) * 2  # OpenCV's own choice is 4 sigma
    if shrink == 1:
        return cv2.GaussianBlur(image, window, sigma).reshape(image.shape)
    size = (max(1, width // shrink), max(1, height // shrink))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, window, sigma)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)
