"""The benchmark's four noises: Gaussian, shot, impulse, and speckle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .. import draws
from ..base import Scene, require
from .base import Corruption


@dataclass(frozen=True, kw_only=True)
class GaussianNoiseC(Corruption):
    """Gaussian noise of the benchmark: independent in every pixel and channel, as in low light.

    Formula: y = x + sigma n, with n standard normal, on sRGB values in [0, 1].
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        sigma: deviation of the noise, >= 0.
    """

    sigma: float | None = None

    name: ClassVar = "gaussian_noise"
    presets: ClassVar = {"sigma": (0.08, 0.12, 0.18, 0.26, 0.38)}
    non_negative: ClassVar = ("sigma",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        noise = draws.normal(rng, image.shape)
        noise *= np.float32(self.sigma)
        noise += image
        return noise

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        if self.sigma > 25:  # beyond 16 bits
            return None
        return cv2.add(image, draws.rounded_normal(rng, image.shape, 255 * self.sigma), dtype=cv2.CV_8U)


@dataclass(frozen=True, kw_only=True)
class ShotNoiseC(Corruption):
    """Shot noise of the benchmark: light arrives as countable photons.

    Formula: y = Poisson(x k) / k, on sRGB values in [0, 1].
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        photons: k, the mean count at white, above 0.
    """

    photons: float | None = None

    name: ClassVar = "shot_noise"
    presets: ClassVar = {"photons": (60.0, 25.0, 12.0, 5.0, 3.0)}

    def check(self) -> None:
        require(0 < self.photons <= 5000, f"photons must lie in (0, 5000], got {self.photons}")

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        return draws.poisson(rng, image, self.photons).astype(np.float32) * np.float32(1 / self.photons)


@dataclass(frozen=True, kw_only=True)
class ImpulseNoiseC(Corruption):
    """Impulse noise of the benchmark, salt and pepper in colour: bit errors.

    Formula: every channel value becomes 0 or 1 with probability p / 2 each.
    Source: Hendrycks and Dietterich, ICLR 2019.

    Args:
        amount: p, share of values that are replaced, 0 to 1.
    """

    amount: float | None = None

    name: ClassVar = "impulse_noise"
    presets: ClassVar = {"amount": (0.03, 0.06, 0.09, 0.17, 0.27)}
    shares: ClassVar = ("amount",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        bits = draws.bits16(rng, image.shape)
        half = round(self.amount * 32768)
        out = image.copy()
        if half > 0:
            out[bits < half] = 0
            out[bits > 65535 - half] = 1
        return out

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        bits = draws.bits16(rng, image.shape)
        half = round(self.amount * 32768)
        out = image * (bits >= half)
        if half > 0:
            out |= np.negative((bits > 65535 - half).view(np.uint8))  # 1 becomes 255
        return out


@dataclass(frozen=True, kw_only=True)
class SpeckleNoiseC(Corruption):
    """Speckle of the benchmark: noise in proportion to brightness.

    Formula: y = x + x sigma n, with n standard normal, on sRGB values in [0, 1].
    Source: Hendrycks and Dietterich, ICLR 2019 (validation set of corruptions).

    Args:
        sigma: relative deviation of the noise, >= 0.
    """

    sigma: float | None = None

    name: ClassVar = "speckle_noise"
    presets: ClassVar = {"sigma": (0.15, 0.2, 0.35, 0.45, 0.6)}
    non_negative: ClassVar = ("sigma",)

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        noise = draws.normal(rng, image.shape)
        noise *= np.float32(self.sigma)
        noise += np.float32(1)
        noise *= image
        return noise

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        factor = draws.normal(rng, image.shape)
        factor *= np.float32(self.sigma)
        factor += np.float32(1)
        factor *= image
        return cv2.convertScaleAbs(np.maximum(factor, 0, out=factor))
