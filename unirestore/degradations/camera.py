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

from .base import Degradation, Scene, require
from .light import triple


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
        height, width = image.shape[:2]
        common = rng.standard_normal((height, width), dtype=np.float32)
        if self.grain > 0:
            side = cv2.getGaussianKernel(5, max(self.grain, 0.05))
            common = cv2.GaussianBlur(common, (5, 5), max(self.grain, 0.05)).reshape(height, width)
            common *= np.float32(1 / (side**2).sum())  # keeps the deviation at 1
        noise = triple(common * np.float32(np.sqrt(1 - self.colour)))
        if self.colour > 0:  # colour noise is coarser than brightness noise: demosaicking and chroma filters
            half = rng.standard_normal(
                (max(1, (height + 1) // 2), max(1, (width + 1) // 2), 3), dtype=np.float32
            )
            half = cv2.resize(half, (width, height), interpolation=cv2.INTER_LINEAR).reshape(image.shape)
            noise += half * np.float32(1.5 * np.sqrt(self.colour))
        # Photon noise has variance ~ L in linear light; through the sRGB curve its deviation is nearly level,
        # a little stronger in the dark.
        noise *= np.float32(self.shot * 1.1 + self.read) - np.float32(0.2 * self.shot) * image
        return image + noise


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
        eight = np.clip(np.rint(image[..., ::-1] * np.float32(255)), 0, 255).astype(
            np.uint8
        )  # BGR for OpenCV
        written, code = cv2.imencode(".jpg", eight, [cv2.IMWRITE_JPEG_QUALITY, self.quality])
        if not written:
            raise RuntimeError(f"OpenCV could not write a JPEG of shape {eight.shape}")
        read = cv2.imdecode(code, cv2.IMREAD_COLOR)
        return np.ascontiguousarray(read[..., ::-1]).astype(np.float32) * np.float32(1 / 255)
