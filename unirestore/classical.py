"""Classical, untrained restorers: CLAHE, the dark channel prior and a fixed mix of the two.

They serve twice: as arms that a learned restorer has to beat, and as candidate pictures that the network may
see and blend. Both uses want the same pixels, so both call these functions.

Sources (own code on OpenCV pieces, Apache-2.0):
    Zuiderveld, "Contrast Limited Adaptive Histogram Equalization", Graphics Gems IV, 1994.
    He, Sun, Tang, "Single Image Haze Removal Using Dark Channel Prior", CVPR 2009: eq. 5 (dark channel),
        eq. 12 (transmission), eq. 16 (recovery), section 4.4 (airlight).
    He, Sun, Tang, "Guided Image Filtering", ECCV 2010: eq. 5, 6 and 8, in place of the soft matting of the
    former.

What differs from the papers: the guide is the grey photo, not the colour photo; the airlight is the mean of
the 0.1 % of pixels with the largest dark channel, not the brightest one of them, since a single pixel may be
a head-light.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np


def clahe(image: np.ndarray, clip_limit: float = 2.0, tiles: int = 8) -> np.ndarray:
    """Contrast limited adaptive histogram equalisation of the lightness; colours keep their a and b.

    Args:
        image: `(H, W, 3)` RGB uint8, any size from 1x1 up.
        clip_limit: largest histogram bin as a multiple of the mean bin, above 0.
        tiles: the picture is cut into `tiles` x `tiles` regions, at least 1.

    Returns:
        `(H, W, 3)` RGB uint8.

    Raises:
        ValueError: the image is not `(H, W, 3)` uint8, or a parameter is out of range.
    """
    _check(image)
    if clip_limit <= 0 or tiles < 1:
        raise ValueError(f"clahe needs clip_limit > 0 and tiles >= 1, got {clip_limit} and {tiles}")
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(np.ascontiguousarray(lab[..., 0]))
    return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)


def dark_channel_prior(
    image: np.ndarray,
    patch: int = 15,
    omega: float = 0.95,
    t_min: float = 0.1,
    radius: int = 40,
    eps: float = 1e-3,
) -> np.ndarray:
    """Remove haze: `J = (I - A) / max(t, t_min) + A`, `t = 1 - omega * dark(I / A)` after a guided filter.

    Args:
        image: `(H, W, 3)` RGB uint8, any size from 1x1 up.
        patch: side of the minimum filter, pixels.
        omega: share of the haze to remove, in [0, 1].
        t_min: floor of the transmission, in (0, 1].
        radius: half side of the guided filter's window, pixels; cut to the picture where that is smaller.
        eps: the guided filter's regulariser, in squared units of a [0, 1] guide.

    Returns:
        `(H, W, 3)` RGB uint8.

    Raises:
        ValueError: the image is not `(H, W, 3)` uint8, or a parameter is out of range.
    """
    _check(image)
    if patch < 1 or radius < 1 or not 0 <= omega <= 1 or not 0 < t_min <= 1 or eps <= 0:
        raise ValueError(
            "dark_channel_prior needs patch >= 1, radius >= 1, omega in [0, 1], t_min in (0, 1] and "
            f"eps > 0, got patch={patch}, radius={radius}, omega={omega}, t_min={t_min}, eps={eps}"
        )
    airlight = estimate_airlight(image, patch)  # (3,) in [0, 1]
    pixels = image.astype(np.float32)  # (H, W, 3)
    pixels *= np.float32(1 / 255)
    transmission = estimate_transmission(pixels, airlight, patch, omega)
    guide = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    transmission = guided_filter(guide, transmission, radius, eps)
    gain = np.float32(1) / np.maximum(transmission, np.float32(t_min))  # (H, W)
    restored = (pixels - airlight) * gain[..., None] + airlight
    # round half to even, clipped to 0..255
    return cv2.convertScaleAbs(np.maximum(restored, 0, out=restored), alpha=255)


def dark_channel(image: np.ndarray, patch: int = 15) -> np.ndarray:
    """Smallest channel value in a square around each pixel: `(H, W, 3)` -> `(H, W)`, same dtype."""
    lowest = cv2.min(cv2.min(image[..., 0], image[..., 1]), image[..., 2])
    return cv2.erode(lowest, np.ones((patch, patch), np.uint8))


def estimate_airlight(image: np.ndarray, patch: int = 15, share: float = 1e-3) -> np.ndarray:
    """Mean colour of the `share` of pixels with the largest dark channel.

    Args:
        image: `(H, W, 3)` RGB uint8.

    Returns:
        `(3,)` RGB float32 in [1/255, 1]; never 0, so that one may divide by it.
    """
    dark = dark_channel(image, patch).reshape(-1)
    count = max(1, int(dark.size * share))
    haziest = np.argpartition(dark, dark.size - count)[dark.size - count :]
    airlight = image.reshape(-1, 3)[haziest].mean(axis=0) / 255
    return np.maximum(airlight, 1 / 255).astype(np.float32)


def estimate_transmission(pixels: np.ndarray, airlight: np.ndarray, patch: int, omega: float) -> np.ndarray:
    """`1 - omega * dark(I / A)` of `(H, W, 3)` RGB float32 in [0, 1] -> `(H, W)` float32, unrefined."""
    return 1 - np.float32(omega) * dark_channel(pixels / airlight, patch)


def guided_filter(guide: np.ndarray, target: np.ndarray, radius: int, eps: float) -> np.ndarray:
    """Edge-aware smoothing of `target` along the edges of `guide`, with box filters.

    Args:
        guide: `(H, W)` float32 in [0, 1].
        target: `(H, W)` float32.

    Returns:
        `(H, W)` float32.
    """
    height, width = guide.shape
    window = (2 * min(radius, max(width - 1, 0)) + 1, 2 * min(radius, max(height - 1, 0)) + 1)

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.boxFilter(plane, cv2.CV_32F, window, borderType=cv2.BORDER_REFLECT)

    mean_guide, mean_target = mean(guide), mean(target)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * target) - mean_guide * mean_target
    slope = covariance / (variance + np.float32(eps))
    offset = mean_target - slope * mean_guide
    return mean(slope) * guide + mean(offset)


def mix(image: np.ndarray, weights: tuple[float, float, float] = (0.3, 0.45, 0.25)) -> np.ndarray:
    """Weighted mean of the photo, its dark channel prior and its CLAHE version: an untrained baseline.

    Args:
        image: `(H, W, 3)` RGB uint8, any size from 1x1 up.
        weights: of the photo, of `dark_channel_prior` and of `clahe`; they sum to 1.

    Returns:
        `(H, W, 3)` RGB uint8.

    Raises:
        ValueError: the image is not `(H, W, 3)` uint8, or the weights do not sum to 1.
    """
    _check(image)
    if len(weights) != 3 or abs(sum(weights) - 1) > 1e-6:
        raise ValueError(f"mix needs three weights that sum to 1, got {weights} (sum {sum(weights):.4f})")
    photo, dcp, equalised = weights
    blend = cv2.addWeighted(
        image.astype(np.float32), photo, dark_channel_prior(image).astype(np.float32), dcp, 0
    )
    blend += np.float32(equalised) * clahe(image)
    return np.clip(np.rint(blend), 0, 255).astype(np.uint8)


def clahe_dcp(image: np.ndarray) -> np.ndarray:
    """The dark channel prior of the CLAHE version: equalising first lets it see haze that is not white.

    Takes and returns `(H, W, 3)` RGB uint8, any size from 1x1 up; raises ValueError for anything else.
    """
    return dark_channel_prior(clahe(image))


def chain(image: np.ndarray, strength: float = 0.7) -> np.ndarray:
    """`strength` of `clahe_dcp` and the rest of the photo: the strongest untrained baseline we know.

    The default was chosen on development photos of real fog and rain, so a restorer must be compared to it too.
    Takes and returns `(H, W, 3)` RGB uint8; raises ValueError for another array or a strength outside [0, 1].
    """
    _check(image)
    if not 0 <= strength <= 1:
        raise ValueError(f"strength must lie in [0, 1], got {strength}")
    return cv2.addWeighted(image, 1 - strength, clahe_dcp(image), strength, 0)


CANDIDATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "dcp": dark_channel_prior,
    "clahe": clahe,
    "clahe_dcp": clahe_dcp,
}


def _check(image: np.ndarray) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        what = (
            f"{image.dtype} of shape {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        )
        raise ValueError(f"expected an (H, W, 3) RGB uint8 array, got {what}; convert it first")
    if image.shape[0] < 1 or image.shape[1] < 1:
        raise ValueError(f"expected at least one pixel, got shape {image.shape}")
