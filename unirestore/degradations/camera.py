"""What the camera adds after the weather: sensor noise and JPEG artefacts.

Both matter for restoration, because raising the contrast of a hazy photo raises its noise and its block
edges too. Noise model: photon (Poisson) noise approximated by a Gaussian whose variance grows with linear
signal, plus read noise (Foi et al., IEEE TIP 17(10), 2008); partly blurred, as demosaicking and denoising
in cameras leave it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import cv2
import numpy as np

from .base import Degradation, Scene, require, to_bytes

IMREAD_RGB = getattr(cv2, "IMREAD_COLOR_RGB", None)  # OpenCV 4.11 and later decode to RGB


@dataclass(frozen=True, kw_only=True)
class SensorNoise(Degradation):
    """Photon and read noise.

    Args:
        shot: standard deviation in sRGB units added by photon noise at mid grey.
        read: standard deviation in sRGB units that does not depend on the signal.
        grain: radius in pixels of the blur that correlates neighbouring noise; 0 leaves it white.
        colour: share of the noise that differs between R, G and B; the rest is common to the three.
    """

    shot: float | None = None
    read: float | None = None
    grain: float = 0.5
    colour: float = 0.5

    presets: ClassVar = {
        "shot": (0.006, 0.012, 0.020, 0.032, 0.050),
        "read": (0.003, 0.006, 0.010, 0.016, 0.025),
    }

    def check(self) -> None:
        for name in ("shot", "read", "grain"):
            require(getattr(self, name) >= 0, f"{name} must be >= 0, got {getattr(self, name)}")
        require(0 <= self.colour <= 1, f"colour must lie in [0, 1], got {self.colour}")

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> SensorNoise:
        """Random concrete parameters; around a preset where `severity` is given."""
        if severity is None:
            level = float(np.exp(rng.uniform(np.log(0.0005), np.log(0.014))))
        else:
            level = cls.presets["shot"][severity - 1] * rng.uniform(0.8, 1.2)
        return cls(
            severity=severity,
            shot=level,
            read=level * rng.uniform(0.3, 0.9),
            grain=rng.uniform(0.0, 0.9),
            colour=rng.uniform(0.1, 0.6),
        )

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        noise = self._noise(image.shape[:2], rng)
        noise *= self._deviation(image)
        noise += image
        return noise

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        noise = self._noise(image.shape[:2], rng)
        levels = np.arange(256, dtype=np.float32)
        noise *= cv2.LUT(image, 255 * self._deviation(levels * np.float32(1 / 255)))
        return cv2.add(image, noise, dtype=cv2.CV_8U)

    def _deviation(self, image: np.ndarray) -> np.ndarray:
        """Deviation of the noise at each value of `image`.

        Photon noise has variance ~ L in linear light; through the sRGB curve its deviation is nearly level, a
        little stronger in the dark.
        """
        return np.float32(self.shot * 1.1 + self.read) - np.float32(0.2 * self.shot) * image

    def _noise(self, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) float32 noise of deviation about 1: `grain` that the channels share, and coarser colour."""
        height, width = shape
        common = rng.standard_normal(shape, dtype=np.float32)
        share = float(np.sqrt(1 - self.colour))
        if self.grain > 0:
            taps = cv2.getGaussianKernel(5, max(self.grain, 0.05))
            taps = (taps * np.sqrt(share / (taps**2).sum())).astype(np.float32)  # keeps the deviation
            common = cv2.sepFilter2D(common, cv2.CV_32F, taps, taps)
        else:
            common *= np.float32(share)
        noise = cv2.cvtColor(common, cv2.COLOR_GRAY2RGB)
        if self.colour > 0:  # coarser than brightness noise: demosaicking and chroma filters
            half = rng.standard_normal(((height + 1) // 2, (width + 1) // 2, 3), dtype=np.float32)
            half *= np.float32(1.5 * np.sqrt(self.colour))
            noise += cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR)
        return noise


def through_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB written by libjpeg at `quality` (1 to 100), 4:2:0 chroma, and read back.

    Raises RuntimeError where OpenCV cannot write it (a side above 65,500 pixels).
    """
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    written, code = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not written:
        raise RuntimeError(f"OpenCV could not write a JPEG of shape {image.shape}")
    if IMREAD_RGB is not None:
        return cv2.imdecode(code, IMREAD_RGB)
    return cv2.cvtColor(cv2.imdecode(code, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


@dataclass(frozen=True, kw_only=True)
class JpegCompression(Degradation):
    """Writes the photo as JPEG (4:2:0 chroma, libjpeg) and reads it back.

    Args:
        quality: libjpeg quality, 1 to 100.
    """

    quality: int | None = None

    presets: ClassVar = {"quality": (80, 60, 40, 25, 12)}

    def check(self) -> None:
        require(
            isinstance(self.quality, int) and 1 <= self.quality <= 100,
            f"quality must be an integer in 1..100, got {self.quality!r}",
        )

    @classmethod
    def sample(cls, rng: np.random.Generator, severity: int | None = None) -> JpegCompression:
        """Random quality; within 4 of a preset where `severity` is given."""
        if severity is None:
            return cls(quality=int(100 - 65 * rng.random() ** 2 - rng.integers(2, 6)))
        return cls(severity=severity, quality=int(cls.presets["quality"][severity - 1] + rng.integers(-4, 5)))

    def apply(self, image: np.ndarray, rng: np.random.Generator, scene: Scene) -> np.ndarray:
        read = through_jpeg(to_bytes(image), self.quality)
        return np.multiply(read, np.float32(1 / 255), dtype=np.float32)

    def apply_bytes(self, image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return through_jpeg(image, self.quality)
