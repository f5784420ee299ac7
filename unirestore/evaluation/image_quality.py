"""PSNR and SSIM between a picture and its clean original.

Source: Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
Similarity", IEEE TIP 2004: Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, over the valid
area. On RGB, the mean over the three channels. Values equal scikit-image's with `gaussian_weights=True,
sigma=1.5, use_sample_covariance=False`.
"""

from __future__ import annotations

import cv2
import numpy as np

_WINDOW, _SIGMA = 11, 1.5


def psnr(image: np.ndarray, clean: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two `(H, W, 3)` RGB uint8 pictures, in dB; infinite when they are equal.

    Raises:
        ValueError: shapes or types differ.
    """
    _check(image, clean)
    error = np.square(image.astype(np.float64) - clean).mean()
    return float("inf") if error == 0 else float(10 * np.log10(255.0**2 / error))


def ssim(image: np.ndarray, clean: np.ndarray) -> float:
    """Structural similarity of two `(H, W, 3)` RGB uint8 pictures, at most 1.

    The outer 5 pixels, where the window leaves the picture, are left out; a picture without any other pixel
    counts whole, with mirrored borders.

    Raises:
        ValueError: shapes or types differ.
    """
    _check(image, clean)
    ours, theirs = image.astype(np.float64), clean.astype(np.float64)

    def mean(values: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(values, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT)

    mean_x, mean_y = mean(ours), mean(theirs)
    var_x, var_y = mean(ours * ours) - mean_x**2, mean(theirs * theirs) - mean_y**2
    covariance = mean(ours * theirs) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    upper = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    lower = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    similarity = upper / lower  # (H, W, 3)
    edge = _WINDOW // 2
    if min(similarity.shape[:2]) > 2 * edge:
        similarity = similarity[edge:-edge, edge:-edge]
    return float(similarity.mean())


def _check(image: np.ndarray, clean: np.ndarray) -> None:
    if image.shape != clean.shape or image.dtype != np.uint8 or clean.dtype != np.uint8 or image.ndim != 3:
        raise ValueError(
            f"expected two (H, W, 3) uint8 pictures of one size, got {image.dtype} {image.shape} "
            f"and {clean.dtype} {clean.shape}"
        )
